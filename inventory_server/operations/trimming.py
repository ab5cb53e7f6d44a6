"""Takes what is too old out of the journals and the alerts, a little at a time."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from inventory_server.domain.errors import InventoryError
from inventory_server.stores.script_errors import ScriptError
from inventory_server.stores.stream_store import StreamStore

log = logging.getLogger(__name__)


class Trimmer:
    """Trims every partition's streams, by age and by length.

    Leaderless: any number may run, in any number of processes.
    """

    INTERVAL_S: Final = 10.0

    def __init__(self, store: StreamStore, *, max_age_ms: int, max_entries: int) -> None:
        self._store = store
        self._max_age_ms = max_age_ms
        self._max_entries = max_entries
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Trims until stopped."""
        while not self._stopping.is_set():
            try:
                await self.trim()
            except (InventoryError, ScriptError) as error:
                log.warning("trimming waits: %s", error)
            try:
                async with asyncio.timeout(self.INTERVAL_S):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Ends `run` after what it is doing."""
        self._stopping.set()

    async def trim(self) -> int:
        """Trims all that is too old now; answers how many movements went."""
        total = 0
        for partition in range(self._store.partitions):
            more = True
            while more and not self._stopping.is_set():
                trimmed, more = await self._store.trim(
                    partition, self._max_age_ms, self._max_entries
                )
                total += trimmed
        return total
