"""The import section: the sample data, and a large file, with the memory of both sides."""

from __future__ import annotations

import csv
import re
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final

import inventory_server.sample_data as sample
from benchmarks.options import ROOT, Options
from benchmarks.processes import Stage, Started, cpu_us, free_port, listens, rss_mb

STORES: Final = tuple(f"store:BENCH_{n}" for n in range(5))
LONGEST_S: Final = 600.0
_TICK_S: Final = 0.05


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures of every import."""
    say("import, the sample data")
    with Stage() as stage:
        rows = [(row.sku, row.location, row.quantity) for row in sample._sample_rows()]
        file = stage.folder / "sample.csv"
        _write(file, iter(rows))
        found: dict[str, Any] = {"sample rows": len(rows), "client": _client_name()}
        found["start with sample data"] = _time_starts(stage, len(rows), options.repeats)
        for durability in ("no AOF", "always"):
            timed = [_import(stage, file, durability) for _ in range(options.repeats)]
            found[f"sample data by ImportStock, {durability}"] = _middle(timed)
    say(f"import, {options.import_rows} rows")
    with Stage() as stage:
        file = stage.folder / "large.csv"
        _write(file, _many_rows(options.import_rows))
        found[f"{options.import_rows} rows by ImportStock, no AOF"] = _import(stage, file, "no AOF")
    return found


def _time_starts(stage: Stage, rows: int, repeats: int) -> dict[str, float]:
    """How much later a server with its own Redis serves when it loads the sample data first."""
    plain, loading = [], []
    for number in range(repeats):
        plain.append(_start_s(stage, f"plain-{number}"))
        loading.append(_start_s(stage, f"sample-{number}", "--sample-data"))
    import_s = median(loading) - median(plain)
    return {
        "start_s": round(median(plain), 3),
        "start_with_sample_data_s": round(median(loading), 3),
        "seconds": round(import_s, 3),
        "rows_per_s": round(rows / import_s),
    }


def _start_s(stage: Stage, folder: str, *flags: str) -> float:
    port, started = free_port(), time.perf_counter()
    server = stage.start(
        "embedded",
        (
            sys.executable, "-m", "inventory_server", "--port", str(port),
            "--data-dir", str(stage.folder / folder), *flags,
        ),
    )  # fmt: skip
    server.wait_until(lambda: listens(port))
    took_s = time.perf_counter() - started
    server.stop()
    return took_s


def _import(stage: Stage, file: Path, durability: str) -> dict[str, float]:
    """Imports a file into a new store; follows the memory of client and server."""
    redis = stage.redis(always=durability == "always")
    server = stage.server(redis)
    before_mb, started = rss_mb(server.pid), time.perf_counter()
    before_us = [cpu_us(process.pid) for process in (server, redis)]
    client = stage.start("import", _client_command(file, server))
    client_mb, server_mb = _follow(client, server, started + LONGEST_S)
    took_s = time.perf_counter() - started
    spent_us = [cpu_us(process.pid) for process in (server, redis)]
    if client.process.returncode:
        raise RuntimeError(f"the import failed:\n{client.log.read_text()}")
    rows = sum(1 for _ in file.open()) - 1
    accepted = re.findall(r"\d+", client.log.read_text().replace(",", ""))
    if str(rows) not in accepted:
        raise RuntimeError(f"{rows} rows were sent:\n{client.log.read_text()}")
    server.stop()
    redis.stop()
    return {
        "seconds": round(took_s, 3),
        "rows_per_s": round(rows / took_s),
        "server_cpu_us_a_row": round((spent_us[0] - before_us[0]) / rows, 1),
        "redis_cpu_us_a_row": round((spent_us[1] - before_us[1]) / rows, 1),
        "server_mb_before": round(before_mb, 1),
        "server_mb_at_a_quarter": round(_early(server_mb), 1),
        "server_mb_peak": round(max(server_mb), 1),
        "client_mb_at_a_quarter": round(_early(client_mb), 1),
        "client_mb_peak": round(max(client_mb), 1),
    }


def _follow(client: Started, server: Started, give_up: float) -> tuple[list[float], list[float]]:
    """Both sides' memory over time, until the client ends."""
    client_mb, server_mb = [0.0], [0.0]
    while client.process.poll() is None:
        if time.perf_counter() > give_up:
            raise RuntimeError(f"the import took longer than {LONGEST_S:.0f} s")
        client_mb.append(rss_mb(client.pid))
        server_mb.append(rss_mb(server.pid))
        time.sleep(_TICK_S)
    return client_mb, server_mb


def _early(mb: list[float]) -> float:
    """The highest of the first quarter of the time: what is later higher has grown."""
    return max(mb[: max(2, len(mb) // 4)])


def _middle(timed: list[dict[str, float]]) -> dict[str, float]:
    return sorted(timed, key=lambda one: one["seconds"])[len(timed) // 2]


def _has_command_line() -> bool:
    return (ROOT / "clients" / "inventory_cli" / "main.py").is_file() and bool(
        find_spec("inventory_cli")
    )


def _client_name() -> str:
    return "inventory stock import" if _has_command_line() else "benchmarks.import_client"


def _client_command(file: Path, server: Started) -> tuple[str, ...]:
    if _has_command_line():
        return (
            sys.executable, "-m", "inventory_cli.main", "stock", "import", str(file),
            "--server", server.address, "--key", file.name,
        )  # fmt: skip
    return (sys.executable, "-m", "benchmarks.import_client", str(file), server.address)


def _many_rows(count: int) -> Iterator[tuple[str, str, int]]:
    """Each SKU in five stores, one row after another, as in the sample data."""
    for n in range(count):
        yield f"BULK{n // len(STORES):08d}", STORES[n % len(STORES)], 1000 + n % 1000


def _write(path: Path, rows: Iterator[tuple[str, str, int]]) -> None:
    with path.open("w", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(("sku", "location", "quantity"))
        writer.writerows(rows)
