"""Whatever fails, each hold happens once or not at all, and the library says which, or that
it does not know.

`INVENTORY_CLIENT_HOLDS=10000` is the full size, some minutes; `pytest -s` shows the figures.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from inventory_client import AsyncInventoryClient, MovementEvent

from tests.eventually import eventually_async
from tests.faults.proxy import ReplyProxy
from tests.fold import assert_journal_folds_to_state
from tests.library.agents import DONE, NOT_DONE, PERHAPS, SKUS, Agents, Told
from tests.library.servers import ServerProcess, TcpReplyProxy
from tests.processes import DurableRedis

HOLDS = int(os.environ.get("INVENTORY_CLIENT_HOLDS", "300"))
AGENTS = 50
FAULTS = max(7, HOLDS // 200)
ON_HAND = 1_000_000


class Troubles:
    """What happens to server and Redis, one thing after another."""

    def __init__(
        self, process: ServerProcess, store: DurableRedis, to_redis: ReplyProxy,
        to_server: TcpReplyProxy,
    ) -> None:  # fmt: skip
        self._process, self._store = process, store
        self._to_redis, self._to_server = to_redis, to_server
        self.counts: Counter[str] = Counter()
        self.memory_mb: list[float] = []
        """At the start, after a quarter, at the end; the agents' own notes are in it."""

    async def run(self, agents: Agents) -> None:
        troubles = cycle(
            (
                self._kill_server, self._lose_answers_of_redis, self._stop_server,
                self._lose_answers, self._cut, self._kill_redis, self._refuse,
            )
        )  # fmt: skip
        for number, trouble in zip(range(1, FAULTS + 1), troubles, strict=False):
            await agents.until(number * HOLDS // (FAULTS + 2))
            await trouble()
            if number == FAULTS // 4:
                self.memory_mb.append(memory_mb())
            self.counts[trouble.__name__.removeprefix("_")] += 1

    async def _kill_server(self) -> None:
        await asyncio.to_thread(self._process.kill)
        await asyncio.to_thread(self._process.start)

    async def _stop_server(self) -> None:
        await asyncio.to_thread(self._process.stop)
        await asyncio.to_thread(self._process.start)

    async def _kill_redis(self) -> None:
        await asyncio.to_thread(self._store.die)
        self._to_redis.cut()
        await asyncio.to_thread(self._store.start)

    async def _lose_answers_of_redis(self) -> None:
        await self._lose(self._to_redis)

    async def _lose_answers(self) -> None:
        await self._lose(self._to_server)

    async def _lose(self, proxy: ReplyProxy) -> None:
        """What is answered is lost, for one round of answers; then the connection is."""
        proxy.swallowed_bytes, proxy.swallowing = 0, True

        async def something_is_lost() -> bool:
            return proxy.swallowed_bytes > 0

        await eventually_async(something_is_lost)
        proxy.swallowing = False
        proxy.cut()

    async def _cut(self) -> None:
        self._to_server.cut()

    async def _refuse(self) -> None:
        """Nobody can connect, until the calls have felt it."""
        seen = self._to_server.connections
        self._to_server.refusing = True
        self._to_server.cut()

        async def was_felt() -> bool:
            return self._to_server.connections > seen

        await eventually_async(was_felt)
        self._to_server.refusing = False


async def watch(client: AsyncInventoryClient, versions: dict[str, list[int]]) -> None:
    """Writes down each level's versions as they come, by SKU."""
    async with client.watch_stock() as events:
        versions["begun"] = []
        async for event in events:
            if isinstance(event, MovementEvent) and event.movement.sku:
                level = event.movement.level
                versions.setdefault(level.sku, []).append(level.version)


def memory_mb() -> float:
    """What this process takes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def journal(db: redis.Redis) -> dict[str, Counter[str]]:
    """How often each verb was done, by hold."""
    found: dict[str, Counter[str]] = {}
    for key in db.keys("inv:*:journal"):
        for _, entry in db.xrange(key):
            if entry["hold_id"]:
                found.setdefault(entry["hold_id"], Counter())[entry["kind"]] += 1
    return found


def holds_of(db: redis.Redis) -> dict[str, list[str]]:
    """The holds of each reference, from the journal."""
    found: dict[str, list[str]] = {}
    for key in db.keys("inv:*:journal"):
        for _, entry in db.xrange(key):
            if entry["kind"] == "HOLD":
                found.setdefault(entry["reference"], []).append(entry["hold_id"])
    return found


def assert_the_truth_was_told(told: list[Told], db: redis.Redis) -> None:
    done, placed = journal(db), holds_of(db)
    assert len({one.reference for one in told}) == HOLDS
    for one in told:
        holds = placed.get(one.reference, [])
        assert len(holds) <= 1, f"{one}: placed {len(holds)} times"
        verbs = done[holds[0]] if holds else Counter()
        assert all(count == 1 for count in verbs.values()), f"{one}: {verbs}"
        for verb, outcome in one.outcomes.items():
            if outcome == DONE:
                assert verbs[verb] == 1, f"{one}: told of {verb}, found {verbs}"
            elif outcome == NOT_DONE:
                assert verbs[verb] == 0, f"{one}: told that there was no {verb}, found {verbs}"
        if one.hold_id:
            assert holds == [one.hold_id]


async def assert_nothing_is_left(proxy: TcpReplyProxy, tasks: set[asyncio.Task[Any]]) -> None:
    """No call, no task, no connection."""

    async def nothing() -> bool:
        gc.collect()
        calls = [each for each in gc.get_objects() if isinstance(each, grpc.aio.Call)]
        # The server that runs has its connections to Redis, through a proxy in this process.
        left = [
            task for task in asyncio.all_tasks() - tasks - {asyncio.current_task()}
            if "AioChannel" not in repr(task) and "ReplyProxy." not in repr(task)
        ]  # fmt: skip
        assert not calls, calls
        assert not left, left
        assert not proxy._serving
        return True

    await eventually_async(nothing)


@pytest.mark.timeout(180 + HOLDS // 5)
async def test_each_hold_happens_once_or_not_at_all_and_the_library_knows(
    store: DurableRedis, tmp_path: Path
) -> None:
    begun = time.monotonic()
    async with ReplyProxy(store.socket) as to_redis:
        flags = ("--stall-timeout-s", "0.5", "--store-timeout-s", "3", "--heartbeat-s", "1")
        url = f"redis://127.0.0.1:{to_redis.port}"
        process = await asyncio.to_thread(ServerProcess, url, tmp_path / "log", *flags)
        try:
            async with TcpReplyProxy(process.address) as to_server:
                tasks = asyncio.all_tasks()
                agents, versions, troubles = await run(process, store, to_redis, to_server)
                await assert_nothing_is_left(to_server, tasks)
        finally:
            await asyncio.to_thread(process.stop)
    outcomes = Counter(f"{verb} {how}" for one in agents.told for verb, how in one.outcomes.items())
    print(  # noqa: T201 - the figures of a full run
        f"\n{HOLDS} holds, {AGENTS} agents, {time.monotonic() - begun:.0f} s:"
        f" {dict(troubles.counts)}; errors {dict(agents.errors)};"
        f" settled {agents.settled}; {dict(outcomes)};"
        f" memory {[round(mb) for mb in troubles.memory_mb]} MB"
    )
    assert_the_truth_was_told(agents.told, store.db)
    assert outcomes[f"HOLD {DONE}"] > HOLDS * 0.8, "most of them are for a library to mend"
    assert sum(count for what, count in outcomes.items() if PERHAPS in what) < HOLDS * 0.2
    for sku in SKUS:
        seen = versions[sku]
        assert seen == list(range(seen[0], seen[0] + len(seen))), "a gap or a double"
    assert_journal_folds_to_state(store.db)


async def run(
    process: ServerProcess, store: DurableRedis, to_redis: ReplyProxy, to_server: TcpReplyProxy
) -> tuple[Agents, dict[str, list[int]], Troubles]:
    versions: dict[str, list[int]] = {}
    troubles = Troubles(process, store, to_redis, to_server)
    async with AsyncInventoryClient(
        to_server.address, timeout=30, attempt_timeout=3, actor="agents"
    ) as client:
        await client.set_stock([(sku, "online", ON_HAND) for sku in SKUS])
        watching = asyncio.create_task(watch(client, versions))

        async def has_begun() -> bool:
            return "begun" in versions

        await eventually_async(has_begun)
        agents = Agents(client, count=AGENTS, holds=HOLDS)
        troubles.memory_mb.append(memory_mb())
        async with asyncio.TaskGroup() as group:
            group.create_task(agents.run())
            group.create_task(troubles.run(agents))
        troubles.memory_mb.append(memory_mb())
        levels = {sku: (await client.get_stock(sku)).levels[0] for sku in SKUS}

        async def all_came() -> bool:
            return all(versions.get(sku, [0])[-1] >= levels[sku].version for sku in SKUS)

        await eventually_async(all_came)
        watching.cancel()
        await asyncio.wait((watching,))
    return agents, versions, troubles
