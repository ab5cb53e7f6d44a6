"""Domain values to responses: the only place for it.

`put_` functions fill a message that is already part of its response, which
costs half of building one aside and copying it in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer as Messages
from google.protobuf.timestamp_pb2 import Timestamp
from inventory.v1 import alert_service_pb2 as alert_pb
from inventory.v1 import audit_service_pb2 as audit_pb
from inventory.v1 import availability_service_pb2 as availability_pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import movement_pb2 as movement_pb
from inventory.v1 import stock_change_reason_pb2 as reason_pb
from inventory.v1 import stock_level_pb2 as level_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.domain.audit import Discrepancy, VerifyProgress, VerifySummary
from inventory_server.domain.errors import Internal, InventoryError
from inventory_server.domain.model import (
    Hold,
    HoldChange,
    ImportResult,
    Level,
    LineAvailability,
    Movement,
)
from inventory_server.domain.rules import ANONYMOUS
from inventory_server.domain.stream import Alert, Message
from inventory_server.servicers.rpc_call import RpcCall
from inventory_server.servicers.status import status_of

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


def put_level(message: level_pb.StockLevel, level: Level) -> None:
    """A level as it is sent, in a message that is already there."""
    available, sellable, status = level.standing()
    message.sku, message.location = level.sku, level.location
    message.on_hand, message.held, message.version = level.on_hand, level.held, level.version
    message.available, message.sellable, message.status = available, sellable, _STATUS[status]
    message.safety_stock, message.backorder_limit = level.safety_stock, level.backorder_limit
    message.reorder_point, message.rearm_point = level.reorder_point, level.rearm_point


def put_levels(messages: Messages[level_pb.StockLevel], levels: Iterable[Level]) -> None:
    """Levels as they are sent."""
    for level in levels:
        sku, location, on_hand, held, version, safety, backorder, reorder, rearm, _ = level
        available, sellable, status = level.standing()
        message = messages.add(
            sku=sku,
            location=location,
            on_hand=on_hand,
            held=held,
            available=available,
            sellable=sellable,
            status=_STATUS[status],
            version=version,
        )
        if safety or backorder or reorder or rearm:
            message.safety_stock = safety
            message.backorder_limit = backorder
            message.reorder_point = reorder
            message.rearm_point = rearm


def put_default(message: stock_pb.LocationPolicy, level: Level) -> None:
    """A location's default policy as it is sent."""
    message.location = level.location
    message.reorder_point, message.rearm_point = level.reorder_point, level.rearm_point
    message.safety_stock, message.backorder_limit = level.safety_stock, level.backorder_limit


def put_hold(message: hold_pb.Hold, hold: Hold) -> None:
    """A hold as it is sent."""
    hold_id, state, lines, create_ms, expire_ms, resolve_ms, reference, note, actor = hold
    message.hold_id = hold_id
    message.state = _HOLD_STATE[state]
    add_line = message.lines.add
    for sku, location, quantity, held, confirmed, released, expired in lines:
        line = add_line(sku=sku, location=location, quantity=quantity, held=held)
        if held != quantity:
            line.confirmed, line.released, line.expired = confirmed, released, expired
    put_time(message.create_time, create_ms)
    put_time(message.expire_time, expire_ms)
    if resolve_ms is not None:
        put_time(message.resolve_time, resolve_ms)
    if reference:
        message.reference = reference
    if note:
        message.note = note
    message.actor = actor or ANONYMOUS


def put_hold_change(
    message: hold_pb.PlaceHoldResponse | hold_pb.ConfirmHoldResponse | hold_pb.ReleaseHoldResponse,
    change: HoldChange,
) -> None:
    """What became of a hold and its levels as it is sent."""
    put_hold(message.hold, change.hold)
    put_levels(message.levels, change.levels)
    message.cursor = change.cursor
    if isinstance(message, hold_pb.PlaceHoldResponse):
        for sku, location, requested, held in change.shortages:
            message.shortages.add(
                sku=sku, location=location, requested=requested, held=held,
                shortage=requested - held,
            )  # fmt: skip
    elif isinstance(message, hold_pb.ConfirmHoldResponse):
        message.reheld = change.reheld


def put_results(
    messages: Messages[Any], results: Iterable[HoldChange | Exception], call: RpcCall
) -> None:
    """What became of a batch's items as it is sent."""
    for result in results:
        message = messages.add()
        if isinstance(result, HoldChange):
            put_hold_change(message.response, result)
            message.replayed = result.replayed
            continue
        error = result if isinstance(result, InventoryError) else Internal(call.request_id)
        code = status_of(error).value[0]
        message.error.code, message.error.reason = code, error.reason
        message.error.message = error.message
        message.error.metadata.update(error.facts)


def put_movements(messages: Messages[movement_pb.Movement], movements: Iterable[Movement]) -> None:
    """Movements as they are sent."""
    for movement in movements:
        put_movement(messages.add(), movement)


def put_movement(message: movement_pb.Movement, movement: Movement) -> None:
    """A movement as it is sent."""
    message.movement_id = movement.movement_id
    message.kind = movement_pb.MovementKind.Value(f"MOVEMENT_KIND_{movement.kind}")
    message.actor = movement.actor or ANONYMOUS
    message.note, message.reference = movement.note, movement.reference
    message.sku, message.location = movement.sku, movement.location
    message.on_hand_delta, message.held_delta = movement.on_hand_delta, movement.held_delta
    message.hold_id = movement.hold_id
    put_time(message.time, movement.time_ms)
    if movement.reason:
        name = f"STOCK_CHANGE_REASON_{movement.reason}"
        message.reason = reason_pb.StockChangeReason.Value(name)
    if movement.level is not None:
        put_level(message.level, movement.level)


def stock_message(sku: str, levels: Sequence[Level]) -> stock_pb.Stock:
    """A SKU's levels and totals as they are sent."""
    online = [level for level in levels if level.location == "online"]
    stores = [level for level in levels if level.location != "online"]
    message = stock_pb.Stock(
        sku=sku, total=_totals(levels), online=_totals(online), stores=_totals(stores)
    )
    put_levels(message.levels, levels)
    return message


def put_availability(
    messages: Messages[availability_pb.LineAvailability], lines: Iterable[LineAvailability]
) -> None:
    """The levels' parts of a verdict as they are sent."""
    for line in lines:
        level, shortage = line.level, line.shortage
        message = messages.add(
            sku=line.sku,
            location=line.location,
            found=level is not None,
            requested=line.requested,
            available=level.available if level else 0,
            sellable=line.sellable,
            shortage=shortage,
            active=line.active,
        )
        if shortage and line.earliest_expire_time_ms is not None:
            put_time(message.earliest_expire_time, line.earliest_expire_time_ms)


def alert_message(message: Message) -> alert_pb.WatchLowStockResponse:
    """A message of a stream of alerts as it is sent."""
    response = alert_pb.WatchLowStockResponse(cursor=message.cursor)
    event = message.event
    if isinstance(event, Alert):
        alert = response.alert
        alert.kind = alert_pb.AlertKind.Value(f"ALERT_KIND_{event.kind}")
        alert.sku, alert.location = event.sku, event.location
        put_time(alert.time, event.time_ms)
        alert.available_before = event.available_before
        alert.available_after = event.available_after
        if event.level is not None:
            put_level(alert.level, event.level)
        alert.cause = movement_pb.MovementKind.Value(f"MOVEMENT_KIND_{event.cause}")
        alert.movement_id, alert.hold_id = event.movement_id, event.hold_id
        alert.reference, alert.actor = event.reference, event.actor or ANONYMOUS
    else:
        _put_other(response, message)
    return response


def stock_event(message: Message) -> stock_pb.WatchStockResponse:
    """A message of a stream of movements as it is sent."""
    response = stock_pb.WatchStockResponse(cursor=message.cursor)
    if isinstance(message.event, Movement):
        put_movement(response.movement, message.event)
    else:
        _put_other(response, message)
    return response


def _put_other(
    response: alert_pb.WatchLowStockResponse | stock_pb.WatchStockResponse, message: Message
) -> None:
    if message.snapshot_level is not None:
        put_level(response.snapshot_level, message.snapshot_level)
    elif message.is_snapshot_end:
        response.snapshot_end.SetInParent()
    else:
        response.heartbeat.time.GetCurrentTime()


def verify_message(
    part: Discrepancy | VerifyProgress | VerifySummary,
) -> audit_pb.VerifyInvariantsResponse:
    """A part of a check's answer as it is sent."""
    if isinstance(part, VerifyProgress):
        return audit_pb.VerifyInvariantsResponse(progress=audit_pb.VerifyProgress(**part._asdict()))
    if isinstance(part, VerifySummary):
        return audit_pb.VerifyInvariantsResponse(summary=audit_pb.VerifySummary(**part._asdict()))
    kind = audit_pb.DiscrepancyKind.Value(f"DISCREPANCY_KIND_{part.kind}")
    # A damaged store may hold what is no text.
    message = part.message.encode("utf-8", "backslashreplace").decode()
    fields = {**part._asdict(), "kind": kind, "message": message}
    return audit_pb.VerifyInvariantsResponse(discrepancy=audit_pb.Discrepancy(**fields))


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


def put_time(message: Timestamp, time_ms: int) -> None:
    """The time as it is sent."""
    message.seconds = time_ms // 1000
    message.nanos = time_ms % 1000 * 1_000_000


def _totals(levels: Sequence[Level]) -> stock_pb.StockTotals:
    return stock_pb.StockTotals(
        on_hand=sum(level.on_hand for level in levels),
        held=sum(level.held for level in levels),
        available=sum(level.available for level in levels),
    )
