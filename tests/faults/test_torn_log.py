"""A log that ends in the middle of a write: every change is there whole, or not at all."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import redis
from inventory.v1 import hold_service_pb2 as pb
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_server.server import Server
from inventory_server.settings import Settings
from tests.calls import line, place, set_stock
from tests.eventually import eventually
from tests.fold import assert_journal_folds_to_state
from tests.processes import start_redis, stop_process

CUTS = 40
PLACES = ("online", "store:DELHI")


@contextmanager
def redis_in(folder: Path) -> Iterator[redis.Redis]:
    """A redis-server with its log in this folder."""
    process = start_redis(
        *("--port", "0", "--unixsocket", f"{folder}/s", "--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "always", "--aof-load-truncated", "yes"),
    )
    client = redis.Redis(unix_socket_path=f"{folder}/s", decode_responses=True)
    try:
        eventually(client.ping)
        yield client
    finally:
        client.close()
        stop_process(process)


async def trade(address: str) -> None:
    """Holds over two partitions, of every fate."""
    async with grpc.aio.insecure_channel(address) as channel:
        stock, holds = StockServiceStub(channel), HoldServiceStub(channel)
        for location in PLACES:
            for sku in ("A", "B"):
                await set_stock(stock, 1_000, sku, location)
        lines = [line(sku, 2, location) for location in PLACES for sku in ("A", "B")]

        async def one(n: int) -> Any:
            placed = await place(holds, *lines, reference=f"order-{n % 7}")
            hold_id = placed.hold.hold_id
            some = [line("A", 1), line("B", 1, "store:DELHI")]
            if n % 4 == 0:
                await holds.ConfirmHold(
                    pb.ConfirmHoldRequest(hold_id=hold_id, lines=some, keep_rest=True)
                )
            if n % 4 < 2:
                await holds.ReleaseHold(pb.ReleaseHoldRequest(hold_id=hold_id))
            elif n % 4 == 2:
                await holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=hold_id))

        await asyncio.gather(*[one(n) for n in range(80)])


async def test_wherever_the_log_is_cut_no_change_is_half_there(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    with redis_in(whole) as db:
        server = Server(Settings(redis_url=f"unix://{whole}/s", port=0, call_log=False,
                                 durability="warn", sweeper=False, drain_notice_s=0))  # fmt: skip
        await server.start()
        await trade(f"127.0.0.1:{server.port}")
        await server.stop()
        assert_journal_folds_to_state(db)
    (log,) = whole.glob("appendonlydir/*.incr.aof")
    size, chance, found = log.stat().st_size, random.Random(20), set()
    for cut in sorted(chance.randrange(1, size) for _ in range(CUTS)):
        torn = tmp_path / f"torn-{cut}"
        shutil.copytree(whole, torn, ignore=shutil.ignore_patterns("s"))
        with (torn / log.relative_to(whole)).open("r+b") as file:
            file.truncate(cut)
        with redis_in(torn) as db:
            if db.exists("inv:{3}:meta") and db.exists("inv:{15}:meta"):
                assert_journal_folds_to_state(db)
            found.add((db.xlen("inv:{3}:journal"), db.xlen("inv:{7}:journal"), db.dbsize()))
    assert len(found) > CUTS / 2, "the cuts fell at different points of the story"
