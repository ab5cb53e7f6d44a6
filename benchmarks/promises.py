"""What was promised, and what a run reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.alerts import ALL_READ, ONE_SILENT
from benchmarks.batches import ALONE, best
from benchmarks.latency import Latencies
from benchmarks.payloads import BATCH_ITEMS
from benchmarks.scale import METHODS, Curve, growth, p50_ms, script_us
from benchmarks.throughput import Figures, ratio


class Promise(NamedTuple):
    """One promise. `share` is how much of it was reached: 1 and more is kept."""

    id: str
    text: str
    asked: str
    reached: str
    share: float


def at_least(id_: str, text: str, asked: float, reached: float, unit: str = "") -> Promise:
    """A promise to reach so much."""
    return Promise(id_, text, f"≥ {asked:g}{unit}", f"{reached:.4g}{unit}", reached / asked)


def at_most(id_: str, text: str, asked: float, reached: float, unit: str = "") -> Promise:
    """A promise to stay below so much."""
    return Promise(id_, text, f"≤ {asked:g}{unit}", f"{reached:.4g}{unit}", asked / reached)


def of_load(load: dict[str, dict[str, Figures]]) -> Iterator[Promise]:
    """P1: against the empty RPC and the seed's design, at both durabilities."""
    floors = {"no AOF": (0.55, 0.65, 4), "always": (0.45, 0.55, 6)}
    for durability, rows in load.items():
        floor, goal, times = floors[durability]
        if {"empty", "place"} <= rows.keys():
            share = ratio(rows["place"], rows["empty"])
            text = f"PlaceHold / empty RPC, calls/s, {durability}"
            yield at_least("P1", f"{text}: floor", floor, share)
            yield at_least("P1", f"{text}: goal", goal, share)
        if {"seed", "place"} <= rows.keys():
            share = ratio(rows["place"], rows["seed"])
            text = f"PlaceHold / the seed's design, calls/s, {durability}"
            yield at_least("P1", text, times, share, " times")


def of_latency(latency: dict[str, dict[str, Latencies]]) -> Iterator[Promise]:
    """P3: one caller over loopback, `always`."""
    rows = latency.get("always", {})
    if rows:
        yield at_most("P3", "PlaceHold, one caller, always: p50", 1, rows["place"].at(0.5), " ms")
        yield at_most("P3", "PlaceHold, one caller, always: p99", 3, rows["place"].at(0.99), " ms")
        text = "CheckAvailability of 10 lines, one caller, always: p50"
        yield at_most("P3", text, 0.8, rows["check"].at(0.5), " ms")


def of_batches(found: dict[str, dict[str, Figures]]) -> Iterator[Promise]:
    """P2: batches against Redis alone, at both durabilities."""
    for durability, rows in found.items():
        text = f"BatchPlaceHolds of {BATCH_ITEMS} / Redis alone, holds/s, {durability}"
        yield at_least("P2", text, 0.85, ratio(best(rows), rows[ALONE]))


def of_scale(curve: Curve) -> Iterator[Promise]:
    """P4: the worst point of the curve against the smallest one."""
    for name, (_, title) in METHODS.items() if curve else ():
        worst = max(growth(curve, name, p50_ms).values())
        yield at_most("P4", f"{title}, one caller: p50 / p50 of the smallest", 1.15, worst)
        worst = max(growth(curve, name, script_us).values())
        yield at_most("P4", f"{title}: time inside Redis / the smallest", 2, worst)


def of_expiry(found: dict[str, dict[str, Any]]) -> Iterator[Promise]:
    """P5: holds due at once."""
    for durability, figures in found.items():
        text = f"{figures['holds']:,} holds due at once, {durability}"
        yield at_most("P5", f"{text}: Redis's own time", 2, figures["scripts_s"], " s")
        yield at_most("P5", f"{text}: another caller's p99", 10, figures["other_p99_ms"], " ms")


def of_alerts(found: dict[str, dict[str, Any]]) -> Iterator[Promise]:
    """P8: a crossing reaches everybody soon; one that never reads delays nobody."""
    for name in (ALL_READ, ONE_SILENT) if found else ():
        text = f"an alert reaches the last subscriber, {name}: p99"
        yield at_most("P8", text, 250, found[name]["last_p99_ms"], " ms")
    if found:
        memory_mb = max(figures["end_mb"] for figures in found.values())
        yield at_most("P8", "server memory with all subscribers", 200, memory_mb, " MB")


def of_imports(found: dict[str, Any]) -> Iterator[Promise]:
    """P6: the sample data, and a large file."""
    for name, figures in found.items():
        if not isinstance(figures, dict):
            continue
        if "sample data" in name:
            yield at_most("P6", f"{name}: seconds", 1, figures["seconds"], " s")
        else:
            yield at_least("P6", f"{name}: rows/s", 50_000, figures["rows_per_s"])
            for side in ("server", "client"):
                growth = figures[f"{side}_mb_peak"] / figures[f"{side}_mb_at_a_quarter"]
                text = f"{name}: {side} memory, peak / after a quarter"
                yield at_most("P6", text, 1.1, growth)


def of_memory(found: dict[str, Any]) -> Iterator[Promise]:
    """P7: bytes of Redis a thing."""
    limits = {"open hold": 600, "ended hold": 300, "level": 300}
    for name, asked in limits.items():
        yield at_most("P7", f"Redis memory, {name}", asked, found[name], " B")
