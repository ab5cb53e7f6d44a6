"""The examples that sell and subscribe, on real servers that come and go."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from examples import reorder_on_low, sales_agent
from inventory_client import AsyncInventoryClient, SetStockPolicyLine

from tests.eventually import eventually_async
from tests.library.servers import ServerProcess
from tests.processes import DurableRedis

ROOT = Path(__file__).resolve().parents[2]
LOW_AT = 10


@pytest.fixture
async def process(store: DurableRedis, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    running = await asyncio.to_thread(ServerProcess, store.url, tmp_path / "log")
    yield running
    await asyncio.to_thread(running.stop)


@pytest.fixture
async def client(process: ServerProcess) -> AsyncIterator[AsyncInventoryClient]:
    async with AsyncInventoryClient(process.address, timeout=60) as opened:
        yield opened


async def stock(client: AsyncInventoryClient, skus: list[str], on_hand: int) -> None:
    await client.set_stock([(sku, "online", on_hand) for sku in skus])
    await client.set_stock_policy(
        [SetStockPolicyLine(sku=sku, location="online", reorder_point=LOW_AT) for sku in skus]
    )


async def available(client: AsyncInventoryClient, sku: str) -> int:
    return (await client.get_stock(sku)).total.available


# The sales agents


async def test_agents_sell_what_there_is_and_never_more(client) -> None:
    skus = [f"S{n}" for n in range(5)]
    await stock(client, skus, 80)
    outcomes = await sales_agent.run(client, 150, ttl_s=1)
    assert sum(outcomes.values()) == 150
    assert outcomes["sold"] > 0
    assert outcomes["payment failed, units given back"] > 0
    assert outcomes["paid late, sold"] + outcomes["paid too late, money given back"] > 0
    movements = [
        movement
        async for movement in client.list_movements(page_size=1000)
        if movement.reference.startswith("order-") and movement.on_hand_delta < 0
    ]
    sold = outcomes["sold"] + outcomes["paid late, sold"]
    assert len({movement.reference for movement in movements}) == sold
    for sku in skus:
        level = (await client.get_stock(sku)).levels[0]
        units = -sum(each.on_hand_delta for each in movements if each.sku == sku)
        assert (level.held, level.on_hand) == (0, 80 - units)


# The subscriber that reorders


async def test_what_runs_low_is_reordered_once_by_two_subscribers(client, process) -> None:
    await stock(client, ["A", "B"], 50)
    await client.record_sale([("A", "online", 45)])
    both = [asyncio.create_task(reorder_on_low.run(client, 100)) for _ in range(2)]

    async def is_full(sku: str) -> bool:
        return await available(client, sku) == 100

    await eventually_async(lambda: is_full("A"))
    await client.record_sale([("B", "online", 45)])
    await eventually_async(lambda: is_full("B"))
    await asyncio.to_thread(process.kill)
    await asyncio.to_thread(process.start)
    await client.record_sale([("A", "online", 95)])
    await eventually_async(lambda: is_full("A"), timeout_s=60)
    receipts = [
        movement.sku
        async for movement in client.list_movements(page_size=1000)
        if movement.reference.startswith("reorder/")
    ]
    assert sorted(receipts) == ["A", "A", "B"]
    for task in both:
        assert not task.done()
        task.cancel()
    await asyncio.wait(both)


# The subscriber that posts


class Receiver:
    """A webhook that keeps what it was sent; it refuses every third post at first."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        self._posts = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver._posts += 1
                is_refused = receiver._posts % 3 == 0
                if not is_refused:
                    receiver.received.append((self.headers["webhook-id"], body))
                self.send_response(503 if is_refused else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def effects(self) -> list[tuple[str, str]]:
        """What took effect, in order: (sku, kind), each id once."""
        first = dict(reversed(self.received))
        ordered = dict.fromkeys(webhook_id for webhook_id, _ in self.received)
        alerts = [first[webhook_id].get("alert") for webhook_id in ordered]
        return [(alert["sku"], alert["kind"]) for alert in alerts if alert]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    thread = threading.Thread(target=running.server.serve_forever)
    thread.start()
    yield running
    running.server.shutdown()
    thread.join()
    running.server.server_close()


def subscribe(server: str, url: str, cursor: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(str(ROOT / part) for part in ("generated", "clients"))
    return subprocess.Popen(
        [sys.executable, "-m", "examples.webhook_subscriber", url, str(cursor)],
        env={**os.environ, "PYTHONPATH": path, "INVENTORY_SERVER": server},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.timeout(300)
async def test_each_alert_takes_effect_once_whoever_is_killed(
    client, process: ServerProcess, receiver: Receiver, tmp_path: Path
) -> None:
    skus = [f"S{n}" for n in range(12)]
    await stock(client, skus, 50)
    cursor = tmp_path / "cursor.txt"
    child = subscribe(process.address, receiver.url, cursor)
    expected: list[tuple[str, str]] = []

    async def all_came() -> bool:
        return len(receiver.effects()) == len(expected)

    async def has_begun() -> bool:
        return cursor.exists()

    try:
        await eventually_async(has_begun, timeout_s=60)
        for number, sku in enumerate(skus):
            await client.record_sale([(sku, "online", 45)])
            expected.append((sku, "ALERT_KIND_LOW"))
            if number % 4 == 1:
                # In the middle of its work, perhaps between a post and its cursor.
                child.kill()
                child.wait()
                child = subscribe(process.address, receiver.url, cursor)
            if number == 6:
                await asyncio.to_thread(process.kill)
                await asyncio.to_thread(process.start)
        await eventually_async(all_came, timeout_s=90)
    finally:
        child.kill()
        child.wait()
    assert receiver.effects() == expected
