"""Reading levels and changing counts."""

from __future__ import annotations

import grpc
import pytest
from inventory.v1 import stock_level_pb2 as level_pb
from inventory.v1 import stock_service_pb2 as pb

from tests.calls import COUNT, level_of, line, place, refused, set_stock


def adjust(*deltas: tuple[str, int], **more) -> pb.AdjustStockRequest:
    lines = [pb.AdjustStockLine(sku=sku, location="online", delta=delta) for sku, delta in deltas]
    return pb.AdjustStockRequest(lines=lines, reason=COUNT, **more)


async def test_get_stock_gives_every_location_and_totals(stock, holds) -> None:
    await set_stock(stock, 5, location="store:B")
    await set_stock(stock, 7, location="store:A")
    await set_stock(stock, 10)
    await place(holds, line(quantity=4))
    found = (await stock.GetStock(pb.GetStockRequest(sku="SKU1"))).stock
    assert [level.location for level in found.levels] == ["online", "store:A", "store:B"]
    assert (found.total.on_hand, found.total.held, found.total.available) == (22, 4, 18)
    assert (found.online.available, found.stores.available) == (6, 12)
    named = await stock.GetStock(pb.GetStockRequest(sku="SKU1", locations=["store:A"]))
    assert named.stock.total.on_hand == 7
    refusal = await refused(stock.GetStock(pb.GetStockRequest(sku="NONE")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_LEVEL_NOT_FOUND")


async def test_batch_get_keeps_the_order_and_names_the_unknown(stock) -> None:
    for sku in ("B", "A", "C"):
        await set_stock(stock, 1, sku=sku)
    found = await stock.BatchGetStock(pb.BatchGetStockRequest(skus=["C", "X", "A", "Y"]))
    assert [one.sku for one in found.stocks] == ["C", "A"]
    assert list(found.unknown_skus) == ["X", "Y"]


async def walk(stock, size: int, **query) -> list[str]:
    skus, token = [], ""
    while True:
        page = await stock.ListStockLevels(
            pb.ListStockLevelsRequest(location="online", page_size=size, page_token=token, **query)
        )
        skus += [level.sku for level in page.levels]
        token = page.next_page_token
        if not token:
            return skus


@pytest.mark.parametrize("size", [1, 7, 60, 1000])
async def test_a_walk_sees_every_level_once(stock, size) -> None:
    lines = [pb.SetStockLine(sku=f"S-{n:03}", location="online", on_hand=n % 3) for n in range(60)]
    await stock.SetStock(pb.SetStockRequest(lines=lines, reason=COUNT))
    await set_stock(stock, 1, sku="ELSEWHERE", location="store:X")
    assert await walk(stock, size) == [f"S-{n:03}" for n in range(60)]
    assert await walk(stock, size, sku_prefix="S-01") == [f"S-01{n}" for n in range(10)]
    out = await walk(stock, size, status=level_pb.STOCK_STATUS_OUT)
    assert out == [f"S-{n:03}" for n in range(0, 60, 3)]


async def test_a_token_is_bound_to_its_query(stock) -> None:
    for sku in "ABC":
        await set_stock(stock, 1, sku=sku)
    page = await stock.ListStockLevels(pb.ListStockLevelsRequest(location="online", page_size=1))
    for query in (
        {"location": "store:X", "page_token": page.next_page_token},
        {"location": "online", "sku_prefix": "A", "page_token": page.next_page_token},
        {"location": "online", "page_token": "nonsense"},
        {"location": "online", "page_token": "1.%%%"},
        {"location": "online", "page_size": -1},
    ):
        refusal = await refused(stock.ListStockLevels(pb.ListStockLevelsRequest(**query)))
        assert refusal.reason == "INVALID_REQUEST"
        assert refusal.facts["field"] in ("page_token", "page_size")


async def test_set_stock_makes_levels_and_compares_counts(stock) -> None:
    made = await set_stock(stock, 5)
    assert (made.levels[0].on_hand, made.levels[0].version) == (5, 1)
    wrong = pb.SetStockLine(sku="SKU1", location="online", on_hand=9, expected_on_hand=4)
    refusal = await refused(stock.SetStock(pb.SetStockRequest(lines=[wrong], reason=COUNT)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ON_HAND_MISMATCH")
    assert (refusal.facts["expected"], refusal.facts["on_hand"]) == ("4", "5")
    wrong.expected_on_hand = 5
    await stock.SetStock(pb.SetStockRequest(lines=[wrong], reason=COUNT))
    new = pb.SetStockLine(sku="NEW", location="online", on_hand=1, expected_on_hand=0)
    await stock.SetStock(pb.SetStockRequest(lines=[new], reason=COUNT))
    assert (await level_of(stock)).on_hand == 9


async def test_a_count_below_held_needs_force(stock, holds) -> None:
    await set_stock(stock, 5)
    await place(holds, line(quantity=3))
    refusal = await refused(set_stock(stock, 2))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "BELOW_HELD",
    )
    assert (refusal.facts["requested"], refusal.facts["held"]) == ("2", "3")
    await set_stock(stock, 3)
    forced = await set_stock(stock, 2, force=True)
    assert (forced.levels[0].available, forced.levels[0].sellable) == (-1, 0)
    assert forced.levels[0].status == level_pb.STOCK_STATUS_OUT


async def test_adjust_sums_and_stops_at_what_is_held(stock, holds) -> None:
    await set_stock(stock, 5)
    await place(holds, line(quantity=3))
    changed = await stock.AdjustStock(adjust(("SKU1", -3), ("SKU1", 1)))
    assert changed.levels[0].on_hand == 3
    refusal = await refused(stock.AdjustStock(adjust(("SKU1", -1))))
    assert refusal.reason == "BELOW_HELD"
    refusal = await refused(stock.AdjustStock(adjust(("SKU1", 5), ("GONE", 1))))
    assert refusal.reason == "STOCK_LEVEL_NOT_FOUND"
    assert (await level_of(stock)).on_hand == 3


async def test_a_total_has_a_ceiling(stock, db) -> None:
    await set_stock(stock, 5)
    db.set("inv:{3}:level:online:SKU1", f"{10**14 - 2} 0 1")
    refusal = await refused(stock.AdjustStock(adjust(("SKU1", 2))))
    assert refusal.reason == "TOTAL_TOO_LARGE"
    changed = await stock.AdjustStock(adjust(("SKU1", 1)))
    assert changed.levels[0].on_hand == 10**14 - 1
    db.flushall()


async def test_a_sale_follows_the_rule_of_holds(stock, holds) -> None:
    await set_stock(stock, 5)
    await place(holds, line(quantity=3))
    refusal = await refused(stock.RecordSale(pb.RecordSaleRequest(lines=[line(quantity=3)])))
    assert refusal.reason == "INSUFFICIENT_STOCK"
    sold = await stock.RecordSale(pb.RecordSaleRequest(lines=[line(), line()], reference="o"))
    assert (sold.levels[0].on_hand, sold.levels[0].held) == (3, 3)
    assert sold.cursor.startswith("1.")


async def test_due_units_do_not_stand_in_the_way_of_counts(stock, holds, server) -> None:
    server.store.now_ms = "1800000000000"
    await set_stock(stock, 5)
    await place(holds, line(quantity=5), ttl_s=1)
    server.store.now_ms = "1800000001000"
    assert (await set_stock(stock, 1)).levels[0].held == 0


async def test_the_alert_state_trembles_no_more_than_its_rearm_point_allows(
    stock, holds, db
) -> None:
    await set_stock(stock, 20)
    level = "inv:{3}:level:online:SKU1"
    db.set(level, "20 0 1 0 0 10 15 OK")
    states = []
    for on_hand in (11, 10, 12, 15, 16, 10, 0, 5, 15, 16):
        await set_stock(stock, on_hand)
        states.append(db.get(level).split(" ")[7])
    assert states == ["OK", "LOW", "LOW", "LOW", "OK", "LOW", "OUT", "OUT", "OUT", "OK"]
    db.flushall()


async def test_backorder_and_safety_stock_bound_what_is_sold(stock, holds, db) -> None:
    await set_stock(stock, 5)
    db.set("inv:{3}:level:online:SKU1", "5 0 1 2 1 0 0 OK")
    level = await level_of(stock)
    assert (level.available, level.sellable) == (3, 4)
    refusal = await refused(place(holds, line(quantity=5)))
    assert (refusal.facts["available"], refusal.facts["sellable"]) == ("3", "4")
    await place(holds, line(quantity=4))
    assert (await level_of(stock)).available == -1
    db.flushall()
