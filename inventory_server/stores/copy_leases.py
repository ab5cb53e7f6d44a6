"""Who drains which partition, and how far each has come: the copy's own table.

A drainer shows that it lives by counting on, in an item of its own. A partition's
item names its drainer and a term, which rises with each change of the drainer;
the watermark is in the same item, so only who has the term now moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import time
from typing import Any, Final

from inventory_server.domain.copy import CopiedStore, PartitionCopy, Place, Watermark
from inventory_server.domain.errors import StoreUnavailable
from inventory_server.stores.copy_reader import STORE_ITEM
from inventory_server.stores.copy_records import pack_store, pack_watermark, parse_partition
from inventory_server.stores.copy_tables import CopyTableNames, pack_place
from inventory_server.stores.dynamo import ConditionFailedError, Dynamo, Item, LostError

_KEYS_A_READ: Final = 100


class OtherStoreError(Exception):
    """The copy is of another store; the sentence says so."""


class CopyLeases:
    """Reads and writes the `copy` table. Raises StoreUnavailable and CatalogThrottled;
    writes LostError too, and may be repeated.
    """

    DRAINER_KEPT_S: Final = 7 * 86400

    def __init__(self, dynamo: Dynamo, names: CopyTableNames, store_id: str) -> None:
        self._dynamo = dynamo
        self._table = names.copy
        self._store_id = store_id

    async def register(self, store: CopiedStore, deadline: float) -> None:
        """Says that the copy is of this store, at this epoch or a later one.

        Raises OtherStoreError where it is of another one.
        """
        condition = "attribute_not_exists(#item) OR (#store_id = :store_id AND #epoch <= :epoch)"
        packed = pack_store(store)
        try:
            await self._dynamo.call(
                "put_item", deadline, is_probe=True, TableName=self._table,
                Item={"item": {"S": STORE_ITEM}, **packed}, ConditionExpression=condition,
                ExpressionAttributeNames={
                    "#item": "item", "#store_id": "store_id", "#epoch": "epoch",
                },
                ExpressionAttributeValues={
                    ":store_id": packed["store_id"], ":epoch": packed["epoch"],
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )  # fmt: skip
        except ConditionFailedError as error:
            there = error.item["store_id"]["S"] if error.item else "?"
            if there != store.store_id:
                raise OtherStoreError(
                    f"the durable copy is of the store {there}, not of {store.store_id}"
                ) from error
            raise OtherStoreError(
                f"the durable copy is of a later epoch of the store than {store.epoch}"
            ) from error

    async def partitions(self, numbers: Sequence[int], deadline: float) -> list[PartitionCopy]:
        """These partitions, in their order."""
        keys = [self._partition(number) for number in numbers]
        found = await self._read(keys, deadline)
        return [
            parse_partition(number, found.get(key, {}))
            for number, key in zip(numbers, keys, strict=True)
        ]

    async def beats(self, drainers: Iterable[str], deadline: float) -> dict[str, int]:
        """How far each of these drainers has counted; 0 where it has no item."""
        keys = {self._drainer(name): name for name in drainers}
        found = await self._read(list(keys), deadline)
        return {
            name: int(found[key]["beat"]["N"]) if key in found else 0 for key, name in keys.items()
        }

    async def beat(self, drainer: str, count: int, deadline: float) -> None:
        """Shows that this drainer lives."""
        await self._dynamo.call(
            "put_item", deadline, is_probe=True, TableName=self._table,
            Item={
                "item": {"S": self._drainer(drainer)},
                "beat": {"N": str(count)},
                "expire_at": {"N": str(int(time()) + self.DRAINER_KEPT_S)},
            },
        )  # fmt: skip

    async def take(self, number: int, drainer: str, term: int, deadline: float) -> bool:
        """Becomes the drainer of a partition, after this term; False where another did."""
        return await self._update(
            number, term, {"owner": {"S": drainer}, "term": {"N": str(term + 1)}}, deadline
        )

    async def leave(self, number: int, term: int, deadline: float) -> bool:
        """Gives a partition back, so that another need not wait; False where it has another."""
        return await self._update(number, term, {"owner": {"S": ""}}, deadline)

    async def advance(
        self, number: int, term: int, watermark: Watermark, deadline: float,
        since: Watermark = Watermark(),  # noqa: B008 - it never changes
    ) -> bool:  # fmt: skip
        """Moves the watermark, neither of its places back; False where the partition has another
        drainer now, or the watermark is further on.

        Of what was written before, `since`, only what is another now is written. So a request
        that comes late moves one place alone, and can be told by it to be late.
        """
        values = pack_watermark(watermark)
        if since != Watermark():
            before = pack_watermark(since)
            values = {name: value for name, value in values.items() if value != before[name]}
        return await self._update(number, term, values, deadline)

    async def resync(self, seen: PartitionCopy, reached: Place, deadline: float) -> bool:
        """Says that the states make up for what was not copied when it was seen so.

        False where the copy has not come to the place that the states reach up to, or more
        was lost since. The drainer writes neither of these attributes, so it cannot undo it.
        """
        lost, at = seen.watermark.not_copied, seen.watermark.place
        names = ("place", "not_copied", "resynced", "resynced_at")
        try:
            await self._dynamo.call(
                "update_item", deadline, is_probe=True, TableName=self._table,
                Key={"item": {"S": self._partition(seen.number)}},
                UpdateExpression="SET #resynced = :lost, #resynced_at = :at",
                ConditionExpression="#place >= :reached AND #not_copied = :lost",
                ExpressionAttributeNames={f"#{name}": name for name in names},
                ExpressionAttributeValues={
                    ":lost": {"N": str(lost)}, ":at": {"N": pack_place(at)},
                    ":reached": {"N": pack_place(reached)},
                },
            )  # fmt: skip
        except ConditionFailedError:
            return False
        return True

    async def _update(self, number: int, term: int, values: Item, deadline: float) -> bool:
        condition = "#its_term = :its_term"
        if not term:
            condition = f"(attribute_not_exists(#its_term) OR {condition})"
        names = {"#its_term": "term", **{f"#{name}": name for name in values}}
        given: Item = {":its_term": {"N": str(term)}}
        given |= {f":{name}": value for name, value in values.items()}
        for place in values.keys() & {"place", "folded"}:
            condition += f" AND (attribute_not_exists(#{place}) OR #{place} <= :{place})"
        try:
            await self._dynamo.call(
                "update_item", deadline, is_probe=True, TableName=self._table,
                Key={"item": {"S": self._partition(number)}},
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
                ConditionExpression=condition, ExpressionAttributeNames=names,
                ExpressionAttributeValues=given, ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )  # fmt: skip
        except ConditionFailedError as error:
            # It may be what this very call wrote, before its answer was lost.
            return bool(error.item) and all(error.item.get(n) == v for n, v in values.items())
        return True

    async def _read(self, keys: Sequence[str], deadline: float) -> dict[str, Item]:
        parts = [keys[at : at + _KEYS_A_READ] for at in range(0, len(keys), _KEYS_A_READ)]
        pages = await asyncio.gather(*[self._read_part(part, deadline) for part in parts])
        return {item["item"]["S"]: item for page in pages for item in page}

    async def _read_part(self, keys: Sequence[str], deadline: float) -> list[Item]:
        found: list[Item] = []
        wanted: list[Any] = [{"item": {"S": key}} for key in keys]
        while wanted:
            asked = {self._table: {"Keys": wanted, "ConsistentRead": True}}
            try:
                answer = await self._dynamo.call(
                    "batch_get_item", deadline, is_probe=True, RequestItems=asked
                )
            except LostError as error:
                raise StoreUnavailable(f"{self._dynamo.name} does not answer: {error}") from error
            found += answer["Responses"].get(self._table, [])
            left = (answer.get("UnprocessedKeys") or {}).get(self._table, {}).get("Keys", [])
            if left and asyncio.get_running_loop().time() >= deadline:
                raise StoreUnavailable(f"{self._dynamo.name} answers only in part")
            if left:
                await asyncio.sleep(Dynamo.FIRST_PAUSE_S)
            wanted = left
        return found

    def _partition(self, number: int) -> str:
        return f"{self._store_id}/partition/{number}"

    def _drainer(self, name: str) -> str:
        return f"{self._store_id}/drainer/{name}"
