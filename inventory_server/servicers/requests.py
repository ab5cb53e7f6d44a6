"""Requests to domain values: the only place for it. Bad requests stop here."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from inventory.v1 import stock_level_pb2 as level_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.line_pb2 import Line as LineMessage

from inventory_server.domain import limits
from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.model import CountLine, ImportRow, Line
from inventory_server.domain.rules import LOCATION_FORM, SKU_FORM, has_control, is_location, is_sku

_STATUS_NAMES: dict[int, str] = {
    level_pb.STOCK_STATUS_UNSPECIFIED: "",
    level_pb.STOCK_STATUS_OK: "OK",
    level_pb.STOCK_STATUS_LOW: "LOW",
    level_pb.STOCK_STATUS_OUT: "OUT",
}
_REASONS: dict[int, str] = {
    number: name.removeprefix("STOCK_CHANGE_REASON_")
    for name, number in stock_pb.StockChangeReason.items()
    if number
}

Violations = list[tuple[str, str]]


def _raise_any(violations: Violations) -> None:
    if violations:
        raise InvalidRequest(*violations)


def read_lines(messages: Sequence[LineMessage], most: int) -> list[Line]:
    """The lines of a request, each well-formed."""
    lines: list[Line] = []
    violations: Violations = []
    _check_count("lines", len(messages), most, violations)
    for i, message in enumerate(messages):
        sku, location, quantity = message.sku, message.location, message.quantity
        if not (is_sku(sku) and is_location(location) and 0 < quantity <= limits.MAX_QUANTITY):
            _check_level(f"lines[{i}]", sku, location, violations)
            _check_range(f"lines[{i}].quantity", quantity, 1, violations)
        lines.append(Line(sku, location, quantity))
    _raise_any(violations)
    return lines


def read_count_lines(messages: Sequence[stock_pb.SetStockLine]) -> list[CountLine]:
    """The lines of SetStock: each level once."""
    lines: list[CountLine] = []
    violations: Violations = []
    seen: set[tuple[str, str]] = set()
    _check_count("lines", len(messages), limits.MAX_STOCK_LINES, violations)
    for i, message in enumerate(messages):
        _check_level(f"lines[{i}]", message.sku, message.location, violations)
        _check_range(f"lines[{i}].on_hand", message.on_hand, 0, violations)
        expected = message.expected_on_hand if message.HasField("expected_on_hand") else None
        if expected is not None and abs(expected) > limits.MAX_TOTAL:
            sentence = f"-{limits.MAX_TOTAL} to {limits.MAX_TOTAL}"
            violations.append((f"lines[{i}].expected_on_hand", sentence))
        if (message.location, message.sku) in seen:
            violations.append((f"lines[{i}]", "this level stands in an earlier line"))
        seen.add((message.location, message.sku))
        lines.append(CountLine(message.sku, message.location, message.on_hand, expected))
    _raise_any(violations)
    return lines


def read_delta_lines(messages: Sequence[stock_pb.AdjustStockLine]) -> list[Line]:
    """The lines of AdjustStock; a Line's quantity is the delta."""
    lines: list[Line] = []
    violations: Violations = []
    _check_count("lines", len(messages), limits.MAX_STOCK_LINES, violations)
    for i, message in enumerate(messages):
        _check_level(f"lines[{i}]", message.sku, message.location, violations)
        if message.delta == 0 or abs(message.delta) > limits.MAX_QUANTITY:
            most = limits.MAX_QUANTITY
            sentence = f"-{most} to {most} and not 0; it is {message.delta}"
            violations.append((f"lines[{i}].delta", sentence))
        lines.append(Line(message.sku, message.location, message.delta))
    _raise_any(violations)
    return lines


def read_chunk(message: stock_pb.ImportStockRequest) -> list[ImportRow]:
    """The rows of a chunk, not yet judged one by one."""
    violations: Violations = []
    _check_count("rows", len(message.rows), limits.MAX_STOCK_LINES, violations)
    first = message.first_row
    if not 1 <= first <= limits.MAX_TOTAL:
        violations.append(("first_row", f"1 to {limits.MAX_TOTAL}; it is {first}"))
    _raise_any(violations)
    return [
        ImportRow(number, row.sku, row.location, row.quantity)
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


def read_sku_prefix(prefix: str) -> str:
    """The beginning of a SKU; may be empty."""
    return read_sku("sku_prefix", prefix) if prefix else ""


def read_location(field: str, location: str) -> str:
    """A location."""
    if not is_location(location):
        raise InvalidRequest((field, f"a location is {LOCATION_FORM}"))
    return location


def read_locations(locations: Sequence[str]) -> list[str]:
    """The locations of a read; empty means all."""
    if len(locations) > limits.MAX_LOCATIONS:
        sentence = f"at most {limits.MAX_LOCATIONS}; there are {len(locations)}"
        raise InvalidRequest(("locations", sentence))
    return [read_location(f"locations[{i}]", name) for i, name in enumerate(locations)]


def read_skus(skus: Sequence[str], locations: Sequence[str]) -> list[str]:
    """The SKUs of a batch read: each once, and not too many levels in all."""
    violations: Violations = []
    _check_count("skus", len(skus), limits.MAX_BATCH_SKUS, violations)
    _raise_any(violations)
    if len(set(skus)) != len(skus):
        raise InvalidRequest(("skus", "each SKU may be named once"))
    if len(skus) * len(locations) > limits.MAX_BATCH_LEVELS:
        sentence = f"SKUs times locations may be at most {limits.MAX_BATCH_LEVELS}"
        raise InvalidRequest(("skus", sentence))
    return [read_sku(f"skus[{i}]", sku) for i, sku in enumerate(skus)]


def read_hold_id(hold_id: str) -> str:
    """A hold's id; whether there is such a hold is the store's to say."""
    if not hold_id or len(hold_id) > limits.MAX_HOLD_ID_LENGTH:
        raise InvalidRequest(("hold_id", f"1 to {limits.MAX_HOLD_ID_LENGTH} characters"))
    return hold_id


def _check_count(field: str, count: int, most: int, violations: Violations) -> None:
    if not 1 <= count <= most:
        violations.append((field, f"1 to {most}; there are {count}"))


def _check_level(field: str, sku: str, location: str, violations: Violations) -> None:
    if not is_sku(sku):
        violations.append((f"{field}.sku", f"a SKU is {SKU_FORM}"))
    if not is_location(location):
        violations.append((f"{field}.location", f"a location is {LOCATION_FORM}"))


def _check_range(field: str, value: int, least: int, violations: Violations) -> None:
    if not least <= value <= limits.MAX_QUANTITY:
        violations.append((field, f"{least} to {limits.MAX_QUANTITY}; it is {value}"))
