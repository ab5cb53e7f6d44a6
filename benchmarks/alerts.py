"""The alerts section: a thousand subscribers, a few crossings among a thousand holds a second.

The same holds are placed three times a round: while nobody watches, while
everybody reads, and with one subscriber more that never reads. Each subscriber
has a connection of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any, Final

from benchmarks import payloads
from benchmarks.options import Options
from benchmarks.probe import count_alerts, count_holds, set_reorder_point, set_stock
from benchmarks.processes import Stage
from benchmarks.tables import to_table
from benchmarks.watching import CROSSINGS_PER_S, Plan, Watched, watch

REORDER_POINT: Final = 9
NOBODY: Final = "nobody watches"
ALL_READ: Final = "all read"
ONE_SILENT: Final = "one more never reads"
PARTS: Final = (NOBODY, ALL_READ, ONE_SILENT)
PROCESSES: Final = ("server", "redis", "watcher")
"""Whose CPU time is measured, in cores."""

Round = Mapping[str, Watched]


class _Scene:
    """A server whose levels cross, one after another, as often as there are parts to be run."""

    def __init__(self, stage: Stage, options: Options) -> None:
        self._options = options
        self._crossings = int(options.alert_s * CROSSINGS_PER_S)
        self._crossed = self._placed = 0
        self._redis = stage.redis(always=True)
        self._server = stage.server(self._redis)
        set_reorder_point(self._server, REORDER_POINT)
        set_stock(self._server, payloads.SKUS)
        many = self._crossings * options.alert_rounds * len(PARTS)
        crossing = [payloads.crossing_sku(number) for number in range(many)]
        set_stock(self._server, crossing, on_hand=REORDER_POINT + 1)

    def part(self, name: str) -> Watched:
        """Runs a part once."""
        plan = Plan(
            port=self._server.port,
            subscribers=0 if name == NOBODY else self._options.alert_subscribers,
            silent=int(name == ONE_SILENT),
            seconds=self._options.alert_s,
            first_crossing=self._crossed,
            key_prefix=f"alerts-{secrets.token_hex(4)}-",
            watch={"server": self._server.pid, "redis": self._redis.pid},
        )
        watched = watch(plan)
        self._crossed += self._crossings
        self._placed += plan.holds
        found = count_holds(self._redis), count_alerts(self._redis)
        if found != (self._placed, self._crossed):
            raise RuntimeError(f"Redis has {found[0]} holds and {found[1]} alerts after {plan}")
        return watched


def run(options: Options, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """What each part came to, over the quieter half of the rounds."""
    rounds: list[Round] = []
    with Stage() as stage:
        scene = _Scene(stage, options)
        for number in range(options.alert_rounds):
            say(f"alerts, round {number + 1} of {options.alert_rounds}")
            # To and fro, so that a drift of the machine favours no part.
            parts = PARTS if number % 2 == 0 else reversed(PARTS)
            rounds.append({name: scene.part(name) for name in parts})
    rounds.sort(key=lambda one: sum(part.others for part in one.values()))
    quieter = rounds[: (len(rounds) + 1) // 2]
    return {name: _figures(name, quieter, options.alert_subscribers) for name in PARTS}


def section(found: dict[str, dict[str, Any]]) -> str:
    """The table."""
    head = (
        *("always", "holds/s", "a hold ms: p50", "p99"),
        *("until the last has an alert ms: p50", "p99", "max", "server MB", "CPU: server"),
        *("µs a message", "Redis", "watcher", "others"),
    )
    times = ("hold_p50_ms", "hold_p99_ms", "last_p50_ms", "last_p99_ms", "last_max_ms")
    lines = []
    for who, one in found.items():
        waits = [f"{one[name]:.1f}" for name in times]
        memory = [f"{one[f'{at}_mb']:.0f}" for at in ("before", "subscribed", "end")]
        server, redis, watcher = [f"{one['cpu'][of]:.2f}" for of in PROCESSES]
        cpu = (server, f"{one['cpu_us_a_message']:.0f}", redis, watcher, f"{one['others']:.2f}")
        lines.append((who, f"{one['holds_per_s']:,}", *waits, " → ".join(memory), *cpu))
    return f"## Alerts\n\n{to_table(head, lines)}"


def _figures(name: str, rounds: Sequence[Round], subscribers: int) -> dict[str, Any]:
    """Latencies are those of all these rounds together, memory is the most, the rest the mean."""
    parts = [one[name] for one in rounds]
    last = sorted(wait_ms for part in parts for wait_ms in part.last_ms)
    holds = sorted(took_ms for part in parts for took_ms in part.hold_ms)
    cpu = {of: mean(part.cpu[of] for part in parts) for of in PROCESSES}
    quiet = mean(one[NOBODY].cpu["server"] for one in rounds)
    messages_per_s = CROSSINGS_PER_S * subscribers
    return {
        "crossings": len(last),
        "holds_per_s": round(mean(part.holds / part.seconds for part in parts)),
        "hold_p50_ms": _at(holds, 0.5),
        "hold_p99_ms": _at(holds, 0.99),
        "late_ms": round(max(part.late_ms for part in parts), 1),
        "last_p50_ms": _at(last, 0.5),
        "last_p99_ms": _at(last, 0.99),
        "last_max_ms": _at(last, 1),
        "before_mb": round(max(part.before_mb for part in parts), 1),
        "subscribed_mb": round(max(part.subscribed_mb for part in parts), 1),
        "end_mb": round(max(part.end_mb for part in parts), 1),
        "cpu": {of: round(share, 3) for of, share in cpu.items()},
        "cpu_us_a_message": round((cpu["server"] - quiet) / messages_per_s * 1e6, 1),
        "others": round(mean(part.others for part in parts), 2),
        "others_a_round": [round(part.others, 2) for part in parts],
    }


def _at(ordered: Sequence[float], share: float) -> float:
    """What this share of the waits stayed within; 0 where there are none."""
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)
