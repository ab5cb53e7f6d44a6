"""Domain errors to gRPC status: one table, and the details that fit each error."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from inventory_server.domain import errors
from inventory_server.domain.limits import MAX_DETAILS_BYTES

DOMAIN = "inventory.v1"
DETAILS_KEY = "grpc-status-details-bin"

STATUS: dict[type[errors.InventoryError], StatusCode] = {
    errors.InvalidRequest: StatusCode.INVALID_ARGUMENT,
    errors.IdempotencyKeyReused: StatusCode.INVALID_ARGUMENT,
    errors.StockLevelNotFound: StatusCode.NOT_FOUND,
    errors.HoldNotFound: StatusCode.NOT_FOUND,
    errors.HoldEnded: StatusCode.FAILED_PRECONDITION,
    errors.LinesRefused: StatusCode.FAILED_PRECONDITION,
    errors.OnHandMismatch: StatusCode.ABORTED,
    errors.TooManyParts: StatusCode.FAILED_PRECONDITION,
    errors.LevelBusy: StatusCode.ABORTED,
    errors.CursorExpired: StatusCode.OUT_OF_RANGE,
    errors.SlowConsumer: StatusCode.RESOURCE_EXHAUSTED,
    errors.TooManyStreams: StatusCode.RESOURCE_EXHAUSTED,
    errors.ProductNotFound: StatusCode.NOT_FOUND,
    errors.EtagMismatch: StatusCode.ABORTED,
    errors.BarcodeTaken: StatusCode.ALREADY_EXISTS,
    errors.CatalogThrottled: StatusCode.UNAVAILABLE,
    errors.ValueTooLarge: StatusCode.FAILED_PRECONDITION,
    errors.StoreUnavailable: StatusCode.UNAVAILABLE,
    errors.OutcomeUnknown: StatusCode.UNAVAILABLE,
    errors.StoreRewound: StatusCode.UNAVAILABLE,
    errors.Draining: StatusCode.UNAVAILABLE,
    errors.StoreFull: StatusCode.RESOURCE_EXHAUSTED,
    errors.Internal: StatusCode.INTERNAL,
}
"""Looked up along the error's classes: the nearest entry counts."""

RETRY_AFTER_MS: dict[type[errors.InventoryError], int] = {
    errors.StoreUnavailable: 200,
    errors.OutcomeUnknown: 200,
    errors.LevelBusy: 500,
    errors.Draining: 100,
    errors.StoreFull: 5_000,
    errors.CatalogThrottled: 1_000,
}
"""The errors that a retry can help, and the pause before it."""


def status_of(error: errors.InventoryError) -> StatusCode:
    """The status that the error leaves with."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def pack_status(error: errors.InventoryError) -> bytes:
    """A serialized google.rpc.Status whose details stay within MAX_DETAILS_BYTES."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.facts)
    code: int = status_of(error).value[0]
    status = status_pb2.Status(code=code, message=error.message, details=[_any(info)])
    detail = _detail(error, MAX_DETAILS_BYTES - ANY_BYTES - status.ByteSize())
    if detail is not None:
        status.details.append(_any(detail))
    packed: bytes = status.SerializeToString()
    return packed


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _detail(error: errors.InventoryError, room: int) -> Message | None:
    detail: Message | None = None
    if isinstance(error, errors.InvalidRequest):
        detail = _bad_request(error, room)
    elif isinstance(error, errors.LinesRefused):
        detail = _line_violations(error, room)
    elif isinstance(error, errors.HoldExpired) and error.short is not None:
        detail = _line_violations(error.short, room)
    elif isinstance(error, errors.HoldEnded):
        violation = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason, subject=f"holds/{error.hold_id}", description=error.message
        )
        detail = error_details_pb2.PreconditionFailure(violations=[violation])
    elif isinstance(error, errors.StockLevelNotFound):
        name = "/".join(error.levels[0])
        detail = error_details_pb2.ResourceInfo(resource_type="StockLevel", resource_name=name)
    elif isinstance(error, errors.HoldNotFound):
        detail = error_details_pb2.ResourceInfo(resource_type="Hold", resource_name=error.hold_id)
    elif isinstance(error, errors.ProductNotFound):
        detail = error_details_pb2.ResourceInfo(resource_type="Product", resource_name=error.name)
    elif type(error) in RETRY_AFTER_MS:
        pause_ms = RETRY_AFTER_MS[type(error)]
        pause = duration_pb2.Duration(seconds=pause_ms // 1000, nanos=pause_ms % 1000 * 10**6)
        detail = error_details_pb2.RetryInfo(retry_delay=pause)
    return detail


def _bad_request(error: errors.InvalidRequest, room: int) -> Message:
    bad: Any = error_details_pb2.BadRequest()
    for field, sentence in error.violations:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=sentence)
        room -= _size(violation)
        if room < 0:
            break
        bad.field_violations.append(violation)
    return cast(Message, bad)


def _line_violations(error: errors.LinesRefused, room: int) -> Message:
    failure: Any = error_details_pb2.PreconditionFailure()
    for line in error.lines:
        numbers = ", ".join(f"{name} {line[name]}" for name in error.numbers)
        violation = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason,
            subject=f"{line['location']}/{line['sku']}",
            description=numbers or error.sentence,
        )
        room -= _size(violation)
        if room < 0:
            break
        failure.violations.append(violation)
    return cast(Message, failure)


ANY_BYTES = 80
"""What wrapping a detail costs: its type's name, and a few lengths."""


def _size(violation: Message) -> int:
    return violation.ByteSize() + 3
