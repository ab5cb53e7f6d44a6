"""The errors that callers see. Each holds facts; the sentence is made from them.

InventoryError
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
├── Draining
├── Internal
├── InvalidRequest
├── IdempotencyKeyReused
├── StockLevelNotFound
├── HoldNotFound
├── HoldEnded
│   ├── HoldAlreadyConfirmed
│   ├── HoldAlreadyReleased
│   └── HoldExpired
├── LinesRefused
│   ├── ProductInactive
│   ├── InsufficientStock
│   ├── QuantityExceedsHeld
│   ├── LevelInUse
│   ├── RearmBelowReorder
│   ├── BelowHeld
│   ├── TotalTooLarge
│   └── OnHandMismatch
├── TooManyParts
└── LevelBusy
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from inventory_server.domain.base_error import InventoryError as InventoryError
from inventory_server.domain.base_error import iso_time, key_facts
from inventory_server.domain.catalog_errors import BarcodeTaken as BarcodeTaken
from inventory_server.domain.catalog_errors import CatalogThrottled as CatalogThrottled
from inventory_server.domain.catalog_errors import EtagMismatch as EtagMismatch
from inventory_server.domain.catalog_errors import ProductNotFound as ProductNotFound
from inventory_server.domain.catalog_errors import ValueTooLarge as ValueTooLarge
from inventory_server.domain.service_errors import CursorExpired as CursorExpired
from inventory_server.domain.service_errors import Draining as Draining
from inventory_server.domain.service_errors import Internal as Internal
from inventory_server.domain.service_errors import OutcomeUnknown as OutcomeUnknown
from inventory_server.domain.service_errors import SlowConsumer as SlowConsumer
from inventory_server.domain.service_errors import StoreFull as StoreFull
from inventory_server.domain.service_errors import StoreRewound as StoreRewound
from inventory_server.domain.service_errors import StoreUnavailable as StoreUnavailable
from inventory_server.domain.service_errors import TooManyStreams as TooManyStreams


class InvalidRequest(InventoryError):
    """A field of the request is wrong. `violations`: (field, sentence) pairs."""

    reason = "INVALID_REQUEST"

    def __init__(self, *violations: tuple[str, str]) -> None:
        field, sentence = violations[0]
        super().__init__(f"{field}: {sentence}", {"field": field})
        self.violations = violations


class IdempotencyKeyReused(InventoryError):
    """The key was used before, for another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, key: str) -> None:
        super().__init__("the idempotency key was used before, for another request", key_facts(key))


class StockLevelNotFound(InventoryError):
    """Levels that the request names do not exist. `levels`: (location, sku) pairs."""

    reason = "STOCK_LEVEL_NOT_FOUND"
    MAX_NAMED: ClassVar = 20

    def __init__(self, levels: Sequence[tuple[str, str]]) -> None:
        names = [f"{location}/{sku}" for location, sku in levels]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        facts = {"levels": ",".join(names[: self.MAX_NAMED]), "missing_levels": str(len(names))}
        super().__init__(f"no stock level: {names[0]}{more}", facts)
        self.levels = tuple(levels)


class HoldNotFound(InventoryError):
    """There is no such hold, or it ended longer ago than holds are kept."""

    reason = "HOLD_NOT_FOUND"

    def __init__(self, hold_id: str) -> None:
        super().__init__("no such hold", {"hold_id": hold_id})
        self.hold_id = hold_id


class HoldEnded(InventoryError):
    """The hold has ended otherwise than the verb would end it."""

    time_name: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self, hold_id: str, time_ms: int) -> None:
        facts = {"hold_id": hold_id, self.time_name: iso_time(time_ms)}
        super().__init__(f"{self.sentence} at {iso_time(time_ms)}", facts)
        self.hold_id = hold_id
        self.time_ms = time_ms


class HoldAlreadyConfirmed(HoldEnded):
    """The hold was confirmed."""

    reason = "HOLD_ALREADY_CONFIRMED"
    time_name = "resolve_time"
    sentence = "the hold was confirmed"


class HoldAlreadyReleased(HoldEnded):
    """The hold was released."""

    reason = "HOLD_ALREADY_RELEASED"
    time_name = "resolve_time"
    sentence = "the hold was released"


class HoldExpired(HoldEnded):
    """The hold's deadline has passed.

    `short`: what kept its units from being taken again, where that was tried.
    """

    reason = "HOLD_EXPIRED"
    time_name = "expire_time"
    sentence = "the hold expired"

    def __init__(self, hold_id: str, time_ms: int, short: LinesRefused | None = None) -> None:
        super().__init__(hold_id, time_ms)
        self.short = short
        if short is not None:
            self.message += f"; {short.message}"
            self.facts.update(short.facts)


class LinesRefused(InventoryError):
    """Some lines break the verb's rule.

    `lines` has one mapping a refused line, with `sku`, `location` and the
    numbers that the rule compares, under the names in `numbers`.
    """

    numbers: ClassVar[tuple[str, ...]]
    sentence: ClassVar[str]

    def __init__(self, lines: Sequence[Mapping[str, str | int]]) -> None:
        first = lines[0]
        more = f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else ""
        numbers = ", ".join(f"{name} {first[name]}" for name in self.numbers)
        where = f"{first['location']}/{first['sku']}" + (f": {numbers}" if numbers else "")
        facts = {"short_lines": str(len(lines)), **{k: str(v) for k, v in first.items()}}
        super().__init__(f"{self.sentence}: {where}{more}", facts)
        self.lines = tuple(lines)


class ProductInactive(LinesRefused):
    """Lines name SKUs whose product is inactive."""

    reason = "PRODUCT_INACTIVE"
    numbers = ()
    sentence = "the product is inactive"


class InsufficientStock(LinesRefused):
    """Lines ask for more than can be sold."""

    reason = "INSUFFICIENT_STOCK"
    numbers = ("requested", "available", "sellable")
    sentence = "not enough stock"


class QuantityExceedsHeld(LinesRefused):
    """More is to be confirmed or released than the hold has left."""

    reason = "QUANTITY_EXCEEDS_HELD"
    numbers = ("requested", "held")
    sentence = "the hold has less left"


class LevelInUse(LinesRefused):
    """A level to delete still has units."""

    reason = "LEVEL_IN_USE"
    numbers = ("on_hand", "held")
    sentence = "the level still has units"


class RearmBelowReorder(LinesRefused):
    """A rearm point would be below its reorder point."""

    reason = "REARM_BELOW_REORDER"
    numbers = ("reorder_point", "rearm_point")
    sentence = "the rearm point would be below the reorder point"


class BelowHeld(LinesRefused):
    """A count would fall below what is held."""

    reason = "BELOW_HELD"
    numbers = ("requested", "held")
    sentence = "the count would fall below what is held"


class TotalTooLarge(LinesRefused):
    """A count would grow past what can be counted exactly."""

    reason = "TOTAL_TOO_LARGE"
    numbers = ("requested", "on_hand")
    sentence = "the count would grow too large"


class OnHandMismatch(LinesRefused):
    """A count is not the expected one."""

    reason = "ON_HAND_MISMATCH"
    numbers = ("expected", "on_hand")
    sentence = "the count is not the expected one"


class TooManyParts(InventoryError):
    """The hold was confirmed and released in as many parts as it can be."""

    reason = "TOO_MANY_PARTS"

    def __init__(self, hold_id: str, parts: int) -> None:
        sentence = f"it was confirmed and released in {parts} parts: end what is left as a whole"
        super().__init__(sentence, {"hold_id": hold_id, "parts": str(parts)})


class LevelBusy(InventoryError):
    """The level cannot be repaired in one step as things are."""

    reason = "LEVEL_BUSY"

    def __init__(self, sku: str, location: str, open_holds: int) -> None:
        facts = {"sku": sku, "location": location, "open_holds": str(open_holds)}
        super().__init__(
            f"{location}/{sku} has too many open holds to be repaired in one step: {open_holds}",
            facts,
        )
