"""Streams in the moments between two steps: nothing is lost there, and nothing comes twice.

Each test holds the hub still in one such moment and lets something happen in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.operations.streams import StreamHub
from inventory_server.settings import Settings
from inventory_server.stores.cursor import parse_cursor
from tests.calls import COUNT, set_stock
from tests.watch import watching

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
    deliver, found = StreamHub._deliver, asyncio.Event()
    read: list[tuple[StreamHub, Any]] = []

    def keep(hub: StreamHub, events: Any) -> None:
        if events:
            read[:] = [(hub, events)]
            found.set()

    class Woken(asyncio.Event):
        """Time is up for the subscriber; before it runs again, the reader hands out."""

        async def wait(self) -> Any:
            try:
                return await super().wait()
            except asyncio.CancelledError:
                if read:
                    monkeypatch.setattr(StreamHub, "_deliver", deliver)
                    deliver(*read.pop())
                raise

    async with watching(stock.WatchStock, moves()) as watch:
        await watch.next(heartbeats=True)
        monkeypatch.setattr(StreamHub, "_deliver", keep)
        monkeypatch.setattr(StreamHub, "CHECK_S", 60)
        (subscriber,) = server._hubs[0]._subscribers
        subscriber.woken = Woken()
        await set_stock(stock, 5)
        await found.wait()
        message, before = None, ""
        while message is None or not message.HasField("movement"):
            before = watch.cursor
            message = await watch.next(heartbeats=True)
    assert seq(before) == 0, "who resumes from that heartbeat has missed nothing"
    assert seq(message.cursor) == 1
