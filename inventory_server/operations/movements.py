"""The audit trail: movements over all partitions, newest first.

Where a journal ends, because it was trimmed, the durable copy goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from inventory_server.domain.errors import HoldNotFound
from inventory_server.domain.limits import MAX_PAGE_SCAN, MOVEMENTS_A_READ
from inventory_server.domain.model import Movement, MovementFilter
from inventory_server.operations.holds import HoldOperations
from inventory_server.stores.copy_history import CopyHistory, CopyWalk, Older
from inventory_server.stores.movement_store import BEYOND, MovementStore


class MovementPage(NamedTuple):
    """A page of movements; `last` is where to go on, empty at the end."""

    movements: tuple[Movement, ...]
    last: str


class _Walk:
    """A walk back through one partition: its journal, then what the copy has before that."""

    def __init__(self, partition: int, seq: int) -> None:
        self.partition = partition
        self.seq = seq
        """What is from here on has been walked; 0 at the end."""
        self.waiting: deque[Movement] = deque()


class MovementOperations:
    """Lists movements. `copy` has those that the journals have no more; None: nobody has."""

    def __init__(
        self, movements: MovementStore, holds: HoldOperations, copy: CopyHistory | None
    ) -> None:
        self._movements = movements
        self._holds = holds
        self._copy = copy

    async def page(
        self, wanted: MovementFilter, *, after: str, count: int, deadline: float
    ) -> MovementPage:
        """The next movements, newest first by time, partition and seq.

        `after` is a page's `last`. Looks at a bounded number of them. Raises StoreUnavailable,
        also where the copy is asked and does not answer.
        """
        older = self._copy.walk(wanted, deadline) if self._copy is not None else None
        walks = self._resume(after) if after else await self._begin(wanted, older, deadline)
        reading = _Reading(self._movements, older, wanted.from_ms or 0, deadline)
        found: list[Movement] = []
        while len(found) < count and reading.left > 0:
            movements = await reading.next(walks)
            if not movements:
                break
            found += filter(wanted.takes, movements)
        places = [f"{walk.partition}:{walk.seq}" for walk in walks if walk.seq]
        return MovementPage(tuple(found), ",".join(places))

    async def _begin(
        self, wanted: MovementFilter, older: CopyWalk | None, deadline: float
    ) -> list[_Walk]:
        numbers = await self._partitions(wanted, deadline)
        to_ms = wanted.to_ms
        if to_ms is None:
            return [_Walk(number, BEYOND) for number in numbers]
        # The copy finds a level's and a hold's movements by itself, and leaves out later ones.
        halves = older if not (wanted.sku or wanted.hold_id) else None
        seqs = [self._seq_at(number, to_ms, halves, deadline) for number in numbers]
        found = await asyncio.gather(*seqs)
        return [_Walk(number, seq) for number, seq in zip(numbers, found, strict=True)]

    async def _seq_at(
        self, partition: int, time_ms: int, older: CopyWalk | None, deadline: float
    ) -> int:
        seq = await self._movements.seq_at(partition, time_ms, deadline)
        if older is None:
            return seq
        kept_from = await self._movements.kept_from(partition, deadline)
        if kept_from > 1 and (seq <= kept_from or seq == BEYOND):
            return await older.seq_at(partition, kept_from, time_ms)
        return seq

    def _resume(self, after: str) -> list[_Walk]:
        places = [place.partition(":") for place in after.split(",")]
        return [_Walk(int(number), int(seq)) for number, _, seq in places]

    async def _partitions(self, wanted: MovementFilter, deadline: float) -> list[int]:
        """Where such movements can be, in order."""
        numbers = list(range(self._movements.partitions))
        if wanted.location:
            return [self._movements.partition(wanted.location)]
        if wanted.hold_id:
            try:
                hold = await self._holds.get(wanted.hold_id, deadline)
            except HoldNotFound:
                return numbers
            home = int(wanted.hold_id.partition("-")[0])
            places = {self._movements.partition(line.location) for line in hold.lines}
            return sorted({home, *places})
        return numbers


class _Reading:
    """What one page reads."""

    def __init__(
        self, movements: MovementStore, older: CopyWalk | None, from_ms: int, deadline: float
    ) -> None:
        self._movements = movements
        self._older = older
        self._from_ms = from_ms
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        # A page that is short is better than one that comes too late.
        self._ends_at = (self._loop.time() + deadline) / 2
        self.left = MAX_PAGE_SCAN
        """At so many movements, or places where none is, the page may look yet."""
        self._is_late = False

    async def next(self, walks: Sequence[_Walk]) -> list[Movement]:
        """The newest one; after a fork of the store all that have its seq.

        None at the end of all walks, or where nothing is left.
        """
        newest: _Walk | None = None
        empty = [walk for walk in walks if not walk.waiting and walk.seq]
        await asyncio.gather(*[self._fill(walk) for walk in empty])
        for walk in walks:
            if not walk.waiting and walk.seq:
                return []
            if not walk.waiting or walk.waiting[0].time_ms < self._from_ms:
                walk.seq = 0
                walk.waiting.clear()
            elif newest is None or _age(walk) >= _age(newest):
                newest = walk
        if newest is None:
            return []
        newest.seq = newest.waiting[0].seq
        movements = []
        while newest.waiting and newest.waiting[0].seq == newest.seq:
            movements.append(newest.waiting.popleft())
        self.left -= len(movements)
        return movements

    async def _fill(self, walk: _Walk) -> None:
        while not walk.waiting and walk.seq and self.left > 0 and not self._is_late:
            movements, below = await self._before(walk)
            walk.waiting.extend(movements)
            # What comes from now on is newer than this walk.
            walk.seq = movements[0].seq + 1 if movements else below
            if not movements and below:
                self.left -= MOVEMENTS_A_READ

    async def _before(self, walk: _Walk) -> Older:
        number, seq = walk.partition, walk.seq
        found = await self._movements.before(number, seq, MOVEMENTS_A_READ, self._deadline)
        if found or self._older is None or seq <= 1:
            return Older(found, 0)
        # The journal has nothing before this seq, or nothing at all.
        seq = min(seq, await self._movements.kept_from(number, self._deadline))
        if seq <= 1:
            return Older([], 0)
        older = await self._older.before(number, seq)
        if self._loop.time() >= self._ends_at:
            self._is_late = True
        return older


def _age(walk: _Walk) -> tuple[int, int]:
    return walk.waiting[0].time_ms, walk.partition
