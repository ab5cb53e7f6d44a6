"""The copy section: how late the durable copy is, and what the drainer costs those who hold.

A thousand movements a second, at a steady pace, with DynamoDB's part played by a
process that answers each request after 5 ms and knows when it had which movement.
Each part has a server, a Redis and such a process of its own, all new.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks import payloads
from benchmarks.copy_probe import CopyProbe
from benchmarks.options import Options
from benchmarks.pacing import Paced, Plan, pace
from benchmarks.probe import count_holds, import_stock, last_seqs
from benchmarks.processes import Stage, Started
from benchmarks.recording_dynamo import ANSWER_MS, RecordingDynamo
from benchmarks.tables import to_table

MOVEMENTS_PER_S: Final = 1000
THROTTLED_WRITES_PER_S: Final = 500
WARMUP_S: Final = 1.0
STORES: Final = 50
SKUS: Final = payloads.SKUS[:20]
HOT_SKUS: Final = payloads.SKUS[:10]
BASKET: Final = 5
OFF, ON, AWAY, THROTTLED = "off", "on", "out of reach", "throttled"


class Load(NamedTuple):
    """Holds of so many lines each, of these SKUs at these locations."""

    title: str
    lines: int
    skus: Sequence[str]
    locations: Sequence[str]

    @property
    def holds_per_s(self) -> int:
        """Each line is a movement."""
        return MOVEMENTS_PER_S // self.lines

    def messages(self) -> list[bytes]:
        """Holds in turn: location by location, and everywhere SKU by SKU."""
        starts = range(0, len(self.skus), self.lines)
        return [
            payloads.place_lines(self.skus[at : at + self.lines], location)
            for at in starts
            for location in self.locations
        ]


_PLACES: Final = tuple(f"store:{number:04d}" for number in range(STORES))
BASKETS: Final = Load("baskets", BASKET, SKUS, _PLACES)
HOT: Final = Load("baskets, 10 hot levels", BASKET, HOT_SKUS, (payloads.LOCATION,))
SINGLE: Final = Load("one line", 1, SKUS, _PLACES)
PARTS: Final = (
    *((BASKETS, state) for state in (OFF, ON, AWAY, THROTTLED)),
    *((load, state) for load in (HOT, SINGLE) for state in (OFF, ON)),
)
Round = Mapping[tuple[Load, str], Mapping[str, Any]]


class _Scene:
    """A server, its Redis and its DynamoDB, for one part."""

    def __init__(self, stage: Stage, load: Load, state: str) -> None:
        self._load = load
        self._state = state
        self.redis = stage.redis(always=True)
        self.dynamo = RecordingDynamo(stage)
        self._stage = stage
        self._server: Started
        self._movements = 0

    @property
    def is_copied(self) -> bool:
        """Whether there is a copy at all."""
        return self._state != OFF

    async def prepare(self) -> None:
        """Everything is there, warm, and copied."""
        self._server = self._stage.server(
            self.redis, "--dynamodb-endpoint", self.dynamo.url,
            "--durable-copy", "on" if self.is_copied else "off",
            AWS_ACCESS_KEY_ID="benchmark", AWS_SECRET_ACCESS_KEY="benchmark",
        )  # fmt: skip
        load = self._load
        rows = [(sku, at, payloads.ON_HAND) for at in load.locations for sku in load.skus]
        import_stock(self._server, rows)
        await self.place(WARMUP_S)
        if self.is_copied:
            self.dynamo.wait_for(sum(last_seqs(self.redis).values()))
        self.dynamo.begin()
        self._movements = 0

    async def place(self, seconds: float) -> Paced:
        """Places the load's holds."""
        plan = Plan(
            port=self._server.port,
            path=payloads.PLACE_HOLD,
            messages=self._load.messages(),
            per_s=self._load.holds_per_s,
            seconds=seconds,
            key_prefix=f"copy-{secrets.token_hex(4)}-",
            watch={
                "server": self._server.pid,
                **({"drainer": drainer_of(self._server.pid)} if self.is_copied else {}),
                "redis": self.redis.pid,
                "dynamo": self.dynamo.process.pid,
                "probe": os.getpid(),
            },
        )
        self._movements += plan.calls * self._load.lines
        return await pace(plan)

    def hinder(self) -> None:
        """Brings about what the part is to show."""
        if self._state == AWAY:
            self.dynamo.go_away()
        elif self._state == THROTTLED:
            self.dynamo.throttle(THROTTLED_WRITES_PER_S)

    def catch_up(self) -> float:
        """Nothing hinders it any more; seconds until all is copied."""
        started = time.perf_counter()
        self.dynamo.heal()
        self.dynamo.wait_for(sum(last_seqs(self.redis).values()))
        return time.perf_counter() - started

    def check(self, told: Mapping[str, Any]) -> None:
        """Each movement was copied, and counted once; raises RuntimeError where one was not."""
        made = last_seqs(self.redis) if self.is_copied else {}
        copied = {int(partition): seq for partition, seq in told["last_seqs"].items()}
        wanted = self._movements if self.is_copied else 0
        if copied != made or len(told["lags_ms"]) != wanted:
            raise RuntimeError(f"journals end at {made}, the copy has {copied} of them whole")


def run(options: Options, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """What each part came to, by its load and the copy's state."""
    rounds: list[Round] = []
    for number in range(options.copy_rounds):
        # To and fro, so that a drift of the machine favours no part.
        parts = PARTS if number % 2 == 0 else PARTS[::-1]
        found = {}
        for load, state in parts:
            say(f"copy {state}, {load.title}, round {number + 1} of {options.copy_rounds}")
            found[load, state] = asyncio.run(_part(load, state, options.copy_s))
        rounds.append(found)
    return {f"{load.title}, copy {state}": _summary(load, state, rounds) for load, state in PARTS}


def section(found: dict[str, dict[str, Any]]) -> str:
    """The table."""
    head = (
        "always", "copy", "holds/s", "a hold ms: p50", "p99", "p99 / off", "lag ms: p50", "p99",
        "max", "status says ms: p50", "max", "whole after s", "CPU: server", "drainer",
        "µs a movement", "Redis", "DynamoDB", "others",
    )  # fmt: skip
    lines = [_line(one) for one in found.values()]
    note = f"{MOVEMENTS_PER_S:,} movements a second, each request answered after {ANSWER_MS} ms."
    return f"## The durable copy\n\n{to_table(head, lines)}\n\n{note}"


def _line(one: Mapping[str, Any]) -> tuple[str, ...]:
    cpu, is_copied = one["cpu"], one["copy"] != OFF
    lags = [f"{one[name]:,.0f}" if is_copied else "" for name in ("lag_p50_ms", "lag_p99_ms")]
    lags.append(f"{one['lag_max_ms']:,.0f}" if is_copied else "")
    said = [one["status_p50_ms"], one["status_max_ms"]]
    return (
        one["load"],
        one["copy"],
        f"{one['holds_per_s']:,}",
        f"{one['hold_p50_ms']:.1f}",
        f"{one['hold_p99_ms']:.1f}",
        f"{one['hold_p99_times_off']:.2f}" if is_copied else "",
        *lags,
        *["" if said_ms is None else f"{said_ms:,.0f}" for said_ms in said],
        f"{one['whole_after_s']:.1f}" if is_copied else "",
        f"{cpu['server']:.2f}",
        f"{cpu['drainer']:.2f}" if is_copied else "",
        f"{one['cpu_us_a_movement']:.0f}" if is_copied else "",
        f"{cpu['redis']:.2f}",
        f"{cpu['dynamo']:.2f}",
        f"{one['others']:.2f}",
    )


async def _part(load: Load, state: str, seconds: float) -> dict[str, Any]:
    """Runs a part once."""
    with Stage() as stage:
        scene = _Scene(stage, load, state)
        async with CopyProbe(scene.redis.redis_url, scene.dynamo.url) as probe:
            await scene.prepare()
            scene.hinder()
            # Who is out of reach has no answer for the probe either.
            async with _watching(probe, is_wanted=state in (ON, THROTTLED)):
                paced = await scene.place(seconds)
            whole_after_s = scene.catch_up() if scene.is_copied else 0.0
        told = scene.dynamo.told()
        scene.check(told)
        placed = load.holds_per_s * (seconds + WARMUP_S)
        if count_holds(scene.redis) != placed:
            raise RuntimeError(f"Redis has {count_holds(scene.redis)} holds, not {placed}")
    lags_ms, said_ms = sorted(told["lags_ms"]), sorted(probe.lags_ms)
    return {
        "holds_per_s": paced.calls / paced.seconds,
        "hold_p50_ms": _at(paced.took_ms, 0.5),
        "hold_p99_ms": _at(paced.took_ms, 0.99),
        "hold_max_ms": paced.took_ms[-1],
        "late_ms": paced.late_ms,
        "movements": len(lags_ms),
        "lag_p50_ms": _at(lags_ms, 0.5),
        "lag_p99_ms": _at(lags_ms, 0.99),
        "lag_max_ms": _at(lags_ms, 1),
        "status_p50_ms": _at(said_ms, 0.5) if said_ms else None,
        "status_max_ms": _at(said_ms, 1) if said_ms else None,
        "whole_after_s": whole_after_s,
        "put_again": told["again"],
        "sent_back": told["throttled"],
        "requests": sum(told["requests"].values()),
        "cpu": paced.cpu,
        "others": paced.others,
    }


def drainer_of(server_pid: int) -> int:
    """The process that copies for a server."""
    children = Path(f"/proc/{server_pid}/task/{server_pid}/children").read_text().split()
    is_one = (b"drain_process" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children)
    return next(int(pid) for pid, found in zip(children, is_one, strict=True) if found)


@asynccontextmanager
async def _watching(probe: CopyProbe, *, is_wanted: bool) -> Any:
    """The probe asks meanwhile; raises what ended it before its time."""
    if not is_wanted:
        yield
        return
    watching = asyncio.create_task(probe.watch())
    try:
        yield
    finally:
        if not watching.done():
            watching.cancel()
        (ended,) = await asyncio.gather(watching, return_exceptions=True)
    if not isinstance(ended, asyncio.CancelledError):
        raise ended


def _summary(load: Load, state: str, rounds: Sequence[Round]) -> dict[str, Any]:
    """Medians of the rounds; what is beside the part without a copy, within each round."""
    parts, without = [[one[load, at] for one in rounds] for at in (state, OFF)]
    both = list(zip(parts, without, strict=True))
    summary: dict[str, Any] = {"load": load.title, "copy": state}
    for name, value in parts[0].items():
        if isinstance(value, float | int):
            summary[name] = round(median(part[name] for part in parts), 3)
        elif value is None:
            summary[name] = None
    for name in ("lag_max_ms", "late_ms", "hold_max_ms"):
        summary[name] = round(max(part[name] for part in parts), 1)
    names = parts[0]["cpu"]
    summary["holds_per_s"] = round(summary["holds_per_s"])
    summary["cpu"] = {of: round(median(part["cpu"][of] for part in parts), 3) for of in names}
    times = [part["hold_p99_ms"] / off["hold_p99_ms"] for part, off in both]
    more = [
        part["cpu"]["server"] + part["cpu"].get("drainer", 0.0) - off["cpu"]["server"]
        for part, off in both
    ]
    summary["hold_p99_times_off"] = round(median(times), 2)
    summary["cpu_us_a_movement"] = round(median(more) / MOVEMENTS_PER_S * 1e6, 1)
    for name in ("hold_p99_ms", "lag_p99_ms", "others"):
        summary[f"{name}_a_round"] = [round(part[name], 2) for part in parts]
    return summary


def _at(ordered: Sequence[float], share: float) -> float:
    """What this share stayed within; 0 where there is nothing."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
