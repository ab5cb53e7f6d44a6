"""Where the time of a PlaceHold goes: `python -m benchmarks profile`.

Runs our server in this process under cProfile while the load generator sends
PlaceHold, and prints the functions by their own time, a call. With `--only
batch` it sends BatchPlaceHolds, and all figures are a hold's. cProfile makes
every Python function dearer and leaves C alone, so the order is to be
believed and the microseconds are not: they are more than without it. The CPU
that the same load takes without cProfile is printed beside it.
"""

from __future__ import annotations

import asyncio
import cProfile
import logging
import os
import pstats
import secrets
import sys
from pathlib import Path
from typing import Final

import uvloop

from benchmarks import payloads
from benchmarks.load import Load, Measured, run_load
from benchmarks.options import CONNECTIONS, ROOT, STREAMS, Options
from benchmarks.packed_scripts import prepare
from benchmarks.payloads import BATCH_ITEMS
from benchmarks.processes import Stage, free_port
from inventory_server.server import Server
from inventory_server.settings import Settings

TOP: Final = 45
_WIDTH: Final = 60


def run(options: Options) -> None:
    """Profiles PlaceHold and prints the table."""
    with Stage() as stage:
        redis = stage.redis(always=False)
        prepare(redis.redis_url, payloads.SKUS)
        settings = Settings(redis_url=redis.redis_url, durability="declared", port=free_port())
        profile = cProfile.Profile()
        logging.disable(logging.WARNING)
        with (stage.folder / "calls.log").open("w") as calls:
            true_stderr, sys.stderr = sys.stderr, calls
            try:
                plain, profiled = uvloop.run(_serve(settings, options, profile))
            finally:
                sys.stderr = true_stderr
    many = BATCH_ITEMS if _is_batch(options) else 1
    what = "BatchPlaceHolds, 2" if _is_batch(options) else "PlaceHold, 64"
    print(f"{what} in flight, server CPU a hold: {plain.cpu_us['server'] / many:.0f} us;")
    print(f"under cProfile {profiled.cpu_us['server'] / many:.0f} us.\n")
    _show(profile, profiled.sent * many)


def _is_batch(options: Options) -> bool:
    return "batch" in options.only


async def _serve(
    settings: Settings, options: Options, profile: cProfile.Profile
) -> tuple[Measured, Measured]:
    server = Server(settings)
    await server.start()
    is_batch = _is_batch(options)
    load = Load(
        port=server.port,
        path=payloads.BATCH_PLACE_HOLDS if is_batch else payloads.PLACE_HOLD,
        messages=payloads.batch_place_holds() if is_batch else payloads.place_holds(),
        connections=1 if is_batch else CONNECTIONS,
        streams=2 if is_batch else STREAMS,
        seconds=options.seconds,
        warmup_s=options.warmup_s,
        key_prefix=f"plain-{secrets.token_hex(4)}-",
        watch={"server": os.getpid()},
    )
    plain = await asyncio.to_thread(run_load, load)
    load.key_prefix = f"profiled-{secrets.token_hex(4)}-"
    profile.enable()
    try:
        profiled = await asyncio.to_thread(run_load, load)
    finally:
        profile.disable()
    await server.stop()
    return plain, profiled


def _show(profile: cProfile.Profile, holds: int) -> None:
    """The functions by own time; µs a hold."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rows = [(own, all_, count, where) for where, (_, count, own, all_, _) in stats.items()]
    rows.sort(reverse=True)
    print(f"{'own us':>8} {'with callees':>13} {'times':>7}  function")
    for own, all_, count, where in rows[:TOP]:
        figures = (own * 1e6, all_ * 1e6, count)
        own_us, all_us, times = (figure / holds for figure in figures)
        print(f"{own_us:8.1f} {all_us:13.1f} {times:7.2f}  {_name(where)}")


def _name(where: tuple[str, int, str]) -> str:
    file, line, function = where
    if file == "~":
        return function[:_WIDTH]
    path = Path(file)
    short = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(*path.parts[-2:])
    return f"{short}:{line} {function}"[: _WIDTH + 20]
