"""The batch section: BatchPlaceHolds of 100, beside Redis alone running the same scripts.

Both work on the same redis-server, in turns, so that it is as full for the one
as for the other. All figures are of a hold, and not of a call.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from benchmarks import payloads
from benchmarks.load import Load, Measured, run_load
from benchmarks.options import DURABILITIES, Options
from benchmarks.packed_scripts import new_holds, prepare
from benchmarks.payloads import BATCH_ITEMS
from benchmarks.probe import check_batch_replay, count_holds, set_stock
from benchmarks.processes import Stage
from benchmarks.redis_alone import measure
from benchmarks.throughput import DEEP, REDIS_CALLS_PER_S, Figures

IN_FLIGHT: Final = (1, 2, 4)
ALONE: Final = "redis"
NAMES: Final = {
    **{f"batch {n}": f"BatchPlaceHolds of {BATCH_ITEMS}, {n} in flight" for n in IN_FLIGHT},
    ALONE: f"Redis alone, {DEEP:,} in flight",
}


class _Pair:
    """A server and its Redis, of one durability."""

    def __init__(self, stage: Stage, options: Options, *, always: bool) -> None:
        self._options = options
        self._redis = stage.redis(always=always)
        self._server = stage.server(self._redis)
        set_stock(self._server, payloads.SKUS)
        self._calls = prepare(self._redis.redis_url, payloads.SKUS)

    def row(self, name: str) -> Measured:
        """Measures a row once."""
        return self._alone() if name == ALONE else self._batches(int(name.rpartition(" ")[2]))

    def _batches(self, in_flight: int) -> Measured:
        prefix, messages = f"batch-{secrets.token_hex(4)}-", payloads.batch_place_holds()
        before = count_holds(self._redis)
        load = Load(
            port=self._server.port,
            path=payloads.BATCH_PLACE_HOLDS,
            messages=messages,
            seconds=self._options.seconds,
            warmup_s=self._options.warmup_s,
            key_prefix=prefix,
            connections=1,
            streams=in_flight,
            watch={"server": self._server.pid, "redis": self._redis.pid},
        )
        measured = run_load(load)
        placed = count_holds(self._redis) - before
        if placed != measured.sent * BATCH_ITEMS:
            raise RuntimeError(f"{measured.sent} batches were sent; Redis has {placed} more holds")
        last = measured.sent - 1
        check_batch_replay(self._server, messages[last % len(messages)], f"{prefix}{last:09d}")
        return _a_hold(measured)

    def _alone(self) -> Measured:
        seconds = min(1.0, self._options.seconds)
        holds = new_holds(self._calls, int(REDIS_CALLS_PER_S * seconds))
        commands = (call.place(op) for call, op in holds)
        return measure(self._redis, commands, window=DEEP, seconds=seconds)


def run(options: Options, say: Callable[[str], None]) -> dict[str, dict[str, Figures]]:
    """Every row's figures, by durability."""
    found: dict[str, dict[str, Figures]] = {}
    for durability in DURABILITIES:
        with Stage() as stage:
            pair = _Pair(stage, options, always=durability == "always")
            figures = found[durability] = {name: Figures() for name in NAMES}
            for number in range(options.batch_rounds):
                say(f"batch, {durability}, round {number + 1} of {options.batch_rounds}")
                # To and fro, so that a drift of the machine favours no row.
                for name in list(NAMES) if number % 2 == 0 else reversed(NAMES):
                    figures[name].rounds.append(pair.row(name))
    return found


def best(rows: dict[str, Figures]) -> Figures:
    """The row of batches with the most holds a second."""
    batches = [row for name, row in rows.items() if name != ALONE]
    return max(batches, key=lambda row: row.middle(lambda one: one.calls_per_s))


def _a_hold(measured: Measured) -> Measured:
    """The same in holds; latencies stay those of a call."""
    cpu_us = {name: used / BATCH_ITEMS for name, used in measured.cpu_us.items()}
    return replace(
        measured,
        calls=measured.calls * BATCH_ITEMS,
        sent=measured.sent * BATCH_ITEMS,
        cpu_us=cpu_us,
    )
