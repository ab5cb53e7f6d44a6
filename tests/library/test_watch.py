"""A watch goes on after its cursor, whatever ends its calls, and leaves none behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from inventory.v1.alert_service_pb2 import WatchLowStockResponse
from inventory.v1.stock_service_pb2 import SetStockPolicyLine
from inventory_client import (
    AlertEvent,
    AsyncInventoryClient,
    CursorExpired,
    HeartbeatEvent,
    InventoryError,
    MovementEvent,
    NeverConnected,
    SnapshotEnded,
    SnapshotLevel,
    SnapshotStarted,
    TooManyStreams,
)

from inventory_server.server import Server
from inventory_server.settings import Settings
from tests.eventually import eventually_async
from tests.library.scripted import SILENT, Said, ScriptedServer
from tests.library.servers import ServerProcess, TcpReplyProxy
from tests.processes import DurableRedis

PATIENCE_S = 30


async def take(watch: Any, count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(watch) for _ in range(count)]


async def receive(client: AsyncInventoryClient, count: int = 1) -> None:
    """As many movements, one after another."""
    for _ in range(count):
        await client.adjust_stock([("A", "online", 1)], reason="RECEIPT")


def on_hand(events: list[Any]) -> list[int]:
    return [event.movement.level.on_hand for event in events]


async def open_streams(server: Server) -> int:
    return sum(hub._watchers for hub in server._hubs)


async def assert_none_is_open(server: Server) -> None:
    async def none() -> bool:
        return await open_streams(server) == 0

    await eventually_async(none)


@pytest.fixture
async def stocked(client: AsyncInventoryClient) -> AsyncInventoryClient:
    await client.set_stock([("A", "online", 10)])
    return client


# What it tells


async def test_it_begins_now_and_tells_what_happens(stocked, server) -> None:
    async with stocked.watch_stock() as watch:
        assert watch.cursor
        await receive(stocked, 3)
        events = await take(watch, 3)
        assert on_hand(events) == [11, 12, 13]
        assert watch.cursor == events[-1].cursor
    await assert_none_is_open(server)


async def test_it_begins_with_a_snapshot_or_after_a_cursor(stocked) -> None:
    async with stocked.watch_stock(snapshot=True) as watch:
        started, level, ended = await take(watch, 3)
        assert started == SnapshotStarted()
        assert isinstance(level, SnapshotLevel)
        assert level.level.on_hand == 10
        assert isinstance(ended, SnapshotEnded)
        assert ended.cursor == watch.cursor
    await receive(stocked, 2)
    async with stocked.watch_stock(cursor=ended.cursor) as watch:
        first, second = await take(watch, 2)
    async with stocked.watch_stock(cursor=first.cursor) as watch:
        assert on_hand(await take(watch, 1)) == on_hand([second])
    with pytest.raises(ValueError, match="not both"):
        stocked.watch_stock(cursor=ended.cursor, snapshot=True)


async def test_alerts_come_with_what_they_say(stocked) -> None:
    await stocked.set_stock_policy(
        [SetStockPolicyLine(sku="A", location="online", reorder_point=8)]
    )
    async with stocked.watch_low_stock(kinds=["LOW", "OUT"]) as watch:
        await stocked.place_hold([("A", "online", 5)], reference="order-1")
        (event,) = await take(watch, 1)
    assert isinstance(event, AlertEvent)
    assert (event.alert.sku, event.alert.available_after) == ("A", 5)
    assert event.alert.reference == "order-1"
    async with stocked.watch_low_stock(snapshot=True) as watch:
        _, level, _ = await take(watch, 3)
    assert isinstance(level, SnapshotLevel)


class TestHeartbeats:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, heartbeat_s=0.05)

    async def test_heartbeats_come_where_they_are_asked_for(self, stocked) -> None:
        async with stocked.watch_stock(heartbeats=True) as watch:
            beats = await take(watch, 2)
        assert all(isinstance(beat, HeartbeatEvent) and beat.cursor for beat in beats)

    async def test_without_them_the_cursor_moves_on_all_the_same(self, stocked) -> None:
        async with stocked.watch_stock(skus=["B"]) as watch:
            begun = watch.cursor
            waiting = asyncio.ensure_future(anext(watch))
            await receive(stocked)

            async def has_moved() -> bool:
                return watch.cursor != begun

            await eventually_async(has_moved)
            waiting.cancel()


# What it leaves behind: nothing


async def test_leaving_it_in_any_way_cancels_its_call(stocked, server) -> None:
    async for _ in stocked.watch_stock(snapshot=True):
        break
    gc.collect()
    await assert_none_is_open(server)

    async def fail() -> None:
        async with stocked.watch_stock(snapshot=True) as watch:
            async for _ in watch:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await assert_none_is_open(server)

    async def read() -> None:
        async for _ in stocked.watch_stock(skus=["B"]):
            pytest.fail("nothing comes")

    task = asyncio.create_task(read())

    async def is_open() -> bool:
        return await open_streams(server) == 1

    await eventually_async(is_open)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_none_is_open(server)


async def test_a_thousand_watches_leave_no_call_and_no_task(stocked, server) -> None:
    async def look() -> None:
        async with stocked.watch_stock(snapshot=True) as watch:
            await take(watch, 1)

    await look()
    tasks = len(asyncio.all_tasks())
    for _ in range(10):
        await asyncio.gather(*[look() for _ in range(100)])
    await assert_none_is_open(server)

    async def as_before() -> bool:
        return len(asyncio.all_tasks()) <= tasks

    await eventually_async(as_before)


async def test_a_read_that_is_given_up_loses_nothing(stocked) -> None:
    async with stocked.watch_stock() as watch:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(watch)
        await receive(stocked, 2)
        assert on_hand(await take(watch, 2)) == [11, 12]


async def test_closing_the_client_ends_it(stocked) -> None:
    watch = stocked.watch_stock()
    waiting = asyncio.ensure_future(take(watch, 1))
    await receive(stocked)
    await stocked.close()
    await asyncio.wait((waiting,), timeout=PATIENCE_S)
    assert waiting.done()
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


# What it survives


@pytest.fixture
async def process(store: DurableRedis, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    flags = ("--heartbeat-s", "0.2")
    process = await asyncio.to_thread(ServerProcess, store.url, tmp_path / "log", *flags)
    yield process
    await asyncio.to_thread(process.stop)


Fault = Callable[[ServerProcess, DurableRedis, TcpReplyProxy], None]


def killed(process: ServerProcess, store: DurableRedis, proxy: TcpReplyProxy) -> None:
    process.kill()
    process.start()


def stopped(process: ServerProcess, store: DurableRedis, proxy: TcpReplyProxy) -> None:
    process.stop()
    process.start()


def redis_restarted(process: ServerProcess, store: DurableRedis, proxy: TcpReplyProxy) -> None:
    store.die()
    store.start()


def cut(process: ServerProcess, store: DurableRedis, proxy: TcpReplyProxy) -> None:
    pass


async def test_it_goes_on_without_a_gap_and_without_a_double(
    process: ServerProcess, store: DurableRedis
) -> None:
    async with TcpReplyProxy(process.address) as proxy, AsyncInventoryClient(
        proxy.address, timeout=PATIENCE_S
    ) as client:  # fmt: skip
        await client.set_stock([("A", "online", 0)])
        async with client.watch_stock() as watch:
            told: list[int] = []
            for fault in (killed, cut, stopped, redis_restarted, cut, killed):
                await receive(client, 3)
                proxy.cut()
                await asyncio.to_thread(fault, process, store, proxy)
                await receive(client, 3)
                told += on_hand(await take(watch, 6))
            assert told == list(range(1, len(told) + 1))


async def test_a_snapshot_that_breaks_off_begins_anew(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    level = WatchLowStockResponse(snapshot_level={"sku": "A"}).SerializeToString()
    end = WatchLowStockResponse(snapshot_end={}, cursor="c1").SerializeToString()
    scripted.script.extend([level, Said(StatusCode.UNAVAILABLE), level, end])
    events = await take(told.watch_low_stock(snapshot=True), 5)
    assert [type(event) for event in events] == [
        SnapshotStarted, SnapshotLevel, SnapshotStarted, SnapshotLevel, SnapshotEnded,
    ]  # fmt: skip


@pytest.mark.parametrize("reason", ["SLOW_CONSUMER", "DRAINING", "STORE_UNAVAILABLE"])
async def test_what_the_server_ends_it_with_is_followed_by_a_new_call(
    reason: str, told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    alert = WatchLowStockResponse(alert={"sku": "A"}, cursor="c1").SerializeToString()
    scripted.script.extend([alert, Said(StatusCode.UNAVAILABLE, reason), alert])
    assert len(await take(told.watch_low_stock(cursor="c0"), 2)) == 2
    assert len(scripted.seen) == 2


async def test_too_many_streams_is_raised_at_first_and_survived_later(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    alert = WatchLowStockResponse(alert={"sku": "A"}, cursor="c1").SerializeToString()
    many = Said(StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
    scripted.script.append(many)
    with pytest.raises(TooManyStreams):
        await take(told.watch_low_stock(), 1)
    scripted.script.extend([alert, many, alert])
    await take(told.watch_low_stock(), 2)


async def test_what_no_call_can_mend_is_raised(told, scripted: ScriptedServer) -> None:
    scripted.script.append(Said(StatusCode.UNAVAILABLE, "STORE_REWOUND"))
    with pytest.raises(InventoryError):
        await take(told.watch_low_stock(), 1)


async def test_a_server_that_was_never_there_is_told() -> None:
    async with AsyncInventoryClient("127.0.0.1:1", timeout=0.3) as client:
        with pytest.raises(NeverConnected):
            await take(client.watch_stock(), 1)


async def test_a_cursor_that_is_not_kept_begins_a_new_snapshot(stocked, server, db) -> None:
    old = (await stocked.adjust_stock([("A", "online", 1)], reason="RECEIPT")).cursor
    await receive(stocked, 5)
    for key in db.keys("*meta"):
        # As trimming does it.
        seq = db.hget(key, "seq")
        if seq is not None:
            db.hset(key, "kept_from", seq)
    events = await take(stocked.watch_stock(cursor=old), 3)
    assert events[0] == SnapshotStarted("CURSOR_EXPIRED")
    assert isinstance(events[1], SnapshotLevel)
    assert events[1].level.on_hand == 16
    assert isinstance(events[2], SnapshotEnded)
    with pytest.raises(CursorExpired) as raised:
        await take(stocked.watch_stock(cursor=old, snapshot_on_gap=False), 1)
    assert raised.value.earliest_cursor


async def test_one_who_does_not_read_goes_on_when_it_does(
    stocked: AsyncInventoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Past what the server keeps for it, SLOW_CONSUMER ends its call; nothing is lost."""
    caplog.set_level("DEBUG", "inventory_client.watching")
    async with stocked.watch_stock() as watch:
        for count in range(12):
            lines = [(f"S{n}", "online", 1 + count) for n in range(500)]
            await stocked.set_stock(lines, note="x" * 256)
        events = await take(watch, 12 * 500)
    levels = [event.movement.level for event in events if isinstance(event, MovementEvent)]
    assert sorted({(level.sku, level.version) for level in levels}) == sorted(
        (level.sku, level.version) for level in levels
    )
    assert len(levels) == 6000
    assert "a watch goes on after SLOW_CONSUMER" in caplog.text


async def test_silence_is_a_broken_connection(
    told: AsyncInventoryClient, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_client.watching.SILENCE_S", 0.2)
    alert = WatchLowStockResponse(alert={"sku": "A"}, cursor="c1").SerializeToString()
    scripted.script.extend([SILENT, alert])
    assert len(await take(told.watch_low_stock(cursor="c0"), 1)) == 1
    assert len(scripted.seen) == 2
