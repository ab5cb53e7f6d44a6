"""`python -m benchmarks`: runs the suite, prints its tables, and keeps the results."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import (
    alerts,
    batches,
    catalog,
    client,
    durable_copy,
    expiries,
    imports,
    latency,
    machine,
    memory,
    profiling,
    scale,
    throughput,
)
from benchmarks.options import RESULTS, ROWS, SECTIONS, Options, quick_options
from benchmarks.report import Results, save, to_markdown


def main() -> None:
    """Reads the command line and does what it says."""
    arguments = _parser().parse_args()
    # So that a terminated run stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options(arguments)
    if arguments.command == "profile":
        profiling.run(options)
        return
    started = time.perf_counter()
    results = measure(options)
    print("\n" + to_markdown(results))
    _say(f"took {time.perf_counter() - started:.0f} s")
    folder = arguments.out or (RESULTS if options.is_complete else None)
    if folder:
        save(results, folder)
        _say(f"kept in {folder}")


def measure(options: Options) -> Results:
    """Runs the sections that are wanted."""
    told = {name: value for name, value in asdict(options).items() if name != "only"}
    results = Results(machine.describe(), told)
    if options.wants("load"):
        results.load = throughput.run(options, _say)
    if options.wants("latency"):
        results.latency = latency.run(options, _say)
    if options.wants("batch"):
        results.batch = batches.run(options, _say)
    if options.wants("scale"):
        results.scale = scale.run(options, _say)
    if options.wants("expiry"):
        results.expiry = expiries.run(options, _say)
    if options.wants("alerts"):
        results.alerts = alerts.run(options, _say)
    if options.wants("import"):
        results.imports = imports.run(options, _say)
    if options.wants("memory"):
        results.memory = memory.run(options, _say)
    if options.wants("catalog"):
        results.catalog = catalog.run(options, _say)
    if options.wants("client"):
        results.client = client.run(options, _say)
    if options.wants("copy"):
        results.copy = durable_copy.run(options, _say)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "command", nargs="?", choices=("run", "profile"), default="run",
        help="run the suite, or show where the time of a PlaceHold goes",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a short run; nothing is kept")
    parser.add_argument(
        "--only", action="append", choices=(*SECTIONS, *ROWS), default=[], metavar="NAME",
        help=f"a section ({', '.join(SECTIONS)}) or a row of load ({', '.join(ROWS)});"
        " may be given several times; nothing is kept",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, help="measured seconds a row and round")
    parser.add_argument("--rounds", type=int, help="rounds of the load section")
    parser.add_argument("--out", type=Path, help="folder to keep the results in")
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    only = tuple(arguments.only)
    options = quick_options(only) if arguments.quick else Options(only=only)
    told = {"seconds": arguments.seconds, "rounds": arguments.rounds}
    given = {name: value for name, value in told.items() if value is not None}
    options = replace(options, **given)
    if not (1 <= options.rounds <= 100 and 0.1 <= options.seconds <= 60):
        raise SystemExit("--rounds is 1 to 100, --seconds 0.1 to 60")
    return options


def _say(sentence: str) -> None:
    print(f"... {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
