"""A real gRPC client beside the load: fills the stock, and looks whether the load did its work."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc
from inventory.v1 import (
    hold_service_pb2,
    hold_service_pb2_grpc,
    stock_service_pb2,
    stock_service_pb2_grpc,
)

from benchmarks.packed_scripts import PARTITIONS
from benchmarks.payloads import LOCATION, ON_HAND, import_chunks
from benchmarks.processes import Started
from benchmarks.redis_alone import RawConnection

TIMEOUT_S = 60.0


def set_stock(server: Started, skus: Sequence[str], on_hand: int = ON_HAND) -> None:
    """Imports these SKUs' stock."""
    import_stock(server, [(sku, LOCATION, on_hand) for sku in skus])


def import_stock(server: Started, rows: Sequence[tuple[str, str, int]]) -> None:
    """Imports rows of SKU, location and units."""
    with grpc.insecure_channel(server.address) as channel:
        stub = stock_service_pb2_grpc.StockServiceStub(channel)
        answers = list(stub.ImportStock(import_chunks(rows), timeout=TIMEOUT_S))
    accepted = sum(answer.accepted_rows for answer in answers)
    if accepted != len(rows):
        raise RuntimeError(f"{accepted} of {len(rows)} rows went in")


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


def check_batch_replay(server: Started, message: bytes, key: str) -> None:
    """Sends a batch of the load again: each of its items must be known."""
    request = hold_service_pb2.BatchPlaceHoldsRequest.FromString(message)
    with grpc.insecure_channel(server.address) as channel:
        stub = hold_service_pb2_grpc.HoldServiceStub(channel)
        answer = stub.BatchPlaceHolds(
            request, timeout=TIMEOUT_S, metadata=(("idempotency-key", key),)
        )
    for item, result in zip(request.items, answer.results, strict=True):
        if not result.replayed or result.response.hold.lines[0].sku != item.request.lines[0].sku:
            raise RuntimeError(f"an item of the batch under {key} was never placed")


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
        counts = [
            connection.command(command, f"inv:{{{n}}}:{name}")
            for n in range(PARTITIONS)
            for command, name in (("ZCARD", "due"), ("LLEN", "ended"))
        ]
    finally:
        connection.close()
    return sum(int(str(count)) for count in counts)


def set_reorder_point(server: Started, units: int) -> None:
    """Sets the reorder point of all levels that are made from here on."""
    with grpc.insecure_channel(server.address) as channel:
        stub = stock_service_pb2_grpc.StockServiceStub(channel)
        line = stock_service_pb2.SetStockPolicyLine(location=LOCATION, reorder_point=units)
        stub.SetStockPolicy(
            stock_service_pb2.SetStockPolicyRequest(lines=[line]), timeout=TIMEOUT_S
        )


def count_alerts(redis: Started) -> int:
    """How many alerts there are."""
    connection = RawConnection(redis.socket)
    try:
        counts = [connection.command("XLEN", f"inv:{{{n}}}:alerts") for n in range(PARTITIONS)]
    finally:
        connection.close()
    return sum(int(str(count)) for count in counts)


def last_seqs(redis: Started) -> dict[int, int]:
    """How many movements each partition has made, of those that have any."""
    connection = RawConnection(redis.socket)
    try:
        seqs = {
            n: connection.command("HGET", f"inv:{{{n}}}:meta", "seq") for n in range(PARTITIONS)
        }
    finally:
        connection.close()
    return {n: int(str(seq)) for n, seq in seqs.items() if seq and seq != "0"}


def script_time(redis: Started) -> tuple[int, int]:
    """How many script calls Redis has run, and the microseconds that it spent in them."""
    connection = RawConnection(redis.socket)
    try:
        info = str(connection.command("INFO", "commandstats"))
    finally:
        connection.close()
    found = re.search(r"^cmdstat_evalsha:calls=(\d+),usec=(\d+)", info, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (0, 0)
