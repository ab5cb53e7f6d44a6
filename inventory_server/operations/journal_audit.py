"""The journals against the levels: no gap, and what was written last is what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from inventory_server.domain.audit import Finding
from inventory_server.domain.limits import VERIFY_KEYS_A_READ, VERIFY_TRIES
from inventory_server.domain.model import Level, Movement
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.movement_store import MovementStore

Place = tuple[str, str]


class JournalAudit:
    """Reads a partition's journal from its first entry to where it was at the start.

    A level is read after the entries of a page. Its version says whether an
    entry was its last: then both must be equal; never may it be behind.
    """

    TIMEOUT_S: Final = 10.0

    def __init__(self, store: AuditStore, movements: MovementStore) -> None:
        self._store = store
        self._movements = movements

    async def verify(self, partition: int) -> AsyncIterator[tuple[int, list[Finding]]]:
        """What is wrong, page by page: (movements looked at, findings)."""
        end, seq = await self._store.seq(partition), 0
        missing: set[Place] = set()
        while seq < end:
            page = await self._page(partition, seq)
            findings = _gaps(partition, seq, page)
            if not page:
                message = f"the journal ends at {seq}, the partition is at {end}"
                findings.append(Finding("JOURNAL", f"partition {partition}: {message}"))
                end = seq
            else:
                seq = page[-1].seq
                findings += await self._compare(page, missing)
            yield len(page), findings
        yield 0, await self._missing(partition, seq, missing)

    async def _compare(self, page: list[Movement], missing: set[Place]) -> list[Finding]:
        last: dict[Place, Movement] = {}
        for movement in page:
            place = (movement.location, movement.sku)
            if movement.kind == "DELETE":
                missing.discard(place)
                last.pop(place, None)
            elif movement.level is not None:
                last[place] = movement
        stored, gone = await self._store.levels(list(last))
        missing.update(gone)
        found = [_difference(last[level.location, level.sku], level) for level in stored]
        return [finding for finding in found if finding is not None]

    async def _missing(self, partition: int, seq: int, missing: set[Place]) -> list[Finding]:
        """Levels that have entries and are not there, and were not deleted since."""
        for _ in range(VERIFY_TRIES):
            if not missing or not (page := await self._page(partition, seq)):
                break
            seq = page[-1].seq
            for movement in page:
                missing.discard((movement.location, movement.sku))
        return [
            Finding("JOURNAL", "the journal has a level that is not there", sku, location)
            for location, sku in sorted(missing)
        ]

    async def _page(self, partition: int, seq: int) -> list[Movement]:
        deadline = asyncio.get_running_loop().time() + self.TIMEOUT_S
        return await self._movements.after(partition, seq, VERIFY_KEYS_A_READ, deadline)


def _gaps(partition: int, seq: int, page: list[Movement]) -> list[Finding]:
    findings = []
    for movement in page:
        # What is trimmed at the start is no gap.
        if movement.seq != seq + 1 and seq:
            message = f"partition {partition}: the journal lacks {seq + 1} to {movement.seq - 1}"
            findings.append(Finding("JOURNAL", message))
        seq = movement.seq
    return findings


def _difference(movement: Movement, level: Level) -> Finding | None:
    said = movement.level
    if said is None or level.version > said.version or level == said:
        return None
    what = "is behind its journal" if level.version < said.version else "is not what it says"
    message = f"the level {what} at seq {movement.seq}: {_text(level)}, not {_text(said)}"
    return Finding("JOURNAL", message, level.sku, level.location)


def _text(level: Level) -> str:
    return f"on_hand {level.on_hand} held {level.held} version {level.version}"
