"""A server compares its store with the durable copy before anything is written to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from inventory_server import copy_root, copy_tools
from inventory_server.server import Server, StartError
from inventory_server.settings import Settings
from tests.calls import key, level_of, place, refused, set_stock
from tests.copy.conftest import Serving
from tests.copy.day import ONLINE
from tests.copy.entries import until
from tests.copy.serving import PARTITIONS
from tests.copy.snapshots import put_back, snapshot

META, JOURNAL, LEVEL = (
    f"inv:{{{ONLINE}}}:{name}" for name in ("meta", "journal", "level:online:SKU1")
)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The double asks for some, and looks at none."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "double")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "double")
    monkeypatch.setattr(copy_root, "CHECK_S", 2.0)
    monkeypatch.setattr(copy_tools, "TIMEOUT_S", 2.0)


@pytest.fixture
def copied_settings(settings: Settings, dynamo_proxy: Any, table_prefix: str) -> Settings:
    """A server that copies its store, and has no catalogue to speak of."""
    return replace(settings, dynamodb_endpoint=dynamo_proxy.endpoint, table_prefix=table_prefix)


@pytest.fixture
def start(copied_settings: Settings, serve_with: Any) -> Callable[[], Any]:
    return lambda: serve_with(copied_settings)


async def copied_up_to(db: redis.Redis, seq: int) -> None:
    """Waits for it, by what Redis is told."""
    await until(lambda: int(db.hget(META, "copied") or 0) == seq)


async def test_an_empty_redis_is_not_begun_anew_where_there_is_a_copy(
    start, dynamo, db, dynamo_proxy
) -> None:
    first = await start()
    await set_stock(first.stock, 5)
    await copied_up_to(db, 1)
    await first.stop()
    db.flushall()
    with pytest.raises(StartError, match="run inventory-server restore first"):
        await start()
    assert db.keys("*") == []
    dynamo_proxy.stop()
    with pytest.raises(StartError, match="it is not known whether there is a durable copy"):
        await start()
    assert db.keys("*") == []


async def test_a_store_that_was_put_back_takes_no_change(start, dynamo, db) -> None:
    first = await start()
    for n in range(3):
        await set_stock(first.stock, n)
    entries = db.xrange(JOURNAL)
    level = db.get(LEVEL)
    await set_stock(first.stock, 9)
    await copied_up_to(db, 4)
    await first.stop()
    db.hset(META, "seq", 3)
    db.delete(JOURNAL)
    for entry_id, entry in entries:
        db.xadd(JOURNAL, entry, entry_id)
    db.set(LEVEL, level)
    again = await start()
    refusal = await refused(set_stock(again.stock, 7))
    assert (refusal.reason, refusal.facts) == ("STORE_REWOUND", {"partition": str(ONLINE)})
    assert (await level_of(again.stock)).on_hand == 2, "reading goes on"
    assert not again.server.store.is_ready
    assert db.hget(META, "seq") == "3"
    await set_stock(again.stock, 5, location="store:DELHI")


async def test_a_store_is_never_copied_over_another_ones_copy(start, dynamo, db) -> None:
    first = await start()
    await set_stock(first.stock, 5)
    await copied_up_to(db, 1)
    await first.stop()
    db.hset(META, "store_id", "other")
    for n in range(3):
        db.hset(f"inv:{{{n}}}:meta", "store_id", "other")
    again = await start()
    assert (await refused(set_stock(again.stock, 7))).reason == "STORE_REWOUND"


async def test_a_start_does_not_wait_for_dynamodb_and_what_was_lost_is_noticed_later(
    start, dynamo, db, dynamo_proxy
) -> None:
    first = await start()
    for n in range(2):
        await set_stock(first.stock, n)
    await copied_up_to(db, 2)
    await first.stop()
    db.hset(META, "seq", 0)
    db.delete(JOURNAL)
    dynamo_proxy.stop()
    again = await start()
    dynamo_proxy.start()
    await until(lambda: again.server.store.partitions[ONLINE].rewound)
    assert (await refused(set_stock(again.stock, 7))).reason == "STORE_REWOUND"


async def test_without_tables_a_store_is_begun(copied_settings, table_prefix, serve_with) -> None:
    without = replace(copied_settings, table_prefix=f"{table_prefix}none-")
    server: Serving = await serve_with(without)
    await set_stock(server.stock, 5)
    assert (await level_of(server.stock)).on_hand == 5
    assert isinstance(server.server, Server)


async def test_calls_on_their_way_when_an_epoch_begins_all_go_through(serve, db) -> None:
    """The first refusal has it taken over; those of the others are of before."""
    server = await serve()
    await set_stock(server.stock, 100)
    for n in range(PARTITIONS):
        db.hset(f"inv:{{{n}}}:meta", "epoch", 2)
    made = await asyncio.gather(
        *[place(server.holds, metadata=key(f"k{n}")) for n in range(20)],
        *[set_stock(server.stock, 7, sku=f"S{n}") for n in range(20)],
    )
    assert len(made) == 40
    assert (await level_of(server.stock)).held == 20
    assert server.server.store.is_ready


async def test_a_store_that_was_put_back_is_noticed_without_a_change(serve, db) -> None:
    server = await serve()
    await set_stock(server.stock, 5)
    old = snapshot(db)
    await set_stock(server.stock, 6)
    put_back(db, old)
    await until(lambda: not server.server.store.is_ready)
