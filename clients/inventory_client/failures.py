"""From the status of a gRPC call to a typed error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from inventory.v1.hold_service_pb2 import ItemError

from inventory_client.base_error import Failure, InventoryError
from inventory_client.errors import (
    BY_REASON,
    ClientClosed,
    DeadlineExceeded,
    NeverConnected,
    ServerUnreachable,
    UnknownReason,
    UnknownTransient,
)
from inventory_client.refused_lines import Violation

DETAILS_KEY: Final = "grpc-status-details-bin"
DOMAIN: Final = "inventory.v1"
NEVER_SENT: Final = ("failed to connect to all addresses", "DNS resolution failed")
"""How gRPC's messages begin where it had no connection to send a call on."""

BROKEN: Final = frozenset(
    (
        *(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED),
        *(grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN),
    )
)
"""What a connection that breaks, or a server that is killed, can end a call with. The service
itself gives a reason with each of its refusals."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def error_of(error: grpc.aio.AioRpcError) -> InventoryError:
    """The typed error of a call that ended badly."""
    trailers = dict(_pairs(error.trailing_metadata()))
    packed = trailers.get(DETAILS_KEY, b"")
    request_id = trailers.get("x-request-id", "")
    return typed_error(
        _read(
            error.code(),
            error.details() or "",
            packed if isinstance(packed, bytes) else b"",
            request_id if isinstance(request_id, str) else "",
        )
    )


def item_error(error: ItemError) -> InventoryError:
    """The typed error of one item of a batch."""
    code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
    failure = Failure(
        code=code, message=error.message, reason=error.reason, facts=dict(error.metadata)
    )
    typed = typed_error(failure)
    typed.maybe_applied = typed.ambiguous
    typed.idempotency_key = failure.facts.get("idempotency_key", "")
    return typed


def typed_error(failure: Failure) -> InventoryError:
    """The error of the class that stands for the reason, or for the status without one."""
    if failure.reason in BY_REASON:
        return BY_REASON[failure.reason](failure)
    if failure.reason:
        is_transient = failure.code is grpc.StatusCode.UNAVAILABLE
        return UnknownTransient(failure) if is_transient else UnknownReason(failure)
    if failure.code in BROKEN:
        is_sent = not failure.message.startswith(NEVER_SENT)
        return ServerUnreachable(failure) if is_sent else NeverConnected(failure)
    if failure.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(failure)
    return UnknownReason(failure)


def client_closed() -> ClientClosed:
    """The error of a call that the closing of its client ended."""
    return ClientClosed(Failure(code=grpc.StatusCode.CANCELLED, message="the client was closed"))


def broken_off(message: str) -> ServerUnreachable:
    """The error of a stream that ended, or went silent, without a status."""
    return ServerUnreachable(Failure(code=grpc.StatusCode.UNAVAILABLE, message=message))


def _pairs(metadata: Any) -> Iterable[tuple[str, str | bytes]]:
    return metadata or ()


def _read(code: grpc.StatusCode, message: str, packed: bytes, request_id: str) -> Failure:
    try:
        status = status_pb2.Status.FromString(packed)
    except DecodeError:
        status = status_pb2.Status()
    reason, delay_s = "", 0.0
    facts: dict[str, str] = {}
    violations: list[Violation] = []
    for detail in status.details:
        name = detail.type_url.rpartition("/")[2]
        if name == "google.rpc.ErrorInfo":
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            if info.domain == DOMAIN:
                reason, facts = info.reason, dict(info.metadata)
        elif name == "google.rpc.RetryInfo":
            pause = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            delay_s = pause.seconds + pause.nanos / 1e9
        elif name == "google.rpc.PreconditionFailure":
            failure = error_details_pb2.PreconditionFailure.FromString(detail.value)
            violations += [Violation(one.subject, one.description) for one in failure.violations]
        elif name == "google.rpc.BadRequest":
            bad = error_details_pb2.BadRequest.FromString(detail.value)
            violations += [Violation(one.field, one.description) for one in bad.field_violations]
    return Failure(
        code=code, message=status.message or message, reason=reason, facts=facts,
        violations=tuple(violations), retry_delay_s=delay_s, request_id=request_id,
    )  # fmt: skip
