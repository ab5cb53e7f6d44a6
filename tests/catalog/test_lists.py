"""What is answered from the index: lists, searches, groups, sums."""

from __future__ import annotations

import asyncio

import pytest
from inventory.v1 import catalog_service_pb2 as pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_level_pb2 as level_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.stores import level_walk
from tests.calls import line, place, refused, set_stock
from tests.catalog.serving import listed, searched, started, upsert
from tests.eventually import eventually_async


def skus(products) -> list[str]:
    return [stocked.product.sku for stocked in products]


async def fill(catalog) -> None:
    await upsert(catalog, "A", name="Oak Chair", brand="Stühle", category="Furniture")
    await upsert(catalog, "B", name="Chairlift", brand="Alpin", category="Sport", unit="set")
    await upsert(catalog, "C", name="Oak Table", brand="Stühle", category="Furniture",
                 subcategory="Tables", active=False)  # fmt: skip
    await upsert(catalog, "D-1/x", name="Sofa", brand="Chair & Co", price_minor=None,
                 category="Furniture", barcode="777")  # fmt: skip


async def test_a_list_has_all_products_and_filters_hold_together(catalog) -> None:
    await fill(catalog)
    assert skus(await listed(catalog)) == ["A", "B", "C", "D-1/x"]
    assert skus(await listed(catalog, page_size=1)) == ["A", "B", "C", "D-1/x"]
    assert skus(await listed(catalog, category="Furniture")) == ["A", "C", "D-1/x"]
    assert skus(await listed(catalog, category="Furniture", subcategory="Tables")) == ["C"]
    assert skus(await listed(catalog, brand="Stühle", active=True)) == ["A"]
    assert skus(await listed(catalog, active=False)) == ["C"]
    assert await listed(catalog, category="furniture") == []


async def test_products_come_with_their_level_and_can_be_listed_by_its_status(
    catalog, stock
) -> None:
    await fill(catalog)
    await set_stock(stock, 5, "A")
    await set_stock(stock, 0, "B")
    await set_stock(stock, 9, "C", "store:1")
    found = await listed(catalog, location="online")
    assert [[level.on_hand for level in one.levels] for one in found] == [[5], [0], [], []]
    out = await listed(catalog, location="online", status=level_pb.STOCK_STATUS_OUT, page_size=1)
    assert skus(out) == ["B"]
    found = (await catalog.SearchProducts(
        pb.SearchProductsRequest(query="oak", location="online")
    )).products  # fmt: skip
    assert [[level.on_hand for level in one.levels] for one in found] == [[5], []]


async def test_a_walk_sees_each_product_once_while_others_are_written(catalog) -> None:
    for n in range(12):
        await upsert(catalog, f"P{n:02}")

    async def write() -> None:
        for n in range(12):
            await upsert(catalog, f"P{n:02}", name=f"renamed {n}")
            await upsert(catalog, f"P{n:02}-new")

    writing = asyncio.create_task(write())
    found = skus(await listed(catalog, page_size=3))
    await writing
    assert [sku for sku in found if not sku.endswith("-new")] == [f"P{n:02}" for n in range(12)]
    assert len(set(found)) == len(found)


async def test_a_search_finds_words_in_any_order_best_first(catalog) -> None:
    await fill(catalog)
    assert await searched(catalog, "chair") == ["A", "B", "D-1/x"]
    assert await searched(catalog, "chair", page_size=1) == ["A", "B", "D-1/x"]
    assert await searched(catalog, "STUHLE oak") == ["A", "C"]
    assert await searched(catalog, "oa chai") == ["A"]
    assert await searched(catalog, "d-1/X") == ["D-1/x"]
    assert await searched(catalog, "777") == ["D-1/x"]
    assert await searched(catalog, "nothing") == []
    for hostile in ('"', "*", "chair OR oak", "name:oak", "NEAR(oak chair)", "🪑", "^oak", "-"):
        await searched(catalog, hostile)


async def test_what_was_deleted_is_in_no_list(catalog) -> None:
    await fill(catalog)
    await catalog.DeleteProduct(pb.DeleteProductRequest(sku="A"))
    assert skus(await listed(catalog)) == ["B", "C", "D-1/x"]
    assert await searched(catalog, "oak") == ["C"]


async def test_categories_and_units_are_counted(catalog) -> None:
    await fill(catalog)
    categories = (await catalog.ListCategories(pb.ListCategoriesRequest())).categories
    assert [(c.name, c.products, c.active_products) for c in categories] == [
        ("Furniture", 3, 2), ("Sport", 1, 1),
    ]  # fmt: skip
    parts = [(s.name, s.products, s.active_products) for s in categories[0].subcategories]
    assert parts == [("Chairs", 2, 2), ("Tables", 1, 0)]
    units = (await catalog.ListUnits(pb.ListUnitsRequest())).units
    assert [(u.name, u.products, u.active_products) for u in units] == [
        ("piece", 3, 2), ("set", 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("levels_a_read", [1, 2, 500])
async def test_the_summary_counts_each_level_once(
    catalog, stock, holds, monkeypatch, levels_a_read: int
) -> None:
    monkeypatch.setattr(level_walk, "LEVELS_A_READ", levels_a_read)
    await fill(catalog)
    await upsert(catalog, "Y", price_minor=100, currency="JPY")
    await set_stock(stock, 10, "A")
    await set_stock(stock, 4, "A", "store:1")
    await set_stock(stock, 0, "B")
    await set_stock(stock, 3, "D-1/x")
    await set_stock(stock, 2, "NO-PRODUCT")
    await set_stock(stock, 6, "Y")
    policy = stock_pb.SetStockPolicyLine(sku="Y", location="online", reorder_point=6)
    await stock.SetStockPolicy(stock_pb.SetStockPolicyRequest(lines=[policy]))
    await place(holds, line("A", 3))
    found = await catalog.GetInventorySummary(pb.GetInventorySummaryRequest())
    assert (found.products, found.active_products) == (5, 4)
    assert (found.levels, found.low_levels, found.out_levels) == (6, 1, 1)
    assert (found.on_hand, found.held, found.unpriced_levels) == (25, 3, 2)
    assert {value.currency: value.value_minor for value in found.values} == {
        "EUR": 14 * 129_995, "JPY": 600,
    }  # fmt: skip
    assert found.start_time.ToMilliseconds() <= found.end_time.ToMilliseconds()
    store = await catalog.GetInventorySummary(pb.GetInventorySummaryRequest(location="store:1"))
    assert (store.levels, store.on_hand) == (1, 4)


async def test_the_summary_counts_no_hold_that_is_due(catalog, stock, holds, server) -> None:
    await set_stock(stock, 5, "A")
    hold = (await place(holds, line("A", 2), ttl_s=60)).hold
    server.store.now_ms = str(hold.expire_time.ToMilliseconds())
    found = await catalog.GetInventorySummary(pb.GetInventorySummaryRequest())
    assert (found.on_hand, found.held) == (5, 0)
    answer = await holds.GetHold(hold_pb.GetHoldRequest(hold_id=hold.hold_id))
    assert answer.hold.state == hold_pb.HOLD_STATE_EXPIRED


async def test_a_value_too_large_to_be_told_is_refused(catalog, stock) -> None:
    await upsert(catalog, "A", price_minor=10**12)
    lines = [stock_pb.SetStockLine(sku="A", location=f"store:{n}", on_hand=2**31 - 1)
             for n in range(5)]  # fmt: skip
    await stock.SetStock(stock_pb.SetStockRequest(lines=lines, reason=1))
    refusal = await refused(catalog.GetInventorySummary(pb.GetInventorySummaryRequest()))
    assert (refusal.reason, refusal.facts) == ("VALUE_TOO_LARGE", {"currency": "EUR"})


async def test_another_server_follows_and_one_that_starts_later_reads_all(
    catalog, catalog_settings
) -> None:
    async with started(catalog_settings) as second:
        index = second.catalog._index
        await upsert(catalog, "A", name="First")
        await eventually_async(lambda: index.get(["A"]))
        await upsert(catalog, "A", name="Second")

        async def is_renamed() -> bool:
            return (await index.get(["A"]))["A"].product.name == "Second"

        await eventually_async(is_renamed)
        await catalog.DeleteProduct(pb.DeleteProductRequest(sku="A"))

        async def is_gone() -> bool:
            return not await index.get(["A"])

        await eventually_async(is_gone)
    await upsert(catalog, "B")
    async with started(catalog_settings) as third:
        assert list(await third.catalog._index.get(["A", "B"])) == ["B"]


@pytest.mark.parametrize("field", ["category", "location", "active"])
async def test_a_page_token_is_of_its_query(catalog, field) -> None:
    await fill(catalog)
    page = await catalog.ListProducts(pb.ListProductsRequest(page_size=1))
    other = {"category": "Furniture", "location": "online", "active": True}[field]
    request = pb.ListProductsRequest(page_token=page.next_page_token, **{field: other})
    assert (await refused(catalog.ListProducts(request))).facts == {"field": "page_token"}
