"""Several servers that copy one store, each with a way to DynamoDB of its own, and who dies."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from inventory_server.stores.copy_leases import CopyLeases
from tests.copy.entries import soon
from tests.copy.mixed_load import MixedLoad
from tests.copy.serving import PARTITIONS
from tests.copy.troubles import Struck, Troubles
from tests.eventually import eventually
from tests.faults.dynamo_proxy import DynamoProxy
from tests.processes import DurableRedis
from tests.proof.two_servers import address
from tests.serving import Running

ROOT = Path(__file__).resolve().parents[2]


class QuickServer(Running):
    """A server whose drainer has short times."""

    program = (sys.executable, "-m", "tests.copy.quick_server")
    waits = False


class Seat:
    """A proxy, and the server behind it, which may be killed and followed by another."""

    MOST_STARTS = 5

    def __init__(self, proxy: DynamoProxy, start: Callable[[str], Running]) -> None:
        self.proxy = proxy
        self._start = start
        self.server: Any = None

    @property
    def is_alive(self) -> bool:
        """Whether its server runs."""
        return self.server is not None and self.server.process.poll() is None

    def start(self) -> None:
        """Starts the next server; waits until it serves. One that dies before is followed too."""
        for _ in range(self.MOST_STARTS):
            self.server = self._start(self.proxy.endpoint)
            eventually(lambda: not self.is_alive or self.server.is_serving(), timeout_s=40)
            if self.is_alive:
                return
        raise AssertionError(self.server.log.read_text())

    def kill(self) -> None:
        """Kills its server."""
        if self.server is not None:
            self.server.kill()

    def close(self) -> None:
        """Stops its server in order."""
        if self.server is not None:
            self.server.close()


class CopyingServers:
    """The servers on their seats, under a load; brings back who was struck."""

    AHEAD = 3
    """So many deaths the load is ahead of them, and goes on while some are brought back."""
    PATIENCE_S = 3.0
    """After that without a death, one is brought about."""

    def __init__(
        self, seats: list[Seat], store: DurableRedis, load: MixedLoad, leases: CopyLeases
    ) -> None:
        self._seats = seats
        self._store = store
        self._load = load
        self._leases = leases
        self._loop = asyncio.get_running_loop()
        self._struck: asyncio.Queue[Struck] = asyncio.Queue()
        self._starting: dict[Seat, asyncio.Task[None]] = {}
        self.troubles: Troubles
        self.extra: list[str] = []
        """Whom else we killed or stopped, so that another takes over."""

    def on_death(self, struck: Struck) -> None:
        """To be called by whatever thread it happens in."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._struck.put_nowait, struck)

    async def suffer(self, movements: int) -> None:
        """All deaths, spread over so many movements."""
        planned = len(self.troubles.left)
        while self.troubles.left:
            done = planned - len(self.troubles.left)
            self._load.quota = movements * (done + self.AHEAD) // (planned + 1)
            await self._load.until(movements * done // (planned + 1))
            await self._until_two_serve()
            self.troubles.allow()
            await self._recover(await self._next_struck())
        self._load.quota = movements
        await self._load.until(movements)
        await asyncio.gather(*self._starting.values())

    async def _until_two_serve(self) -> None:
        while len({target.address for target in self._load.targets}) < 2:
            await self._load.pause(0.01)
            self._raise_failed()

    async def _next_struck(self) -> Struck:
        waited_since = monotonic()
        while True:
            try:
                async with asyncio.timeout(self.PATIENCE_S):
                    return await self._struck.get()
            except TimeoutError:
                assert monotonic() - waited_since < 150, self.troubles.left
                self._raise_failed()
                if all(starting.done() for starting in self._starting.values()):
                    await self._provoke()

    def _raise_failed(self) -> None:
        for starting in self._starting.values():
            if starting.done():
                starting.result()

    async def _provoke(self) -> None:
        """A server that drains ends, so that the others take over; it comes again."""
        seat = await self._drainer()
        if seat is not None:
            is_in_order = any(death.step == "leave" for death in self.troubles.left)
            self.extra.append("stopped" if is_in_order else "killed")
            self._follow(seat, seat.close if is_in_order else seat.kill)

    def _follow(self, seat: Seat, ends: Callable[[], None]) -> None:
        """Ends a seat's server, and starts the next, while others may die whom it needs."""

        async def follow() -> None:
            self._load.drop(address(seat.server))
            await asyncio.to_thread(ends)
            await asyncio.to_thread(seat.start)
            self._load.add(address(seat.server))

        self._starting[seat] = asyncio.create_task(follow())

    async def _drainer(self) -> Seat | None:
        """A seat whose server drains a partition."""
        owners = [p.owner for p in await self._leases.partitions(range(PARTITIONS), soon())]
        for seat in self._seats:
            pids = seat.server.drainers() if seat.is_alive else ()
            if any(f"-{pid}-" in owner for owner in owners for pid in pids):
                return seat
        return None

    async def _recover(self, struck: Struck) -> None:
        if struck.death.victim == "redis":
            await asyncio.to_thread(self._store.start)
        elif struck.death.victim == "dynamodb":
            await self._lose_dynamodb()
        for seat in self._seats:
            starting = self._starting.get(seat)
            if not seat.is_alive and (starting is None or starting.done()):
                self._follow(seat, seat.kill)

    async def _lose_dynamodb(self) -> None:
        """All connections are cut, and none taken, until more has been changed."""
        self.troubles.late.close()
        proxies = [seat.proxy for seat in self._seats]
        await asyncio.gather(*[asyncio.to_thread(proxy.stop) for proxy in proxies])
        self._load.is_urged = True
        await self._load.until(self._load.movements + self._load.AN_OUTAGE)
        self._load.is_urged = False
        for proxy in proxies:
            proxy.start()
        self.troubles.late.open()


def starter(
    start: Callable[..., Running], url: str, prefix: str, variables: dict[str, str]
) -> Callable[[str], Running]:
    """Starts a server on this store, with a DynamoDB at the address that is given."""
    flags = (
        *("--redis-url", url, "--durability", "require", "--stall-timeout-s", "0.5"),
        *("--drain-notice-s", "0", "--partitions", str(PARTITIONS), "--table-prefix", prefix),
        *("--durable-copy", "on"),
    )
    return lambda endpoint: partial(start, *flags, "--dynamodb-endpoint", endpoint)(**variables)


def environment(fold_s: float, batch: int) -> dict[str, str]:
    """What a quick server is told, beside its flags."""
    keys = {"AWS_ACCESS_KEY_ID": "double", "AWS_SECRET_ACCESS_KEY": "double"}
    given = {"COPY_TEST_FOLD_S": str(fold_s), "COPY_TEST_BATCH": str(batch)}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**keys, **given, "PYTHONPATH": path.strip(os.pathsep)}
