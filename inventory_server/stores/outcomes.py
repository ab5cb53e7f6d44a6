"""Outcome words of the scripts to domain errors: the one place for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from inventory_server.domain.errors import (
    BelowHeld,
    HoldAlreadyConfirmed,
    HoldAlreadyReleased,
    HoldEnded,
    HoldExpired,
    HoldNotFound,
    IdempotencyKeyReused,
    InsufficientStock,
    InventoryError,
    LevelInUse,
    LinesRefused,
    OnHandMismatch,
    ProductInactive,
    QuantityExceedsHeld,
    RearmBelowReorder,
    StockLevelNotFound,
    TooManyParts,
    TotalTooLarge,
)
from inventory_server.domain.model import Line, Origin
from inventory_server.stores.records import parse_lines

_REFUSALS: dict[str, tuple[type[LinesRefused], tuple[str, ...]]] = {
    "product_inactive": (ProductInactive, ()),
    "insufficient_stock": (InsufficientStock, ("requested", "available", "backorder_limit")),
    "exceeds_held": (QuantityExceedsHeld, ("requested", "held")),
    "level_in_use": (LevelInUse, ("on_hand", "held")),
    "rearm_below_reorder": (RearmBelowReorder, ("reorder_point", "rearm_point")),
    "below_held": (BelowHeld, ("requested", "held")),
    "total_too_large": (TotalTooLarge, ("requested", "on_hand")),
    "on_hand_mismatch": (OnHandMismatch, ("expected", "on_hand")),
}
"""A script's word for lines that break a rule: the error, and the numbers that come a line."""

_ENDED: dict[str, tuple[type[HoldEnded], int]] = {
    "CONFIRMED": (HoldAlreadyConfirmed, 2),
    "RELEASED": (HoldAlreadyReleased, 2),
    "EXPIRED": (HoldExpired, 1),
}
"""A hold's last word: the error, and which part of the state has its time."""


class Due(NamedTuple):
    """Levels, as (location, sku), with holds that have to be expired first."""

    levels: tuple[tuple[str, str], ...]


def lines_error(reply: list[Any], lines: Sequence[Line], origin: Origin) -> Due:
    """What a verb over these lines answered: Due, or an error raised."""
    status, rest = reply[0], reply[1:]
    if status == "due":
        return Due(tuple([(lines[i - 1].location, lines[i - 1].sku) for i in rest]))
    if status == "key_reused":
        raise IdempotencyKeyReused(origin.key)
    if status == "level_not_found":
        raise StockLevelNotFound([(lines[i - 1].location, lines[i - 1].sku) for i in rest])
    raise refused_lines(status, rest, lines)


def refused_lines(status: str, rest: Sequence[Any], lines: Sequence[Line]) -> LinesRefused:
    """The error for lines that break a rule: (number, fact...) for each, flat in `rest`."""
    error, names = _REFUSALS[status]
    width = len(names) + 1
    refused = []
    for at in range(0, len(rest), width):
        line = lines[int(rest[at]) - 1]
        facts: dict[str, str | int] = {"sku": line.sku, "location": line.location}
        facts.update(zip(names, map(int, rest[at + 1 : at + width]), strict=True))
        if "backorder_limit" in facts:
            limit = int(facts.pop("backorder_limit"))
            facts["sellable"] = max(0, int(facts["available"]) + limit)
        refused.append(facts)
    return error(refused)


def due_levels(reply: list[Any]) -> Due:
    """The levels that a `due` names itself: (location sku)..."""
    return Due(tuple(zip(reply[1::2], reply[2::2], strict=True)))


def hold_error(
    reply: list[Any], hold_id: str, origin: Origin | None, asked: Sequence[Line] = ()
) -> InventoryError:
    """The error that a verb on a hold answered; `asked` are the lines that it named."""
    status, rest = reply[0], reply[1:]
    if status == "hold_not_found":
        return HoldNotFound(hold_id)
    if status == "key_reused" and origin is not None:
        return IdempotencyKeyReused(origin.key)
    if status == "hold_ended":
        parts = rest[0].split(" ")
        error, at = _ENDED[parts[0]]
        return error(hold_id, int(parts[at]))
    if status == "too_many_parts":
        return TooManyParts(hold_id, rest[0])
    if status == "exceeds_held":
        facts = [
            (n, asked[n - 1].quantity, held) for n, held in zip(*[iter(rest)] * 2, strict=True)
        ]
        return refused_lines(status, [fact for line in facts for fact in line], asked)
    if status in ("insufficient_stock", "product_inactive"):
        short = refused_lines(status, rest[2:], parse_lines(rest[0]))
        return HoldExpired(hold_id, int(rest[1]), short)
    if status != "short_on_hand":
        raise ValueError(f"not an answer about a hold: {status}")
    return _short_on_hand(rest[1:], parse_lines(rest[0]))


def _short_on_hand(rest: Sequence[Any], lines: Sequence[Line]) -> InventoryError:
    """A confirm that a forced count took the units from."""
    refused: list[dict[str, str | int]] = []
    for at in range(0, len(rest), 5):
        number, requested, available, on_hand, backorder_limit = map(int, rest[at : at + 5])
        line = lines[number - 1]
        refused.append(
            {
                "sku": line.sku,
                "location": line.location,
                "requested": requested,
                "available": available,
                "sellable": max(0, on_hand + backorder_limit),
            }
        )
    return InsufficientStock(refused)
