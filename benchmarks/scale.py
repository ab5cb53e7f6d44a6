"""The scale section: one caller, over stores of more and more levels and open holds.

Each point has a server and a redis-server of its own. They are filled past the
server, by the same scripts, and then measured in turn, round after round.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from benchmarks import payloads
from benchmarks.load import Load, Measured, run_load
from benchmarks.options import Options
from benchmarks.packed_scripts import prepare, set_levels
from benchmarks.probe import count_holds, script_time
from benchmarks.processes import Stage
from benchmarks.throughput import Figures, place_holds, ratio

SECONDS: Final = 0.4
WARMUP_S: Final = 0.1
TOUCHED_SKUS: Final = 1000
"""So many SKUs, spread over all levels, are asked for and have the open holds."""
PART: Final = 100_000
"""So many holds are made at a time, so that this process does not grow with them."""
METHODS: Final = {
    "place": (payloads.PLACE_HOLD, "PlaceHold"),
    "check": (payloads.CHECK_AVAILABILITY, "CheckAvailability, 10 lines"),
}
SCRIPTS: Final = "scripts"
"""Microseconds a call inside Redis's scripts, among a row's CPU times."""


class Point(NamedTuple):
    """How much is in the store."""

    levels: int
    holds: int


class _Store:
    """A server over a store of this size."""

    def __init__(self, stage: Stage, point: Point) -> None:
        self._redis = stage.redis(always=False)
        skus = [f"SCALE{n:07d}" for n in range(point.levels)]
        set_levels(self._redis.redis_url, skus)
        touched = skus[:: max(1, point.levels // TOUCHED_SKUS)][:TOUCHED_SKUS]
        calls = prepare(self._redis.redis_url, touched)
        for at in range(0, point.holds, PART):
            place_holds(self._redis, calls, min(PART, point.holds - at))
        held = count_holds(self._redis)
        if held != point.holds:
            raise RuntimeError(f"{point.holds} holds were placed; Redis has {held}")
        self._server = stage.server(self._redis)
        self._messages = {
            "place": payloads.place_holds(touched),
            "check": payloads.check_availabilities(touched),
        }

    def measure(self, name: str) -> Measured:
        """One caller's calls for a while, and the time that Redis spent in scripts for each."""
        calls, used_us = script_time(self._redis)
        load = Load(
            port=self._server.port,
            path=METHODS[name][0],
            messages=self._messages[name],
            seconds=SECONDS,
            warmup_s=WARMUP_S,
            key_prefix=f"scale-{secrets.token_hex(4)}-" if name == "place" else "",
            connections=1,
            streams=1,
        )
        measured = run_load(load)
        calls_after, used_after_us = script_time(self._redis)
        measured.cpu_us[SCRIPTS] = (used_after_us - used_us) / (calls_after - calls)
        return measured


Curve = dict[Point, dict[str, Figures]]


def run(options: Options, say: Callable[[str], None]) -> Curve:
    """The figures of both methods at every point, the smallest first."""
    found: Curve = {}
    with Stage() as stage:
        stores: dict[Point, _Store] = {}
        for point in _points(*options.scale_steps):
            say(f"scale, filling {point.levels} levels, {point.holds} holds")
            stores[point] = _Store(stage, point)
            found[point] = {name: Figures() for name in METHODS}
        for number in range(options.scale_rounds):
            say(f"scale, round {number + 1} of {options.scale_rounds}")
            for point in list(stores) if number % 2 == 0 else reversed(stores):
                for name in METHODS:
                    found[point][name].rounds.append(stores[point].measure(name))
    return found


def p50_ms(one: Measured) -> float:
    """The call's latency."""
    return one.p50_ms


def script_us(one: Measured) -> float:
    """The call's time inside Redis."""
    return one.cpu_us[SCRIPTS]


def growth(curve: Curve, name: str, read: Callable[[Measured], float]) -> dict[Point, float]:
    """How many times the smallest point's figure each point has."""
    smallest = next(iter(curve.values()))[name]
    return {point: ratio(rows[name], smallest, read) for point, rows in curve.items()}


def _points(few: int, many: int, most: int) -> Iterator[Point]:
    for levels in (few, many, most):
        yield Point(levels, 0)
    for holds in (many, most):
        yield Point(most, holds)
