"""Many callers while a product becomes inactive: from one moment on, no unit of it goes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import grpc
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.stores.activity_store import ActivityStore
from tests.calls import Refusal, level_of, line, place, set_stock

PLACES = ("online", "store:DELHI")


async def test_once_it_is_said_no_hold_and_no_sale_goes_through(server, stock, holds, db) -> None:
    for location in PLACES:
        await set_stock(stock, 10_000_000, location=location)
    activity, is_said, ends = ActivityStore(server.store), False, Counter()
    enough = asyncio.Event()

    def movements() -> int:
        """How many holds and sales the journals have of it."""
        journals = [server.store.keys.journal(server.store.keys.partition(at)) for at in PLACES]
        return sum(db.xlen(journal) for journal in journals)

    async def call(number: int) -> Any:
        lines = [line(location=location) for location in PLACES[number % 2 :]]
        if number % 5:
            return await place(holds, *lines)
        return await stock.RecordSale(stock_pb.RecordSaleRequest(lines=lines))

    async def caller(number: int) -> None:
        """Calls until it was refused a call that began when it was said."""
        while True:
            began_after = is_said
            try:
                await call(number)
                end = "OK"
            except grpc.aio.AioRpcError as error:
                end = Refusal(error).reason
            ends[end, began_after] += 1
            if sum(ends.values()) > 200:
                enough.set()
            if began_after:
                return

    callers = [asyncio.create_task(caller(number)) for number in range(50)]
    await enough.wait()
    await activity.set_active({"SKU1": False}, asyncio.get_running_loop().time() + 10)
    is_said, when_said = True, movements()
    await asyncio.gather(*callers)
    assert ends["OK", False] > 100
    assert ends["PRODUCT_INACTIVE", True] == 50
    assert {end for end, _ in ends} == {"OK", "PRODUCT_INACTIVE"}
    assert ends["OK", True] == 0
    assert movements() == when_said, "nothing that began before went through later"
    level = await level_of(stock)
    assert level.held > 0
