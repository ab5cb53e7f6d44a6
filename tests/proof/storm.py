"""A load, subscribers who watch it, and whatever can end their streams, again and again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import count, cycle
from random import Random

from tests.eventually import eventually_async
from tests.processes import DurableRedis
from tests.proof.steady_load import SteadyLoad
from tests.proof.subscribers import PARTITIONS, Query, Subscriber, read_seqs
from tests.proof.two_servers import Two, address
from tests.serving import Running

MEAN_CUT = 15
"""Changes between two cuts of single streams, about."""
A_REST = 1_050
"""Changes in which more happens than a server keeps for who does not read."""
A_ROUND = 3_000
"""Changes in which a server is killed once, Redis is once, and a server is stopped once."""
A_WHILE_MS = 120_000
"""Holds that are open in the end live longer than this."""


class Storm:
    """What happens to subscribers. Every amount is counted in changes.

    Of the subscribers the first `many` watch every movement: they can be too slow.
    """

    def __init__(
        self, two: Two, load: SteadyLoad, store: DurableRedis, queries: Sequence[Query], many: int
    ) -> None:
        self._two, self._load, self._store = two, load, store
        self._random = Random(7)
        self.deaths: Counter[str] = Counter()
        store_id = store.db.hget("inv:{0}:meta", "store_id")
        self.subscribers = [
            Subscriber(query, self._addresses, Random(n), store_id)
            for n, query in enumerate(queries)
        ]
        self._many, self._slow = self.subscribers[:many], self.subscribers[0]
        self._numbers = count(len(two.servers))

    def _addresses(self) -> list[str]:
        return [address(server) for server in self._two.servers]

    async def run(self, changes: int) -> None:
        """The whole of it, until every subscriber has come to the end."""
        async with asyncio.TaskGroup() as everything:
            for number, subscriber in enumerate(self.subscribers):
                # One after another, so that snapshots are taken while much changes.
                begins_at = number * changes // (3 * len(self.subscribers))
                everything.create_task(self._subscribe(subscriber, begins_at))
            await eventually_async(self._is_first_at_the_tail)
            troubles = [
                everything.create_task(work)
                for work in (self._cut_streams(), self._slow_down(), self._kill_all(changes))
            ]
            await self._load.run_steadily(changes)
            await asyncio.gather(*troubles)
            await self._load.settle()
            await eventually_async(self._is_still)
            for subscriber in self.subscribers:
                subscriber.finish(read_seqs(self._store.db))

    async def _subscribe(self, subscriber: Subscriber, begins_at: int) -> None:
        await self._load.until(begins_at)
        await subscriber.run(self._load.pause)

    async def _is_first_at_the_tail(self) -> bool:
        """Whether the first subscriber has all that there is: a second heartbeat says so."""
        return self.subscribers[0].counts["heartbeat"] > 1

    async def _is_still(self) -> bool:
        """Whether no hold expires any more for a while."""
        db = self._store.db
        until_ms = db.time()[0] * 1000 + A_WHILE_MS
        return not any(db.zcount(f"inv:{{{n}}}:due", 0, until_ms) for n in range(PARTITIONS))

    # What happens to one

    async def _cut_streams(self) -> None:
        while not self._load.is_over:
            await self._load.until(self._load.changes + self._random.randint(1, 2 * MEAN_CUT))
            watching = [each for each in self.subscribers if each.is_open]
            if watching:
                victim = self._random.choice(watching)
                if victim is not self._slow:
                    await victim.cut(self._random.choice(("cancelled", "closed")))

    async def _slow_down(self) -> None:
        """One after another stops reading, until more waits for it than is kept.

        One that was still behind then is waited for, and is not too slow for anybody.
        """
        for slow in cycle(self._many):
            # Nothing else cuts it meanwhile, and it comes to the tail first.
            self._slow = slow
            await self._load.until(self._load.changes + A_REST // 4)
            slow.rest(A_REST, self._load)
            await self._load.until(self._load.changes + A_REST * 5 // 4)
            if self._load.is_over:
                return

    # What happens to all

    async def _kill_all(self, changes: int) -> None:
        begun_at, deaths = self._load.changes, (self._kill, self._kill_redis, self._stop)
        for a_round in range(max(1, changes // A_ROUND)):
            for number, death in enumerate(deaths, 1):
                # Who is slow first in a round comes to feel it before that.
                part = A_REST + number * (A_ROUND - A_REST) // (len(deaths) + 1)
                await self._load.until(begun_at + a_round * A_ROUND + part)
                await death()

    async def _kill(self) -> None:
        await asyncio.to_thread(self._drop().kill)
        await self._add()
        self.deaths["servers killed"] += 1

    async def _stop(self) -> None:
        await asyncio.to_thread(self._drop().close)
        await self._add()
        self.deaths["servers stopped"] += 1

    async def _kill_redis(self) -> None:
        self._store.die()
        await asyncio.to_thread(self._store.start)
        self.deaths["Redis killed"] += 1

    def _drop(self) -> Running:
        """Takes a server off the list, of those who ask and of those who watch."""
        victim = self._two.servers.pop(0)
        self._load.drop(address(victim))
        return victim

    async def _add(self) -> None:
        server = await self._two.start_server(next(self._numbers))
        self._two.servers.append(server)
        self._load.add(address(server))
