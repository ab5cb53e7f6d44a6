"""Inactive products: not sold from the answer on, whoever dies on the way."""

from __future__ import annotations

import asyncio

import grpc
from inventory.v1 import availability_service_pb2 as availability_pb
from inventory.v1 import catalog_service_pb2 as pb
from inventory.v1 import hold_service_pb2 as hold_pb

from inventory_server.domain.catalog import Product, StoredProduct
from inventory_server.operations.catalog_refresh import CatalogRefresh
from inventory_server.stores.change_feed import ChangeFeed
from inventory_server.stores.product_records import ProductItem
from inventory_server.stores.product_store import ProductStore
from tests.calls import key, line, place, refused, set_stock
from tests.catalog.serving import listed, started, upsert
from tests.eventually import eventually_async


async def test_a_product_is_not_held_while_it_is_inactive(
    catalog, stock, holds, availability
) -> None:
    await set_stock(stock, 10, "A")
    await upsert(catalog, "A")
    hold = (await place(holds, line("A"))).hold
    await upsert(catalog, "A", active=False)
    refusal = await refused(place(holds, line("A")))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PRODUCT_INACTIVE",
    )
    check = await availability.CheckAvailability(
        availability_pb.CheckAvailabilityRequest(lines=[line("A")])
    )
    assert (check.available, check.lines[0].active) == (False, False)
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold.hold_id))
    await upsert(catalog, "A")
    await place(holds, line("A"))


async def test_once_it_is_answered_nobody_holds_it_any_more(catalog, stock, holds) -> None:
    await set_stock(stock, 1000, "A")
    await upsert(catalog, "A")
    answered = False
    late: list[object] = []

    async def sell() -> None:
        while True:
            began_after = answered
            try:
                await place(holds, line("A"))
            except grpc.aio.AioRpcError:
                return
            if began_after:
                late.append("held")

    callers = [asyncio.create_task(sell()) for _ in range(20)]
    await upsert(catalog, "A", active=False)
    answered = True
    await asyncio.gather(*callers)
    assert late == []


async def test_a_deleted_product_is_sold_as_one_that_never_was(catalog, stock, holds) -> None:
    await set_stock(stock, 10, "A")
    await upsert(catalog, "A", active=False)
    await refused(place(holds, line("A")))
    await catalog.DeleteProduct(pb.DeleteProductRequest(sku="A"))
    await place(holds, line("A"))


async def test_a_writer_that_died_before_it_told_stock_is_made_good(
    catalog, stock, holds, dynamo, names, monkeypatch, server
) -> None:
    # What a server leaves that dies after the product's write: announced, written, not told.
    monkeypatch.setattr(CatalogRefresh, "SETTLED_MS", 0)
    await set_stock(stock, 10, "A")
    await ChangeFeed(dynamo, names).announce({"A": 5}, 1e9)
    stored = StoredProduct("A", 5, Product("A", "Chair", active=False), 1, 1)
    assert await ProductStore(dynamo, names).write(ProductItem(stored, {}), 0, 1e9)

    async def is_refused() -> bool:
        try:
            await place(holds, line("A"))
        except grpc.aio.AioRpcError:
            return True
        return False

    await eventually_async(is_refused)


async def test_a_server_that_starts_tells_stock_what_it_reads(
    catalog, catalog_settings, stock, holds, db, server
) -> None:
    await set_stock(stock, 10, "A")
    await set_stock(stock, 10, "B")
    await upsert(catalog, "A", active=False)
    for n in range(16):
        # A store that was restored knows nothing, or something old.
        db.delete(f"inv:{{{n}}}:inactive")
        db.sadd(f"inv:{{{n}}}:inactive", "B")
    async with started(catalog_settings):
        assert (await refused(place(holds, line("A")))).reason == "PRODUCT_INACTIVE"
        await place(holds, line("B"))


async def test_a_repeated_call_tells_stock_again(catalog, stock, holds, db) -> None:
    await set_stock(stock, 10, "A")
    await upsert(catalog, "A", active=False, metadata=key("k"))
    for n in range(16):
        db.delete(f"inv:{{{n}}}:inactive")
    await upsert(catalog, "A", active=False, metadata=key("k"))
    assert (await refused(place(holds, line("A")))).reason == "PRODUCT_INACTIVE"


async def test_products_removed_by_hand_are_forgotten_when_all_is_read_again(
    catalog, stock, holds, dynamo, names, monkeypatch
) -> None:
    await set_stock(stock, 10, "A")
    await upsert(catalog, "A", active=False)
    await upsert(catalog, "B")
    # Nobody announces this.
    arguments = {"TableName": names.products, "Key": {"sku": {"S": "A"}}}
    await dynamo.call("delete_item", 1e9, **arguments)
    monkeypatch.setattr(CatalogRefresh, "SKUS_A_LOOK", 1)
    monkeypatch.setattr(CatalogRefresh, "COMPARE_S", 0)

    async def is_forgotten() -> bool:
        return [one.product.sku for one in await listed(catalog)] == ["B"]

    await eventually_async(is_forgotten)
    await upsert(catalog, "A", name="New")
    assert (await listed(catalog))[0].product.name == "New"
    await place(holds, line("A"))
