"""What callers were told, in the words of the model."""

from __future__ import annotations

from typing import Any

from inventory.v1 import alert_service_pb2 as alert_pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import movement_pb2
from inventory.v1 import stock_level_pb2 as level_pb

from inventory_server.domain.model import Hold, HoldLine, Level
from tests.proof.alerts import Alert, By
from tests.proof.words import available

_STATES = {number: name.removeprefix("HOLD_STATE_") for name, number in hold_pb.HoldState.items()}


def told_hold(hold: hold_pb.Hold) -> Hold:
    """A hold as a caller was told."""
    lines = [
        HoldLine(x.sku, x.location, x.quantity, x.held, x.confirmed, x.released, x.expired)
        for x in hold.lines
    ]
    return Hold(
        hold.hold_id, _STATES[hold.state], tuple(lines), hold.create_time.ToMilliseconds(),
        hold.expire_time.ToMilliseconds(),
        hold.resolve_time.ToMilliseconds() if hold.HasField("resolve_time") else None,
        hold.reference, hold.note, told_actor(hold.actor),
    )  # fmt: skip


def told_actor(actor: str) -> str:
    """Who acted; nobody by name is empty, as it is stored."""
    return "" if actor == "anonymous" else actor


def told_level(told: Any, alert_state: str = "") -> Level:
    """A level as a caller was told. Its alert state is not among that."""
    return Level(
        told.sku, told.location, told.on_hand, told.held, told.version, told.safety_stock,
        told.backorder_limit, told.reorder_point, told.rearm_point, alert_state,
    )  # fmt: skip


def is_well_told(told: Any) -> bool:
    """Whether what is computed from a level is told as it follows."""
    units = available(told)
    status = "OUT" if units <= 0 else "LOW" if units <= told.reorder_point else "OK"
    sellable = max(0, units + told.backorder_limit)
    told_status = level_pb.StockStatus.Name(told.status)
    return (told.available, told.sellable, told_status) == (
        units, sellable, f"STOCK_STATUS_{status}",
    )  # fmt: skip


def told_alert(alert: alert_pb.Alert) -> Alert:
    """An alert as a subscriber was told. The kind says which alert state the level has now."""
    kind = alert_pb.AlertKind.Name(alert.kind).removeprefix("ALERT_KIND_")
    cause = movement_pb2.MovementKind.Name(alert.cause).removeprefix("MOVEMENT_KIND_")
    state = "OK" if kind == "RECOVERED" else kind
    return Alert(
        kind, alert.location, alert.sku, alert.available_before, alert.available_after,
        told_level(alert.level, state) if alert.HasField("level") else None,
        By(
            cause, alert.time.ToMilliseconds(), told_actor(alert.actor), alert.reference,
            alert.hold_id,
        ),
    )  # fmt: skip
