"""The drainer is a process of its server: it comes back when it dies, and ends with the server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

import pytest

from inventory_server.drain_process import pack_order, parse_order
from inventory_server.server import StartError
from inventory_server.settings import Settings
from tests.calls import set_stock
from tests.copy.day import ONLINE, until_copied
from tests.copy.entries import soon, until
from tests.eventually import eventually, eventually_async
from tests.processes import DurableRedis, is_running
from tests.serving import Running

META = f"inv:{{{ONLINE}}}:meta"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The double asks for some, and looks at none."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "double")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "double")


@pytest.fixture
def copied_settings(settings: Settings, dynamo_endpoint: str, table_prefix: str) -> Settings:
    return replace(settings, dynamodb_endpoint=dynamo_endpoint, table_prefix=table_prefix)


async def test_a_killed_drainer_is_started_again_and_goes_on(
    serve_with, copied_settings, dynamo, db, leases_of
) -> None:
    serving = await serve_with(copied_settings)
    child = serving.server.copy.drainer
    await set_stock(serving.stock, 1)
    await until(lambda: db.hget(META, "copied") == "1")
    first = child.pid
    os.kill(first, signal.SIGKILL)
    await set_stock(serving.stock, 2)
    # Its leases run out first.
    await until(lambda: db.hget(META, "copied") == "2")
    assert child.pid != first
    await set_stock(serving.stock, 3)
    await serving.stop()
    assert not is_running(child.pid)
    # What was new was copied, and what follows from it, and the lease given back.
    await until_copied(db, leases_of(serving))
    (there,) = await leases_of(serving).partitions([ONLINE], soon())
    assert (there.owner, there.watermark.place.seq) == ("", 3)


def test_it_ends_when_its_server_is_killed(
    start: Any, store: DurableRedis, dynamo: Any, dynamo_endpoint: str, table_prefix: str
) -> None:
    own = ("--dynamodb-endpoint", dynamo_endpoint, "--table-prefix", table_prefix)
    server: Running = start(*own, "--redis-url", store.url, "--partitions", "3")
    (drainer,) = eventually(server.drainers)
    server.set_stock(5)
    server.process.kill()
    server.process.wait()
    eventually(lambda: not is_running(drainer), timeout_s=30)


async def test_it_makes_no_store_and_copies_no_other(copied_settings, redis_url, db) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inventory_server.drain_process"],
        input=pack_order(copied_settings, redis_url, "abc"), capture_output=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (done.returncode, b"Redis has the store -, not abc" in done.stderr) == (1, True)
    assert db.keys("*") == []


def test_an_order_says_everything(copied_settings: Settings) -> None:
    line = pack_order(copied_settings, "unix:///somewhere", "abc")
    assert line.count(b"\n") == 1
    told = replace(copied_settings, redis_url="unix:///somewhere")
    assert parse_order(line.decode()) == (told, "abc")
    assert json.loads(line)["store_id"] == "abc"


async def test_metrics_say_how_late_the_copy_is(serve_with, copied_settings, dynamo, db) -> None:
    serving = await serve_with(replace(copied_settings, metrics_port=0))
    await set_stock(serving.stock, 1)
    await set_stock(serving.stock, 2)

    async def told() -> dict[str, float]:
        url = f"http://127.0.0.1:{serving.server.metrics.port}/metrics"
        text = await asyncio.to_thread(lambda: urlopen(url, timeout=5).read().decode())
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    async def are_counted() -> bool:
        return (await told())["inventory_copy_lag_seconds_count"] == 2

    await eventually_async(are_counted)
    found = await told()
    assert 0 < found["inventory_copy_lag_seconds_sum"] < 60
    assert found['inventory_copy_lag_seconds_bucket{le="+Inf"}'] == 2
    assert found['inventory_copy_lag_seconds_bucket{le="0.05"}'] <= 2
    assert found["inventory_copy_lost_movements"] == 0
    assert found["inventory_copy_waiting_seconds"] < 60
    assert found["process_resident_memory_bytes"] > 0


async def test_without_a_copy_metrics_speak_of_none(serve_with, settings) -> None:
    serving = await serve_with(replace(settings, metrics_port=0))
    url = f"http://127.0.0.1:{serving.server.metrics.port}/metrics"
    text = await asyncio.to_thread(lambda: urlopen(url, timeout=5).read().decode())
    assert "inventory_copy" not in text
    taken = replace(settings, metrics_port=serving.server.metrics.port)
    with pytest.raises(StartError, match="cannot answer for metrics"):
        await serve_with(taken)
