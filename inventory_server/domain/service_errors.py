"""Errors that say how the service is: its streams, its store, itself."""

from __future__ import annotations

from inventory_server.domain.base_error import InventoryError, key_facts


class CursorExpired(InventoryError):
    """What came after a cursor is not kept, or the store has lost data since."""

    reason = "CURSOR_EXPIRED"

    def __init__(self, earliest_cursor: str) -> None:
        super().__init__(
            "what came after the cursor is not there any more", {"earliest_cursor": earliest_cursor}
        )


class SlowConsumer(InventoryError):
    """A stream was not read fast enough."""

    reason = "SLOW_CONSUMER"

    def __init__(self, cursor: str) -> None:
        super().__init__("the stream was not read fast enough", {"cursor": cursor})


class TooManyStreams(InventoryError):
    """As many streams are open as may be."""

    reason = "TOO_MANY_STREAMS"

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} streams", {"limit": str(limit)})


class StoreUnavailable(InventoryError):
    """The store is out of reach; the change was certainly not made."""

    reason = "STORE_UNAVAILABLE"


class OutcomeUnknown(InventoryError):
    """The change was sent and no answer came: perhaps it was made."""

    reason = "OUTCOME_UNKNOWN"

    def __init__(self, key: str) -> None:
        super().__init__(
            "no answer came from the store: repeat the call with the same idempotency key",
            key_facts(key),
        )


class StoreRewound(InventoryError):
    """The store has gone back in time; nothing is written."""

    reason = "STORE_REWOUND"

    def __init__(self, partition: int) -> None:
        super().__init__(
            "the store has lost changes that were made; writes are refused",
            {"partition": str(partition)},
        )


class StoreFull(InventoryError):
    """The store's memory is full."""

    reason = "STORE_FULL"

    def __init__(self) -> None:
        super().__init__("the store's memory is full")


class Draining(InventoryError):
    """The server is shutting down."""

    reason = "DRAINING"

    def __init__(self) -> None:
        super().__init__("the server is shutting down")


class Internal(InventoryError):
    """A bug of the server; the log has the text, under the request id."""

    reason = "INTERNAL"

    def __init__(self, request_id: str) -> None:
        super().__init__("internal error", {"request_id": request_id})
