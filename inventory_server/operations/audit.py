"""Does the store keep its promises? Looks at all of it, beside the load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from inventory_server.domain.audit import Discrepancy, Repair, VerifyProgress, VerifySummary
from inventory_server.domain.fingerprint import fingerprint
from inventory_server.domain.model import Line, Origin
from inventory_server.operations.journal_audit import JournalAudit
from inventory_server.operations.key_audit import KeyAudit
from inventory_server.operations.level_sum import LevelSum
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.movement_store import MovementStore

Part = Discrepancy | VerifyProgress | VerifySummary


class AuditOperations:
    """Checks the whole store, and repairs levels."""

    PROGRESS_S: Final = 0.5

    def __init__(self, store: AuditStore, movements: MovementStore) -> None:
        self._store = store
        self._movements = movements

    async def verify(self) -> AsyncIterator[Part]:
        """Findings as they come, how far it is about twice a second, and a summary at the end."""
        loop = asyncio.get_running_loop()
        keys, movements, found, unsettled = 0, 0, 0, 0
        total, said_at = await self._store.count_keys(), 0.0
        audit = KeyAudit(self._store, LevelSum(self._store, self._movements))
        await audit.prepare()
        async for key_count, movement_count, page in self._parts(audit):
            keys, movements = keys + key_count, movements + movement_count
            for discrepancy in page:
                unsettled += discrepancy.unsettled
                found += not discrepancy.unsettled
                yield discrepancy
            if loop.time() - said_at >= self.PROGRESS_S:
                said_at = loop.time()
                yield VerifyProgress(keys, max(total, keys), movements)
        yield VerifyProgress(keys, keys, movements)
        yield VerifySummary(audit.levels, audit.holds, movements, found, unsettled)

    async def repair(
        self, sku: str, location: str, *, validate_only: bool, origin: Origin
    ) -> Repair:
        """Sets a level's held and indexes to what the open holds say.

        Raises StockLevelNotFound, and LevelBusy where the level has too many holds for a step.
        """
        hold_ids = await self._store.open_holds(location, sku)
        return await self._store.repair(
            Line(sku, location, 0),
            hold_ids,
            validate_only=validate_only,
            fingerprint=fingerprint("RepairLevel", location, sku),
            origin=origin,
        )

    async def _parts(
        self, audit: KeyAudit
    ) -> AsyncIterator[tuple[int, int, Sequence[Discrepancy]]]:
        """Keys and movements that were looked at, and what is wrong with them."""
        yield 0, 0, await audit.verify_metas()
        async for page in self._store.keys():
            yield len(page), 0, await audit.verify(page)
        journals = JournalAudit(self._store, self._movements)
        for partition in range(self._store.partitions):
            if await self._store.has_journal(partition):
                try:
                    async for count, found in journals.verify(partition):
                        yield 0, count, found
                except (KeyError, ValueError) as error:
                    message = f"partition {partition}: an entry cannot be read: {error!r}"
                    yield 0, 0, [Discrepancy("JOURNAL", message)]
