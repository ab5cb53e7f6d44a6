"""The client section: what the library costs over the bare stubs, a call.

PlaceHold of one line, from this process, one call in flight. The library and
the stub take turns, round by round, each with a key and a deadline: over an
empty handler, where nothing hides the cost, and over the real server. CPU is
this process's, all its threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from statistics import median
from typing import Any, Final

import grpc
from google.protobuf.duration_pb2 import Duration
from inventory.v1.hold_service_pb2 import PlaceHoldRequest
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.line_pb2 import Line
from inventory_client import AsyncInventoryClient, InventoryClient

from benchmarks import payloads
from benchmarks.options import Options
from benchmarks.probe import set_stock
from benchmarks.processes import Stage
from benchmarks.promises import Promise, at_most
from benchmarks.tables import to_table

WARMUP_CALLS: Final = 50
TIMEOUT_S: Final = 20.0
SERVERS: Final = {"empty": "empty RPC, bare grpc.aio", "real": "the server, no AOF"}

Calls = Callable[[int], Awaitable[list[float]]]
SyncCalls = Callable[[int], list[float]]
"""Makes so many calls; answers what each took, in seconds."""


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures of each server and kind of client: medians of the rounds."""
    found: dict[str, Any] = {}
    with Stage() as stage:
        server = stage.server(stage.redis(always=False))
        set_stock(server, payloads.SKUS)
        addresses = {"empty": stage.module("bare_server").address, "real": server.address}
        for name in SERVERS:
            say(f"client, {SERVERS[name]}")
            found[name] = _measure(addresses[name], options)
    return found


def promises(found: dict[str, Any]) -> Iterator[Promise]:
    """At most a fifth more than the bare stub, a call."""
    for name, kinds in found.items():
        for kind, figures in kinds.items():
            text = f"{kind} client / bare stub, PlaceHold, {SERVERS[name]}: p50"
            yield at_most("client", text, 1.2, figures["p50_ratio"])


def section(found: dict[str, Any]) -> str:
    """The table."""
    head = (
        "client", "server", "stub p50 ms", "library p50 ms", "times", "stub CPU µs",
        "library CPU µs", "times",
    )  # fmt: skip
    lines = [
        (
            kind, SERVERS[name],
            f"{one['stub_p50_ms']:.3f}", f"{one['library_p50_ms']:.3f}", f"{one['p50_ratio']:.2f}",
            f"{one['stub_cpu_us']:.0f}", f"{one['library_cpu_us']:.0f}", f"{one['cpu_ratio']:.2f}",
        )
        for name, kinds in found.items()
        for kind, one in kinds.items()
    ]  # fmt: skip
    return f"## Client library, one call in flight\n\n{to_table(head, lines)}"


def _measure(address: str, options: Options) -> dict[str, Any]:
    """Both kinds, one after the other: never two event loops with gRPC in this process."""
    return {
        "asyncio": asyncio.run(_measure_asyncio(address, options)),
        "synchronous": _measure_synchronous(address, options),
    }


async def _measure_asyncio(address: str, options: Options) -> dict[str, float]:
    async with grpc.aio.insecure_channel(address) as channel, AsyncInventoryClient(address) as own:
        stub, library = _async_stub(HoldServiceStub(channel)), _async_library(own)
        rounds = []
        for number in range(options.client_rounds):
            pair = [("stub", stub), ("library", library)]
            figures = {}
            for name, calls in pair if number % 2 else reversed(pair):
                await calls(WARMUP_CALLS)
                cpu_s = time.process_time()
                took_s = await calls(options.client_calls)
                figures[name] = _figures(took_s, time.process_time() - cpu_s)
            rounds.append(figures)
    return _summary(rounds)


def _measure_synchronous(address: str, options: Options) -> dict[str, float]:
    with grpc.insecure_channel(address) as channel, InventoryClient(address) as own:
        stub, library = _sync_stub(HoldServiceStub(channel)), _sync_library(own)
        rounds = []
        for number in range(options.client_rounds):
            pair = [("stub", stub), ("library", library)]
            figures = {}
            for name, calls in pair if number % 2 else reversed(pair):
                calls(WARMUP_CALLS)
                cpu_s = time.process_time()
                took_s = calls(options.client_calls)
                figures[name] = _figures(took_s, time.process_time() - cpu_s)
            rounds.append(figures)
    return _summary(rounds)


def _figures(took_s: list[float], cpu_s: float) -> tuple[float, float]:
    """The middle latency in ms, and the CPU a call in microseconds."""
    return median(took_s) * 1000, cpu_s / len(took_s) * 1e6


def _summary(rounds: list[dict[str, tuple[float, float]]]) -> dict[str, float]:
    """Medians of the rounds; a ratio is the median of those within each round."""
    summary = {}
    for place, unit in enumerate(("p50_ms", "cpu_us")):
        for name in ("stub", "library"):
            summary[f"{name}_{unit}"] = median(each[name][place] for each in rounds)
        ratios = [each["library"][place] / each["stub"][place] for each in rounds]
        summary[f"{unit.partition('_')[0]}_ratio"] = median(ratios)
    return {name: round(value, 4) for name, value in summary.items()}


def _skus() -> Iterator[str]:
    return (payloads.SKUS[n % len(payloads.SKUS)] for n in count())


def _request(sku: str) -> PlaceHoldRequest:
    return PlaceHoldRequest(
        lines=[Line(sku=sku, location=payloads.LOCATION, quantity=1)],
        ttl=Duration(seconds=payloads.TTL_S),
    )


def _key(number: int) -> tuple[tuple[str, str], ...]:
    return (("idempotency-key", f"bench-{time.time_ns()}-{number}"),)


def _async_stub(stub: Any) -> Calls:
    skus = _skus()

    async def call(calls: int) -> list[float]:
        took = []
        for number in range(calls):
            start = time.perf_counter()
            request = _request(next(skus))
            await stub.PlaceHold(request, timeout=TIMEOUT_S, metadata=_key(number))
            took.append(time.perf_counter() - start)
        return took

    return call


def _async_library(client: AsyncInventoryClient) -> Calls:
    skus = _skus()

    async def call(calls: int) -> list[float]:
        took = []
        for _ in range(calls):
            start = time.perf_counter()
            await client.place_hold([(next(skus), payloads.LOCATION, 1)], ttl=payloads.TTL_S)
            took.append(time.perf_counter() - start)
        return took

    return call


def _sync_stub(stub: Any) -> SyncCalls:
    skus = _skus()

    def call(calls: int) -> list[float]:
        took = []
        for number in range(calls):
            start = time.perf_counter()
            request = _request(next(skus))
            stub.PlaceHold(request, timeout=TIMEOUT_S, metadata=_key(number))
            took.append(time.perf_counter() - start)
        return took

    return call


def _sync_library(client: InventoryClient) -> SyncCalls:
    skus = _skus()

    def call(calls: int) -> list[float]:
        took = []
        for _ in range(calls):
            start = time.perf_counter()
            client.place_hold([(next(skus), payloads.LOCATION, 1)], ttl=payloads.TTL_S)
            took.append(time.perf_counter() - start)
        return took

    return call
