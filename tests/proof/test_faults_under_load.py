"""Whatever breaks under load: what was acknowledged is there, and nothing is there twice.

After each fault the calls without an answer are repeated under their keys, and
then the journals agree with all that any caller was ever told.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from inventory_server.server import Server
from inventory_server.settings import Settings
from tests.faults.proxy import ReplyProxy
from tests.processes import DurableRedis
from tests.proof.load import Asking, Load, outcomes
from tests.proof.two_servers import address, two_servers
from tests.proof.witness import assert_told_as_it_happened
from tests.serving import Running

HOUR_MS = 3_600_000
ENDS = ("ConfirmHold", "ReleaseHold")


def is_unknown(asking: Asking) -> bool:
    return asking.is_unknown


def is_late(since: float, verbs: Sequence[str], refusal: str) -> Callable[[Asking], bool]:
    """What was sent after this moment, and came to that."""
    return lambda a: a.sent_at > since and a.verb in verbs and a.refusal == refusal


def is_done(asking: Asking) -> bool:
    return asking.answer is not None


async def test_a_server_killed_under_load_takes_nothing_with_it(
    start: Callable[..., Running], tmp_path: Path, store: DurableRedis
) -> None:
    async with two_servers(start, tmp_path, store.url) as (two, load):
        async with load.running():
            for death, victim in enumerate(two.servers[:]):
                await load.until_more(600, is_done)
                if death == 1:
                    two.servers.append(await two.start_server(2))
                    load.add(address(two.servers[-1]))
                    await load.until_more(200, is_done)
                victim.kill()
                load.drop(address(victim))
            await load.until_more(600, is_done)
        repeated = await two.settle()
    assert repeated, "the deaths came while calls were in flight"
    assert_told_as_it_happened(load.askings, store.db, deaths_of_a_server=2, settled=repeated)


async def test_a_redis_killed_under_load_loses_nothing_that_was_acknowledged(
    start: Callable[..., Running], tmp_path: Path, store: DurableRedis
) -> None:
    async with two_servers(start, tmp_path, store.url) as (two, load):
        load.timeout_s = 1
        async with load.running():
            for death in range(3):
                await load.until_more(500 + 177 * death, is_done)
                store.die()
                if death == 2:
                    # Long enough that servers cannot find out in their callers' time.
                    await load.until_more(1, is_unknown)
                await asyncio.to_thread(store.start)
            await load.until_more(500, is_done)
        load.timeout_s = 5
        repeated = await two.settle()
    assert repeated
    assert_told_as_it_happened(load.askings, store.db, deaths_of_redis=3, settled=repeated)


async def test_a_server_or_a_redis_that_stands_still_for_a_moment_confuses_nobody(
    start: Callable[..., Running], tmp_path: Path, store: DurableRedis
) -> None:
    async with two_servers(start, tmp_path, store.url) as (two, load):
        load.timeout_s = 1
        async with load.running():
            for process in (two.servers[0].process, two.servers[1].process, store.process):
                await load.until_more(400, is_done)
                os.kill(process.pid, signal.SIGSTOP)
                try:
                    await load.until_more(20, is_unknown)
                finally:
                    os.kill(process.pid, signal.SIGCONT)
            await load.until_more(400, is_done)
        load.timeout_s = 5
        repeated = await two.settle()
    assert repeated
    assert_told_as_it_happened(load.askings, store.db, standstills=3, settled=repeated)


async def test_replies_that_are_lost_between_server_and_redis_are_told_all_the_same(
    start: Callable[..., Running], tmp_path: Path, store: DurableRedis
) -> None:
    store.db.config_set("protected-mode", "no")
    async with ReplyProxy(store.socket) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        async with two_servers(start, tmp_path, url) as (two, load):
            load.timeout_s = 1
            async with load.running():
                for loss in range(8):
                    await load.until_more(200, is_done)
                    proxy.swallowed_bytes, proxy.swallowing = 0, True
                    while not proxy.swallowed_bytes:
                        await load.pause(0.002)
                    if loss % 4 == 3:
                        await load.until_more(20, is_unknown)
                    proxy.swallowing = False
                    proxy.cut()
                await load.until_more(400, is_done)
            load.timeout_s = 5
            repeated = await two.settle()
    assert repeated
    assert_told_as_it_happened(load.askings, store.db, losses=8, settled=repeated)


def takes_anew(asking: Any) -> bool:
    """Whether it takes units where it comes too late."""
    return bool(getattr(asking.request, "rehold_if_expired", False))


async def test_a_full_redis_refuses_holds_whole_and_lets_units_go(
    start: Callable[..., Running], tmp_path: Path, store: DurableRedis
) -> None:
    async with two_servers(start, tmp_path, store.url) as (two, load):
        async with load.running():
            for _ in range(3):
                await load.hoard(4)
                store.db.config_set("maxmemory", "100kb")
                at, since = len(load.askings), load.now()
                for verbs, reason in ((("PlaceHold",), "STORE_FULL"), (ENDS, "")):
                    await load.until_more(30, is_late(since, verbs, reason))
                fulls = [asking for asking in load.askings[at:] if asking.sent_at > since]
                store.db.config_set("maxmemory", "0")
                places = outcomes([a for a in fulls if a.verb == "PlaceHold"])
                assert places.keys() == {"STORE_FULL"}
                ends = outcomes([a for a in fulls if a.verb in ENDS and not takes_anew(a)])
                assert ends["OK"] > 0
                assert "STORE_FULL" not in ends
            await load.until_more(400, is_done)
        repeated = await two.settle()
    assert_told_as_it_happened(load.askings, store.db, times_full=3, settled=repeated)


async def test_scripts_that_are_forgotten_again_and_again_are_loaded_again(
    start: Callable[..., Running], tmp_path: Path, store: DurableRedis
) -> None:
    async with two_servers(start, tmp_path, store.url) as (two, load):
        async with load.running():
            for _ in range(60):
                await load.until_more(40, is_done)
                store.db.script_flush()
        repeated = await two.settle()
    assert_told_as_it_happened(load.askings, store.db, script_flushes=60, settled=repeated)


async def test_a_clock_that_jumps_by_an_hour_and_back_breaks_no_rule(
    settings: Settings, db: redis.Redis
) -> None:
    server = Server(replace(settings, sweeper=True))
    await server.start()
    load = Load([f"127.0.0.1:{server.port}"], timeout_s=10)
    now_ms = 1_800_000_000_000
    server.store.now_ms = str(now_ms)
    await load.stock_up()
    await load.hoard(3)
    async with load.running():
        for jump_ms in (400, 700, -HOUR_MS, 700, 700, 2 * HOUR_MS, 700, -HOUR_MS, 700):
            await load.until_more(250, is_done)
            now_ms += jump_ms
            server.store.now_ms = str(now_ms)
        await load.until_more(250, is_done)
    await load.hoard(3)
    server.store.now_ms = str(now_ms + HOUR_MS)
    await server.sweeper.sweep()
    assert not load.unanswered()
    await load.close()
    await server.stop()
    seen = assert_told_as_it_happened(load.askings, db, jumps_by_an_hour=4)
    assert seen.counts["expiries"] > 100
