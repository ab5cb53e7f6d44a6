"""Draining one partition: its journal into the copy, batch by batch.

A batch's movements come first, then the watermark moves past them. What follows
from movements (levels, holds, histories) is gathered for some seconds and has a
mark of its own; who takes the partition over gathers it anew from the copied
movements. So wherever this stops, nothing is left out and nothing is twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Final, Protocol

from inventory_server.domain import stream
from inventory_server.domain.copy import JournalEntry, PartitionCopy, Place, Watermark
from inventory_server.operations.copy_progress import CopyProgress
from inventory_server.stores.copy_fold import CopyFold
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore

log = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """The partition has another drainer."""


class RewoundError(Exception):
    """The store is not where the copy was made from; the sentence says how."""


class Lease(Protocol):
    """Until when, in the loop's time, the partition is this server's."""

    @property
    def valid_until(self) -> float:
        """That time."""


class PartitionDrain:
    """One partition, for one term. Raises COPY_ERRORS, InventoryError, and the above."""

    BATCH: Final = 1_000
    FOLD_S: Final = 10.0
    """So long what follows from movements is gathered."""
    FOLD_MOVEMENTS: Final = 5_000
    TIMEOUT_S: Final = 5.0

    def __init__(
        self, copied: PartitionCopy, lease: Lease, source: CopySource, store: CopyStore,
        leases: CopyLeases, reader: CopyReader, progress: CopyProgress,
    ) -> None:  # fmt: skip
        self.term = copied.term
        self._number = copied.number
        self._mark = copied.watermark
        self._lease = lease
        self._source = source
        self._store = store
        self._leases = leases
        self._reader = reader
        self._all_progress = progress
        self._progress = progress.of(copied.number)
        self._loop = asyncio.get_running_loop()
        self._fold: CopyFold | None = None
        # Not all partitions at once.
        self._folded_at = self._loop.time() - self.FOLD_S * random.random()  # noqa: S311 - jitter

    def has_work(self, place: stream.Place) -> bool:
        """Whether the partition has come further than its copy, or what was gathered is due."""
        self._progress.journal_seq = place.seq
        at = Place(int(place.epoch or 0), place.seq)
        if self._fold is None:
            return at.seq > 0 or self._mark.place.seq > 0
        return at != self._mark.place or (self._fold.count > 0 and self._is_fold_due)

    @property
    def _is_fold_due(self) -> bool:
        fold = self._fold
        waited_s = self._loop.time() - self._folded_at
        return fold is not None and (fold.count >= self.FOLD_MOVEMENTS or waited_s >= self.FOLD_S)

    async def drain(self) -> bool:
        """Copies the next movements; answers whether there are more."""
        if self._fold is None:
            self._fold = await self._gathered(self._mark.place)
        asked_at = self._loop.time()
        now_ms = await self._source.now_ms()
        place, entries = await self._source.read(self._number, self._mark.place.seq, self.BATCH + 1)
        await self._begin(place)
        fresh = self._fresh(entries)
        if fresh:
            self._progress.waiting_since_ms = fresh[0].at_ms
            await self._store.put_movements(fresh, self._deadline)
            last = fresh[-1]
            await self._advance(
                self._mark._replace(
                    place=Place(last.epoch, last.seq),
                    at_ms=last.at_ms,
                    movement_id=last.fields["id"],
                )
            )
            # At once: what is past the watermark is not read again.
            self._note(fresh, now_ms + int(1000 * (self._loop.time() - asked_at)))
            await self._source.mark(self._number, *self._mark.place)
        if self._is_fold_due:
            await self.fold()
        has_more = self._mark.place.seq < place.seq
        if not has_more:
            self._progress.waiting_since_ms = 0
        return has_more

    async def fold(self) -> None:
        """Copies what follows from the movements so far."""
        fold = self._fold
        if fold is not None and fold.count:
            await self._store.put_fold(fold, self._deadline)
            await self._advance(self._mark._replace(folded=fold.place))
            self._fold = CopyFold()
        self._folded_at = self._loop.time()

    async def _begin(self, place: stream.Place) -> None:
        """Makes the watermark one of this store as it is now."""
        epoch, mark = int(place.epoch or 0), self._mark
        if place.store_id != self._source.store_id or Place(epoch, place.seq) < mark.place:
            raise RewoundError(
                f"it is at {place.epoch or '-'}:{place.seq} of the store {place.store_id or '-'},"
                f" the copy at {mark.place.epoch}:{mark.place.seq} of {self._source.store_id}"
            )
        if epoch > mark.place.epoch:
            await self._begin_epoch(epoch, place.copied if mark.place.epoch else 0)
        lost = place.kept_from - 1 - self._mark.place.seq
        if lost > 0:
            await self.fold()
            log.error(
                "partition %d: %d movements were trimmed before they were copied; the durable"
                " copy is not complete", self._number, lost,
            )  # fmt: skip
            start = Place(epoch, place.kept_from - 1)
            await self._advance(
                self._mark._replace(
                    place=start, folded=start, movement_id="",
                    not_copied=self._mark.not_copied + lost,
                )
            )  # fmt: skip

    async def _begin_epoch(self, epoch: int, seq: int) -> None:
        """Goes on in an epoch that begins where the store was restored up to, from the copy."""
        if self._mark.place.epoch:
            last = Place(self._mark.place.epoch, seq)
            self._fold = await self._gathered(last)
            await self.fold()
        start = Place(epoch, seq)
        await self._advance(self._mark._replace(place=start, folded=start, movement_id=""))

    async def _gathered(self, last: Place) -> CopyFold:
        """What follows from copied movements that was not copied itself, up to a place."""
        fold, folded = CopyFold(), self._mark.folded
        if folded.epoch == last.epoch and folded.seq < last.seq:
            store_id = self._source.store_id
            async for entry in self._reader.movements(
                store_id, folded.epoch, self._number, folded.seq
            ):
                if entry.seq > last.seq:
                    break
                fold.add(entry)
        return fold

    def _fresh(self, entries: Sequence[JournalEntry]) -> list[JournalEntry]:
        """Those past the watermark; none where they do not follow it, or not yet."""
        seq, movement_id = self._mark.place.seq, self._mark.movement_id
        for entry in entries:
            if entry.seq == seq and movement_id and entry.fields["id"] != movement_id:
                raise RewoundError(
                    f"its movement {seq} is {entry.fields['id']}, in the copy it is {movement_id}"
                )
        fresh = [entry for entry in entries if entry.seq > seq][: self.BATCH]
        follows = all(entry.seq == seq + n for n, entry in enumerate(fresh, 1))
        is_here = all(entry.epoch == self._mark.place.epoch for entry in fresh)
        return fresh if follows and is_here else []

    async def _advance(self, mark: Watermark) -> None:
        if not await self._leases.advance(
            self._number, self.term, mark, self._deadline(), self._mark
        ):
            raise LeaseLostError
        self._mark = mark
        self._progress.copied_seq = mark.place.seq
        self._progress.not_copied = mark.not_copied

    def _note(self, fresh: Sequence[JournalEntry], now_ms: int) -> None:
        assert self._fold is not None  # noqa: S101 - it is gathered before anything is drained
        for entry in fresh:
            self._fold.add(entry)
            self._all_progress.copied(now_ms - entry.at_ms)

    def _deadline(self) -> float:
        return min(self._loop.time() + self.TIMEOUT_S, self._lease.valid_until)
