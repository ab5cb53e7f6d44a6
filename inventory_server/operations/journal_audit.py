"""The journals against the levels: no gap, and what was written last is what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from inventory_server.domain.audit import Discrepancy
from inventory_server.domain.limits import VERIFY_KEYS_A_READ
from inventory_server.domain.model import Level, Movement
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.movement_store import MovementStore

Place = tuple[str, str]
_OPEN: Final = {
    False: "the journal has a level that is not there",
    True: "the level is ahead of its journal",
}


class _Walk:
    """A walk through a partition's journal."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.seq = 0
        self.open: dict[Place, int] = {}
        """Levels that the journal has yet to tell of: their versions, 0 where they had gone."""
        self.told: set[Place] = set()


class JournalAudit:
    """Reads a partition's journal from its first entry to where it was at the start.

    A level is read after the entries of a page. Its version says whether an
    entry was its last: then both must be equal; never may it be behind.
    """

    TIMEOUT_S: Final = 10.0

    def __init__(self, store: AuditStore, movements: MovementStore) -> None:
        self._store = store
        self._movements = movements

    async def verify(self, partition: int) -> AsyncIterator[tuple[int, list[Discrepancy]]]:
        """What is wrong, page by page: (movements looked at, found)."""
        walk = _Walk(partition)
        end = await self._store.seq(partition)
        async for part in self._walk(walk, end):
            yield part
        # A level that has gone, or is ahead, is told of later on in the journal: before the
        # place that the partition has come to after all of them have been looked at again.
        stored, gone = await self._store.levels(list(walk.open))
        walk.open = {(level.location, level.sku): level.version for level in stored}
        walk.open.update(dict.fromkeys(gone, 0))
        async for part in self._walk(walk, await self._store.seq(partition), looks=False):
            yield part
        found = [
            Discrepancy("JOURNAL", _OPEN[version > 0], sku, location)
            for (location, sku), version in sorted(walk.open.items())
        ]
        last = await self._store.last_seq(partition)
        seq = await self._store.seq(partition)
        if last > seq:
            message = f"the partition is at {seq}, its journal already at {last}"
            found.append(Discrepancy("JOURNAL", f"partition {partition}: {message}"))
        yield 0, found

    async def _walk(
        self, walk: _Walk, end: int, *, looks: bool = True
    ) -> AsyncIterator[tuple[int, list[Discrepancy]]]:
        while walk.seq < end:
            page = await self._page(walk.partition, walk.seq)
            if not page and not walk.seq and await self._is_all_trimmed(walk.partition, end):
                return
            if not page:
                message = f"the journal ends at {walk.seq}, the partition is at {end}"
                yield 0, [Discrepancy("JOURNAL", f"partition {walk.partition}: {message}")]
                walk.seq = end
                return
            found = _gaps(walk.partition, walk.seq, page)
            walk.seq = page[-1].seq
            last = _last_of(page, walk.open)
            if looks:
                found += await self._compare(last, walk)
            else:
                _settle(last, walk.open)
            yield len(page), found

    async def _compare(self, last: dict[Place, Movement], walk: _Walk) -> list[Discrepancy]:
        found = []
        stored, gone = await self._store.levels(list(last))
        walk.open.update(dict.fromkeys(gone, 0))
        for level in stored:
            place = (level.location, level.sku)
            said = last[place].level
            if said is not None and level.version > said.version:
                walk.open[place] = level.version
                continue
            walk.open.pop(place, None)
            discrepancy = _difference(last[place], level)
            if discrepancy is not None and place not in walk.told:
                walk.told.add(place)
                found.append(discrepancy)
        return found

    async def _is_all_trimmed(self, partition: int, end: int) -> bool:
        """Whether the journal has nothing up to there, and need not: as after a restore."""
        deadline = asyncio.get_running_loop().time() + self.TIMEOUT_S
        return await self._movements.kept_from(partition, deadline) > end

    async def _page(self, partition: int, seq: int) -> list[Movement]:
        deadline = asyncio.get_running_loop().time() + self.TIMEOUT_S
        return await self._movements.after(partition, seq, VERIFY_KEYS_A_READ, deadline)


def _gaps(partition: int, seq: int, page: list[Movement]) -> list[Discrepancy]:
    found = []
    for movement in page:
        # What is trimmed at the start is no gap.
        if movement.seq != seq + 1 and seq:
            message = f"partition {partition}: the journal lacks {seq + 1} to {movement.seq - 1}"
            found.append(Discrepancy("JOURNAL", message))
        seq = movement.seq
    return found


def _last_of(page: list[Movement], open_places: dict[Place, int]) -> dict[Place, Movement]:
    """The last movement of each level of a page, those that were deleted in it left out."""
    last: dict[Place, Movement] = {}
    for movement in page:
        place = (movement.location, movement.sku)
        if movement.kind == "DELETE":
            open_places.pop(place, None)
            last.pop(place, None)
        elif movement.level is not None and movement.sku:
            last[place] = movement
    return last


def _settle(last: dict[Place, Movement], open_places: dict[Place, int]) -> None:
    for place, movement in last.items():
        level = movement.level
        if level is not None and level.version >= open_places.get(place, level.version + 1):
            del open_places[place]


def _difference(movement: Movement, level: Level) -> Discrepancy | None:
    said = movement.level
    if said is None or level == said:
        return None
    what = "is behind its journal" if level.version < said.version else "is not what it says"
    message = f"the level {what} at seq {movement.seq}: {_text(level)}, not {_text(said)}"
    return Discrepancy("JOURNAL", message, level.sku, level.location)


def _text(level: Level) -> str:
    return f"on_hand {level.on_hand} held {level.held} version {level.version}"
