"""What a call can end with, one class a reason. Each holds facts; the text is the server's.

InventoryError
├── UnknownReason
│   └── UnknownTransient
├── ServerUnreachable
│   └── NeverConnected
├── DeadlineExceeded
├── ClientClosed
├── InvalidRequest
├── IdempotencyKeyReused
├── StockLevelNotFound
├── HoldNotFound
├── HoldEnded
│   ├── HoldAlreadyConfirmed
│   ├── HoldAlreadyReleased
│   └── HoldExpired
├── LinesRefused
│   ├── InsufficientStock
│   ├── BelowHeld
│   ├── QuantityExceedsHeld
│   ├── TotalTooLarge
│   ├── OnHandMismatch
│   ├── LevelInUse
│   ├── RearmBelowReorder
│   └── ProductInactive
├── TooManyParts
├── ProductNotFound
├── EtagMismatch
├── BarcodeTaken
├── CatalogThrottled
├── ValueTooLarge
├── CursorExpired
├── SlowConsumer
├── TooManyStreams
├── StoreUnavailable
├── OutcomeUnknown
├── StoreRewound
├── StoreFull
├── LevelBusy
├── Draining
└── Internal
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from inventory_client.base_error import Failure as Failure
from inventory_client.base_error import InventoryError as InventoryError
from inventory_client.refused_lines import RefusedLine, lines_of
from inventory_client.service_errors import BarcodeTaken as BarcodeTaken
from inventory_client.service_errors import CatalogThrottled as CatalogThrottled
from inventory_client.service_errors import CursorExpired as CursorExpired
from inventory_client.service_errors import Draining as Draining
from inventory_client.service_errors import EtagMismatch as EtagMismatch
from inventory_client.service_errors import Internal as Internal
from inventory_client.service_errors import LevelBusy as LevelBusy
from inventory_client.service_errors import OutcomeUnknown as OutcomeUnknown
from inventory_client.service_errors import ProductNotFound as ProductNotFound
from inventory_client.service_errors import SlowConsumer as SlowConsumer
from inventory_client.service_errors import StoreFull as StoreFull
from inventory_client.service_errors import StoreRewound as StoreRewound
from inventory_client.service_errors import StoreUnavailable as StoreUnavailable
from inventory_client.service_errors import TooManyParts as TooManyParts
from inventory_client.service_errors import TooManyStreams as TooManyStreams
from inventory_client.service_errors import ValueTooLarge as ValueTooLarge


class UnknownReason(InventoryError):
    """A reason, or a status without one, that this library does not know."""

    ambiguous = True


class UnknownTransient(UnknownReason):
    """The same under UNAVAILABLE: it may be asked again."""

    retryable = True


class ServerUnreachable(InventoryError):
    """There is no connection to the server, or it broke while the call was under way."""

    retryable = True
    ambiguous = True


class NeverConnected(ServerUnreachable):
    """No connection could be made, so nothing was sent."""

    ambiguous = False


class DeadlineExceeded(InventoryError):
    """No answer came in time."""

    retryable = True
    ambiguous = True


class ClientClosed(InventoryError):
    """The client was closed while the call was under way."""

    ambiguous = True


class InvalidRequest(InventoryError):
    """A field of the request is wrong."""

    reason = "INVALID_REQUEST"

    @property
    def fields(self) -> dict[str, str]:
        """What is wrong, a sentence a field."""
        found = {one.subject: one.description for one in self.failure.violations}
        return found or {self.facts.get("field", ""): self.message}


class IdempotencyKeyReused(InventoryError):
    """The key was used before, for another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class StockLevelNotFound(InventoryError):
    """A level that the request names does not exist."""

    reason = "STOCK_LEVEL_NOT_FOUND"

    @property
    def levels(self) -> list[tuple[str, str]]:
        """The first of the missing levels, as (sku, location)."""
        pairs = [name.partition("/") for name in self.facts.get("levels", "").split(",") if name]
        return [(sku, location) for location, _, sku in pairs]


class HoldNotFound(InventoryError):
    """There is no such hold, or it ended longer ago than holds are kept."""

    reason = "HOLD_NOT_FOUND"


class HoldEnded(InventoryError):
    """The hold has ended, otherwise than it was asked to."""

    @property
    def hold_id(self) -> str:
        """The hold."""
        return self.facts.get("hold_id", "")

    @property
    def end_time(self) -> datetime | None:
        """When it ended."""
        told = self.facts.get("resolve_time") or self.facts.get("expire_time")
        return datetime.fromisoformat(told) if told else None


class HoldAlreadyConfirmed(HoldEnded):
    """The hold was confirmed."""

    reason = "HOLD_ALREADY_CONFIRMED"


class HoldAlreadyReleased(HoldEnded):
    """The hold was released."""

    reason = "HOLD_ALREADY_RELEASED"


class HoldExpired(HoldEnded):
    """The hold's deadline has passed."""

    reason = "HOLD_EXPIRED"

    @property
    def lines(self) -> tuple[RefusedLine, ...]:
        """What kept its units from being taken again, where that was tried."""
        return lines_of(self.failure.violations, self.facts)


class LinesRefused(InventoryError):
    """Some lines break the verb's rule."""

    @property
    def lines(self) -> tuple[RefusedLine, ...]:
        """The refused lines, as many of them as the server named."""
        return lines_of(self.failure.violations, self.facts)

    @property
    def short_lines(self) -> int:
        """How many lines were refused in truth."""
        return int(self.facts.get("short_lines", len(self.lines)))


class InsufficientStock(LinesRefused):
    """Lines ask for more than can be sold: `requested`, `available`, `sellable` a line."""

    reason = "INSUFFICIENT_STOCK"


class BelowHeld(LinesRefused):
    """A count would fall below what is held: `requested`, `held` a line."""

    reason = "BELOW_HELD"


class QuantityExceedsHeld(LinesRefused):
    """More is to be confirmed or released than the hold has: `requested`, `held` a line."""

    reason = "QUANTITY_EXCEEDS_HELD"


class TotalTooLarge(LinesRefused):
    """A count would grow too large: `requested`, `on_hand` a line."""

    reason = "TOTAL_TOO_LARGE"


class OnHandMismatch(LinesRefused):
    """A count is not the expected one: `expected`, `on_hand` a line."""

    reason = "ON_HAND_MISMATCH"


class LevelInUse(LinesRefused):
    """A level to delete still has units: `on_hand`, `held` a line."""

    reason = "LEVEL_IN_USE"


class RearmBelowReorder(LinesRefused):
    """A rearm point would be below its reorder point: `reorder_point`, `rearm_point` a line."""

    reason = "REARM_BELOW_REORDER"


class ProductInactive(LinesRefused):
    """Lines name SKUs whose product is inactive."""

    reason = "PRODUCT_INACTIVE"


def _classes(base: type[InventoryError]) -> Iterator[type[InventoryError]]:
    for child in base.__subclasses__():
        yield child
        yield from _classes(child)


BY_REASON: Final = {kind.reason: kind for kind in _classes(InventoryError) if kind.reason}
"""The class of each reason: the only place where the two meet."""
