"""The load section: 64 calls in flight, row after row, round after round, at both durabilities."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, TypeVar

from benchmarks import payloads
from benchmarks.load import Load, Measured, run_load
from benchmarks.options import CONNECTIONS, DURABILITIES, STREAMS, Options
from benchmarks.packed_scripts import HoldCall, hold_id_of, new_holds, prepare
from benchmarks.probe import check_replay, count_holds, is_confirmed, set_stock
from benchmarks.processes import Stage, Started
from benchmarks.redis_alone import RawConnection, measure

NAMES: Final = {
    "empty": "empty RPC, bare grpc.aio",
    "place": "PlaceHold",
    "check": "CheckAvailability, 10 lines",
    "confirm": "ConfirmHold",
    "seed": "the seed's design: POST /hold",
    "redis 64": "Redis alone, 64 in flight",
    "redis deep": "Redis alone, 2,000 in flight",
}
DEEP: Final = 2_000
REDIS_CALLS_PER_S: Final = 100_000
"""More than Redis can do, so that a round does not run out of calls."""
CONFIRMS_PER_S: Final = 12_000
PROBES: Final = 3

T = TypeVar("T")


@dataclass
class Figures:
    """A row's measurements, one a round. Those count in which the machine was quieter."""

    rounds: list[Measured] = field(default_factory=list)

    def middle(self, read: Callable[[Measured], float]) -> float:
        """The median over the quieter half of the rounds."""
        return median(map(read, _quieter(self.rounds, lambda one: one.others)))

    def summary(self) -> dict[str, Any]:
        """What is kept of it."""
        names = sorted({name for one in self.rounds for name in one.cpu_us})
        cpu = {
            name: self.middle(lambda one, name=name: one.cpu_us[name])  # type: ignore[misc]
            for name in names
        }
        return {
            "calls_per_s": round(self.middle(lambda one: one.calls_per_s)),
            "cpu_us_a_call": {name: round(used, 1) for name, used in cpu.items()},
            "p50_ms": round(self.middle(lambda one: one.p50_ms), 2),
            "p99_ms": round(self.middle(lambda one: one.p99_ms), 2),
            "others": round(self.middle(lambda one: one.others), 2),
            "calls_per_s_a_round": [round(one.calls_per_s) for one in self.rounds],
            "others_a_round": [round(one.others, 2) for one in self.rounds],
        }


def _quieter(found: list[T], noise: Callable[[T], float]) -> list[T]:
    return sorted(found, key=noise)[: (len(found) + 1) // 2]


class Theatre:
    """Everything that one durability's rows need, started and filled."""

    def __init__(self, stage: Stage, options: Options, *, always: bool) -> None:
        self._options = options
        self._rows = options.rows()
        self._redis = stage.redis(always=always)
        self._server = stage.server(self._redis)
        set_stock(self._server, payloads.SKUS)
        self._calls = prepare(self._redis.redis_url, payloads.SKUS)
        if "empty" in self._rows:
            self._bare = stage.module("bare_server")
        if "seed" in self._rows:
            self._seed_redis = stage.redis(always=always)
            _fill_seed(self._seed_redis)
            self._seed = stage.module("seed_design", self._seed_redis.socket)
        if "redis" in self._rows:
            self._lone_redis = stage.redis(always=always)

    def row(self, name: str) -> list[tuple[str, Measured]]:
        """Measures a row once."""
        if name == "redis":
            return self._alone()
        run = {
            "empty": self._empty,
            "place": self._place,
            "check": self._check,
            "confirm": self._confirm,
            "seed": self._on_seed,
        }[name]
        return [(name, run())]

    def _empty(self) -> Measured:
        watch = {"server": self._bare.pid}
        load = self._load(self._bare, payloads.PLACE_HOLD, payloads.place_holds(), watch, "bench-")
        return run_load(load)

    def _place(self) -> Measured:
        prefix = f"bench-{secrets.token_hex(4)}-"
        watch = {"server": self._server.pid, "redis": self._redis.pid}
        before = count_holds(self._redis)
        messages = payloads.place_holds()
        measured = run_load(self._load(self._server, payloads.PLACE_HOLD, messages, watch, prefix))
        placed = count_holds(self._redis) - before
        if placed != measured.sent:
            raise RuntimeError(f"{measured.sent} holds were placed; Redis has {placed} more")
        for number in range(0, measured.sent, measured.sent // PROBES):
            check_replay(self._server, messages[number % len(messages)], f"{prefix}{number:09d}")
        return measured

    def _check(self) -> Measured:
        watch = {"server": self._server.pid, "redis": self._redis.pid}
        messages = payloads.check_availabilities()
        return run_load(self._load(self._server, payloads.CHECK_AVAILABILITY, messages, watch, ""))

    def _confirm(self) -> Measured:
        options = self._options
        enough = int(CONFIRMS_PER_S * (options.seconds + options.warmup_s))
        hold_ids = place_holds(self._redis, self._calls, enough)
        watch = {"server": self._server.pid, "redis": self._redis.pid}
        load = self._load(
            self._server, payloads.CONFIRM_HOLD, payloads.confirm_holds(hold_ids), watch,
            f"bench-{secrets.token_hex(4)}-",
        )  # fmt: skip
        load.is_once = True
        measured = run_load(load)
        for number in range(0, measured.sent, measured.sent // PROBES):
            if not is_confirmed(self._server, hold_ids[number]):
                raise RuntimeError(f"the hold {hold_ids[number]} is not confirmed")
        return measured

    def _on_seed(self) -> Measured:
        watch = {"server": self._seed.pid, "redis": self._seed_redis.pid}
        prefix = f"bench-{secrets.token_hex(4)}-"
        load = self._load(self._seed, "/hold", payloads.seed_holds(), watch, prefix)
        load.is_grpc = False
        return run_load(load)

    def _alone(self) -> list[tuple[str, Measured]]:
        """On an emptied Redis each time, so that it does not grow from round to round."""
        connection = RawConnection(self._lone_redis.socket)
        connection.command("FLUSHALL")
        connection.close()
        calls = prepare(self._lone_redis.redis_url, payloads.SKUS)
        seconds = min(1.0, self._options.seconds)
        measured = []
        for name, window in (("redis 64", CONNECTIONS * STREAMS), ("redis deep", DEEP)):
            holds = new_holds(calls, int(REDIS_CALLS_PER_S * seconds))
            commands = (call.place(op) for call, op in holds)
            one = measure(self._lone_redis, commands, window=window, seconds=seconds)
            measured.append((name, one))
        return measured

    def _load(
        self, to: Started, path: str, messages: list[bytes], watch: dict[str, int], prefix: str
    ) -> Load:
        return Load(
            port=to.port,
            path=path,
            messages=messages,
            seconds=self._options.seconds,
            warmup_s=self._options.warmup_s,
            key_prefix=prefix,
            watch=watch,
        )


def place_holds(redis: Started, calls: list[HoldCall], how_many: int) -> list[str]:
    """Places holds past the server; answers their ids."""
    holds = list(new_holds(calls, how_many))
    connection = RawConnection(redis.socket)
    try:
        connection.pipeline((call.place(op) for call, op in holds), DEEP)
    finally:
        connection.close()
    return [hold_id_of(op) for _, op in holds]


def run(options: Options, say: Callable[[str], None]) -> dict[str, dict[str, Figures]]:
    """Every row's figures, by durability."""
    found: dict[str, dict[str, Figures]] = {}
    for durability in DURABILITIES:
        with Stage() as stage:
            theatre = Theatre(stage, options, always=durability == "always")
            figures = found[durability] = {}
            for number in range(options.rounds):
                say(f"load, {durability}, round {number + 1} of {options.rounds}")
                # To and fro, so that a drift of the machine favours no row.
                rows = options.rows()
                for row in rows if number % 2 == 0 else reversed(rows):
                    for name, measured in theatre.row(row):
                        figures.setdefault(name, Figures()).rounds.append(measured)
    return found


def ratio(
    one: Figures, other: Figures, read: Callable[[Measured], float] = lambda one: one.calls_per_s
) -> float:
    """How much of the other's calls a second (or what is read) `one` reaches: the median of
    the quieter rounds.
    """
    pairs = _quieter(
        list(zip(one.rounds, other.rounds, strict=True)),
        lambda pair: pair[0].others + pair[1].others,
    )
    return median(read(mine) / read(theirs) for mine, theirs in pairs)


def _fill_seed(redis: Started) -> None:
    connection = RawConnection(redis.socket)
    try:
        for sku in payloads.SKUS:
            connection.command("SET", f"stock:{payloads.LOCATION}:{sku}", payloads.ON_HAND)
    finally:
        connection.close()
