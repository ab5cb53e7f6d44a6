"""Short words for what the tests ask of a server."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_change_reason_pb2 as reason_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.line_pb2 import Line

COUNT = reason_pb.STOCK_CHANGE_REASON_COUNT


def line(sku: str = "SKU1", quantity: int = 1, location: str = "online") -> Line:
    return Line(sku=sku, location=location, quantity=quantity)


def key(value: str) -> tuple[tuple[str, str], ...]:
    """The metadata that carries an idempotency key."""
    return (("idempotency-key", value),)


async def set_stock(
    stock: Any, on_hand: int, sku: str = "SKU1", location: str = "online", **more: Any
) -> stock_pb.SetStockResponse:
    lines = [stock_pb.SetStockLine(sku=sku, location=location, on_hand=on_hand)]
    return await stock.SetStock(stock_pb.SetStockRequest(lines=lines, reason=COUNT, **more))


async def place(
    holds: Any,
    *lines: Line,
    ttl_s: float | None = None,
    metadata: Any = (),
    timeout: float | None = None,
    **more: Any,
) -> hold_pb.PlaceHoldResponse:
    ttl = None
    if ttl_s is not None:
        ttl = Duration(seconds=int(ttl_s), nanos=int(ttl_s % 1 * 10**9))
    request = hold_pb.PlaceHoldRequest(lines=lines or [line()], ttl=ttl, **more)
    return await holds.PlaceHold(request, metadata=metadata, timeout=timeout)


async def level_of(stock: Any, sku: str = "SKU1", location: str = "online") -> Any:
    answer = await stock.GetStock(stock_pb.GetStockRequest(sku=sku, locations=[location]))
    return answer.stock.levels[0]


class Refusal:
    """What a refused call carries."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        trailers = dict(error.trailing_metadata() or ())
        self.raw = trailers.get("grpc-status-details-bin", b"")
        self.status = status_pb2.Status.FromString(self.raw)
        self.info = error_details_pb2.ErrorInfo()
        self.details: dict[str, Any] = {}
        for packed in self.status.details:
            name = packed.type_url.rpartition(".")[2]
            detail = getattr(error_details_pb2, name)()
            packed.Unpack(detail)
            self.details[name] = detail
        self.info = self.details.get("ErrorInfo", self.info)
        self.reason = self.info.reason
        self.facts = dict(self.info.metadata)


async def refused(call: Any) -> Refusal:
    """Awaits a call that has to be refused."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error)
    raise AssertionError(f"not refused: {answer}")
