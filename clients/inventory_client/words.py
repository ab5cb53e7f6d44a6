"""From what callers write to what is sent: lines, spans of time, names of enums."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from inventory.v1.alert_service_pb2 import AlertKind
from inventory.v1.hold_service_pb2 import HoldState
from inventory.v1.line_pb2 import Line
from inventory.v1.stock_change_reason_pb2 import StockChangeReason
from inventory.v1.stock_level_pb2 import StockStatus
from inventory.v1.stock_service_pb2 import (
    AdjustStockLine,
    DeleteStockLevelsLine,
    ImportMode,
    SetStockLine,
    TransferStockLine,
)

LineLike: TypeAlias = Line | tuple[str, str, int]
"""A Line, or (sku, location, quantity)."""
SetLineLike: TypeAlias = SetStockLine | tuple[str, str, int]
"""A SetStockLine, or (sku, location, on_hand)."""
AdjustLineLike: TypeAlias = AdjustStockLine | tuple[str, str, int]
"""An AdjustStockLine, or (sku, location, delta)."""
TransferLineLike: TypeAlias = TransferStockLine | tuple[str, int]
"""A TransferStockLine, or (sku, quantity)."""
DeleteLineLike: TypeAlias = DeleteStockLevelsLine | tuple[str, str]
"""A DeleteStockLevelsLine, or (sku, location)."""
Span: TypeAlias = float | timedelta
"""Seconds, or a timedelta."""

ReasonName: TypeAlias = Literal[
    "COUNT", "RECEIPT", "RETURN", "DAMAGE", "LOSS", "CORRECTION", "OTHER"
]
StatusName: TypeAlias = Literal["OK", "LOW", "OUT"]
StateName: TypeAlias = Literal["HELD", "CONFIRMED", "RELEASED", "EXPIRED"]
KindName: TypeAlias = Literal["LOW", "OUT", "RECOVERED"]
ModeName: TypeAlias = Literal["SET", "ADD"]

_NANOS: Final = 1_000_000_000


def lines_of(lines: Iterable[LineLike]) -> list[Line]:
    """The lines as messages."""
    return [
        Line(sku=line[0], location=line[1], quantity=line[2]) if isinstance(line, tuple) else line
        for line in lines
    ]


def set_lines_of(lines: Iterable[SetLineLike]) -> list[SetStockLine]:
    """The lines as messages."""
    return [
        SetStockLine(sku=line[0], location=line[1], on_hand=line[2])
        if isinstance(line, tuple)
        else line
        for line in lines
    ]


def adjust_lines_of(lines: Iterable[AdjustLineLike]) -> list[AdjustStockLine]:
    """The lines as messages."""
    return [
        AdjustStockLine(sku=line[0], location=line[1], delta=line[2])
        if isinstance(line, tuple)
        else line
        for line in lines
    ]


def transfer_lines_of(lines: Iterable[TransferLineLike]) -> list[TransferStockLine]:
    """The lines as messages."""
    return [
        TransferStockLine(sku=line[0], quantity=line[1]) if isinstance(line, tuple) else line
        for line in lines
    ]


def delete_lines_of(lines: Iterable[DeleteLineLike]) -> list[DeleteStockLevelsLine]:
    """The lines as messages."""
    return [
        DeleteStockLevelsLine(sku=line[0], location=line[1]) if isinstance(line, tuple) else line
        for line in lines
    ]


def duration_of(span: Span | None) -> Duration | None:
    """A span as a message; None stays unset."""
    if span is None:
        return None
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    nanos = round(seconds * _NANOS)
    return Duration(seconds=nanos // _NANOS, nanos=nanos % _NANOS)


def timestamp_of(time: datetime | None) -> Timestamp | None:
    """A time as a message; a time without a zone is taken as local time."""
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time.astimezone(UTC))
    return stamp


def datetime_of(stamp: Timestamp) -> datetime:
    """A time of a message, in UTC."""
    return stamp.ToDatetime(UTC)


def reason_of(name: ReasonName) -> StockChangeReason.ValueType:
    """The enum's value."""
    return StockChangeReason.Value(f"STOCK_CHANGE_REASON_{name}")


def status_of(name: StatusName | None) -> StockStatus.ValueType:
    """The enum's value; None is not set."""
    return StockStatus.Value(f"STOCK_STATUS_{name or 'UNSPECIFIED'}")


def state_of(name: StateName | None) -> HoldState.ValueType:
    """The enum's value; None is not set."""
    return HoldState.Value(f"HOLD_STATE_{name or 'UNSPECIFIED'}")


def kinds_of(names: Iterable[KindName]) -> list[AlertKind.ValueType]:
    """The enum's values."""
    return [AlertKind.Value(f"ALERT_KIND_{name}") for name in names]


def mode_of(name: ModeName) -> ImportMode.ValueType:
    """The enum's value."""
    return ImportMode.Value(f"IMPORT_MODE_{name}")
