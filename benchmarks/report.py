"""A run's results as tables to read, and as JSON to keep."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import alerts, batches, catalog, client, durable_copy, promises, scale
from benchmarks.latency import METHODS, Latencies
from benchmarks.promises import Promise
from benchmarks.tables import to_table
from benchmarks.throughput import NAMES, Figures, ratio


@dataclass
class Results:
    """Everything that a run found; sections that were not run are empty."""

    machine: dict[str, str]
    options: dict[str, Any]
    load: dict[str, dict[str, Figures]] = field(default_factory=dict)
    latency: dict[str, dict[str, Latencies]] = field(default_factory=dict)
    batch: dict[str, dict[str, Figures]] = field(default_factory=dict)
    scale: scale.Curve = field(default_factory=dict)
    expiry: dict[str, dict[str, Any]] = field(default_factory=dict)
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    imports: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    catalog: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    copy: dict[str, dict[str, Any]] = field(default_factory=dict)

    def promises(self) -> list[Promise]:
        """What was promised of what was measured."""
        found = [*promises.of_load(self.load), *promises.of_latency(self.latency)]
        found += promises.of_batches(self.batch)
        found += promises.of_scale(self.scale)
        found += promises.of_expiry(self.expiry)
        found += promises.of_alerts(self.alerts)
        found += promises.of_imports(self.imports)
        found += client.promises(self.client)
        return found + list(promises.of_memory(self.memory)) if self.memory else found


def to_markdown(results: Results) -> str:
    """All tables."""
    parts = [_machine(results)]
    parts += [_load(durability, rows) for durability, rows in results.load.items()]
    if results.latency:
        parts.append(_latency(results.latency))
    parts += [_batch(durability, rows) for durability, rows in results.batch.items()]
    if results.scale:
        parts.append(_scale(results.scale))
    if results.expiry:
        parts.append(_expiry(results.expiry))
    if results.alerts:
        parts.append(alerts.section(results.alerts))
    if results.imports:
        parts.append(_imports(results.imports))
    if results.memory:
        parts.append(_memory(results.memory))
    if results.catalog:
        parts.append(catalog.section(results.catalog))
    if results.client:
        parts.append(client.section(results.client))
    if results.copy:
        parts.append(durable_copy.section(results.copy))
    parts.append(_promises(results.promises()))
    return "\n\n".join(parts) + "\n"


def to_json(results: Results) -> str:
    """All figures."""
    kept = {
        "machine": results.machine,
        "options": results.options,
        "load": _summaries(results.load),
        "latency": _summaries(results.latency),
        "batch": _summaries(results.batch),
        "scale": _summaries(
            {" levels, ".join(map(str, p)) + " holds": r for p, r in results.scale.items()}
        ),
        "expiry": results.expiry,
        "alerts": results.alerts,
        "import": results.imports,
        "memory": results.memory,
        "catalog": results.catalog,
        "client": results.client,
        "copy": results.copy,
        "promises": [promise._asdict() for promise in results.promises()],
    }
    return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"


def save(results: Results, folder: Path) -> None:
    """Writes latest.md and latest.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.md").write_text(to_markdown(results), encoding="utf-8")
    (folder / "latest.json").write_text(to_json(results), encoding="utf-8")


def _summaries(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        durability: {name: row.summary() for name, row in rows.items()}
        for durability, rows in found.items()
    }


def _machine(results: Results) -> str:
    facts = [f"- {name}: {value}" for name, value in results.machine.items()]
    run = ", ".join(f"{name} {value}" for name, value in results.options.items())
    return "\n".join(("# Benchmark results", "", *facts, f"- run: {run}"))


def _load(durability: str, rows: dict[str, Figures]) -> str:
    head = (
        "what",
        "calls/s",
        "of empty RPC",
        "server CPU µs",
        "Redis CPU µs",
        "p50 ms",
        "p99 ms",
        "others",
    )
    lines = []
    for name, title in NAMES.items():
        if name not in rows:
            continue
        row, summary = rows[name], rows[name].summary()
        share = ratio(row, rows["empty"]) if "empty" in rows else None
        cpu = summary["cpu_us_a_call"]
        is_bare = name.startswith("redis")
        lines.append(
            (
                title,
                f"{summary['calls_per_s']:,}",
                "" if share is None or is_bare else f"{share:.2f}",
                f"{cpu['server']:.0f}" if "server" in cpu else "",
                f"{cpu['redis']:.1f}" if "redis" in cpu else "",
                "" if is_bare else f"{summary['p50_ms']:.1f}",
                "" if is_bare else f"{summary['p99_ms']:.1f}",
                f"{summary['others']:.2f}",
            )
        )
    return f"## 64 calls in flight, {durability}\n\n{to_table(head, lines)}"


def _latency(latency: dict[str, dict[str, Latencies]]) -> str:
    head = (
        "one caller, ms",
        "durability",
        "p50",
        "p90",
        "p99",
        "max",
        "p50, raw client",
    )
    lines = [
        (METHODS[name][1], durability, *[f"{figure:.2f}" for figure in row.summary().values()])
        for durability, rows in latency.items()
        for name, row in rows.items()
    ]
    return f"## One caller, one call in flight\n\n{to_table(head, lines)}"


def _batch(durability: str, rows: dict[str, Figures]) -> str:
    head = (
        "what",
        "holds/s",
        "of Redis alone",
        "server CPU µs",
        "Redis CPU µs",
        "p50 ms",
        "others",
    )
    lines = []
    for name, row in rows.items():
        summary, is_bare = row.summary(), name == batches.ALONE
        cpu = summary["cpu_us_a_call"]
        lines.append(
            (
                batches.NAMES[name],
                f"{summary['calls_per_s']:,}",
                "" if is_bare else f"{ratio(row, rows[batches.ALONE]):.2f}",
                f"{cpu['server']:.1f}" if "server" in cpu else "",
                f"{cpu['redis']:.1f}",
                "" if is_bare else f"{summary['p50_ms']:.1f}",
                f"{summary['others']:.2f}",
            )
        )
    note = "CPU is a hold's, p50 is a call's."
    return f"## Batches of holds, {durability}\n\n{to_table(head, lines)}\n\n{note}"


def _scale(curve: scale.Curve) -> str:
    head = ("one caller", "levels", "open holds", "p50 ms", "times", "inside Redis µs", "times")
    lines = []
    for name, (_, title) in scale.METHODS.items():
        waits = scale.growth(curve, name, scale.p50_ms)
        works = scale.growth(curve, name, scale.script_us)
        for point, rows in curve.items():
            row = rows[name]
            lines.append(
                (
                    title,
                    f"{point.levels:,}",
                    f"{point.holds:,}",
                    f"{row.middle(scale.p50_ms):.3f}",
                    f"{waits[point]:.2f}",
                    f"{row.middle(scale.script_us):.1f}",
                    f"{works[point]:.2f}",
                )
            )
    note = "`times` is how many times the first point's, round by round."
    return f"## More levels, more open holds\n\n{to_table(head, lines)}\n\n{note}"


def _expiry(found: dict[str, dict[str, Any]]) -> str:
    head = (
        *("holds due at once", "durability", "all back after s", "scripts s", "longest ms"),
        *("CPU s: Redis", "server", "another caller ms: p50", "p99", "max", "p99 before", "others"),
    )
    names = (
        *("back_s", "scripts_s", "longest_script_ms", "redis_cpu_s", "server_cpu_s"),
        *("other_p50_ms", "other_p99_ms", "other_max_ms", "other_p99_before_ms", "others"),
    )
    lines = [
        (f"{figures['holds']:,}", durability, *[f"{figures[name]:.2f}" for name in names])
        for durability, figures in found.items()
    ]
    return f"## Expiry\n\n{to_table(head, lines)}"


def _imports(found: dict[str, Any]) -> str:
    head = ("import", "s", "rows/s", "CPU µs a row: server", "Redis", "server MB", "client MB")
    lines = []
    for name, figures in found.items():
        if not isinstance(figures, dict):
            continue
        memory = [
            " → ".join(f"{figures[f'{side}_mb_{at}']:.0f}" for at in ("at_a_quarter", "peak"))
            if f"{side}_mb_peak" in figures
            else ""
            for side in ("server", "client")
        ]
        cpu = [
            f"{figures[key]:.1f}" if (key := f"{side}_cpu_us_a_row") in figures else ""
            for side in ("server", "redis")
        ]
        lines.append(
            (name, f"{figures['seconds']:.2f}", f"{figures['rows_per_s']:,}", *cpu, *memory)
        )
    note = (
        f"The client is `{found['client']}`; memory is after a quarter of the time → at its peak."
    )
    return f"## Import\n\n{to_table(head, lines)}\n\n{note}"


def _memory(found: dict[str, Any]) -> str:
    lines = [(name, f"{size:,} B") for name, size in found.items() if name != "things"]
    head = (f"Redis memory, over {found['things']:,} of each", "bytes each")
    return f"## Memory\n\n{to_table(head, lines)}"


def _promises(found: Iterable[Promise]) -> str:
    head = ("", "promise", "asked", "reached", "reached / asked", "")
    lines = [
        (
            one.id,
            one.text,
            one.asked,
            one.reached,
            f"{one.share:.2f}",
            _verdict(one.share),
        )
        for one in found
    ]
    return f"## Promises\n\n{to_table(head, lines)}"


def _verdict(share: float) -> str:
    return "kept" if share >= 1 else "missed"
