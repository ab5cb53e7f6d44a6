"""Tables in memory that answer DynamoDB's requests, as far as the server makes them.

No index, no pages, no limits of size: what is asked for all the same is refused,
so that no answer is half true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from benchmarks.dynamo_conditions import ExpressionError, Expressions, Item, plain

Request = Mapping[str, Any]
Answer = dict[str, Any]
ITEMS_A_WRITE: Final = 25
KEYS_A_READ: Final = 100
_NOT_ANSWERED: Final = frozenset(("IndexName", "Limit", "ExclusiveStartKey", "FilterExpression"))


class RefusedError(Exception):
    """A request is refused, with DynamoDB's word for it; `item` is the one that is there."""

    def __init__(self, code: str, message: str, item: Item | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.item = item


class _Table:
    """The items of a table, by the first part of their key and then by the second."""

    def __init__(self, schema: Sequence[Mapping[str, str]]) -> None:
        self.schema = schema
        self.names = [part["AttributeName"] for part in schema]
        self.items: dict[Any, dict[Any, Item]] = {}

    def place(self, item: Item) -> tuple[Any, Any]:
        """Where an item stands."""
        try:
            first, *more = [plain(item[name]) for name in self.names]
        except KeyError as error:
            raise _invalid(f"the key lacks {error}") from error
        return first, more[0] if more else None

    def get(self, key: Item) -> Item | None:
        """The item under a key."""
        first, second = self.place(key)
        return self.items.get(first, {}).get(second)

    def put(self, item: Item) -> None:
        """Puts an item in the place of what is there."""
        first, second = self.place(item)
        self.items.setdefault(first, {})[second] = item

    def remove(self, key: Item) -> None:
        """Removes what is there."""
        first, second = self.place(key)
        self.items.get(first, {}).pop(second, None)


class DynamoTables:
    """All tables. `on_put` is called with the table's name and each item that was put."""

    def __init__(self, on_put: Callable[[str, Item], None]) -> None:
        self._on_put = on_put
        self._tables: dict[str, _Table] = {}
        self._operations: dict[str, Callable[[Request], Answer]] = {
            "BatchWriteItem": self._batch_write,
            "BatchGetItem": self._batch_get,
            "PutItem": self._put,
            "UpdateItem": self._update,
            "GetItem": self._get,
            "Query": self._query,
            "Scan": self._scan,
            "CreateTable": self._create,
            "DescribeTable": self._describe,
            "ListTables": lambda _: {"TableNames": sorted(self._tables)},
            "UpdateTimeToLive": lambda request: {
                "TimeToLiveSpecification": request["TimeToLiveSpecification"]
            },
        }

    def do(self, operation: str, request: Request) -> Answer:
        """The answer to a request; raises RefusedError."""
        if operation not in self._operations or _NOT_ANSWERED & request.keys():
            raise _invalid(f"{operation} is not answered here with {sorted(request)}")
        try:
            return self._operations[operation](request)
        except ExpressionError as error:
            raise _invalid(f"not understood here: {error}") from error

    def _batch_write(self, request: Request) -> Answer:
        wanted = [(name, one) for name, some in request["RequestItems"].items() for one in some]
        if not 1 <= len(wanted) <= ITEMS_A_WRITE:
            raise _invalid(f"{len(wanted)} items in a batch")
        places = {
            (name, self._table(name).place(one["PutRequest"]["Item"]))
            if "PutRequest" in one
            else (name, self._table(name).place(one["DeleteRequest"]["Key"]))
            for name, one in wanted
        }
        if len(places) != len(wanted):
            raise _invalid("Provided list of item keys contains duplicates")
        for name, one in wanted:
            if "PutRequest" in one:
                self._store(name, one["PutRequest"]["Item"])
            else:
                self._table(name).remove(one["DeleteRequest"]["Key"])
        return {"UnprocessedItems": {}}

    def _batch_get(self, request: Request) -> Answer:
        asked = request["RequestItems"]
        if not 1 <= sum(len(one["Keys"]) for one in asked.values()) <= KEYS_A_READ:
            raise _invalid("too many keys in a batch, or none")
        found = {
            name: [item for key in one["Keys"] if (item := self._table(name).get(key)) is not None]
            for name, one in asked.items()
        }
        return {"Responses": found, "UnprocessedKeys": {}}

    def _put(self, request: Request) -> Answer:
        self._check(request, self._table(request["TableName"]).get(request["Item"]))
        self._store(request["TableName"], request["Item"])
        return {}

    def _update(self, request: Request) -> Answer:
        there = self._table(request["TableName"]).get(request["Key"])
        self._check(request, there)
        item = request["Key"] if there is None else there
        changed = Expressions(request).updated(request["UpdateExpression"], item)
        self._store(request["TableName"], changed)
        return {}

    def _check(self, request: Request, there: Item | None) -> None:
        condition = request.get("ConditionExpression")
        if condition is None or Expressions(request).holds(condition, there or {}):
            return
        is_wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        raise RefusedError(
            "ConditionalCheckFailedException", "The conditional request failed",
            there if is_wanted else None,
        )  # fmt: skip

    def _get(self, request: Request) -> Answer:
        item = self._table(request["TableName"]).get(request["Key"])
        return {} if item is None else {"Item": item}

    def _query(self, request: Request) -> Answer:
        table, expressions = self._table(request["TableName"]), Expressions(request)
        condition = request["KeyConditionExpression"]
        under = table.items.get(plain(expressions.hash_value(condition, table.names[0])), {})
        is_backward = not request.get("ScanIndexForward", True)
        items = [under[place] for place in sorted(under, reverse=is_backward)]
        return _page([item for item in items if expressions.holds(condition, item)])

    def _scan(self, request: Request) -> Answer:
        # Of several segments the first has everything.
        is_first = not request.get("Segment", 0)
        under = self._table(request["TableName"]).items.values() if is_first else ()
        return _page([item for items in under for item in items.values()])

    def _create(self, request: Request) -> Answer:
        name = request["TableName"]
        if name in self._tables:
            raise RefusedError("ResourceInUseException", f"Table already exists: {name}")
        self._tables[name] = _Table(request["KeySchema"])
        return {"TableDescription": self._describe(request)["Table"]}

    def _describe(self, request: Request) -> Answer:
        table = self._table(request["TableName"])
        described = {"TableName": request["TableName"], "TableStatus": "ACTIVE"}
        return {"Table": described | {"KeySchema": table.schema}}

    def _store(self, name: str, item: Item) -> None:
        self._table(name).put(item)
        self._on_put(name, item)

    def _table(self, name: str) -> _Table:
        if name not in self._tables:
            raise RefusedError("ResourceNotFoundException", f"there is no table {name}")
        return self._tables[name]


def _page(items: Sequence[Item]) -> Answer:
    return {"Items": items, "Count": len(items), "ScannedCount": len(items)}


def _invalid(message: str) -> RefusedError:
    return RefusedError("ValidationException", message)
