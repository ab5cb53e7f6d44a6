"""The latency section: one caller, one call in flight, over loopback.

Twice: through grpcio's own blocking client, whose cost is the same in every
row, and through the load generator with one call in flight, which adds next
to nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import grpc

from benchmarks import payloads
from benchmarks.load import Load, run_load
from benchmarks.options import DURABILITIES, Options
from benchmarks.packed_scripts import prepare
from benchmarks.probe import TIMEOUT_S, set_stock
from benchmarks.processes import Stage, Started
from benchmarks.throughput import place_holds

WARMUP_CALLS: Final = 40
GENERATOR_S: Final = 0.4
METHODS: Final = {
    "empty": (payloads.PLACE_HOLD, "empty RPC, bare grpc.aio"),
    "place": (payloads.PLACE_HOLD, "PlaceHold"),
    "confirm": (payloads.CONFIRM_HOLD, "ConfirmHold"),
    "check": (payloads.CHECK_AVAILABILITY, "CheckAvailability, 10 lines"),
}


@dataclass
class Latencies:
    """What one caller waited for a method, call by call, and what the generator saw."""

    took_ms: list[float] = field(default_factory=list)
    generator_p50_ms: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The latency that this share of the calls stayed within."""
        ordered = sorted(self.took_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def summary(self) -> dict[str, float]:
        """What is kept of it."""
        places = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}
        figures = {name: round(self.at(share), 3) for name, share in places.items()}
        middle = sorted(self.generator_p50_ms)[len(self.generator_p50_ms) // 2]
        return figures | {"generator_p50_ms": round(middle, 3)}


class _Caller:
    """One caller over the servers of one durability."""

    def __init__(self, stage: Stage, options: Options, *, always: bool) -> None:
        self._calls, self._rounds = options.latency_calls, options.latency_rounds
        redis = stage.redis(always=always)
        server, bare = stage.server(redis), stage.module("bare_server")
        set_stock(server, payloads.SKUS)
        hold_calls = prepare(redis.redis_url, payloads.SKUS)
        self._confirms = iter(
            payloads.confirm_holds(place_holds(redis, hold_calls, self._confirms_needed()))
        )
        self._servers = {name: bare if name == "empty" else server for name in METHODS}

    def _confirms_needed(self) -> int:
        # One call in flight ends no more than 5,000 times a second.
        return self._rounds * (WARMUP_CALLS + self._calls + int(5000 * 2 * GENERATOR_S))

    def round(self, name: str, found: Latencies) -> None:
        """One round of a method, by the client and by the generator."""
        server, path = self._servers[name], METHODS[name][0]
        messages = self._messages(name, WARMUP_CALLS + self._calls)
        found.took_ms += _time_calls(server, path, messages)[WARMUP_CALLS:]
        load = Load(
            port=server.port,
            path=path,
            messages=self._messages(name, int(5000 * 2 * GENERATOR_S)),
            seconds=GENERATOR_S,
            warmup_s=GENERATOR_S / 5,
            key_prefix=f"one-{secrets.token_hex(4)}-",
            connections=1,
            streams=1,
        )
        found.generator_p50_ms.append(run_load(load).p50_ms)

    def _messages(self, name: str, count: int) -> list[bytes]:
        if name == "confirm":
            return [next(self._confirms) for _ in range(count)]
        if name == "check":
            return payloads.check_availabilities() * (count // 100 + 1)
        return payloads.place_holds() * (count // 1000 + 1)


def run(options: Options, say: Callable[[str], None]) -> dict[str, dict[str, Latencies]]:
    """Every method's latencies, by durability."""
    found: dict[str, dict[str, Latencies]] = {}
    for durability in DURABILITIES:
        with Stage() as stage:
            caller = _Caller(stage, options, always=durability == "always")
            rows = found[durability] = {name: Latencies() for name in METHODS}
            for number in range(options.latency_rounds):
                say(f"latency, {durability}, round {number + 1} of {options.latency_rounds}")
                for name, row in rows.items():
                    caller.round(name, row)
    return found


def _time_calls(server: Started, path: str, messages: Sequence[bytes]) -> list[float]:
    """Makes the calls one after another, each with its own key; answers what each took."""
    prefix, took_ms = secrets.token_hex(8), []
    with grpc.insecure_channel(server.address) as channel:
        method: Any = channel.unary_unary(path)
        for number, message in enumerate(messages):
            metadata = (("idempotency-key", f"{prefix}-{number}"),)
            started = perf_counter()
            method(message, timeout=TIMEOUT_S, metadata=metadata)
            took_ms.append((perf_counter() - started) * 1000)
    return took_ms
