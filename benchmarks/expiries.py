"""The expiry section: many holds due at the same instant, and another caller all the while.

The holds are placed past the server, all with one deadline. The server's
sweeper takes them back; nobody asks for their levels.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from inventory.v1 import hold_service_pb2 as pb
from inventory.v1 import hold_service_pb2_grpc
from inventory.v1.line_pb2 import Line

from benchmarks.options import DURABILITIES, Options
from benchmarks.packed_scripts import HOME, prepare
from benchmarks.payloads import LOCATION, SKUS
from benchmarks.probe import TIMEOUT_S, set_stock
from benchmarks.processes import Stage, Started, busy_us, cpu_us
from benchmarks.redis_alone import RawConnection
from benchmarks.throughput import place_holds
from inventory_server.stores.scripts import load_script

CALLER_SKUS: Final = tuple(f"OTHER{n:06d}" for n in range(100))
FILL_S: Final = 3.0
FILLED_A_S: Final = 12_000
"""So many holds a second are placed on a slow machine: the deadline is that far away."""
LONGEST_S: Final = 60.0
LONG_SCRIPT_US: Final = 100
"""Scripts longer than this are noted one by one: all runs of expire_holds but the last ones."""
_TICK_S: Final = 0.005


class _Caller(threading.Thread):
    """Places and confirms holds on SKUs of its own, one call after another, until stopped."""

    def __init__(self, server: Started) -> None:
        super().__init__(name="caller")
        self._address = server.address
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._took: list[tuple[float, float]] = []

    def run(self) -> None:
        """The thread."""
        try:
            with grpc.insecure_channel(self._address) as channel:
                stub: Any = hold_service_pb2_grpc.HoldServiceStub(channel)
                while not self._stopping.is_set():
                    sku = CALLER_SKUS[len(self._took) // 2 % len(CALLER_SKUS)]
                    lines = [Line(sku=sku, location=LOCATION, quantity=1)]
                    placed = self._call(stub.PlaceHold, pb.PlaceHoldRequest(lines=lines))
                    hold_id = placed.hold.hold_id
                    self._call(stub.ConfirmHold, pb.ConfirmHoldRequest(hold_id=hold_id))
        except grpc.RpcError as error:
            self._error = error

    def end(self) -> None:
        """Stops it; raises RuntimeError if a call of it failed."""
        self._stopping.set()
        self.join(TIMEOUT_S)
        if self._error is not None:
            raise RuntimeError("a call of the other caller failed") from self._error

    def latencies(self, start: float, end: float) -> list[float]:
        """What the calls took that began between these times, in ms, in order of length."""
        return sorted(took_ms for at, took_ms in self._took if start <= at < end)

    def _call(self, method: Any, request: Any) -> Any:
        at, started = time.time(), time.perf_counter()
        answer = method(request, timeout=TIMEOUT_S)
        self._took.append((at, (time.perf_counter() - started) * 1000))
        return answer


def run(options: Options, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """What an expiry came to, by durability."""
    found = {}
    for durability in DURABILITIES:
        say(f"expiry, {durability}, {options.expiry_holds} holds")
        with Stage() as stage:
            found[durability] = _expire(stage, options.expiry_holds, always=durability == "always")
    return found


def _expire(stage: Stage, count: int, *, always: bool) -> dict[str, Any]:
    redis = stage.redis(always=always)
    server = stage.server(redis)
    set_stock(server, CALLER_SKUS)
    now_ms = int(time.time() * 1000)
    ttl_ms = int((FILL_S + count / FILLED_A_S) * 1000)
    due_s = (now_ms + ttl_ms) / 1000
    place_holds(redis, prepare(redis.redis_url, SKUS, ttl_ms=ttl_ms, placed_ms=now_ms), count)
    caller, filled_s = _Caller(server), time.time()
    if due_s - filled_s < 1:
        raise RuntimeError(f"the holds were placed {filled_s - due_s:.1f} s after their deadline")
    connection = RawConnection(redis.socket)
    _note_long_scripts(connection)
    caller.start()
    try:
        time.sleep(due_s - time.time())
        before_us = _used_us(server, redis)
        _wait_until_back(connection, int(due_s * 1000))
        back_s = time.time()
        used_us = _used_us(server, redis)
    finally:
        caller.end()
    _check_levels(connection)
    quiet, busy = caller.latencies(filled_s + 0.3, due_s), caller.latencies(due_s, back_s)
    runs_us = _expire_runs_us(connection)
    server_s, redis_s, own_s, all_s = [
        (after - before) / 1e6 for after, before in zip(used_us, before_us, strict=True)
    ]
    return {
        "holds": count,
        "back_s": round(back_s - due_s, 2),
        "scripts_s": round(sum(runs_us) / 1e6, 3),
        "scripts": len(runs_us),
        "longest_script_ms": round(max(runs_us) / 1000, 2),
        "redis_cpu_s": round(redis_s, 2),
        "server_cpu_s": round(server_s, 2),
        "others": round(max(0.0, (all_s - server_s - redis_s - own_s) / (back_s - due_s)), 2),
        "other_calls": len(busy),
        "other_p50_ms": round(_at(busy, 0.5), 2),
        "other_p99_ms": round(_at(busy, 0.99), 2),
        "other_max_ms": round(busy[-1], 2),
        "other_p50_before_ms": round(_at(quiet, 0.5), 2),
        "other_p99_before_ms": round(_at(quiet, 0.99), 2),
    }


def _used_us(server: Started, redis: Started) -> list[int]:
    """CPU time of the server, of Redis, of this process and of the whole machine."""
    return [*map(cpu_us, (server.pid, redis.pid, os.getpid())), busy_us()]


def _note_long_scripts(connection: RawConnection) -> None:
    connection.command("CONFIG", "SET", "slowlog-log-slower-than", LONG_SCRIPT_US)
    connection.command("CONFIG", "SET", "slowlog-max-len", 1_000_000)
    connection.command("SLOWLOG", "RESET")


def _expire_runs_us(connection: RawConnection) -> list[int]:
    """How long each run of expire_holds took that was noted."""
    sha, entries = load_script("expire_holds").sha, connection.command("SLOWLOG", "GET", -1)
    found = [entry[2] for entry in entries if sha in entry[3]]  # type: ignore[attr-defined]
    if not found:
        raise RuntimeError("no run of expire_holds was noted")
    return found


def _wait_until_back(connection: RawConnection, due_ms: int) -> None:
    give_up = time.monotonic() + LONGEST_S
    while connection.command("ZCOUNT", f"inv:{{{HOME}}}:due", "-inf", due_ms):
        if time.monotonic() > give_up:
            raise RuntimeError(f"not all holds were back within {LONGEST_S:.0f} s")
        time.sleep(_TICK_S)


def _check_levels(connection: RawConnection) -> None:
    """Nothing is held any more."""
    for sku in SKUS:
        level = str(connection.command("GET", f"inv:{{{HOME}}}:level:{LOCATION}:{sku}"))
        if level.split(" ")[1] != "0":
            raise RuntimeError(f"units of {sku} are still held: {level}")


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
