"""A real gRPC client beside the load: fills the stock, and looks whether the load did its work."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from inventory.v1 import hold_service_pb2, hold_service_pb2_grpc, stock_service_pb2_grpc

from benchmarks.packed_scripts import PARTITIONS
from benchmarks.payloads import LOCATION, ON_HAND, import_chunks
from benchmarks.processes import Started
from benchmarks.redis_alone import RawConnection

TIMEOUT_S = 60.0


def set_stock(server: Started, skus: Sequence[str]) -> None:
    """Imports these SKUs' stock."""
    rows = [(sku, LOCATION, ON_HAND) for sku in skus]
    with grpc.insecure_channel(server.address) as channel:
        stub = stock_service_pb2_grpc.StockServiceStub(channel)
        answers = list(stub.ImportStock(import_chunks(rows), timeout=TIMEOUT_S))
    accepted = sum(answer.accepted_rows for answer in answers)
    if accepted != len(skus):
        raise RuntimeError(f"{accepted} of {len(skus)} rows went in")


def check_replay(server: Started, message: bytes, key: str) -> None:
    """Sends a call of the load again: it must be known, and be what the load asked for."""
    request = hold_service_pb2.PlaceHoldRequest.FromString(message)
    with grpc.insecure_channel(server.address) as channel:
        stub = hold_service_pb2_grpc.HoldServiceStub(channel)
        response, call = stub.PlaceHold.with_call(
            request, timeout=TIMEOUT_S, metadata=(("idempotency-key", key),)
        )
    trailers = dict(call.trailing_metadata())
    if trailers.get("idempotent-replayed") != "true":
        raise RuntimeError(f"the hold under {key} was never placed")
    if response.hold.lines[0].sku != request.lines[0].sku:
        raise RuntimeError(f"the hold under {key} is another one")


def is_confirmed(server: Started, hold_id: str) -> bool:
    """Whether this hold was confirmed."""
    with grpc.insecure_channel(server.address) as channel:
        stub = hold_service_pb2_grpc.HoldServiceStub(channel)
        answer = stub.GetHold(hold_service_pb2.GetHoldRequest(hold_id=hold_id), timeout=TIMEOUT_S)
    return answer.hold.state == hold_service_pb2.HOLD_STATE_CONFIRMED


def count_holds(redis: Started) -> int:
    """How many holds there are, open and ended."""
    connection = RawConnection(redis.socket)
    try:
        counts = [connection.command("ZCARD", f"inv:{{{n}}}:due") for n in range(PARTITIONS)]
    finally:
        connection.close()
    return sum(int(str(count)) for count in counts)
