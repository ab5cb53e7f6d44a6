"""The drainer's steps, as DynamoDB sees them: which step a request is."""

from __future__ import annotations

import json
from typing import Any

from inventory_server.stores.copy_tables import CopyTableNames

WRITES = (
    "register", "beat", "take", "leave", "movements", "watermark", "history", "levels", "holds",
    "folded",
)  # fmt: skip
READS = ("store", "partitions", "beats", "gather")
STEPS = (*WRITES, *READS)


class StepNames:
    """Tells the steps apart. Requests of the catalogue are none."""

    def __init__(self, names: CopyTableNames) -> None:
        self._tables = names._asdict()
        self._folded: dict[str, Any] = {}

    def of(self, operation: str, body: bytes) -> str:
        """The step that a request is, or nothing."""
        request = json.loads(body)
        tables = set(request.get("RequestItems") or [request.get("TableName")])
        kind = next((name for name, table in self._tables.items() if {table} == tables), "")
        if operation == "BatchWriteItem":
            return kind
        if operation == "BatchGetItem" and kind == "copy":
            first = request["RequestItems"][self._tables[kind]]["Keys"][0]["item"]["S"]
            return "partitions" if "/partition/" in first else "beats"
        if operation == "Query":
            return "gather" if kind == "movements" else ""
        if kind != "copy":
            return ""
        if operation == "GetItem":
            return "store"
        if operation == "PutItem":
            return "beat" if "/drainer/" in request["Item"]["item"]["S"] else "register"
        return self._of_update(request)

    def _of_update(self, request: dict[str, Any]) -> str:
        values = request["ExpressionAttributeValues"]
        if ":owner" in values:
            return "take" if values[":owner"]["S"] else "leave"
        if ":folded" not in values:
            return "watermark"
        # The first of all has both marks, and a request may come again.
        item = request["Key"]["item"]["S"]
        moved = self._folded.get(item) != values[":folded"] or ":place" not in values
        self._folded[item] = values[":folded"]
        return "folded" if moved else "watermark"
