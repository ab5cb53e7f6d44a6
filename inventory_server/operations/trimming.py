"""Takes what is too old out of the journals and the alerts, a little at a time.

With a durable copy, what it has not yet stays, as long as all journals together
take no more memory than they may. Past that the oldest go all the same: holds do
not wait for the copy, which is then not complete.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from inventory_server.domain.errors import InventoryError
from inventory_server.stores.script_errors import ScriptError
from inventory_server.stores.stream_store import StreamStore

log = logging.getLogger(__name__)


class Trimmer:
    """Trims every partition's streams, by age, by length, and by what is copied.

    Leaderless: any number may run, in any number of processes.
    """

    INTERVAL_S: Final = 10.0
    KEPT_SHARE: Final = 0.9
    """Of the bytes that may be taken, where more are: so that not each run has to trim."""
    ALARM_SHARE: Final = 0.5

    def __init__(
        self, store: StreamStore, *, max_age_ms: int, max_entries: int, max_bytes: int = 0
    ) -> None:
        """`max_bytes` of all journals, where they wait for a copy; 0 where there is none."""
        self._store = store
        self._max_age_ms = max_age_ms
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._is_alarmed = False
        self._stopping = asyncio.Event()
        self.uncopied = 0
        """Movements that went before they were copied."""

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
        """Trims all that is too old now, or too much; answers how many movements went."""
        total = 0
        for partition in range(self._store.partitions):
            total += await self._trim(partition, self._max_entries, is_bounded=False)
        if self._max_bytes:
            total += await self._bound()
        return total

    async def _bound(self) -> int:
        """Trims what is more than the journals may take; answers how many movements went."""
        partitions, total = range(self._store.partitions), 0
        used = sum([await self._store.bytes(partition) for partition in partitions])
        is_alarming = used > self._max_bytes * self.ALARM_SHARE
        if is_alarming and not self._is_alarmed:
            log.warning(
                "the journals take %d MB, of %d MB that they may take while they wait for the"
                " durable copy", used >> 20, self._max_bytes >> 20,
            )  # fmt: skip
        self._is_alarmed = is_alarming
        if used <= self._max_bytes:
            return 0
        share = self._max_bytes / used * self.KEPT_SHARE
        before = self.uncopied
        for partition in partitions:
            entries = int(await self._store.length(partition) * share)
            total += await self._trim(partition, max(1, entries), is_bounded=True)
        log.error("%d movements went before they were copied", self.uncopied - before)
        return total

    async def _trim(self, partition: int, max_entries: int, *, is_bounded: bool) -> int:
        total, more = 0, True
        keeps_uncopied = self._max_bytes > 0 and not is_bounded
        while more and not self._stopping.is_set():
            trimmed = await self._store.trim(
                partition, self._max_age_ms, max_entries, keeps_uncopied=keeps_uncopied
            )
            total, more = total + trimmed.entries, trimmed.more
            if self._max_bytes:
                self.uncopied += trimmed.uncopied
        return total
