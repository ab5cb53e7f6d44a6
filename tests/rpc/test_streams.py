"""WatchLowStock and WatchStock: pushed, filtered, resumable, without gap or double."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from inventory.v1 import alert_service_pb2 as pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import movement_pb2
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.alert_service_pb2_grpc import AlertServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_server.domain.stream import Message
from inventory_server.operations.stock import StockOperations
from inventory_server.operations.streams import StreamHub
from inventory_server.server import Server
from inventory_server.servicers.shared_responses import SharedResponses
from inventory_server.settings import Settings
from inventory_server.stores.cursor import cursor_at, parse_cursor
from inventory_server.stores.stream_store import StreamStore
from tests.calls import COUNT, key, line, place, refused, set_stock
from tests.client.cutting_proxy import CuttingProxy
from tests.eventually import eventually_async
from tests.processes import DurableRedis
from tests.watch import Watch, watching

NOW = 1_800_000_000_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, heartbeat_s=0.05)


@pytest.fixture
def alerts(channel: grpc.aio.Channel) -> AlertServiceStub:
    return AlertServiceStub(channel)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[Server, grpc.aio.Channel]]:
    """A server on the test store, and a channel to it."""
    server = Server(settings)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield server, channel
    finally:
        await server.stop()


def low(**query: Any) -> pb.WatchLowStockRequest:
    return pb.WatchLowStockRequest(**query)


def told(messages: list[Any]) -> list[tuple[str, str, int, int]]:
    """What alerts say: kind, SKU, available before and after."""
    return [
        (
            pb.AlertKind.Name(message.alert.kind).removeprefix("ALERT_KIND_"),
            message.alert.sku,
            message.alert.available_before,
            message.alert.available_after,
        )
        for message in messages
    ]


async def set_policy(stock: Any, sku: str = "SKU1", location: str = "online", **points: int) -> Any:
    one = stock_pb.SetStockPolicyLine(sku=sku, location=location, **points)
    return await stock.SetStockPolicy(stock_pb.SetStockPolicyRequest(lines=[one]))


async def adjust(stock: Any, delta: int, sku: str = "SKU1") -> Any:
    one = stock_pb.AdjustStockLine(sku=sku, location="online", delta=delta)
    return await stock.AdjustStock(stock_pb.AdjustStockRequest(lines=[one], reason=COUNT))


async def test_each_crossing_is_told_once_with_its_cause(stock, holds, alerts, server) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 10)
    await set_policy(stock, reorder_point=3, rearm_point=5)
    async with watching(alerts.WatchLowStock, low()) as watch:
        metadata = (*key("h"), ("x-actor", "till-1"))
        placed = await place(
            holds, line(quantity=7), ttl_s=10, reference="order-1", metadata=metadata
        )
        (message,) = await watch.take(1)
        alert = message.alert
        assert told([message]) == [("LOW", "SKU1", 10, 3)]
        assert alert.cause == movement_pb2.MOVEMENT_KIND_HOLD
        assert (alert.hold_id, alert.reference, alert.actor) == (
            placed.hold.hold_id,
            "order-1",
            "till-1",
        )
        assert (alert.level.on_hand, alert.level.held, alert.level.reorder_point) == (10, 7, 3)
        assert alert.time.ToMilliseconds() == NOW
        await adjust(stock, -1)
        await adjust(stock, 2)
        await stock.RecordSale(stock_pb.RecordSaleRequest(lines=[line(quantity=4)]))
        assert told(await watch.take(1)) == [("OUT", "SKU1", 4, 0)], "trembling is silent"
        server.store.now_ms = str(NOW + 10_000)
        await server.sweeper.sweep()
        (message,) = await watch.take(1)
        assert told([message]) == [("RECOVERED", "SKU1", 0, 7)]
        assert (message.alert.cause, message.alert.actor) == (
            movement_pb2.MOVEMENT_KIND_EXPIRE,
            "sweeper",
        )
        await set_policy(stock, reorder_point=7, rearm_point=7)
        (message,) = await watch.take(1)
        assert told([message]) == [("LOW", "SKU1", 7, 7)]
        await set_policy(stock, safety_stock=7)
        assert told(await watch.take(1)) == [("OUT", "SKU1", 7, 0)]


async def test_a_level_that_is_made_empty_is_out_and_recovers_when_it_is_deleted(
    stock, alerts
) -> None:
    async with watching(alerts.WatchLowStock, low()) as watch:
        await set_stock(stock, 0)
        assert told(await watch.take(1)) == [("OUT", "SKU1", 0, 0)]
        gone = [stock_pb.DeleteStockLevelsLine(sku="SKU1", location="online")]
        await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=gone))
        (message,) = await watch.take(1)
        assert told([message]) == [("RECOVERED", "SKU1", 0, 0)]
        assert not message.alert.HasField("level")


async def test_nothing_is_available_of_a_level_that_is_not_there(stock, alerts) -> None:
    default = stock_pb.SetStockPolicyLine(location="online", safety_stock=3)
    await stock.SetStockPolicy(stock_pb.SetStockPolicyRequest(lines=[default]))
    async with watching(alerts.WatchLowStock, low()) as watch:
        await set_stock(stock, 0)
        gone = [stock_pb.DeleteStockLevelsLine(sku="SKU1", location="online")]
        await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=gone))
        assert told(await watch.take(2)) == [("OUT", "SKU1", 0, -3), ("RECOVERED", "SKU1", -3, 0)]


async def test_filters_let_through_what_is_asked_for(stock, alerts) -> None:
    queries = [
        low(locations=["store:DELHI"]),
        low(skus=["B"]),
        low(kinds=[pb.ALERT_KIND_RECOVERED]),
        low(locations=["online"], skus=["A"], kinds=[pb.ALERT_KIND_OUT]),
    ]
    wanted = [["A OUT", "A RECOVERED"], ["B OUT"], ["A RECOVERED", "A RECOVERED"], ["A OUT"]]
    for query, names in zip(queries, wanted, strict=True):
        async with watching(alerts.WatchLowStock, query) as watch:
            for location in ("online", "store:DELHI"):
                await set_stock(stock, 0, "A", location)
                await set_stock(stock, 5, "A", location)
            await set_stock(stock, 0, "B")
            found = [f"{sku} {kind}" for kind, sku, *_ in told(await watch.take(len(names)))]
            assert found == names
        for sku, location in (("A", "online"), ("A", "store:DELHI"), ("B", "online")):
            await set_stock(stock, 0, sku, location)
            gone = [stock_pb.DeleteStockLevelsLine(sku=sku, location=location)]
            await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=gone))


async def test_a_snapshot_is_what_is_low_and_the_tail_goes_on_from_it(stock, alerts) -> None:
    await set_stock(stock, 5, "OK")
    await set_stock(stock, 0, "OUT")
    await set_stock(stock, 3, "LOW", "store:DELHI")
    await set_policy(stock, "LOW", "store:DELHI", reorder_point=3)
    async with watching(alerts.WatchLowStock, low(snapshot=True)) as watch:
        first, second, end = await watch.take(3)
        assert [m.snapshot_level.sku for m in (first, second)] == ["OUT", "LOW"]
        assert first.cursor == second.cursor == ""
        assert end.WhichOneof("event") == "snapshot_end"
        assert end.cursor
        await set_stock(stock, 9, "OUT")
        assert told(await watch.take(1)) == [("RECOVERED", "OUT", 0, 9)]
    async with watching(alerts.WatchLowStock, low(cursor=end.cursor)) as again:
        assert told(await again.take(1)) == [("RECOVERED", "OUT", 0, 9)]


async def test_a_snapshot_taken_under_load_and_its_tail_come_to_what_is_low(stock, alerts) -> None:
    stopping = asyncio.Event()

    async def tremble(n: int) -> None:
        on_hand = 0
        while not stopping.is_set():
            on_hand = 1 - on_hand
            await set_stock(stock, on_hand, f"S{n}")

    for n in range(30):
        await set_stock(stock, n % 2, f"S{n}")
    tremblers = [asyncio.create_task(tremble(n)) for n in range(30)]
    watches = []
    for _ in range(5):
        async with watching(alerts.WatchLowStock, low(snapshot=True)) as watch:
            await watch.take(80)
            watches.append(watch)
    stopping.set()
    await asyncio.gather(*tremblers)
    for watch in watches:
        state: dict[str, bool] = {}
        for message in watch.messages:
            if message.HasField("snapshot_level"):
                state[message.snapshot_level.sku] = True
            elif message.HasField("alert"):
                is_low = message.alert.kind != pb.ALERT_KIND_RECOVERED
                # It may have recovered before the snapshot came to it.
                assert state.get(message.alert.sku, not is_low) != is_low, "twice, or one missing"
                state[message.alert.sku] = is_low


@pytest.mark.parametrize("stream", ["alerts", "journal"])
async def test_streams_that_are_cut_and_resumed_have_no_gap_and_no_double(
    stock, alerts, holds, stream
) -> None:
    for n in range(10):
        await set_stock(stock, 100, f"S{n}", ("online", "store:DELHI")[n % 2])
    run, request = (
        (alerts.WatchLowStock, low) if stream == "alerts"
        else (stock.WatchStock, stock_pb.WatchStockRequest)
    )  # fmt: skip
    stopping = asyncio.Event()

    async def change(n: int) -> None:
        turn = 0
        while not stopping.is_set():
            turn += 1
            where = ("online", "store:DELHI")[n % 2]
            await set_stock(stock, (0, 100)[turn % 2], f"S{n}", where, force=True)

    def name(message: Any) -> tuple[str, str]:
        event = message.alert if stream == "alerts" else message.movement
        return event.location, event.movement_id

    async with watching(run, request()) as whole:
        start = whole.cursor
        changers = [asyncio.create_task(change(n)) for n in range(10)]
        joined: list[list[tuple[str, str]]] = []
        for subscriber in range(6):
            names, cursor = [], start
            for cut in range(8):
                async with watching(run, request(cursor=cursor)) as watch:
                    for message in await watch.take(5 + (subscriber * 7 + cut * 3) % 23):
                        names.append(name(message))
                        cursor = message.cursor
            joined.append(names)
        stopping.set()
        await asyncio.gather(*changers)
        everything: dict[str, list[tuple[str, str]]] = {"online": [], "store:DELHI": []}
        for location, theirs in everything.items():
            while len(theirs) < max(sum(at == location for at, _ in names) for names in joined):
                entry = name(await whole.next())
                everything[entry[0]].append(entry)
    for names in joined:
        assert len(set(names)) == len(names), "no double"
        for location, theirs in everything.items():
            mine = [entry for entry in names if entry[0] == location]
            assert mine == theirs[: len(mine)], "no gap, and in order"


async def test_a_change_of_more_than_is_read_at_once_comes_whole(stock, monkeypatch) -> None:
    monkeypatch.setattr(StreamHub, "A_READ", 5)
    monkeypatch.setattr(StreamHub, "CHECK_S", 0)
    locations = ("online", "store:DELHI")
    lines = [
        stock_pb.SetStockLine(sku=f"S{n}", location=location, on_hand=n)
        for location in locations
        for n in range(12, 30)
    ]
    request = stock_pb.WatchStockRequest()
    async with watching(stock.WatchStock, request) as watch:
        await watch.next(heartbeats=True)
        request.cursor = watch.cursor
        await stock.SetStock(stock_pb.SetStockRequest(lines=lines, reason=COUNT))
        told_at_once = await watch.take(36)
    async with watching(stock.WatchStock, request) as again:
        caught_up = await again.take(36)
    for messages in (told_at_once, caught_up):
        for location in locations:
            movements = [m.movement for m in messages if m.movement.location == location]
            assert [m.level.on_hand for m in movements] == list(range(12, 30))


async def test_a_watcher_reads_its_own_writes(stock) -> None:
    answer = await set_stock(stock, 5)
    await set_stock(stock, 6)
    request = stock_pb.WatchStockRequest(cursor=answer.cursor)
    async with watching(stock.WatchStock, request) as watch:
        (message,) = await watch.take(1)
        assert message.movement.level.on_hand == 6
        later = await set_stock(stock, 7, "OTHER", "store:DELHI")
        (message,) = await watch.take(1)
        assert message.movement.location == "store:DELHI"
        seqs = parse_cursor(message.cursor, 16).places
        assert seqs[7] == parse_cursor(later.cursor, 16).places[7]


async def test_a_cursor_is_good_for_every_stream_at_every_server(settings, db) -> None:
    async with serving(settings) as (_, first), serving(settings) as (_, second):
        stock = StockServiceStub(first)
        streams: dict[str, Any] = {}
        for name, channel in (("first", first), ("second", second)):
            streams[f"alerts, {name}"] = (AlertServiceStub(channel).WatchLowStock, low)
            streams[f"journal, {name}"] = (
                StockServiceStub(channel).WatchStock,
                stock_pb.WatchStockRequest,
            )
        cursors_of = [(await set_stock(stock, n)).cursor for n in (0, 5, 0, 6, 0, 7)]

        async def on_hands(name: str, cursor: str) -> list[int]:
            run, request = streams[name]
            async with watching(run, request(cursor=cursor)) as watch:
                cursors[name] = [(await watch.next()).cursor, (await watch.next()).cursor]
                events = [m.alert if "alerts" in name else m.movement for m in watch.messages]
                return [event.level.on_hand for event in events]

        cursors: dict[str, list[str]] = {}
        for name in streams:
            assert await on_hands(name, cursors_of[1]) == [0, 6]
        for cursor in [pair[0] for pair in cursors.values()]:
            for name in streams:
                assert await on_hands(name, cursor) == [6, 0]


async def test_a_snapshot_of_all_levels(stock) -> None:
    for n in range(5):
        await set_stock(stock, n, f"S{n}", ("online", "store:DELHI")[n % 2])
    for query, skus in (
        ({}, ["S0", "S2", "S4", "S1", "S3"]),
        ({"locations": ["store:DELHI"]}, ["S1", "S3"]),
        ({"skus": ["S3", "S0"]}, ["S0", "S3"]),
    ):
        request = stock_pb.WatchStockRequest(snapshot=True, **query)
        async with watching(stock.WatchStock, request) as watch:
            messages = await watch.take(len(skus) + 1)
            assert [m.snapshot_level.sku for m in messages[:-1]] == skus
            assert messages[-1].WhichOneof("event") == "snapshot_end"


async def test_heartbeats_come_when_nothing_else_does_and_can_be_resumed_from(
    stock, alerts
) -> None:
    async with watching(alerts.WatchLowStock, low()) as watch:
        beat = await watch.next(heartbeats=True)
        assert beat.WhichOneof("event") == "heartbeat"
        assert beat.heartbeat.HasField("time")
        await set_stock(stock, 0)
        await watch.take(1)
        beat = await watch.next(heartbeats=True)
    await set_stock(stock, 5)
    async with watching(alerts.WatchLowStock, low(cursor=beat.cursor)) as watch:
        assert told(await watch.take(1)) == [("RECOVERED", "SKU1", 0, 5)]


async def test_a_quiet_streams_cursor_does_not_grow_old(stock, alerts, server) -> None:
    async with watching(alerts.WatchLowStock, low()) as watch:
        await set_stock(stock, 500)
        places = {}
        while places.get(3) != 1:
            beat = await watch.next(heartbeats=True)
            places = parse_cursor(beat.cursor, 16).places


# Ends


@pytest.mark.parametrize(
    "change",
    [
        lambda store: cursor_at("another", "1", [0] * 16),
        lambda store: cursor_at(store.store_id, "7", [0] * 16),
        lambda store: cursor_at(store.store_id, "1", [1000] * 16),
        lambda store: cursor_at(store.store_id, "1", [0] * 16),
    ],
    ids=["another store", "another epoch", "from the future", "trimmed"],
)
async def test_a_cursor_that_cannot_be_gone_on_from_is_told_with_the_earliest_one(
    stock, alerts, server, db, change
) -> None:
    for n in range(5):
        await set_stock(stock, n % 2)
    db.xtrim("inv:{3}:journal", minid="3-0", approximate=False)
    db.xtrim("inv:{3}:alerts", minid="3-0", approximate=False)
    db.hset("inv:{3}:meta", "kept_from", 3)
    for run, request in (
        (alerts.WatchLowStock, low(cursor=change(server.store))),
        (stock.WatchStock, stock_pb.WatchStockRequest(cursor=change(server.store))),
    ):
        refusal = await Watch(run(request)).until_end()
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.OUT_OF_RANGE,
            "CURSOR_EXPIRED",
        )
        assert parse_cursor(refusal.facts["earliest_cursor"], 16).places[3] == 2
    request = low(cursor=refusal.facts["earliest_cursor"])
    async with watching(alerts.WatchLowStock, request) as watch:
        assert [kind for kind, *_ in told(await watch.take(3))] == ["OUT", "RECOVERED", "OUT"]
    db.flushall()


async def test_a_store_that_goes_back_ends_the_streams(stock, alerts, db) -> None:
    await set_stock(stock, 5)
    async with watching(alerts.WatchLowStock, low()) as watch:
        db.hset("inv:{3}:meta", "seq", 0)
        assert (await watch.until_end()).reason == "CURSOR_EXPIRED"
    db.flushall()


async def test_one_that_does_not_read_is_told_its_last_cursor_and_loses_nothing(
    stock, server, monkeypatch
) -> None:
    monkeypatch.setattr("inventory_server.operations.streams._Subscriber.MOST_WAITING", 10)
    skus = [f"S{n:02}" for n in range(60)]
    lines = [stock_pb.SetStockLine(sku=sku, location="online", on_hand=1) for sku in skus]
    async with watching(stock.WatchStock, stock_pb.WatchStockRequest()) as watch:
        # Until it has come to where the reader is, it reads for itself, and no queue overflows.
        await eventually_async(lambda: _is_joined(server))
        # One change: it is read, and put into the queue, as a whole.
        await stock.SetStock(stock_pb.SetStockRequest(lines=lines, reason=COUNT))
        refusal = await watch.until_end()
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "SLOW_CONSUMER",
    )
    assert refusal.facts["cursor"] == watch.cursor
    events = [m for m in watch.messages if m.HasField("movement")]
    request = stock_pb.WatchStockRequest(cursor=refusal.facts["cursor"])
    async with watching(stock.WatchStock, request) as again:
        rest = await again.take(len(skus) - len(events))
    assert [m.movement.sku for m in (*events, *rest)] == skus


async def _is_joined(server: Server) -> bool:
    return any(hub._subscribers for hub in server._hubs)


async def test_one_that_never_reads_delays_nobody_and_nothing_is_kept_for_it(stock, server) -> None:
    options = (("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1))
    many = [stock_pb.SetStockLine(sku=f"S{n:03}", location="online", on_hand=1) for n in range(500)]
    rounds, note = 6, "n" * 256
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        silent = Watch(StockServiceStub(channel).WatchStock(stock_pb.WatchStockRequest()))
        await silent.next(heartbeats=True)
        async with watching(stock.WatchStock, stock_pb.WatchStockRequest()) as reader:
            for _ in range(rounds):
                request = stock_pb.SetStockRequest(lines=many, reason=COUNT, note=note)
                await stock.SetStock(request)
                for one in many:
                    assert (await reader.next()).movement.sku == one.sku
        ours = parse_cursor(silent.cursor, 16).store_id
        kept = [
            one
            for one in gc.get_objects()
            if isinstance(one, Message)
            and one.event
            # Servers of other tests, in this process too, may not be collected yet.
            and parse_cursor(one.cursor, 16).store_id == ours
        ]
        assert len(kept) < SharedResponses.MOST_KEPT + 10, "what is on its way, and no queue"
        refusal = await silent.until_end()
    assert refusal.reason == "SLOW_CONSUMER"
    assert refusal.facts["cursor"] == silent.cursor
    read = [message for message in silent.messages if message.HasField("movement")]
    assert 0 < len(read) < 500, "so much fits on the wire"
    request = stock_pb.WatchStockRequest(cursor=silent.cursor)
    async with watching(stock.WatchStock, request) as again:
        rest = await again.take(rounds * len(many) - len(read))
    versions = [
        (message.movement.sku, message.movement.level.version) for message in (*read, *rest)
    ]
    assert len(set(versions)) == len(versions) == rounds * len(many)


async def test_one_that_is_cut_off_while_it_is_sent_to_is_no_error_of_the_server(
    settings, db, stock, caplog
) -> None:
    many = [stock_pb.SetStockLine(sku=f"S{n}", location="online", on_hand=1) for n in range(500)]
    server = Server(settings)
    await server.start()
    async with CuttingProxy(f"127.0.0.1:{server.port}", cut_after_bytes=1 << 30) as proxy:
        channel = grpc.aio.insecure_channel(proxy.address, (("grpc.http2.bdp_probe", 0),))
        silent = Watch(StockServiceStub(channel).WatchStock(stock_pb.WatchStockRequest()))
        await silent.next(heartbeats=True)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as direct:
            run = StockServiceStub(direct).WatchStock
            async with watching(run, stock_pb.WatchStockRequest()) as reader:
                await stock.SetStock(stock_pb.SetStockRequest(lines=many, reason=COUNT))
                # More than fits on the wire: the server waits for the silent one to read.
                await reader.take(len(many))
    await server.stop()
    await channel.close()
    assert [one.message for one in caplog.records if one.levelno >= logging.ERROR] == []


async def test_a_stopping_server_ends_streams_after_a_last_heartbeat(settings, db) -> None:
    settings = replace(settings, heartbeat_s=60)
    async with serving(settings) as (stopping, first), serving(settings) as (_, second):
        stock, other = StockServiceStub(first), StockServiceStub(second)
        quiet = stock_pb.WatchStockRequest(locations=["store:DELHI"])
        async with watching(stock.WatchStock, quiet) as watch:
            begun_at = watch.cursor
            await set_stock(other, 1, location="store:DELHI")
            await watch.take(1)
            for n in range(5):
                await set_stock(other, n)
            stop = asyncio.create_task(stopping.stop())
            await set_stock(other, 2, location="store:DELHI")
            refusal = await watch.until_end()
            await stop
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert watch.messages[-1].HasField("heartbeat")
        assert watch.messages[-1].cursor not in ("", begun_at)
        told = [m.movement.level.on_hand for m in watch.messages if m.HasField("movement")]
        quiet.cursor = watch.cursor
        async with watching(other.WatchStock, quiet) as again:
            await set_stock(other, 3, location="store:DELHI")
            while told[-1] != 3:
                told.append((await again.next()).movement.level.on_hand)
        assert told == [1, 2, 3]


async def test_what_waits_for_a_subscriber_is_told_before_the_last_heartbeat(settings, db) -> None:
    settings = replace(settings, heartbeat_s=60)
    async with serving(settings) as (stopping, first), serving(settings) as (_, second):
        stock, other = StockServiceStub(first), StockServiceStub(second)
        async with watching(stock.WatchStock, stock_pb.WatchStockRequest()) as watch:
            await set_stock(stock, 0)
            await watch.take(1)
            for on_hand in (1, 2):
                # More than fits on the way to one who does not read.
                lines = [
                    stock_pb.SetStockLine(sku=f"S{n}", location="online", on_hand=on_hand)
                    for n in range(450)
                ]
                await other.SetStock(stock_pb.SetStockRequest(lines=lines, reason=COUNT))
            (subscriber,) = stopping._hubs[0]._subscribers
            await eventually_async(lambda: _is_longer(subscriber.waiting, 300))
            stop = asyncio.create_task(stopping.stop())
            assert (await watch.until_end()).reason == "DRAINING"
            await stop
        told = [m for m in watch.messages if m.HasField("movement")]
        assert watch.messages[-1].HasField("heartbeat")
        request = stock_pb.WatchStockRequest(cursor=watch.cursor)
        async with watching(other.WatchStock, request) as again:
            await set_stock(other, 3)
            while told[-1].movement.level.on_hand != 3:
                told.append(await again.next())
        seqs = [parse_cursor(m.cursor, 16).places[3] for m in told]
        assert seqs == list(range(1, 903))


async def _is_longer(waiting: Any, count: int) -> bool:
    return len(waiting) > count


@pytest.mark.parametrize("moment", ["snapshot", "catching up", "beginning"])
async def test_a_stopping_server_ends_streams_that_are_not_at_the_tail_yet(
    settings, db, monkeypatch, moment
) -> None:
    monkeypatch.setattr(StreamHub, "A_READ", 2)
    async with serving(settings) as (server, channel):
        stock = StockServiceStub(channel)
        answer = await set_stock(stock, 0)
        for n in range(1, 10):
            await set_stock(stock, n, f"S{n}")
        stops: list[asyncio.Task[None]] = []
        name = {"snapshot": "list_low", "catching up": "between", "beginning": "after"}[moment]
        owner: Any = StockOperations if name == "list_low" else StreamStore
        method = getattr(owner, name)

        async def stop_first(*arguments: Any, **more: Any) -> Any:
            if not stops:
                stops.append(asyncio.create_task(server.stop()))
                await asyncio.sleep(0)
            return await method(*arguments, **more)

        monkeypatch.setattr(owner, name, stop_first)
        request = {
            "snapshot": stock_pb.WatchStockRequest(snapshot=True),
            "catching up": stock_pb.WatchStockRequest(cursor=answer.cursor),
            "beginning": stock_pb.WatchStockRequest(),
        }[moment]
        watch = Watch(stock.WatchStock(request))
        assert (await watch.until_end()).reason == "DRAINING"
        if moment != "snapshot":
            assert watch.messages[-1].HasField("heartbeat")
            told = sum(m.HasField("movement") for m in watch.messages)
            assert parse_cursor(watch.cursor, 16).places[3] == (10 if told == 0 else 1 + told)
        await asyncio.gather(*stops)


async def test_a_stream_goes_on_by_itself_where_redis_dies_and_comes_back(
    settings, store: DurableRedis
) -> None:
    settings = replace(settings, redis_url=store.url, durability="require")
    async with serving(settings) as (server, channel):
        stock, alerts = StockServiceStub(channel), AlertServiceStub(channel)
        async with (
            watching(stock.WatchStock, stock_pb.WatchStockRequest()) as journal,
            watching(alerts.WatchLowStock, low()) as watch,
        ):
            for on_hand in range(3):
                await set_stock(stock, on_hand % 2)
                await journal.take(1)
                await watch.take(1)
                store.die()
                beat = await watch.next(heartbeats=True)
                assert beat.HasField("heartbeat"), "it is alive, and the store is not"
                await asyncio.to_thread(store.start)
                await eventually_async(lambda: _is_ready(server))
            await set_stock(stock, 9)
            (message,) = await journal.take(1)
            assert message.movement.level.version == 4
            await watch.take(1)
        events = [m.movement for m in journal.messages if m.HasField("movement")]
        assert [movement.level.on_hand for movement in events] == [0, 1, 0, 9]
        crossings = [m for m in watch.messages if m.HasField("alert")]
        kinds = [kind for kind, *_ in told(crossings)]
        assert kinds == ["OUT", "RECOVERED", "OUT", "RECOVERED"]


async def _is_ready(server: Server) -> bool:
    return server.store.is_ready


async def test_only_so_many_streams_are_open(settings, db, stock) -> None:
    server = Server(replace(settings, max_streams=2))
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            alerts = AlertServiceStub(channel)
            async with watching(alerts.WatchLowStock, low()):
                async with watching(alerts.WatchLowStock, low()):
                    refusal = await Watch(alerts.WatchLowStock(low())).until_end()
                    assert (refusal.code, refusal.reason, refusal.facts["limit"]) == (
                        grpc.StatusCode.RESOURCE_EXHAUSTED,
                        "TOO_MANY_STREAMS",
                        "2",
                    )
                while True:
                    call = alerts.WatchLowStock(low())
                    if (await call.initial_metadata()) is not None and await _begins(call):
                        break
    finally:
        await server.stop()


async def _begins(call: Any) -> bool:
    try:
        await call.read()
    except grpc.aio.AioRpcError:
        return False
    call.cancel()
    return True


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (low(locations=["shop"]), "locations[0]"),
        (low(locations=["online"] * 101), "locations"),
        (low(skus=["A b"]), "skus[0]"),
        (low(skus=[f"S{n}" for n in range(501)]), "skus"),
        (low(kinds=[0]), "kinds[0]"),
        (low(kinds=[9]), "kinds[0]"),
        (low(cursor="x"), "cursor"),
        (low(cursor="1.###"), "cursor"),
        (low(cursor=cursor_at("s", "1", [1] * 17)), "cursor"),
        (low(cursor=cursor_at("s", "1", [1]), snapshot=True), "snapshot"),
    ],
)
async def test_a_wrong_request_is_refused(alerts, request_, field) -> None:
    refusal = await Watch(alerts.WatchLowStock(request_)).until_end()
    assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", field)


# The list


async def listed(alerts: Any, page_size: int = 0, **query: Any) -> list[str]:
    found, token = [], ""
    while True:
        request = pb.ListLowStockRequest(page_size=page_size, page_token=token, **query)
        page = await alerts.ListLowStock(request)
        found += [f"{level.location}/{level.sku}" for level in page.levels]
        token = page.next_page_token
        if not token:
            return found


@pytest.mark.parametrize("page_size", [0, 1, 2, 1000])
async def test_low_levels_are_listed_by_location_and_sku(stock, alerts, page_size) -> None:
    for n in range(6):
        await set_stock(stock, n, f"S{n}", ("online", "store:DELHI")[n % 2])
    await set_policy(stock, "S2", reorder_point=2)
    assert await listed(alerts, page_size) == ["online/S0", "online/S2"]
    assert await listed(alerts, page_size, location="store:DELHI") == []
    assert await listed(alerts, page_size, threshold=3) == [
        "online/S0", "online/S2", "store:DELHI/S1", "store:DELHI/S3",
    ]  # fmt: skip
    assert await listed(alerts, page_size, threshold=0) == ["online/S0"]


async def test_the_list_takes_no_wrong_query(alerts) -> None:
    for request, field in (
        (pb.ListLowStockRequest(location="shop"), "location"),
        (pb.ListLowStockRequest(page_size=-1), "page_size"),
        (pb.ListLowStockRequest(page_token="x"), "page_token"),
    ):
        refusal = await refused(alerts.ListLowStock(request))
        assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", field)


async def test_holds_of_several_lines_cross_together(stock, holds, alerts) -> None:
    for sku in ("A", "B"):
        await set_stock(stock, 2, sku)
    async with watching(alerts.WatchLowStock, low()) as watch:
        placed = await place(holds, line("A", 2), line("B", 2))
        one, other = await watch.take(2)
        assert one.alert.movement_id.split(".")[0] == other.alert.movement_id.split(".")[0]
        await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=placed.hold.hold_id))
        assert [kind for kind, *_ in told(await watch.take(2))] == ["RECOVERED", "RECOVERED"]


# Trimming


async def test_what_is_too_old_is_trimmed_and_its_cursors_expire(stock, alerts, server, db) -> None:
    server.store.now_ms = str(NOW)
    first = await set_stock(stock, 0)
    for n in range(1, 30):
        server.store.now_ms = str(NOW + n * 1000)
        await set_stock(stock, n % 2)
    server.store.now_ms = str(NOW + 86_400_000)
    assert await server.trimmer.trim() == 1
    server.store.now_ms = str(NOW + 86_400_000 + 9_999)
    assert await server.trimmer.trim() == 9
    assert await server.trimmer.trim() == 0
    assert db.xlen("inv:{3}:journal") == db.xlen("inv:{3}:alerts") == 20
    old = stock_pb.WatchStockRequest(cursor=first.cursor)
    refusal = await Watch(stock.WatchStock(old)).until_end()
    assert refusal.reason == "CURSOR_EXPIRED"
    request = low(cursor=refusal.facts["earliest_cursor"])
    async with watching(alerts.WatchLowStock, request) as watch:
        assert len(await watch.take(20)) == 20
    # What is there still works; the books cannot be checked from their beginning any more.
    assert (await set_stock(stock, 5)).levels[0].on_hand == 5
    db.flushall()


async def test_streams_are_trimmed_by_length_too(stock, server, db) -> None:
    for n in range(30):
        await set_stock(stock, n)
    server.trimmer._max_entries = 12
    assert await server.trimmer.trim() == 18
    assert [entry for entry, _ in db.xrange("inv:{3}:journal", count=1)] == ["19-0"]
    assert db.hget("inv:{3}:meta", "kept_from") == "19"
    db.flushall()
