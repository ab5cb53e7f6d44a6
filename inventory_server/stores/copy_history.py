"""Movements that the journals have no more: read from the durable copy, newest first.

A restore goes on where the copy ended, so the seqs of a partition rise through all its
epochs; and where two epochs have one seq, the later one is what the store went on with.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from inventory_server.domain.copy import JournalEntry, Watermark
from inventory_server.domain.errors import CatalogThrottled, StoreUnavailable
from inventory_server.domain.limits import MOVEMENTS_A_READ
from inventory_server.domain.model import Movement, MovementFilter
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_records import parse_movement_item, parse_span, span_ms
from inventory_server.stores.copy_tables import (
    BY_HOLD,
    MOVEMENTS_A_RUN,
    CopyTableNames,
    hold_key,
    level_key,
    run_of,
)
from inventory_server.stores.dynamo import Dynamo, Item, LostError
from inventory_server.stores.movement_store import movement_of


class Older(NamedTuple):
    """Movements, newest first; and below which seq there may be more, 0 where there are none."""

    movements: Sequence[Movement]
    below: int


class CopyHistory:
    """The way to the copied movements of one store."""

    def __init__(
        self, dynamo: Dynamo, names: CopyTableNames, leases: CopyLeases, store_id: str
    ) -> None:
        self.dynamo = dynamo
        self.names = names
        self.leases = leases
        self.store_id = store_id

    def walk(self, wanted: MovementFilter, deadline: float) -> CopyWalk:
        """A walk back through the movements that can be wanted."""
        return CopyWalk(self, wanted, deadline)


class CopyWalk:
    """Reads for one page. Raises StoreUnavailable where the copy is out of reach."""

    SPANS_A_READ: Final = 10
    CLOCK_MARGIN_MS: Final = 60_000
    """How far the store's clock may be set back, and no span is missed."""

    def __init__(self, copy: CopyHistory, wanted: MovementFilter, deadline: float) -> None:
        self._copy = copy
        self._wanted = wanted
        self._deadline = deadline
        self._marks: dict[int, Watermark] = {}

    async def before(self, partition: int, seq: int) -> Older:
        """The last copied movements of a partition before this seq that can be wanted.

        Others may come too; none that is not before the wanted time.
        """
        try:
            entries, below = await self._before(partition, seq)
        except (StoreUnavailable, CatalogThrottled, LostError) as error:
            raise _out_of_reach(error) from error
        to_ms = self._wanted.to_ms
        movements = [
            movement_of(entry.partition, entry.seq, entry.fields)
            for entry in sorted(entries, key=lambda one: (one.seq, one.fields["id"]), reverse=True)
            if to_ms is None or entry.at_ms < to_ms
        ]
        return Older(movements, below)

    async def seq_at(self, partition: int, end: int, time_ms: int) -> int:
        """The first seq at or after this time, of those before `end`.

        Where movements are missing it may be a later one.
        """
        low, high = 1, end
        try:
            while low < high:
                middle = (low + high) // 2
                found = await self._stretch(partition, middle)
                if found and found[0].at_ms >= time_ms:
                    high = middle
                else:
                    low = middle + 1
        except (StoreUnavailable, CatalogThrottled, LostError) as error:
            raise _out_of_reach(error) from error
        return low

    async def _before(self, partition: int, seq: int) -> tuple[list[JournalEntry], int]:
        wanted = self._wanted
        if wanted.hold_id:
            return await self._of_hold(partition, seq), 0
        if not wanted.sku:
            return await self._of_run(partition, seq, 0)
        folded = (await self._mark(partition)).folded.seq
        if seq - 1 > folded:
            # The level's history does not name these yet.
            return await self._of_run(partition, seq, folded)
        return await self._of_level(partition, seq)

    async def _of_run(self, partition: int, seq: int, after: int) -> tuple[list[JournalEntry], int]:
        run_start = (seq - 1) // MOVEMENTS_A_RUN * MOVEMENTS_A_RUN
        first = max(run_start, after + 1)
        found = await self._stretch(partition, first, seq - 1)
        if not found and await self._is_beginning(partition, seq):
            return [], 0
        return found, first if first > 1 else 0

    async def _is_beginning(self, partition: int, seq: int) -> bool:
        """Whether the copy began at this seq: all that was lost to it is what was before.

        Without that a walk would look through all the runs that never were.
        """
        mark = await self._mark(partition)
        if not mark.place.epoch:
            return True
        last = min(seq, MOVEMENTS_A_RUN) - 1
        return mark.not_copied == seq - 1 and not await self._stretch(partition, 1, last)

    async def _of_hold(self, partition: int, seq: int) -> list[JournalEntry]:
        names, key = self._copy.names, hold_key(self._copy.store_id, self._wanted.hold_id)
        pages = self._pages(
            names.movements, "#hold = :key", {":key": {"S": key}},
            IndexName=BY_HOLD, ExpressionAttributeNames={"#hold": "of_hold"},
        )  # fmt: skip
        entries = [parse_movement_item(item) async for items in pages for item in items]
        last = (await self._mark(partition)).place.epoch
        return [
            entry
            for entry in entries
            if entry.partition == partition
            and entry.seq < seq
            # What an epoch has past the place where the next one began never was.
            and (entry.epoch == last or entry in await self._stretch(partition, entry.seq))
        ]

    async def _of_level(self, partition: int, seq: int) -> tuple[list[JournalEntry], int]:
        places: dict[int, int] = {}
        enough_ms = 0
        async for item in self._spans(partition, seq):
            epoch, of_partition, seqs = parse_span(item)
            # Spans come by time; where the clock was set back, later seqs have earlier times.
            if span_ms(item) < enough_ms - self.CLOCK_MARGIN_MS:
                break
            if of_partition == partition:
                for one in seqs:
                    if one < seq:
                        places[one] = max(epoch, places.get(one, 0))
            if not enough_ms and len(places) >= MOVEMENTS_A_READ:
                enough_ms = span_ms(item)
        last = sorted(places, reverse=True)[:MOVEMENTS_A_READ]
        runs: dict[tuple[int, int], list[int]] = defaultdict(list)
        for one in last:
            runs[places[one], one // MOVEMENTS_A_RUN].append(one)
        parts = await asyncio.gather(
            *[
                self._of_epoch(epoch, partition, min(seqs), max(seqs))
                for (epoch, _), seqs in runs.items()
            ]
        )
        found = [e for part in parts for e in part if places.get(e.seq) == e.epoch]
        return found, last[-1] if last else 0

    async def _spans(self, partition: int, seq: int) -> AsyncIterator[Item]:
        """The parts of the level's history that may name movements before a seq, last first."""
        wanted, names = self._wanted, self._copy.names
        key = level_key(self._copy.store_id, wanted.location, wanted.sku)
        values = {":key": {"S": key}}
        condition = "#level = :key"
        until = [] if wanted.to_ms is None else [wanted.to_ms - 1 + self.CLOCK_MARGIN_MS]
        until += [e.at_ms + self.CLOCK_MARGIN_MS for e in await self._stretch(partition, seq)]
        more: dict[str, Any] = {"ExpressionAttributeNames": {"#level": "level"}}
        if until:
            condition += " AND #place <= :until"
            values[":until"] = {"S": f"{max(0, min(until)):015};"}
            more["ExpressionAttributeNames"]["#place"] = "place"
        pages = self._pages(
            names.history, condition, values, ConsistentRead=True, ScanIndexForward=False,
            Limit=self.SPANS_A_READ, **more,
        )  # fmt: skip
        async for items in pages:
            for item in items:
                yield item

    async def _stretch(
        self, partition: int, first: int, last: int | None = None
    ) -> list[JournalEntry]:
        """The movements of a stretch of one run, each of the last epoch that has its seq."""
        found: list[JournalEntry] = []
        last = first if last is None else last
        for epoch in range((await self._mark(partition)).place.epoch, 0, -1):
            have = {entry.seq for entry in found}
            own = await self._of_epoch(epoch, partition, first, last)
            found += [entry for entry in own if entry.seq not in have]
            if len({entry.seq for entry in found}) > last - first:
                break
        return found

    async def _of_epoch(
        self, epoch: int, partition: int, first: int, last: int
    ) -> list[JournalEntry]:
        run = run_of(self._copy.store_id, epoch, partition, first)
        values = {
            ":key": {"S": run}, ":first": {"S": f"{first:015}"}, ":last": {"S": f"{last:015};"},
        }  # fmt: skip
        pages = self._pages(
            self._copy.names.movements, "#run = :key AND #place BETWEEN :first AND :last",
            values, ConsistentRead=True,
            ExpressionAttributeNames={"#run": "journal", "#place": "place"},
        )  # fmt: skip
        return [parse_movement_item(item) async for items in pages for item in items]

    async def _mark(self, partition: int) -> Watermark:
        if partition not in self._marks:
            (there,) = await self._copy.leases.partitions([partition], self._deadline)
            self._marks[partition] = there.watermark
        return self._marks[partition]

    async def _pages(
        self, table: str, condition: str, values: Item, **more: Any
    ) -> AsyncIterator[Sequence[Item]]:
        start: dict[str, Any] = {}
        while True:
            answer = await self._copy.dynamo.call(
                "query", self._deadline, is_probe=True, TableName=table,
                KeyConditionExpression=condition, ExpressionAttributeValues=values, **more, **start,
            )  # fmt: skip
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _out_of_reach(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"the older movements are only in the durable copy, which is out of reach: {error}"
    )
