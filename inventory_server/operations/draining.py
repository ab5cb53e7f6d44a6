"""The drainer: copies all journals to DynamoDB, while servers share the partitions.

Any number of servers may run it. Nothing waits for it: where DynamoDB is out of
reach it tries again, later each time, and the journals keep what it has not copied.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from inventory_server.domain.copy import CopyReport
from inventory_server.domain.errors import InventoryError
from inventory_server.operations.copy_progress import CopyProgress
from inventory_server.operations.drain_leases import DrainLeases
from inventory_server.operations.partition_drain import (
    LeaseLostError,
    PartitionDrain,
    RewoundError,
)
from inventory_server.stores.copy_leases import CopyLeases, OtherStoreError
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import COPY_ERRORS, CopyStore
from inventory_server.stores.script_errors import ScriptError

log = logging.getLogger(__name__)

_LATER: Final = (*COPY_ERRORS, InventoryError, ScriptError, OtherStoreError)


class Drainer:
    """Drains the partitions whose leases this server gets."""

    POLL_S: Final = 0.5
    FIRST_PAUSE_S: Final = 0.5
    LONGEST_PAUSE_S: Final = 10.0
    AT_ONCE: Final = 4
    """Partitions drained at the same time."""

    def __init__(
        self, source: CopySource, store: CopyStore, leases: CopyLeases, reader: CopyReader,
        register: Callable[[float], Awaitable[None]],
        report: Callable[[CopyReport], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`register` says, by a deadline, which store the copy is of. `report` is told how it
        stands, some times a second.
        """
        self._source = source
        self._store = store
        self._leases = leases
        self._reader = reader
        self._register = register
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._drains: dict[int, PartitionDrain] = {}
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Semaphore(self.AT_ONCE)
        self.lease = DrainLeases(leases, source.partitions)
        self.progress = CopyProgress()

    async def run(self) -> None:
        """Drains until stopped; then copies what it has gathered, and gives its leases back."""
        await self._until_stopped(self._begin, once=True)
        keeping = asyncio.create_task(self._until_stopped(self.lease.keep, self.lease.BEAT_S))
        await self._until_stopped(self.drain, self.POLL_S)
        await keeping
        with suppress(*_LATER):
            # What came since the last look: after a stop nothing new does.
            await self.drain()
        with suppress(*_LATER, LeaseLostError, RewoundError):
            # Whatever is not done now is done by who comes next.
            await asyncio.gather(*[drain.fold() for drain in self._drains.values()])
        with suppress(*_LATER):
            await self.lease.leave()

    def stop(self) -> None:
        """Ends `run` after what it is doing."""
        self._stopping.set()

    async def drain(self) -> bool:
        """Copies what is new in this server's partitions; answers whether there is more."""
        owned = self.lease.owned
        self._drains = {n: d for n, d in self._drains.items() if n in owned}
        for number, copied in owned.items():
            known = self._drains.get(number)
            if known is None or known.term != copied.term:
                self._drains[number] = PartitionDrain(
                    copied, self.lease, self._source, self._store, self._leases, self._reader,
                    self.progress,
                )  # fmt: skip
        for number in set(self.progress.partitions) - set(owned):
            del self.progress.partitions[number]
        if not owned:
            return False
        places = await self._source.places()
        work = [
            self._drain(number, drain)
            for number, drain in self._drains.items()
            if drain.has_work(places[number])
        ]
        ended = await asyncio.gather(*work, return_exceptions=True)
        self._report(self.progress.tell(await self._source.now_ms()))
        for error in ended:
            if isinstance(error, BaseException):
                raise error
        return any(ended)

    async def _drain(self, number: int, drain: PartitionDrain) -> bool:
        progress = self.progress.of(number)
        async with self._at_once:
            try:
                more = await drain.drain()
            except LeaseLostError:
                self.lease.drop(number)
                return False
            except RewoundError as error:
                if not progress.rewound:
                    log.error("partition %d is not copied any more: %s", number, error)
                progress.rewound = str(error)
                return False
        progress.rewound = ""
        return more

    async def _begin(self) -> None:
        await self._register(self._loop.time() + self.lease.TIMEOUT_S)

    async def _until_stopped(
        self, step: Callable[[], Awaitable[bool | None]], pause_s: float = 0.0, *,
        once: bool = False,
    ) -> None:  # fmt: skip
        """Repeats a step; where it fails, later each time."""
        failed_s, why = 0.0, ""
        while not self._stopping.is_set():
            try:
                more = await step()
            except _LATER as error:
                if not why:
                    log.warning("the durable copy waits: %s", error)
                why = str(error) or type(error).__name__
                failed_s = min(2 * failed_s or self.FIRST_PAUSE_S, self.LONGEST_PAUSE_S)
                await self._wait(failed_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                continue
            if why:
                log.info("the durable copy goes on")
            failed_s, why = 0.0, ""
            if once:
                return
            if not more:
                await self._wait(pause_s)

    async def _wait(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
