"""The sum of a level's open holds, where they are too many for one step.

The holds are read in pages, each with the journal's place at that instant.
What changed between a hold's page and the end stands in the journal, so the
sum is exact for the end's instant, as where an initial copy is joined with a
stream of changes.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from inventory_server.domain.audit import Discrepancy, LevelHold
from inventory_server.domain.limits import (
    VERIFY_HOLDS_A_SCRIPT,
    VERIFY_KEYS_A_READ,
    VERIFY_TRIES,
)
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.movement_store import MovementStore


class _Walk(NamedTuple):
    """Units of each hold with the seq at which they were read; None: the index is wrong."""

    holds: dict[str, tuple[int | None, int]]
    start: int
    end: int
    held: int | None
    """The level's, at `end`; None where the level has gone."""


class LevelSum:
    """Compares a level's held with the sum of its open holds, in pages."""

    MOST_HOLDS: Final = 5_000_000
    """Where the end is never reached, the rest is told by the journal, or is unsettled."""

    def __init__(self, store: AuditStore, movements: MovementStore) -> None:
        self._store = store
        self._movements = movements

    async def verify(self, location: str, sku: str) -> list[Discrepancy]:
        """What is wrong; unsettled where the level still moved after three tries."""
        discrepancy: Discrepancy | None = None
        for _ in range(VERIFY_TRIES):
            walk = await self._read(location, sku)
            moved = await self._correct(walk, location, sku)
            wrong = [hold_id for hold_id, (units, _) in walk.holds.items() if units is None]
            total = sum([units or 0 for units, _ in walk.holds.values()])
            if walk.held is None or (walk.held == total and not wrong):
                return []
            message = f"held is {walk.held}, the open holds have {total}"
            if wrong:
                message += f"; due is wrong about {len(wrong)} holds, such as {wrong[0]}"
            discrepancy = Discrepancy("HELD", message, sku, location, unsettled=moved)
            if not moved:
                break
        return [discrepancy] if discrepancy else []

    async def _read(self, location: str, sku: str) -> _Walk:
        holds: dict[str, tuple[int | None, int]] = {}
        last: LevelHold | None = None
        start = -1
        while True:
            seq, held, page = await self._store.level_holds(
                location, sku, last, VERIFY_HOLDS_A_SCRIPT
            )
            start = seq if start < 0 else start
            for hold in page:
                holds[hold.hold_id] = (hold.units, seq)
            # Who comes behind the last page while it is read stands in the journal.
            if len(page) < VERIFY_HOLDS_A_SCRIPT or len(holds) > self.MOST_HOLDS:
                return _Walk(holds, start, seq, held)
            last = page[-1]

    async def _correct(self, walk: _Walk, location: str, sku: str) -> bool:
        """Brings the units to the walk's end; answers whether the level moved meanwhile."""
        loop, holds, seq, moved = asyncio.get_running_loop(), walk.holds, walk.start, False
        partition = self._movements.partition(location)
        new: dict[str, int] = {}
        while seq < walk.end:
            deadline = loop.time() + self._store.TIMEOUT_S
            entries = await self._movements.after(partition, seq, VERIFY_KEYS_A_READ, deadline)
            if not entries:
                break
            for entry in entries:
                seq = entry.seq
                if seq > walk.end:
                    break
                if (entry.location, entry.sku) != (location, sku):
                    continue
                moved = True
                units, read_at = holds.get(entry.hold_id, (None, 0))
                if units is not None and seq > read_at:
                    holds[entry.hold_id] = (units + entry.held_delta, read_at)
                elif entry.hold_id not in holds and (entry.kind == "HOLD" or entry.hold_id in new):
                    # Placed behind the pages' back; what ended before its page had no units.
                    new[entry.hold_id] = new.get(entry.hold_id, 0) + entry.held_delta
        holds.update({hold_id: (units, walk.end) for hold_id, units in new.items()})
        return moved
