"""Domain values to responses: the only place for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from inventory.v1 import availability_service_pb2 as availability_pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_level_pb2 as level_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.domain.model import Hold, ImportResult, Level, LineAvailability

_STATUS = {
    "OK": level_pb.STOCK_STATUS_OK,
    "LOW": level_pb.STOCK_STATUS_LOW,
    "OUT": level_pb.STOCK_STATUS_OUT,
}
_HOLD_STATE = {
    "HELD": hold_pb.HOLD_STATE_HELD,
    "CONFIRMED": hold_pb.HOLD_STATE_CONFIRMED,
    "RELEASED": hold_pb.HOLD_STATE_RELEASED,
    "EXPIRED": hold_pb.HOLD_STATE_EXPIRED,
}
_NO_POLICY = (0, 0, 0, 0)
ANONYMOUS = "anonymous"


def level_message(level: Level) -> level_pb.StockLevel:
    """A level as it is sent."""
    available = level.available
    message = level_pb.StockLevel(
        sku=level.sku,
        location=level.location,
        on_hand=level.on_hand,
        held=level.held,
        available=available,
        sellable=level.sellable,
        status=_STATUS[level.status],
        version=level.version,
    )
    if level[5:9] != _NO_POLICY:
        message.safety_stock = level.safety_stock
        message.backorder_limit = level.backorder_limit
        message.reorder_point = level.reorder_point
        message.rearm_point = level.rearm_point
    return message


def level_messages(levels: Iterable[Level]) -> list[level_pb.StockLevel]:
    """Levels as they are sent."""
    return [level_message(level) for level in levels]


def hold_message(hold: Hold) -> hold_pb.Hold:
    """A hold as it is sent."""
    message = hold_pb.Hold(
        hold_id=hold.hold_id,
        state=_HOLD_STATE[hold.state],
        lines=[
            hold_pb.HoldLine(
                sku=line.sku,
                location=line.location,
                quantity=line.quantity,
                held=line.held,
                confirmed=line.confirmed,
                released=line.released,
                expired=line.expired,
            )
            for line in hold.lines
        ],
        create_time=timestamp(hold.create_time_ms),
        expire_time=timestamp(hold.expire_time_ms),
        reference=hold.reference,
        note=hold.note,
        actor=hold.actor or ANONYMOUS,
    )
    if hold.resolve_time_ms is not None:
        message.resolve_time.CopyFrom(timestamp(hold.resolve_time_ms))
    return message


def stock_message(sku: str, levels: Sequence[Level]) -> stock_pb.Stock:
    """A SKU's levels and totals as they are sent."""
    online = [level for level in levels if level.location == "online"]
    stores = [level for level in levels if level.location != "online"]
    return stock_pb.Stock(
        sku=sku,
        levels=level_messages(levels),
        total=_totals(levels),
        online=_totals(online),
        stores=_totals(stores),
    )


def availability_message(line: LineAvailability) -> availability_pb.LineAvailability:
    """A level's part of a verdict as it is sent."""
    shortage, level = line.shortage, line.level
    message = availability_pb.LineAvailability(
        sku=line.sku,
        location=line.location,
        found=level is not None,
        requested=line.requested,
        available=level.available if level else 0,
        sellable=line.sellable,
        shortage=shortage,
    )
    if shortage and line.earliest_expire_time_ms is not None:
        message.earliest_expire_time.CopyFrom(timestamp(line.earliest_expire_time_ms))
    return message


def import_message(result: ImportResult) -> stock_pb.ImportStockResponse:
    """What became of a chunk as it is sent."""
    return stock_pb.ImportStockResponse(
        first_row=result.first_row,
        accepted_rows=result.accepted_rows,
        refused_rows=[
            stock_pb.RefusedRow(
                row_number=row.row_number, field=row.field, reason=row.reason, message=row.message
            )
            for row in result.refused_rows
        ],
        next_row=result.next_row,
        cursor=result.cursor,
    )


def timestamp(time_ms: int) -> Timestamp:
    """The time as a Timestamp."""
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)


def _totals(levels: Sequence[Level]) -> stock_pb.StockTotals:
    return stock_pb.StockTotals(
        on_hand=sum(level.on_hand for level in levels),
        held=sum(level.held for level in levels),
        available=sum(level.available for level in levels),
    )
