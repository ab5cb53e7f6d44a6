"""A copy that lacks movements, and what has to come back of its store after all."""

from __future__ import annotations

from typing import Any

import redis
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.stores.copy_leases import CopyLeases
from tests.calls import key, line, place, set_stock
from tests.copy.conftest import Serving
from tests.copy.day import ONLINE, PLACES, a_day
from tests.copy.entries import soon
from tests.copy.serving import PARTITIONS, marks, world

BOTH = (line(quantity=3), line(quantity=4, location="store:DELHI"))


def trim(db: redis.Redis, *partitions: int) -> None:
    """Takes all but the last movement out of these journals, copied or not."""
    for n in partitions:
        last = marks(db)[n]
        db.hset(f"inv:{{{n}}}:meta", "kept_from", last)
        db.xtrim(f"inv:{{{n}}}:journal", minid=f"{last}-0")


async def lacking(leases: CopyLeases) -> int:
    return sum(there.lacking for there in await leases.partitions(range(PARTITIONS), soon()))


async def a_day_that_is_lost(
    serving: Serving, db: redis.Redis, copying: Any, *, is_home_lost: bool = True
) -> None:
    """The copy has things that are gone since, lacks others, and some are old there."""
    stock, holds = serving.stock, serving.holds
    await a_day(stock, holds, 5)
    for location in PLACES:
        await set_stock(stock, 0, sku="WAS", location=location)
    gone, sold = [
        (await place(holds, *BOTH, metadata=key(name))).hold.hold_id for name in ("gone", "sold")
    ]
    if copying:
        await copying(serving)
    was = [stock_pb.DeleteStockLevelsLine(sku="WAS", location=at) for at in PLACES]
    await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=was))
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=sold))
    await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=gone))
    if is_home_lost:
        # As after its retention time.
        db.delete(f"inv:{{{ONLINE}}}:hold:{gone}")
        assert db.lrem(f"inv:{{{ONLINE}}}:ended", 0, gone) == 1
    await a_day(stock, holds, 6, seed=5)
    for location in PLACES:
        await set_default(stock, location, 1)
    await place(holds, *BOTH, metadata=key("open"))


async def set_default(stock: Any, location: str, safety_stock: int) -> None:
    """The policy of levels that are made from now on."""
    line = stock_pb.SetStockPolicyLine(location=location, safety_stock=safety_stock)
    await stock.SetStockPolicy(stock_pb.SetStockPolicyRequest(lines=[line]))


async def assert_restored(serving: Serving, db: redis.Redis, restore: Any, serve: Any) -> None:
    """What a restore makes is what the store was, without a repair."""
    before = world(db)
    await serving.stop()
    db.flushall()
    told = await restore()
    assert (told.exit_code, "REPAIR" in told.output) == (0, False), told.output
    assert world(db) == before
    again = await serve()
    assert await again.discrepancies() == []
