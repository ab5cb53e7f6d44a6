"""The synchronous client has the same surface, made by a program; any thread may use it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from inventory_client import (
    AsyncInventoryClient,
    AsyncOpenHold,
    ClientClosed,
    ImportRow,
    InsufficientStock,
    InventoryClient,
    MovementEvent,
    OpenHold,
    SnapshotEnded,
    SnapshotStarted,
)

from inventory_server.server import Server
from tests.eventually import eventually_async

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clients" / "inventory_client"
INTERNAL = {"send_place_hold"}


@pytest.fixture
async def sync(server: Server) -> AsyncIterator[InventoryClient]:
    client = await asyncio.to_thread(InventoryClient, f"127.0.0.1:{server.port}")
    yield client
    await asyncio.to_thread(client.close)


def surface(kind: type) -> dict[str, str]:
    """The public methods, each with its signature in synchronous words."""
    found = {}
    for name, member in inspect.getmembers(kind):
        if name.startswith("_") or name in INTERNAL:
            continue
        signature = inspect.signature(member) if inspect.isfunction(member) else "property"
        text = str(signature).replace("AsyncIterator", "Iterator")
        for word in ("Pager", "Watch", "OpenHold"):
            text = text.replace(f"Async{word}", word)
        found[name] = text
    return found


def test_the_generated_modules_are_what_the_asynchronous_ones_say(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "tools" / "generate_sync.py"), str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_text() for path in tmp_path.glob("*.py")}
    assert len(made) == 5
    for name, text in made.items():
        assert (PACKAGE / name).read_text() == text, f"{name}: run tools/generate_sync.py"


@pytest.mark.parametrize(
    ("asynchronous", "synchronous"),
    [(AsyncInventoryClient, InventoryClient), (AsyncOpenHold, OpenHold)],
)
def test_both_have_the_same_surface(asynchronous: type, synchronous: type) -> None:
    assert surface(asynchronous) == surface(synchronous)
    assert str(inspect.signature(AsyncInventoryClient)) == str(inspect.signature(InventoryClient))


async def in_thread(work: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(work), 30)


async def test_a_hold_is_placed_and_sold_without_a_loop(sync: InventoryClient) -> None:
    def sell() -> int:
        sync.set_stock([("A", "online", 10)])
        with sync.hold([("A", "online", 2)], ttl=60, keep_alive=True) as hold:
            assert hold.is_held
            hold.confirm()
        with pytest.raises(ZeroDivisionError), sync.hold([("A", "online", 3)]):
            raise ZeroDivisionError
        with pytest.raises(InsufficientStock) as raised:
            sync.place_hold([("A", "online", 9)])
        assert raised.value.lines[0].available == 8
        return sync.get_stock("A").total.on_hand

    assert await in_thread(sell) == 8


async def test_lists_and_imports_are_iterators(sync: InventoryClient) -> None:
    def work() -> None:
        rows = [ImportRow(sku=f"S{n:04}", location="online", quantity=n) for n in range(1200)]
        answers = list(sync.import_stock(rows, mode="SET"))
        assert [answer.accepted_rows for answer in answers] == [500, 500, 200]
        levels = sync.list_stock_levels("online", page_size=100)
        assert isinstance(iter(levels), Iterator)
        assert [level.sku for level in levels] == [row.sku for row in rows]
        assert len(list(levels.pages())) >= 12

    await in_thread(work)


async def test_a_watch_is_an_iterator_that_cancels_its_call(
    sync: InventoryClient, server: Server
) -> None:
    def work() -> None:
        sync.set_stock([("A", "online", 10)])
        with sync.watch_stock(snapshot=True) as watch:
            kinds = [type(next(watch)) for _ in range(3)]
            assert kinds[0] is SnapshotStarted
            assert kinds[2] is SnapshotEnded
            sync.adjust_stock([("A", "online", 1)], reason="RECEIPT")
            event = next(watch)
            assert isinstance(event, MovementEvent)
            assert watch.cursor == event.cursor
        # One that is only left, and not closed.
        for _ in sync.watch_stock(snapshot=True):
            break
        gc.collect()

    async def none_is_open() -> bool:
        return sum(hub._watchers for hub in server._hubs) == 0

    await in_thread(work)
    await eventually_async(none_is_open)


async def test_threads_share_one_client(sync: InventoryClient) -> None:
    def work() -> int:
        sync.set_stock([("A", "online", 100)])
        with ThreadPoolExecutor(20) as pool:
            holds = [pool.submit(sync.place_hold, [("A", "online", 1)]) for _ in range(100)]
        assert len({hold.result().hold.hold_id for hold in holds}) == 100
        return sync.get_stock("A").total.held

    assert await in_thread(work) == 100


async def test_a_closed_client_says_so_and_the_last_one_ends_the_thread(server: Server) -> None:
    def work() -> None:
        before = threading.active_count()
        with (
            InventoryClient(f"127.0.0.1:{server.port}") as one,
            InventoryClient(f"127.0.0.1:{server.port}") as other,
        ):
            one.close()
            with pytest.raises(ClientClosed):
                one.get_stock("A")
            other.set_stock([("A", "online", 1)])
            assert threading.active_count() == before + 1, "they share a thread"
        assert threading.active_count() == before
        with InventoryClient(f"127.0.0.1:{server.port}") as client:
            client.set_stock([("A", "online", 1)])
            watch = client.watch_stock()
        with pytest.raises(ClientClosed):
            client.get_stock("A")
        with pytest.raises(ClientClosed):
            next(watch)
        client.close()
        assert threading.active_count() == before

    await in_thread(work)
