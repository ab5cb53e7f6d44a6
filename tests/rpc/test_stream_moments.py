"""Streams in the moments between two steps: nothing is lost there, and nothing comes twice.

Each test holds the hub still in one such moment and lets something happen in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import redis
from inventory.v1 import alert_service_pb2 as alert_pb
from inventory.v1 import movement_pb2
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.alert_service_pb2_grpc import AlertServiceStub

from inventory_server.domain.errors import StoreUnavailable
from inventory_server.operations.stock import StockOperations
from inventory_server.operations.streams import StreamHub, _Pulse
from inventory_server.settings import Settings
from inventory_server.stores.cursor import cursor_at, parse_cursor
from inventory_server.stores.stream_store import StreamStore
from tests.calls import COUNT, set_stock
from tests.eventually import eventually_async
from tests.watch import Watch, watching

ONLINE = 3
"""The partition of `online`."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, heartbeat_s=0.05)


def moves(**query: Any) -> stock_pb.WatchStockRequest:
    return stock_pb.WatchStockRequest(**query)


def counts(messages: list[Any]) -> list[int]:
    """The on_hand that movements came to."""
    return [m.movement.level.on_hand for m in messages if m.HasField("movement")]


def seq(cursor: str) -> int:
    """How far a cursor is in `online`."""
    return parse_cursor(cursor, 16).places[ONLINE]


async def set_many(stock: Any, on_hand: int, count: int = 500) -> None:
    """As many movements in one change."""
    lines = [
        stock_pb.SetStockLine(sku=f"S{n}", location="online", on_hand=on_hand) for n in range(count)
    ]
    await stock.SetStock(stock_pb.SetStockRequest(lines=lines, reason=COUNT))


# Between two heartbeats


async def test_a_heartbeat_does_not_overtake_what_is_read_in_its_moment(
    stock, server, monkeypatch
) -> None:
    deliver, ring, found = StreamHub._deliver, _Pulse._ring, asyncio.Event()
    read: list[tuple[StreamHub, Any]] = []

    def keep(hub: StreamHub, events: Any) -> None:
        if events:
            read[:] = [(hub, events)]
            found.set()

    def ring_and_deliver(pulse: _Pulse) -> None:
        """Time is up for the subscriber; before it runs again, the reader hands out."""
        ring(pulse)
        if pulse.is_due and read:
            monkeypatch.setattr(StreamHub, "_deliver", deliver)
            deliver(*read.pop())

    async with watching(stock.WatchStock, moves()) as watch:
        await watch.next(heartbeats=True)
        monkeypatch.setattr(StreamHub, "_deliver", keep)
        monkeypatch.setattr(StreamHub, "CHECK_S", 60)
        monkeypatch.setattr(_Pulse, "_ring", ring_and_deliver)
        await set_stock(stock, 5)
        await found.wait()
        message, before = None, ""
        while message is None or not message.HasField("movement"):
            before = watch.cursor
            message = await watch.next(heartbeats=True)
    assert seq(before) == 0, "who resumes from that heartbeat has missed nothing"
    assert seq(message.cursor) == 1


# Between a snapshot's cursor and its levels


async def change_at_snapshot(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Something happens after a snapshot has taken its cursor, and before it reads."""
    list_low = StockOperations.list_low

    async def changed(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(StockOperations, "list_low", list_low)
        await change()
        return await list_low(*arguments, **more)

    monkeypatch.setattr(StockOperations, "list_low", changed)


@pytest.mark.parametrize("stream", ["journal", "alerts"])
async def test_a_level_deleted_and_made_again_in_a_snapshot_is_there_after_it(
    stock, channel, monkeypatch, stream
) -> None:
    async def make_again() -> None:
        gone = [stock_pb.DeleteStockLevelsLine(sku="A", location="online")]
        await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=gone))
        await set_stock(stock, 0, "A")

    await set_stock(stock, 0, "A")
    await set_stock(stock, 0, "B")
    await change_at_snapshot(monkeypatch, make_again)
    run, request, field = (
        (stock.WatchStock, moves(snapshot=True), "movement") if stream == "journal" else
        (AlertServiceStub(channel).WatchLowStock,
         alert_pb.WatchLowStockRequest(snapshot=True), "alert")
    )  # fmt: skip
    async with watching(run, request) as watch:
        *snapshot, end = await watch.take(3)
        assert [m.snapshot_level.sku for m in snapshot] == ["A", "B"]
        assert end.HasField("snapshot_end")
        await set_stock(stock, 1, "B")
        (message,) = await watch.take(1)
        event = getattr(message, field)
        assert (event.sku, event.level.on_hand) == ("B", 1), "what the snapshot had is left out"
        gone = [stock_pb.DeleteStockLevelsLine(sku="A", location="online")]
        await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=gone))
        event = getattr((await watch.take(1))[0], field)
        assert (event.sku, event.HasField("level")) == ("A", False), "and what is new is not"


async def test_a_locations_default_policy_is_told_after_a_snapshot_too(stock) -> None:
    await set_stock(stock, 5)
    async with watching(stock.WatchStock, moves(snapshot=True)) as watch:
        await watch.take(2)
        line = stock_pb.SetStockPolicyLine(location="online", reorder_point=3)
        await stock.SetStockPolicy(stock_pb.SetStockPolicyRequest(lines=[line]))
        (message,) = await watch.take(1)
        assert message.movement.kind == movement_pb2.MOVEMENT_KIND_POLICY
        assert (message.movement.location, message.movement.sku) == ("online", "")


# While a subscriber catches up


async def test_what_is_trimmed_before_a_subscriber_came_to_it_ends_its_stream(
    stock, server, db: redis.Redis, monkeypatch
) -> None:
    monkeypatch.setattr(StreamHub, "A_READ", 5)
    first = await set_stock(stock, 0)
    for n in range(1, 31):
        await set_stock(stock, n)
    between, reads = StreamStore.between, 0

    async def trimmed(self: StreamStore, *arguments: Any) -> Any:
        nonlocal reads
        reads += 1
        if reads == 3:
            server.trimmer._max_entries = 10
            assert await server.trimmer.trim() == 21
        return await between(self, *arguments)

    monkeypatch.setattr(StreamStore, "between", trimmed)
    watch = Watch(stock.WatchStock(moves(cursor=first.cursor)))
    refusal = await watch.until_end()
    assert refusal.reason == "CURSOR_EXPIRED"
    assert seq(refusal.facts["earliest_cursor"]) == 21
    assert counts(watch.messages) == list(range(1, 11)), "and nothing after the gap"
    db.flushall()


# Where a reader begins or ends


async def test_a_cursor_does_not_go_back_where_a_reader_begins_anew(
    stock, server, monkeypatch
) -> None:
    hub = server._hubs[0]
    async with watching(stock.WatchStock, moves()) as watch:
        await watch.next(heartbeats=True)

    async def is_idle() -> bool:
        return hub._reader is not None and hub._reader.done()

    await eventually_async(is_idle)
    answer = await set_stock(stock, 5)
    after, asked, gate = StreamStore.after, asyncio.Event(), asyncio.Event()

    async def slow(self: StreamStore, *arguments: Any) -> Any:
        asked.set()
        await gate.wait()
        return await after(self, *arguments)

    monkeypatch.setattr(StreamStore, "after", slow)
    async with watching(stock.WatchStock, moves()):
        await asked.wait()
        async with watching(stock.WatchStock, moves(cursor=answer.cursor)) as watch:
            beat = await watch.next(heartbeats=True)
            gate.set()
    assert beat.HasField("heartbeat")
    assert seq(beat.cursor) == seq(answer.cursor) == 1


async def test_who_has_not_read_when_a_reader_fails_gets_nothing_from_the_next_one(
    stock, channel, db: redis.Redis
) -> None:
    await set_many(stock, 0)
    journal, kept = f"inv:{{{ONLINE}}}:journal", f"inv:{{{ONLINE}}}:kept"
    async with watching(stock.WatchStock, moves()) as watch:
        await watch.next(heartbeats=True)
        begun_at = seq(watch.cursor)
        for n in range(2):
            await set_many(stock, n)
        # What Redis now answers the reader ends it, and the stream for everybody.
        db.rename(journal, kept)
        db.set(journal, "no stream")
        async with watching(stock.WatchStock, moves()) as other:
            assert (await other.until_end()).reason == "STORE_UNAVAILABLE"
        db.rename(kept, journal)
        await set_many(stock, 2)
        async with watching(stock.WatchStock, moves()) as other:
            await set_many(stock, 3)
            await other.take(500)
        assert (await watch.until_end()).reason == "STORE_UNAVAILABLE"
    told = [seq(m.cursor) for m in watch.messages if m.HasField("movement")]
    assert told == list(range(begun_at + 1, begun_at + 1 + len(told))), "no gap before the end"
    async with watching(stock.WatchStock, moves(cursor=watch.cursor)) as again:
        rest = await again.take(4 * 500 - len(told))
    assert [seq(m.cursor) for m in rest][-1] == begun_at + 4 * 500


async def test_who_catches_up_while_a_reader_fails_goes_on_with_the_next_one(
    stock, server, monkeypatch
) -> None:
    hub, between, after = server._hubs[0], StreamStore.between, StreamStore.after
    await set_stock(stock, 0)
    for n in range(1, 6):
        await set_stock(stock, n, location=("online", "store:DELHI")[n % 2])
    origin = cursor_at(server.store.store_id, "1", [0] * 16)

    async def fail(self: StreamStore, *arguments: Any) -> Any:
        raise RuntimeError("what Redis answers cannot be read")

    async def has_failed() -> bool:
        return hub._reader is not None and hub._reader.done()

    async def failed_first(self: StreamStore, *arguments: Any) -> Any:
        monkeypatch.setattr(StreamStore, "between", between)
        monkeypatch.setattr(StreamStore, "after", fail)
        await eventually_async(has_failed)
        monkeypatch.setattr(StreamStore, "after", after)
        return await between(self, *arguments)

    monkeypatch.setattr(StreamStore, "between", failed_first)
    async with watching(stock.WatchStock, moves(cursor=origin)) as watch:
        messages = await watch.take(6)
        await set_stock(stock, 6)
        messages += await watch.take(1)
    assert counts(messages) == [0, 2, 4, 1, 3, 5, 6]


async def test_a_reader_looks_where_the_store_is_before_it_reads_on_after_an_outage(
    stock, server, db: redis.Redis, monkeypatch
) -> None:
    async with watching(stock.WatchStock, moves()) as watch:
        await watch.next(heartbeats=True)
        places = StreamStore.places

        async def fail_once(self: StreamStore) -> Any:
            monkeypatch.setattr(StreamStore, "places", places)
            for n in range(30):
                await set_stock(stock, n)
            server.trimmer._max_entries = 10
            await server.trimmer.trim()
            raise StoreUnavailable("the store is out of reach")

        monkeypatch.setattr(StreamStore, "places", fail_once)
        refusal = await watch.until_end()
    assert refusal.reason == "CURSOR_EXPIRED"
    assert counts(watch.messages) == []
    db.flushall()
