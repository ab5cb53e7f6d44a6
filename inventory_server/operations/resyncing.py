"""Resync: the states of an incomplete copy are written anew from Redis, while servers go on.

Where movements were trimmed before they were copied, levels and holds in the copy
may be missing or old. Of such a partition every state is read and written again,
each under its own rank, so it does not matter what the drainer writes meanwhile.
The partition is complete once the drainer has copied every movement up to the end
of that walk, and lost none since before it. What is killed is begun anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from inventory_server.domain.copy import HoldState, LevelState, PartitionCopy, Place
from inventory_server.stores.copy_fold import CopyFold
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.resync_source import ResyncSource


class ResyncRefusedError(Exception):
    """The copy cannot be made complete now; the sentence says why."""


class Resynced(NamedTuple):
    """What came of it. `lost`: movements that histories lack for good."""

    partitions: int
    levels: int
    holds: int
    lost: int


class Resync:
    """Makes the copy of one store complete again."""

    TIMEOUT_S: Final = 10.0
    POLL_S: Final = 0.2
    PATIENCE_S: Final = 60.0
    """So long the drainer may stand still: longer than another one takes to take over."""

    def __init__(
        self, source: CopySource, states: ResyncSource, store: CopyStore, leases: CopyLeases,
        reader: CopyReader, *, tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`tell` is given a sentence now and then."""
        self._source = source
        self._states = states
        self._store = store
        self._leases = leases
        self._reader = reader
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._written = [0, 0]

    async def run(self) -> Resynced:
        """Resyncs the partitions that need it. Raises ResyncRefusedError, InventoryError and
        COPY_ERRORS; after each of them it can be begun anew.
        """
        copied = await self._reader.store()
        if copied is None:
            raise ResyncRefusedError("nothing was copied yet")
        if copied.store_id != self._source.store_id:
            raise ResyncRefusedError(
                f"the durable copy is of the store {copied.store_id}, not of"
                f" {self._source.store_id or 'this one, which is empty'}"
            )
        done, lost = 0, 0
        for number in range(self._source.partitions):
            seen, place = await self._drained(number, Place())
            lost += seen.watermark.not_copied
            if not seen.lacking:
                continue
            self._tell(f"partition {number} lacks {seen.lacking} movements: copying what is there")
            await self._copy(number, place)
            await self._finish(seen, place)
            done += 1
            self._tell(f"partition {number} is complete")
        levels, holds = self._written
        return Resynced(done, levels, holds, lost)

    async def _copy(self, number: int, at: Place) -> None:
        """Writes every state of the partition, and what stands for those that are gone."""
        store_id = self._source.store_id
        async for levels in self._states.levels(number, at):
            await self._put(levels, [])
            self._written[0] += sum(level.sku != "" for level in levels)
        async for holds in self._states.holds(number, at):
            await self._put([], holds)
            self._written[1] += len(holds)
        async for levels in self._reader.levels(store_id, number):
            deleted = await self._states.deleted(levels, at)
            # Of a Redis that was lost meanwhile everything is gone.
            await self._still(number, at)
            await self._put(deleted, [])
        async for holds in self._reader.holds(store_id, number):
            removed = await self._states.removed(holds, at)
            await self._still(number, at)
            await self._put([], removed)

    async def _put(self, levels: list[LevelState], holds: list[HoldState]) -> None:
        if not levels and not holds:
            return
        fold = CopyFold()
        fold.put(levels, holds)
        await self._store.put_fold(fold, self._soon)

    async def _finish(self, seen: PartitionCopy, began: Place) -> None:
        """Says that the partition is complete, when the drainer has come to the walk's end."""
        ended = await self._still(seen.number, began)
        await self._drained(seen.number, ended)
        if not await self._leases.resync(seen, ended, self._soon()):
            raise ResyncRefusedError(
                f"partition {seen.number} lost more movements meanwhile: run it again"
            )

    async def _drained(self, number: int, wanted: Place) -> tuple[PartitionCopy, Place]:
        """The partition's copy once it has come so far and knows what was trimmed, and then
        how far the store is.
        """
        last, patience = Place(), self._loop.time() + self.PATIENCE_S
        while True:
            (there,) = await self._leases.partitions([number], self._soon())
            (found,) = await self._source.places([number])
            place, mark = Place(int(found.epoch or 0), found.seq), there.watermark.place
            if found.store_id != self._source.store_id or place < mark:
                raise ResyncRefusedError(f"partition {number} of the store is behind its copy")
            kept = max(wanted, Place(place.epoch, found.kept_from - 1))
            if mark >= kept or not place.seq:
                return there, place
            if mark != last:
                last, patience = mark, self._loop.time() + self.PATIENCE_S
            if self._loop.time() >= patience:
                raise ResyncRefusedError(
                    f"no server copies partition {number}: it stays at {mark.epoch}:{mark.seq};"
                    " start one"
                )
            await asyncio.sleep(self.POLL_S)

    async def _still(self, number: int, began: Place) -> Place:
        """How far the store is now. Raises where it is not the one that it was."""
        (found,) = await self._source.places([number])
        place = Place(int(found.epoch or 0), found.seq)
        is_same = found.store_id == self._source.store_id and place.epoch == began.epoch
        if not is_same or place.seq < began.seq:
            raise ResyncRefusedError(f"partition {number} of the store went back meanwhile")
        return place

    def _soon(self) -> float:
        return self._loop.time() + self.TIMEOUT_S
