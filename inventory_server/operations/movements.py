"""The audit trail: movements over all partitions, newest first."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from inventory_server.domain.errors import HoldNotFound
from inventory_server.domain.limits import MAX_PAGE_SCAN, MOVEMENTS_A_READ
from inventory_server.domain.model import Movement, MovementFilter
from inventory_server.operations.holds import HoldOperations
from inventory_server.stores.movement_store import BEYOND, MovementStore


class MovementPage(NamedTuple):
    """A page of movements; `last` is where to go on, empty at the end."""

    movements: tuple[Movement, ...]
    last: str


class _Walk:
    """A walk back through one partition's journal."""

    def __init__(self, partition: int, seq: int) -> None:
        self.partition = partition
        self.seq = seq
        """What is from here on has been walked; 0 at the end."""
        self.waiting: deque[Movement] = deque()


class MovementOperations:
    """Lists movements."""

    def __init__(self, movements: MovementStore, holds: HoldOperations) -> None:
        self._movements = movements
        self._holds = holds

    async def page(
        self, wanted: MovementFilter, *, after: str, count: int, deadline: float
    ) -> MovementPage:
        """The next movements, newest first by time, partition and seq.

        `after` is a page's `last`. Looks at a bounded number of them.
        """
        walks = self._resume(after) if after else await self._begin(wanted, deadline)
        found: list[Movement] = []
        seen = 0
        while len(found) < count and seen < MAX_PAGE_SCAN:
            movement = await self._next(walks, wanted, deadline)
            if movement is None:
                return MovementPage(tuple(found), "")
            seen += 1
            if wanted.takes(movement):
                found.append(movement)
        places = [f"{walk.partition}:{walk.seq}" for walk in walks if walk.seq]
        return MovementPage(tuple(found), ",".join(places))

    async def _next(
        self, walks: list[_Walk], wanted: MovementFilter, deadline: float
    ) -> Movement | None:
        newest: _Walk | None = None
        for walk in walks:
            if not walk.waiting and walk.seq:
                entries = await self._movements.before(
                    walk.partition, walk.seq, MOVEMENTS_A_READ, deadline
                )
                walk.waiting.extend(entries)
                # What comes from now on is newer than this walk.
                walk.seq = entries[0].seq + 1 if entries else 0
            if not walk.waiting or walk.waiting[0].time_ms < (wanted.from_ms or 0):
                walk.seq = 0
                walk.waiting.clear()
            elif newest is None or _age(walk) >= _age(newest):
                newest = walk
        if newest is None:
            return None
        movement = newest.waiting.popleft()
        newest.seq = movement.seq
        return movement

    async def _begin(self, wanted: MovementFilter, deadline: float) -> list[_Walk]:
        walks = []
        for number in await self._partitions(wanted, deadline):
            seq = BEYOND
            if wanted.to_ms is not None:
                seq = await self._movements.seq_at(number, wanted.to_ms, deadline)
            walks.append(_Walk(number, seq))
        return walks

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


def _age(walk: _Walk) -> tuple[int, int]:
    return walk.waiting[0].time_ms, walk.partition
