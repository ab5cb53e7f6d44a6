"""Errors of the catalogue, of streams, and of the service itself; `errors` has them all."""

from __future__ import annotations

from inventory_client.base_error import InventoryError


class TooManyParts(InventoryError):
    """The hold was confirmed and released in as many parts as can be remembered."""

    reason = "TOO_MANY_PARTS"


class ProductNotFound(InventoryError):
    """The catalogue has no such product."""

    reason = "PRODUCT_NOT_FOUND"


class EtagMismatch(InventoryError):
    """The product was written since it was read with that etag."""

    reason = "ETAG_MISMATCH"


class BarcodeTaken(InventoryError):
    """Another product has this barcode."""

    reason = "BARCODE_TAKEN"

    @property
    def sku(self) -> str:
        """Whose barcode it is."""
        return self.facts.get("sku", "")


class CatalogThrottled(InventoryError):
    """The catalogue's store takes no more for the moment; nothing was done."""

    reason = "CATALOG_THROTTLED"
    retryable = True


class ValueTooLarge(InventoryError):
    """What all stock is worth is more than can be told."""

    reason = "VALUE_TOO_LARGE"


class CursorExpired(InventoryError):
    """What came after the cursor is not kept any more, or the store has lost data since."""

    reason = "CURSOR_EXPIRED"

    @property
    def earliest_cursor(self) -> str:
        """Where one can go on, knowing that something is missing."""
        return self.facts.get("earliest_cursor", "")


class SlowConsumer(InventoryError):
    """The stream was not read fast enough."""

    reason = "SLOW_CONSUMER"


class TooManyStreams(InventoryError):
    """The server has as many streams as it takes."""

    reason = "TOO_MANY_STREAMS"


class StoreUnavailable(InventoryError):
    """The store is out of reach; the change was certainly not made."""

    reason = "STORE_UNAVAILABLE"
    retryable = True


class OutcomeUnknown(InventoryError):
    """The change was sent to the store and no answer came."""

    reason = "OUTCOME_UNKNOWN"
    retryable = True
    ambiguous = True


class StoreRewound(InventoryError):
    """The store has lost changes; nothing is written until somebody has looked."""

    reason = "STORE_REWOUND"


class StoreFull(InventoryError):
    """The store's memory is full; units can still be given back and sold."""

    reason = "STORE_FULL"


class LevelBusy(InventoryError):
    """The level has too many open holds to be repaired in one step."""

    reason = "LEVEL_BUSY"


class Draining(InventoryError):
    """The server is shutting down; another one will answer."""

    reason = "DRAINING"
    retryable = True


class Internal(InventoryError):
    """A bug of the server; its log has the text, under `failure.request_id`."""

    reason = "INTERNAL"
    ambiguous = True
