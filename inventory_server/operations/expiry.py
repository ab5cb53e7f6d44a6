"""Expiry: on demand where a call stands in its way, and by the sweeper.

The deadline decides, not the sweeper: a script that finds a due hold in its
way answers Due, the hold is expired, and the script runs again. So readers,
journal and alerts never disagree.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from inventory_server.domain.errors import InventoryError, StoreRewound
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.keys import Keyspace
from inventory_server.stores.outcomes import Due
from inventory_server.stores.script_errors import ScriptError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Expiry:
    """Expires holds that are due on levels."""

    def __init__(self, holds: HoldStore, keys: Keyspace) -> None:
        self._holds = holds
        self._keys = keys

    MAX_IDLE_RUNS: Final = 100
    """So often a hold may be due and not be found on its level; then its index is damaged.
    Others expire holds too, and may be faster a few times.
    """

    async def expire_levels(self, due: Due, deadline: float) -> int:
        """Expires until nothing is due on these levels; answers how many holds expired."""
        total = 0
        for location, sku in due.levels:
            key, more = self._keys.level_due(location, sku), True
            while more:
                expired, more = await self._holds.expire(key, deadline)
                total += expired
        return total

    async def expire_due(self, deadline: float) -> None:
        """Expires everything that is due now."""
        for number, lag_ms in enumerate(await self._holds.read_due(deadline)):
            more = lag_ms >= 0
            while more:
                _, more = await self._holds.expire(self._keys.due(number), deadline)

    async def settled(self, run: Callable[[], Awaitable[T | Due]], deadline: float) -> T:
        """Runs a call; where holds are due in its way, expires them and runs it again."""
        answer, idle_runs = await run(), 0
        while isinstance(answer, Due):
            expired = await self.expire_levels(answer, deadline)
            idle_runs = 0 if expired else idle_runs + 1
            if idle_runs > self.MAX_IDLE_RUNS:
                raise ScriptError(f"no index has the hold that is due on {answer.levels}")
            answer = await run()
        return answer


class Sweeper:
    """Expires what is due in every partition, about twice a second.

    Leaderless: any number may run, in any number of processes.
    """

    INTERVAL_S: Final = 0.5
    TIMEOUT_S: Final = 5.0

    def __init__(self, holds: HoldStore, keys: Keyspace) -> None:
        self._holds = holds
        self._keys = keys
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Sweeps until stopped."""
        while not self._stopping.is_set():
            try:
                await self.sweep()
            except InventoryError as error:
                log.warning("the sweep waits: %s", error)
            except ScriptError:
                log.exception("the sweep failed")
            pause = self.INTERVAL_S * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
            try:
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Ends `run` after what it is doing."""
        self._stopping.set()

    async def sweep(self) -> int:
        """Expires everything that is due now, and removes the ended holds whose retention
        time is over; answers how many holds expired.
        """
        loop = asyncio.get_running_loop()
        lags = await self._holds.read_due(loop.time() + self.TIMEOUT_S)
        total = 0
        for number, lag_ms in enumerate(lags):
            try:
                if lag_ms >= 0:
                    total += await self._expire(number)
                await self._remove(number)
            except (ScriptError, StoreRewound) as error:
                # One that is damaged must not keep the other partitions waiting.
                log.error("the sweep of partition %d failed: %s", number, error)
        return total

    async def _expire(self, number: int) -> int:
        loop, total, more = asyncio.get_running_loop(), 0, True
        while more and not self._stopping.is_set():
            deadline = loop.time() + self.TIMEOUT_S
            expired, more = await self._holds.expire(self._keys.due(number), deadline)
            total += expired
        return total

    async def _remove(self, number: int) -> None:
        loop, more = asyncio.get_running_loop(), True
        while more and not self._stopping.is_set():
            _, more = await self._holds.remove(number, loop.time() + self.TIMEOUT_S)
