"""Requests to domain values: what the services share, and the requests of HoldService.

Bad requests stop here, and in stock_requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1.line_pb2 import Line as LineMessage

from inventory_server.domain import limits
from inventory_server.domain.errors import InvalidRequest, InventoryError
from inventory_server.domain.model import (
    ConfirmRequest,
    Line,
    Origin,
    PlaceRequest,
    ReleaseRequest,
)
from inventory_server.domain.rules import (
    ANONYMOUS,
    KEY_FORM,
    LOCATION_FORM,
    SKU_FORM,
    has_control,
    is_key,
    is_location,
    is_sku,
)
from inventory_server.servicers.rpc_call import unquoted

_STATE_NAMES: dict[int, str] = {
    number: name.removeprefix("HOLD_STATE_") if number else ""
    for name, number in hold_pb.HoldState.items()
}
Asked = TypeVar("Asked")
Violations = list[tuple[str, str]]


def raise_any(violations: Violations) -> None:
    """Raises InvalidRequest where something is wrong."""
    if violations:
        raise InvalidRequest(*violations)


def read_lines(messages: Sequence[LineMessage], most: int) -> list[Line]:
    """The lines of a request, each well-formed."""
    lines: list[Line] = []
    violations: Violations = []
    check_count("lines", len(messages), most, violations)
    for i, message in enumerate(messages):
        sku, location, quantity = message.sku, message.location, message.quantity
        if not (is_sku(sku) and is_location(location) and 0 < quantity <= limits.MAX_QUANTITY):
            check_level(f"lines[{i}]", sku, location, violations)
            check_range(f"lines[{i}].quantity", quantity, 1, violations)
        lines.append(Line(sku, location, quantity))
    raise_any(violations)
    return lines


def read_asked_lines(messages: Sequence[LineMessage], most: int) -> Sequence[Line]:
    """The lines of a verb that may speak of a part of a hold; none means all of it."""
    return read_lines(messages, most) if messages else ()


def read_place(message: hold_pb.PlaceHoldRequest, max_lines: int, max_ttl_ms: int) -> PlaceRequest:
    """What PlaceHold is asked."""
    return PlaceRequest(
        read_lines(message.lines, max_lines),
        read_ttl_ms(message.ttl, max_ttl_ms) if message.HasField("ttl") else None,
        read_text("reference", message.reference, limits.MAX_REFERENCE_LENGTH),
        read_text("note", message.note, limits.MAX_NOTE_LENGTH),
        message.allow_partial,
    )


def read_confirm(message: hold_pb.ConfirmHoldRequest, max_lines: int) -> ConfirmRequest:
    """What ConfirmHold is asked."""
    hold_id, lines = read_hold_id(message.hold_id), read_asked_lines(message.lines, max_lines)
    if message.rehold_if_expired and lines:
        sentence = "takes the whole hold again; give no lines with it"
        raise InvalidRequest(("rehold_if_expired", sentence))
    return ConfirmRequest(hold_id, lines, message.keep_rest, message.rehold_if_expired)


def read_release(message: hold_pb.ReleaseHoldRequest, max_lines: int) -> ReleaseRequest:
    """What ReleaseHold is asked."""
    return ReleaseRequest(read_hold_id(message.hold_id), read_asked_lines(message.lines, max_lines))


def read_holds_of(message: hold_pb.ListHoldsRequest) -> tuple[str, str, str]:
    """Whose holds are asked for: (reference, "", ""), or ("", sku, location)."""
    if message.reference and (message.sku or message.location):
        raise InvalidRequest(("reference", "give a reference, or sku and location"))
    if message.reference:
        longest = limits.MAX_REFERENCE_LENGTH
        return read_text("reference", message.reference, longest), "", ""
    if not message.sku and not message.location:
        raise InvalidRequest(("reference", "required, or sku and location"))
    return "", read_sku("sku", message.sku), read_location("location", message.location)


def read_hold_state(value: int) -> str:
    """The state to filter by; empty for any."""
    if value not in _STATE_NAMES:
        raise InvalidRequest(("state", "not a state"))
    return _STATE_NAMES[value]


def read_actor(actor: str) -> str | None:
    """The actor to filter by, as it is stored; None for any."""
    if not actor:
        return None
    return "" if actor == ANONYMOUS else read_text("actor", actor, limits.MAX_ACTOR_LENGTH)


def read_items(messages: Sequence[Any], read: Callable[[Any], Asked], call: Origin) -> list[Any]:
    """The items of a batch, as (request, origin), or what is wrong with each."""
    if not 1 <= len(messages) <= limits.MAX_BATCH_ITEMS:
        sentence = f"1 to {limits.MAX_BATCH_ITEMS}; there are {len(messages)}"
        raise InvalidRequest(("items", sentence))
    lines = sum([len(message.request.lines) for message in messages])
    if lines > limits.MAX_BATCH_LINES:
        sentence = f"at most {limits.MAX_BATCH_LINES} lines in all; there are {lines}"
        raise InvalidRequest(("items", sentence))
    items: list[tuple[Asked, Origin] | InventoryError] = []
    for number, message in enumerate(messages):
        key = unquoted(message.idempotency_key)
        try:
            if key and not is_key(key):
                raise InvalidRequest(("idempotency_key", f"an idempotency key is {KEY_FORM}"))
            items.append((read(message.request), call.of_item(number, key)))
        except InvalidRequest as error:
            items.append(error)
    return items


def read_text(field: str, text: str, longest: int) -> str:
    """Free text, without control characters."""
    if len(text) > longest:
        raise InvalidRequest((field, f"at most {longest} characters; it has {len(text)}"))
    if text and has_control(text):
        raise InvalidRequest((field, "must not contain control characters"))
    return text


def read_ttl_ms(ttl: Duration, longest_ms: int) -> int:
    """A hold's time, in ms, rounded down."""
    ttl_ms = ttl.seconds * 1000 + ttl.nanos // 1_000_000
    if not limits.MIN_TTL_MS <= ttl_ms <= longest_ms:
        sentence = f"{limits.MIN_TTL_MS // 1000} s to {longest_ms // 1000} s; it is {ttl_ms} ms"
        raise InvalidRequest(("ttl", sentence))
    return ttl_ms


def read_sku(field: str, sku: str) -> str:
    """A SKU."""
    if not is_sku(sku):
        raise InvalidRequest((field, f"a SKU is {SKU_FORM}"))
    return sku


def read_location(field: str, location: str) -> str:
    """A location."""
    if not is_location(location):
        raise InvalidRequest((field, f"a location is {LOCATION_FORM}"))
    return location


def read_hold_id(hold_id: str) -> str:
    """A hold's id; whether there is such a hold is the store's to say."""
    if not hold_id or len(hold_id) > limits.MAX_HOLD_ID_LENGTH:
        raise InvalidRequest(("hold_id", f"1 to {limits.MAX_HOLD_ID_LENGTH} characters"))
    return hold_id


def check_count(field: str, count: int, most: int, violations: Violations) -> None:
    """Notes a list that is too short or too long."""
    if not 1 <= count <= most:
        violations.append((field, f"1 to {most}; there are {count}"))


def check_level(field: str, sku: str, location: str, violations: Violations) -> None:
    """Notes a SKU or a location that is not one."""
    if not is_sku(sku):
        violations.append((f"{field}.sku", f"a SKU is {SKU_FORM}"))
    if not is_location(location):
        violations.append((f"{field}.location", f"a location is {LOCATION_FORM}"))


def check_range(field: str, value: int, least: int, violations: Violations) -> None:
    """Notes a number that is out of its range."""
    if not least <= value <= limits.MAX_QUANTITY:
        violations.append((field, f"{least} to {limits.MAX_QUANTITY}; it is {value}"))
