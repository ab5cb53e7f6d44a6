"""The durable copy in DynamoDB: reading it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from inventory_server.domain.copy import CopiedStore, HoldState, JournalEntry, LevelState
from inventory_server.domain.errors import StoreUnavailable
from inventory_server.stores.copy_records import (
    parse_hold_state,
    parse_level_state,
    parse_movement_item,
    parse_span,
    parse_store,
)
from inventory_server.stores.copy_tables import (
    BY_HOLD,
    MOVEMENTS_A_RUN,
    SHELVES,
    CopyTableNames,
    hold_key,
    level_key,
    run_of,
    shelf,
)
from inventory_server.stores.dynamo import Dynamo, Item, LostError

STORE_ITEM: Final = "store"
"""The key of the item that says which store the copy is of."""


class CopyReader:
    """Reads what the copy has, as it is now. Raises StoreUnavailable and CatalogThrottled."""

    TIMEOUT_S: Final = 10.0

    def __init__(self, dynamo: Dynamo, names: CopyTableNames) -> None:
        self._dynamo = dynamo
        self._names = names

    async def store(self) -> CopiedStore | None:
        """The store that the copy is of; None where nothing was copied yet."""
        answer = await self._ask(
            "get_item", TableName=self._names.copy, Key={"item": {"S": STORE_ITEM}},
            ConsistentRead=True,
        )  # fmt: skip
        return parse_store(answer["Item"]) if "Item" in answer else None

    async def levels(self, store_id: str, partition: int) -> AsyncIterator[list[LevelState]]:
        """All levels and default policies of a partition, those of one shelf together.

        Deleted ones come too, without a packed form.
        """
        for number in range(SHELVES):
            found: dict[tuple[str, str], LevelState] = {}
            key = shelf(store_id, partition, number)
            async for items in self._pages(self._names.levels, "shelf", key):
                # The states of a level stand in their order: the last one counts.
                for state in map(parse_level_state, items):
                    found[state.location, state.sku] = state
            yield list(found.values())

    async def holds(self, store_id: str, partition: int) -> AsyncIterator[list[HoldState]]:
        """The holds at home in a partition that are open or ended lately, shelf by shelf."""
        for number in range(SHELVES):
            found: dict[str, HoldState] = {}
            key = shelf(store_id, partition, number)
            async for items in self._pages(self._names.holds, "shelf", key):
                found |= {state.hold_id: state for state in map(parse_hold_state, items)}
            yield list(found.values())

    async def movements(
        self, store_id: str, epoch: int, partition: int, after: int
    ) -> AsyncIterator[JournalEntry]:
        """The movements of a journal after a seq, up to the first that is not there.

        After a fork several have one seq; all of them come.
        """
        seq = after
        while True:
            run = run_of(store_id, epoch, partition, seq + 1)
            last_of_run = ((seq + 1) // MOVEMENTS_A_RUN + 1) * MOVEMENTS_A_RUN - 1
            async for items in self._pages(self._names.movements, "journal", run, seq + 1):
                for entry in map(parse_movement_item, items):
                    if entry.seq > seq + 1:
                        return
                    seq = entry.seq
                    yield entry
            if seq < last_of_run:
                return

    async def movements_past_a_gap(
        self, store_id: str, epoch: int, partition: int, first: int, last: int
    ) -> list[JournalEntry]:
        """Those from a seq up to another, whether or not others are missing between them."""
        if first > last:
            return []
        numbers = range(first // MOVEMENTS_A_RUN, last // MOVEMENTS_A_RUN + 1)
        runs = [run_of(store_id, epoch, partition, n * MOVEMENTS_A_RUN) for n in numbers]
        parts = await asyncio.gather(*[self._of_run(run, first, last) for run in runs])
        return [entry for part in parts for entry in part]

    async def movements_back(
        self, store_id: str, epoch: int, partition: int, seq: int
    ) -> AsyncIterator[list[JournalEntry]]:
        """The movements of a journal from a seq back, run by run, up to one that is not there."""
        for number in range(seq // MOVEMENTS_A_RUN, -1, -1):
            run = run_of(store_id, epoch, partition, number * MOVEMENTS_A_RUN)
            found = await self._of_run(run, number * MOVEMENTS_A_RUN, seq)
            if not found:
                return
            yield found

    async def history_of_level(self, store_id: str, location: str, sku: str) -> list[JournalEntry]:
        """All movements of a level, oldest first."""
        places: dict[tuple[int, int, int], None] = {}
        key = level_key(store_id, location, sku)
        async for items in self._pages(self._names.history, "level", key):
            for item in items:
                epoch, partition, seqs = parse_span(item)
                # What was written again after a crash may stand in two spans.
                places |= dict.fromkeys((epoch, partition, seq) for seq in seqs)
        found = await asyncio.gather(*[self._movement(store_id, *place) for place in places])
        return _by_time([entry for of_place in found for entry in of_place])

    async def history_of_hold(self, store_id: str, hold_id: str) -> list[JournalEntry]:
        """All movements of a hold, oldest first. The last ones may be missing for a moment."""
        key, index = hold_key(store_id, hold_id), BY_HOLD
        pages = self._pages(self._names.movements, "of_hold", key, index=index)
        return _by_time([parse_movement_item(item) async for items in pages for item in items])

    async def is_superseded(self, store_id: str, entry: JournalEntry, last_epoch: int) -> bool:
        """Whether the store went on, after a restore, with another movement in its place."""
        for epoch in range(entry.epoch + 1, last_epoch + 1):
            if await self._movement(store_id, epoch, entry.partition, entry.seq):
                return True
        return False

    async def _movement(
        self, store_id: str, epoch: int, partition: int, seq: int
    ) -> list[JournalEntry]:
        return await self._of_run(run_of(store_id, epoch, partition, seq), seq, seq)

    async def _of_run(self, run: str, first: int, last: int) -> list[JournalEntry]:
        pages = self._pages(self._names.movements, "journal", run, first, last)
        return [parse_movement_item(item) async for items in pages for item in items]

    async def _pages(
        self, table: str, key: str, value: str, first: int | None = None,
        last: int | None = None, *, index: str = "",
    ) -> AsyncIterator[Sequence[Item]]:  # fmt: skip
        """What stands under a key, page by page; of a run, from a seq on, up to another."""
        condition, names = "#key = :key", {"#key": key}
        values = {":key": {"S": value}}
        if first is not None:
            condition, names["#place"] = f"{condition} AND #place BETWEEN :first AND :last", "place"
            values[":first"] = {"S": f"{first:015}"}
            values[":last"] = {"S": f"{10**15 - 1 if last is None else last:015};"}
        start: dict[str, Any] = {}
        where = {"IndexName": index} if index else {"ConsistentRead": True}
        while True:
            answer = await self._ask(
                "query", TableName=table, **where, KeyConditionExpression=condition,
                ExpressionAttributeNames=names, ExpressionAttributeValues=values, **start,
            )  # fmt: skip
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + self.TIMEOUT_S
        try:
            return await self._dynamo.call(operation, deadline, is_probe=True, **arguments)
        except LostError as error:
            raise StoreUnavailable(f"{self._dynamo.name} does not answer: {error}") from error


def _by_time(entries: list[JournalEntry]) -> list[JournalEntry]:
    return sorted(entries, key=lambda entry: (entry.at_ms, entry.partition, entry.seq))
