"""Errors of the client library in plain words: a sentence, a hint, and the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import grpc
from inventory_client import errors
from inventory_client.refused_lines import RefusedLine

from inventory_cli.errors import WHERE_HINT, ExitStatus
from inventory_cli.lines import level_text

SHOWN_LINES: Final = 5
"""Refused lines that a sentence names."""

_NOT_FOUND: Final = (errors.StockLevelNotFound, errors.HoldNotFound, errors.ProductNotFound)
_WRONG_REQUEST: Final = (errors.InvalidRequest, errors.IdempotencyKeyReused)
_RULE: Final = (
    errors.HoldEnded,
    errors.LinesRefused,
    errors.TooManyParts,
    errors.EtagMismatch,
    errors.BarcodeTaken,
    errors.ValueTooLarge,
    errors.LevelBusy,
    errors.CursorExpired,
)

_HINTS: Final[dict[type[errors.InventoryError], str]] = {
    errors.StockLevelNotFound: "`inventory stock set` makes a level",
    errors.HoldNotFound: "a wrong id, or it ended longer ago than holds are kept",
    errors.ProductNotFound: "`inventory products search` finds products by their words",
    errors.IdempotencyKeyReused: "it is another request: give it a key of its own",
    errors.InsufficientStock: "ask for at most what is sellable; `hold place --partial` takes that",
    errors.BelowHeld: "no count falls below 0 or what is held; `stock set --force` sets less",
    errors.QuantityExceedsHeld: "`inventory hold get` says what is left",
    errors.OnHandMismatch: "read the count again, then decide",
    errors.ProductInactive: "leave these lines out, or make the product active",
    errors.HoldAlreadyConfirmed: "it is sold: `inventory stock adjust` puts returned goods back",
    errors.HoldAlreadyReleased: "place a new hold",
    errors.HoldExpired: "place a new hold, or `inventory hold confirm --rehold`",
    errors.TooManyParts: "confirm or release what is left as a whole",
    errors.CursorExpired: "begin anew, without --cursor",
    errors.StoreRewound: "somebody has to look at the store; nothing is written until then",
    errors.StoreFull: "the store's memory is full; confirm and release still work",
    errors.TooManyStreams: "end another watch, or ask another server",
    errors.DeadlineExceeded: "--timeout gives it more time",
    errors.NeverConnected: WHERE_HINT,
}
"""What to do, for the classes where the sentence does not tell; the first base that is here."""

_NUMBERS: Final[dict[type[errors.InventoryError], tuple[str, ...]]] = {
    errors.InsufficientStock: ("requested", "available", "sellable"),
    errors.HoldExpired: ("requested", "available", "sellable"),
    errors.BelowHeld: ("requested", "held"),
    errors.QuantityExceedsHeld: ("requested", "held"),
    errors.TotalTooLarge: ("requested", "on_hand"),
    errors.OnHandMismatch: ("expected", "on_hand"),
    errors.LevelInUse: ("on_hand", "held"),
    errors.RearmBelowReorder: ("reorder_point", "rearm_point"),
}
"""The numbers that a refused line of each class has."""


class Refusal(NamedTuple):
    """How a call failed, for the user."""

    sentence: str
    hint: str
    status: int


def refusal_of(error: errors.InventoryError, server: str, timeout_s: float) -> Refusal:
    """The words of an error; `timeout_s` is what the call was given."""
    hint = next((_HINTS[kind] for kind in type(error).__mro__ if kind in _HINTS), "")
    if not hint and error.retryable and not error.maybe_applied:
        hint = "nothing was changed: try again" if error.idempotency_key else "try again"
    if isinstance(error, errors.HoldExpired) and "sku" in error.facts:
        hint = "what it held is not all there any more: place a new hold"
    return Refusal(_sentence(error, server, timeout_s), hint, _status(error))


def facts_of(error: errors.InventoryError, refusal: Refusal) -> dict[str, Any]:
    """The same for scripts."""
    names = _NUMBERS.get(type(error), ())
    # An expired hold's own place stands among its violations too.
    lines: Sequence[RefusedLine] = getattr(error, "lines", ()) if "sku" in error.facts else ()
    return {
        **plain_facts(error.failure.reason or error.code.name, refusal),
        "facts": dict(sorted(error.facts.items())),
        "lines": [
            {"sku": line.sku, "location": line.location}
            | {name: getattr(line, name) for name in names}
            for line in lines
        ],
        "maybe_applied": error.maybe_applied,
        "idempotency_key": error.idempotency_key or None,
    }


def plain_facts(reason: str, refusal: Refusal) -> dict[str, Any]:
    """What every error tells scripts."""
    return {
        "reason": reason or None,
        "message": refusal.sentence,
        "hint": refusal.hint or None,
        "exit_status": int(refusal.status),
    }


def _status(error: errors.InventoryError) -> ExitStatus:
    if error.maybe_applied:
        return ExitStatus.OUTCOME_UNKNOWN
    if isinstance(error, _NOT_FOUND):
        return ExitStatus.NOT_FOUND
    if isinstance(error, _WRONG_REQUEST):
        return ExitStatus.USAGE
    if isinstance(error, _RULE):
        return ExitStatus.REFUSED
    return ExitStatus.UNAVAILABLE


def _sentence(error: errors.InventoryError, server: str, timeout_s: float) -> str:
    if isinstance(error, errors.NeverConnected):
        return f"the server at {server} cannot be reached"
    if isinstance(error, errors.ServerUnreachable):
        return f"the connection to the server at {server} broke"
    if isinstance(error, errors.DeadlineExceeded):
        return f"no answer of the server at {server} within {timeout_s:g} s"
    if isinstance(error, errors.StockLevelNotFound):
        levels = [level_text(*level) for level in error.levels]
        return _joined("no stock level", levels, int(error.facts.get("missing_levels", 0)))
    if isinstance(error, errors.LinesRefused) and error.lines:
        title = error.message.partition(":")[0]
        names = _NUMBERS.get(type(error), ())
        return _joined(title, [_line(line, names) for line in error.lines], error.short_lines)
    if error.code is grpc.StatusCode.UNIMPLEMENTED and not error.failure.reason:
        return f"what answers at {server} is not an inventory server, or an older one"
    return error.message


def _joined(title: str, named: Sequence[str], count: int) -> str:
    shown = list(named[:SHOWN_LINES])
    more = max(count, len(named)) - len(shown)
    if more:
        shown.append(f"and {more} more")
    return f"{title}: {'; '.join(shown)}"


def _line(line: RefusedLine, names: Sequence[str]) -> str:
    told = ", ".join(f"{name.replace('_', ' ')} {getattr(line, name)}" for name in names)
    return level_text(line.sku, line.location) + (f" ({told})" if told else "")
