"""What a watch tells of, each kind as a class of its own, to be told apart by `match`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from inventory.v1.alert_service_pb2 import Alert, WatchLowStockResponse
from inventory.v1.movement_pb2 import Movement
from inventory.v1.stock_level_pb2 import StockLevel
from inventory.v1.stock_service_pb2 import WatchStockResponse

from inventory_client.words import datetime_of


@dataclass(frozen=True, slots=True)
class SnapshotStarted:
    """A snapshot begins: forget what was known before; its levels follow.

    It comes again where a snapshot broke off, and where the watch could not go
    on after its cursor.
    """

    cause: str = ""
    """`CURSOR_EXPIRED` where something is missing before it; else empty."""
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotLevel:
    """A level of the snapshot: of WatchLowStock, one that is low or out."""

    level: StockLevel
    cursor: str = ""
    """Always empty: a snapshot that breaks off begins anew."""


@dataclass(frozen=True, slots=True)
class SnapshotEnded:
    """All levels of the snapshot have come; what follows happened after it began."""

    cursor: str


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A level became low, ran out, or recovered."""

    alert: Alert
    cursor: str
    """Where to go on after it; to be stored once it is dealt with."""


@dataclass(frozen=True, slots=True)
class MovementEvent:
    """A level, or a hold, changed."""

    movement: Movement
    cursor: str
    """Where to go on after it; to be stored once it is dealt with."""


@dataclass(frozen=True, slots=True)
class HeartbeatEvent:
    """Nothing happened, and the watch is alive; only where heartbeats were asked for."""

    time: datetime
    cursor: str


LowStockEvent: TypeAlias = (
    SnapshotStarted | SnapshotLevel | SnapshotEnded | AlertEvent | HeartbeatEvent
)
StockEvent: TypeAlias = (
    SnapshotStarted | SnapshotLevel | SnapshotEnded | MovementEvent | HeartbeatEvent
)
CommonEvent: TypeAlias = SnapshotLevel | SnapshotEnded | HeartbeatEvent


def low_stock_event_of(message: WatchLowStockResponse) -> AlertEvent | CommonEvent:
    """The event of a message."""
    if message.HasField("alert"):
        return AlertEvent(message.alert, message.cursor)
    return _common_event_of(message)


def stock_event_of(message: WatchStockResponse) -> MovementEvent | CommonEvent:
    """The event of a message."""
    if message.HasField("movement"):
        return MovementEvent(message.movement, message.cursor)
    return _common_event_of(message)


def _common_event_of(message: WatchLowStockResponse | WatchStockResponse) -> CommonEvent:
    if message.HasField("snapshot_level"):
        return SnapshotLevel(message.snapshot_level)
    if message.HasField("snapshot_end"):
        return SnapshotEnded(message.cursor)
    # A kind of message that is newer than this library has a cursor too.
    return HeartbeatEvent(datetime_of(message.heartbeat.time), message.cursor)
