"""Requests of StockService to domain values. Bad requests stop here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from inventory.v1 import alert_service_pb2 as alert_pb
from inventory.v1 import stock_change_reason_pb2 as reason_pb
from inventory.v1 import stock_level_pb2 as level_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.domain import limits
from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.model import (
    CountLine,
    ImportRow,
    Line,
    MovementFilter,
    Policy,
    PolicyLine,
)
from inventory_server.domain.rules import LOCATION_FORM, SKU_FORM, is_location, is_sku
from inventory_server.servicers import requests
from inventory_server.servicers.requests import Violations

_ALERT_KINDS: dict[int, str] = {
    number: name.removeprefix("ALERT_KIND_")
    for name, number in alert_pb.AlertKind.items()
    if number
}
_LAST_SECOND = 253_402_300_799
_STATUS_NAMES: dict[int, str] = {
    level_pb.STOCK_STATUS_UNSPECIFIED: "",
    level_pb.STOCK_STATUS_OK: "OK",
    level_pb.STOCK_STATUS_LOW: "LOW",
    level_pb.STOCK_STATUS_OUT: "OUT",
}
_REASONS: dict[int, str] = {
    number: name.removeprefix("STOCK_CHANGE_REASON_")
    for name, number in reason_pb.StockChangeReason.items()
    if number
}


def read_count_lines(messages: Sequence[stock_pb.SetStockLine]) -> list[CountLine]:
    """The lines of SetStock: each level once."""
    lines: list[CountLine] = []
    violations: Violations = []
    seen: set[tuple[str, str]] = set()
    requests.check_count("lines", len(messages), limits.MAX_STOCK_LINES, violations)
    for i, message in enumerate(messages):
        requests.check_level(f"lines[{i}]", message.sku, message.location, violations)
        requests.check_range(f"lines[{i}].on_hand", message.on_hand, 0, violations)
        expected = message.expected_on_hand if message.HasField("expected_on_hand") else None
        if expected is not None and abs(expected) > limits.MAX_TOTAL:
            sentence = f"-{limits.MAX_TOTAL} to {limits.MAX_TOTAL}"
            violations.append((f"lines[{i}].expected_on_hand", sentence))
        if (message.location, message.sku) in seen:
            violations.append((f"lines[{i}]", "this level stands in an earlier line"))
        seen.add((message.location, message.sku))
        lines.append(CountLine(message.sku, message.location, message.on_hand, expected))
    requests.raise_any(violations)
    return lines


def read_delta_lines(messages: Sequence[stock_pb.AdjustStockLine]) -> list[Line]:
    """The lines of AdjustStock; a Line's quantity is the delta."""
    lines: list[Line] = []
    violations: Violations = []
    requests.check_count("lines", len(messages), limits.MAX_STOCK_LINES, violations)
    for i, message in enumerate(messages):
        requests.check_level(f"lines[{i}]", message.sku, message.location, violations)
        if message.delta == 0 or abs(message.delta) > limits.MAX_QUANTITY:
            most = limits.MAX_QUANTITY
            sentence = f"-{most} to {most} and not 0; it is {message.delta}"
            violations.append((f"lines[{i}].delta", sentence))
        lines.append(Line(message.sku, message.location, message.delta))
    requests.raise_any(violations)
    return lines


def read_transfer(message: stock_pb.TransferStockRequest) -> list[tuple[str, int]]:
    """The lines of TransferStock, as (sku, quantity), between two locations."""
    violations: Violations = []
    requests.check_count("lines", len(message.lines), limits.MAX_TRANSFER_LINES, violations)
    for field in ("from_location", "to_location"):
        if not is_location(getattr(message, field)):
            violations.append((field, f"a location is {LOCATION_FORM}"))
    if message.from_location == message.to_location:
        violations.append(("to_location", "must be another one"))
    for i, line in enumerate(message.lines):
        if not is_sku(line.sku):
            violations.append((f"lines[{i}].sku", f"a SKU is {SKU_FORM}"))
        requests.check_range(f"lines[{i}].quantity", line.quantity, 1, violations)
    requests.raise_any(violations)
    return [(line.sku, line.quantity) for line in message.lines]


def read_levels(messages: Sequence[stock_pb.DeleteStockLevelsLine]) -> list[Line]:
    """The levels of DeleteStockLevels, each once; a Line's quantity is 0."""
    lines: dict[tuple[str, str], Line] = {}
    violations: Violations = []
    requests.check_count("lines", len(messages), limits.MAX_STOCK_LINES, violations)
    for i, message in enumerate(messages):
        requests.check_level(f"lines[{i}]", message.sku, message.location, violations)
        if (message.location, message.sku) in lines:
            violations.append((f"lines[{i}]", "this level stands in an earlier line"))
        lines[message.location, message.sku] = Line(message.sku, message.location, 0)
    requests.raise_any(violations)
    return list(lines.values())


def read_movement_filter(message: stock_pb.ListMovementsRequest) -> MovementFilter:
    """Which movements are wanted."""
    if message.location:
        requests.read_location("location", message.location)
    if message.sku:
        requests.read_sku("sku", message.sku)
        if not message.location:
            raise InvalidRequest(("location", "required with sku"))
    if message.hold_id:
        requests.read_hold_id(message.hold_id)
    times = {
        name: _read_time_ms(name, getattr(message, name)) if message.HasField(name) else None
        for name in ("from_time", "to_time")
    }
    return MovementFilter(
        message.location,
        message.sku,
        message.hold_id,
        requests.read_text("reference", message.reference, limits.MAX_REFERENCE_LENGTH),
        requests.read_actor(message.actor),
        times["from_time"],
        times["to_time"],
    )


def _read_time_ms(field: str, time: Timestamp) -> int:
    """A time, in ms, rounded up: what happens has a whole one, and is before or after."""
    if not 0 <= time.seconds <= _LAST_SECOND or not 0 <= time.nanos < 10**9:
        raise InvalidRequest((field, "not a time from 1970 to 9999"))
    return time.seconds * 1000 - -time.nanos // 1_000_000


def read_policies(messages: Sequence[stock_pb.SetStockPolicyLine]) -> list[PolicyLine]:
    """The lines of SetStockPolicy: each level, and each location's default, once."""
    lines: dict[tuple[str, str], PolicyLine] = {}
    violations: Violations = []
    requests.check_count("lines", len(messages), limits.MAX_STOCK_LINES, violations)
    for i, message in enumerate(messages):
        requests.check_level(f"lines[{i}]", message.sku or "DEFAULT", message.location, violations)
        policy = _read_policy(message)
        for name, value in zip(policy._fields, policy, strict=True):
            if value is not None:
                requests.check_range(f"lines[{i}].{name}", value, 0, violations)
        if policy == Policy():
            violations.append((f"lines[{i}]", "sets nothing"))
        if (message.location, message.sku) in lines:
            violations.append((f"lines[{i}]", "this stands in an earlier line"))
        lines[message.location, message.sku] = PolicyLine(message.sku, message.location, policy)
    requests.raise_any(violations)
    return list(lines.values())


def _read_policy(message: Any) -> Policy:
    names = Policy._fields
    return Policy(*[getattr(message, name) if message.HasField(name) else None for name in names])


def read_watched_skus(skus: Sequence[str]) -> list[str]:
    """The SKUs of a stream; empty means all."""
    if len(skus) > limits.MAX_BATCH_SKUS:
        raise InvalidRequest(("skus", f"at most {limits.MAX_BATCH_SKUS}; there are {len(skus)}"))
    return [requests.read_sku(f"skus[{i}]", sku) for i, sku in enumerate(skus)]


def read_alert_kinds(kinds: Sequence[int]) -> list[str]:
    """The kinds of alerts of a stream; empty means all."""
    for i, kind in enumerate(kinds):
        if kind not in _ALERT_KINDS:
            raise InvalidRequest((f"kinds[{i}]", "not a kind of alerts"))
    return [_ALERT_KINDS[kind] for kind in kinds]


def check_start(cursor: str, snapshot: bool) -> None:
    """A stream begins at one place."""
    if cursor and snapshot:
        raise InvalidRequest(("snapshot", "give a cursor or ask for a snapshot, not both"))


def read_chunk(message: stock_pb.ImportStockRequest) -> list[ImportRow]:
    """The rows of a chunk, not yet judged one by one."""
    violations: Violations = []
    requests.check_count("rows", len(message.rows), limits.MAX_STOCK_LINES, violations)
    first = message.first_row
    if not 1 <= first <= limits.MAX_TOTAL:
        violations.append(("first_row", f"1 to {limits.MAX_TOTAL}; it is {first}"))
    requests.raise_any(violations)
    return [
        ImportRow(number, row.sku, row.location, row.quantity, _read_policy(row))
        for number, row in enumerate(message.rows, first)
    ]


def read_import_mode(message: stock_pb.ImportStockRequest, earlier: str) -> str:
    """SET or ADD; every chunk of a call says the same."""
    modes = {stock_pb.IMPORT_MODE_SET: "SET", stock_pb.IMPORT_MODE_ADD: "ADD"}
    mode = modes.get(message.mode)
    if mode is None:
        raise InvalidRequest(("mode", "say SET or ADD"))
    if earlier not in ("", mode):
        raise InvalidRequest(("mode", "must be the same in every chunk"))
    return mode


def read_reason(value: int) -> str:
    """The reason of a change, by its short name."""
    if value not in _REASONS:
        raise InvalidRequest(("reason", f"required: one of {', '.join(_REASONS.values())}"))
    return _REASONS[value]


def read_status(value: int) -> str:
    """The status to filter by; empty for any."""
    if value not in _STATUS_NAMES:
        raise InvalidRequest(("status", "not a status"))
    return _STATUS_NAMES[value]


def read_sku_prefix(prefix: str) -> str:
    """The beginning of a SKU; may be empty."""
    return requests.read_sku("sku_prefix", prefix) if prefix else ""


def read_locations(locations: Sequence[str]) -> list[str]:
    """The locations of a read; empty means all."""
    if len(locations) > limits.MAX_LOCATIONS:
        sentence = f"at most {limits.MAX_LOCATIONS}; there are {len(locations)}"
        raise InvalidRequest(("locations", sentence))
    return [requests.read_location(f"locations[{i}]", name) for i, name in enumerate(locations)]


def read_skus(skus: Sequence[str], locations: Sequence[str]) -> list[str]:
    """The SKUs of a batch read: each once, and not too many levels in all."""
    violations: Violations = []
    requests.check_count("skus", len(skus), limits.MAX_BATCH_SKUS, violations)
    requests.raise_any(violations)
    if len(set(skus)) != len(skus):
        raise InvalidRequest(("skus", "each SKU may be named once"))
    if len(skus) * len(locations) > limits.MAX_BATCH_LEVELS:
        sentence = f"SKUs times locations may be at most {limits.MAX_BATCH_LEVELS}"
        raise InvalidRequest(("skus", sentence))
    return [requests.read_sku(f"skus[{i}]", sku) for i, sku in enumerate(skus)]
