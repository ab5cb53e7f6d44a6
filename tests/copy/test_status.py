"""`inventory-server status`: what an operator reads of the copy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from inventory_server.cli import app
from tests.calls import set_stock
from tests.copy.day import ONLINE, until_copied


@pytest.fixture
def status(
    redis_url: str, dynamo_endpoint: str, table_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Asks for it, in a thread: it has a loop of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "double")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "double")
    flags = ("--redis-url", redis_url, "--dynamodb-endpoint", dynamo_endpoint)

    async def asks(*more: str) -> Result:
        command = ["status", *flags, "--table-prefix", table_prefix, *more]
        return await asyncio.to_thread(CliRunner().invoke, app, command)

    return asks


async def test_it_tells_how_far_the_copy_is_who_drains_and_how_late_it_is(
    status, stock, db, leases, running, server
) -> None:
    for n in range(3):
        await set_stock(stock, n)
    told = await status()
    assert (told.exit_code, told.output.splitlines()[-1]) == (1, "Nothing was copied yet.")
    drainer = running()
    await until_copied(db, leases)
    told = await status()
    lines = told.output.splitlines()
    assert lines[0].endswith(f"store {server.store.store_id}, epoch 1, 3 partitions")
    assert lines[1] == f"Copy:  of store {server.store.store_id}, epoch 1"
    assert lines[2].split() == [
        "partition", "seq", "journal", "copied", "behind", "lag", "complete", "drained", "by",
    ]  # fmt: skip
    row = [f"{ONLINE}", "3", "3", "3", "0", "0.0", "s", "yes", drainer.lease.name]
    assert lines[3].split() == row
    assert (told.exit_code, lines[4]) == (
        0, "0 movements are on their way, the oldest for 0.0 s; the copy is complete.",
    )  # fmt: skip


async def test_what_waits_has_a_lag_and_a_store_that_went_back_is_told(
    status, stock, db, leases, running, server
) -> None:
    drainer = running()
    await set_stock(stock, 1)
    await until_copied(db, leases)
    drainer.stop()
    server.store.now_ms = str(int(db.time()[0]) * 1000 - 60_000)
    await set_stock(stock, 2)
    told = await status()
    row = told.output.splitlines()[3].split()
    assert (row[:5], told.exit_code) == ([f"{ONLINE}", "2", "2", "1", "1"], 0)
    assert 59 < float(row[5]) < 120
    db.hset(f"inv:{{{ONLINE}}}:meta", "seq", 0)
    told = await status()
    assert told.exit_code == 1
    assert "the store went back" in told.output
    db.flushall()


async def test_a_redis_that_is_not_there_is_said_in_a_sentence(status) -> None:
    told = await status("--redis-url", "unix:///nowhere/redis.sock")
    assert told.exit_code == 2
    assert told.output.startswith("inventory-server: ")
    assert len(told.output.splitlines()) == 1


async def test_to_ask_makes_nothing(status, db) -> None:
    told = await status()
    assert told.exit_code in (1, 2)
    assert db.keys("*") == []


async def test_where_no_dynamodb_is_named_it_says_how_to_name_one(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "INVENTORY_DYNAMODB_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    command = ["status", "--redis-url", redis_url]
    told = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert told.exit_code == 2
    assert "--dynamodb-endpoint" in told.output
