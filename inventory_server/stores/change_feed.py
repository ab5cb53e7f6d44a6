"""What is about to change in the catalogue: how servers hear of each other's writes.

Before a product is written, an entry says which SKUs are to get which
versions. So there is no write without an entry, wherever a writer stops; and
who reads an entry looks at those products until they are at that version, or
until the entry is older than any write can last.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, Final, NamedTuple
from uuid import uuid4

from inventory_server.domain.errors import StoreUnavailable
from inventory_server.stores.catalog_tables import TableNames
from inventory_server.stores.dynamo import Dynamo, LostError
from inventory_server.stores.product_store import now_ms
from inventory_server.stores.tables import EXPIRY_ATTRIBUTE

MINUTE_MS: Final = 60_000
KEPT_S: Final = 86_400


class Announcement(NamedTuple):
    """An entry: its place in the feed, when it was made, and what is to become of which SKU."""

    place: str
    time_ms: int
    versions: dict[str, int]


class ChangeFeed:
    """The changes table. Raises StoreUnavailable and CatalogThrottled; `announce` LostError."""

    def __init__(self, dynamo: Dynamo, names: TableNames) -> None:
        self._dynamo = dynamo
        self._table = names.changes
        self._writer = uuid4().hex[:12]
        self._serial = count()

    async def announce(self, versions: Mapping[str, int], deadline: float) -> None:
        """Says that these SKUs are about to get these versions. At most 500."""
        time_ms = now_ms()
        await self._dynamo.call(
            "put_item", deadline, TableName=self._table,
            Item={
                "minute": {"N": str(time_ms // MINUTE_MS)},
                "place": {"S": f"{time_ms:015}-{self._writer}-{next(self._serial)}"},
                "versions": {"M": {sku: {"N": str(n)} for sku, n in versions.items()}},
                EXPIRY_ATTRIBUTE: {"N": str(time_ms // 1000 + KEPT_S)},
            },
        )  # fmt: skip

    async def since(self, time_ms: int, deadline: float) -> list[Announcement]:
        """What was announced from then on, by writers' clocks, in the order of their places."""
        found: list[Announcement] = []
        # One minute more: a writer's clock may be ahead.
        for minute in range(time_ms // MINUTE_MS, now_ms() // MINUTE_MS + 2):
            found += await self._minute(minute, time_ms, deadline)
        return found

    async def _minute(self, minute: int, time_ms: int, deadline: float) -> list[Announcement]:
        found: list[Announcement] = []
        start: dict[str, Any] = {}
        while True:
            try:
                answer = await self._dynamo.call(
                    "query", deadline, is_probe=True, TableName=self._table, ConsistentRead=True,
                    # `minute` is a word that DynamoDB keeps for itself.
                    KeyConditionExpression="#minute = :minute AND place >= :place",
                    ExpressionAttributeNames={"#minute": "minute"},
                    ExpressionAttributeValues={
                        ":minute": {"N": str(minute)}, ":place": {"S": f"{time_ms:015}"},
                    },
                    **start,
                )  # fmt: skip
            except LostError as error:
                raise StoreUnavailable(f"the catalogue's store does not answer: {error}") from error
            for item in answer["Items"]:
                place = item["place"]["S"]
                versions = {sku: int(n["N"]) for sku, n in item["versions"]["M"].items()}
                found.append(Announcement(place, int(place.partition("-")[0]), versions))
            if "LastEvaluatedKey" not in answer:
                return found
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
