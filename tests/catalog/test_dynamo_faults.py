"""DynamoDB away, throttled, slow or failing: what products answer, and that stock does not care."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from inventory.v1 import catalog_service_pb2 as pb
from inventory.v1.catalog_service_pb2_grpc import CatalogServiceStub

from inventory_server.operations.catalog_refresh import CatalogRefresh
from inventory_server.server import Server
from inventory_server.settings import Settings
from inventory_server.stores.dynamo import Dynamo
from tests.calls import key, line, place, refused, set_stock
from tests.catalog.serving import listed, searched, started, upsert
from tests.eventually import eventually_async
from tests.faults.dynamo_proxy import (
    THROTTLES,
    DynamoProxy,
    broken,
    cut_short,
    delayed,
    partly,
    passed,
    reply_lost,
    silent,
    throttled,
)
from tests.fold import assert_journal_folds_to_state

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CATALOG = "inventory.v1.CatalogService"


@pytest.fixture
async def server(
    catalog_settings: Settings, dynamo, dynamo_proxy: DynamoProxy, db, monkeypatch
) -> AsyncIterator[Server]:
    """A server whose way to DynamoDB leads through the proxy."""
    monkeypatch.setattr(Dynamo, "READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr(CatalogRefresh, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(CatalogRefresh, "RETRY_S", 0.2)
    monkeypatch.setattr(CatalogRefresh, "POLL_S", 0.2)
    settings = replace(catalog_settings, dynamodb_endpoint=dynamo_proxy.endpoint)
    async with started(settings) as running:
        yield running
    assert_journal_folds_to_state(db)


async def read(catalog, sku: str = "A") -> str:
    request = pb.GetProductRequest(sku=sku)
    return (await catalog.GetProduct(request, timeout=4)).product.name


async def status(channel, service: str) -> int:
    check = health_pb2_grpc.HealthStub(channel).Check
    return (await check(health_pb2.HealthCheckRequest(service=service))).status


AWAY = ["stopped", "silent", "broken"]


async def go_away(proxy: DynamoProxy, how: str) -> None:
    if how == "stopped":
        await asyncio.to_thread(proxy.stop)
    else:
        proxy.inject(silent if how == "silent" else broken)


async def come_back(proxy: DynamoProxy, how: str) -> None:
    proxy.heal()
    if how == "stopped":
        proxy.start()


@pytest.mark.parametrize("how", AWAY)
async def test_while_dynamodb_is_away_products_are_read_and_stock_goes_on(
    how, catalog, stock, holds, channel, server, dynamo_proxy
) -> None:
    await upsert(catalog, "A", name="Chair", barcode="111")
    await set_stock(stock, 10, "A")
    await go_away(dynamo_proxy, how)
    await eventually_async(lambda: _is(channel, CATALOG, NOT_SERVING))
    assert await status(channel, "") == SERVING
    assert await read(catalog) == "Chair"
    by_barcode = pb.GetProductByBarcodeRequest(barcode="111")
    assert (await catalog.GetProductByBarcode(by_barcode)).product.sku == "A"
    assert len(await listed(catalog, location="online")) == 1
    assert await searched(catalog, "chair") == ["A"]
    assert (await catalog.GetInventorySummary(pb.GetInventorySummaryRequest())).on_hand == 10
    refusal = await refused(upsert(catalog, "A", name="Stool"))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "STORE_UNAVAILABLE",
    )
    await place(holds, line("A"))
    await come_back(dynamo_proxy, how)
    await eventually_async(lambda: _is(channel, CATALOG, SERVING))
    assert await read(catalog) == "Chair"
    await upsert(catalog, "A", name="Stool")
    assert await read(catalog) == "Stool"


async def _is(channel, service: str, wanted: int) -> bool:
    return await status(channel, service) == wanted


async def test_an_index_that_is_too_old_does_not_answer(catalog, server, dynamo_proxy) -> None:
    await upsert(catalog, "A")
    await go_away(dynamo_proxy, "stopped")
    server.catalog.refresh._max_age_s = 0
    for call in (
        catalog.GetProduct(pb.GetProductRequest(sku="A")),
        catalog.ListProducts(pb.ListProductsRequest()),
        catalog.SearchProducts(pb.SearchProductsRequest(query="chair")),
        catalog.ListCategories(pb.ListCategoriesRequest()),
        catalog.ListUnits(pb.ListUnitsRequest()),
        catalog.GetInventorySummary(pb.GetInventorySummaryRequest()),
    ):
        refusal = await refused(call)
        assert refusal.reason == "STORE_UNAVAILABLE"
        assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
    await come_back(dynamo_proxy, "stopped")


async def test_a_throttled_catalogue_says_so_and_when_to_come_again(
    catalog, server, dynamo_proxy
) -> None:
    await upsert(catalog, "A", name="Chair")
    dynamo_proxy.inject(throttled(), operation="PutItem")
    request = pb.UpsertProductRequest(product=pb.Product(sku="A", name="Stool"))
    refusal = await refused(catalog.UpsertProduct(request, timeout=0.5))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "CATALOG_THROTTLED",
    )
    assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() == 1000
    dynamo_proxy.heal()
    assert await read(catalog) == "Chair"


@pytest.mark.parametrize("code", THROTTLES)
async def test_a_short_throttling_is_waited_out(catalog, server, dynamo_proxy, code) -> None:
    dynamo_proxy.inject(throttled(code), operation="PutItem", times=2)
    await upsert(catalog, "A", name="Chair")
    dynamo_proxy.inject(throttled(code), operation="BatchGetItem", times=2)
    assert await read(catalog) == "Chair"


async def test_a_throttled_read_is_answered_by_the_index(catalog, server, dynamo_proxy) -> None:
    await upsert(catalog, "A", name="Chair")
    dynamo_proxy.inject(throttled(), operation="BatchGetItem")
    assert await read(catalog) == "Chair"


async def test_a_write_whose_answer_is_lost_is_done_once(catalog, server, dynamo_proxy) -> None:
    await upsert(catalog, "A", name="Chair", barcode="111")
    for n in range(3):
        # The announcement, the claim of the barcode, and the product, one after another.
        dynamo_proxy.inject(passed, operation="PutItem", times=n) if n else None
        dynamo_proxy.inject(reply_lost, operation="PutItem", times=1)
        answer = await upsert(catalog, "A", name=f"{n}", barcode=f"22{n}", metadata=key(f"k{n}"))
        assert not answer.created
        assert await read(catalog) == f"{n}"
        again = await upsert(catalog, "A", name=f"{n}", barcode=f"22{n}", metadata=key(f"k{n}"))
        assert again == answer


async def test_a_write_of_which_nothing_is_heard_may_be_repeated_with_its_key(
    catalog, server, dynamo_proxy
) -> None:
    await upsert(catalog, "A", name="Chair")
    dynamo_proxy.inject(passed, operation="PutItem", times=1)
    dynamo_proxy.inject(reply_lost, operation="PutItem")
    request = pb.UpsertProductRequest(product=pb.Product(sku="A", name="Stool"))
    refusal = await refused(catalog.UpsertProduct(request, metadata=key("k"), timeout=1))
    assert (refusal.reason, refusal.facts) == ("OUTCOME_UNKNOWN", {"idempotency_key": "k"})
    dynamo_proxy.heal()

    async def answers() -> bool:
        try:
            call = catalog.UpsertProduct(request, metadata=key("k"))
            await call
        except grpc.aio.AioRpcError:
            return False
        return dict(await call.trailing_metadata())["idempotent-replayed"] == "true"

    await eventually_async(answers)
    assert await read(catalog) == "Stool"


@pytest.mark.parametrize("sent", [0, 7])
async def test_an_answer_that_is_cut_short_is_none(
    catalog, channel, server, dynamo_proxy, sent
) -> None:
    """To boto3 one without a body is an empty one: no items, and nothing left to do."""
    await upsert(catalog, "A", name="Chair", barcode="111")
    dynamo_proxy.inject(cut_short(sent), times=3)
    assert await read(catalog) == "Chair"
    for n in range(3):
        dynamo_proxy.inject(passed, operation="PutItem", times=n) if n else None
        dynamo_proxy.inject(cut_short(sent), operation="PutItem", times=1)
        answer = await upsert(catalog, "A", name=f"{n}", barcode=f"22{n}", metadata=key(f"k{n}"))
        assert not answer.created
        assert await read(catalog) == f"{n}"
    dynamo_proxy.inject(cut_short(sent), operation="Query")
    await eventually_async(lambda: _is(channel, CATALOG, NOT_SERVING))
    dynamo_proxy.heal()
    await eventually_async(lambda: _is(channel, CATALOG, SERVING))


async def test_what_a_batch_leaves_out_is_asked_for_again(catalog, server, dynamo_proxy) -> None:
    for sku in ("A", "B", "C"):
        await upsert(catalog, sku)
    dynamo_proxy.inject(partly(1), operation="BatchGetItem", times=2)
    request = pb.BatchGetProductsRequest(skus=["A", "B", "C"])
    assert len((await catalog.BatchGetProducts(request)).products) == 3


async def test_what_is_not_ours_in_the_feed_is_told_and_is_over_when_it_is_gone(
    catalog, channel, server, dynamo, names, caplog
) -> None:
    minute = {"N": str(int(time.time()) // 60)}
    stray = {"minute": minute, "place": {"S": "x"}}
    deadline = asyncio.get_running_loop().time() + 60
    await dynamo.call("put_item", deadline, TableName=names.changes, Item=stray)
    await eventually_async(lambda: _is(channel, CATALOG, NOT_SERVING))
    assert "the catalogue's index is not kept fresh" in caplog.text
    await dynamo.call("delete_item", deadline, TableName=names.changes, Key=stray)
    await eventually_async(lambda: _is(channel, CATALOG, SERVING))
    await upsert(catalog, "A", name="Chair")
    assert await read(catalog) == "Chair"


async def test_a_slow_dynamodb_is_slow_and_nothing_else(
    catalog, stock, holds, server, dynamo_proxy
) -> None:
    await upsert(catalog, "A", name="Chair")
    await set_stock(stock, 10, "A")
    dynamo_proxy.inject(delayed(0.1))
    await upsert(catalog, "A", name="Stool")
    assert await read(catalog) == "Stool"
    await asyncio.gather(*[read(catalog) for _ in range(40)], place(holds, line("A")))


async def test_a_server_starts_without_dynamodb_and_finds_it_later(
    catalog_settings, dynamo, dynamo_proxy, db
) -> None:
    await asyncio.to_thread(dynamo_proxy.stop)
    settings = replace(catalog_settings, dynamodb_endpoint=dynamo_proxy.endpoint)
    server = Server(settings)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert await status(channel, "") == SERVING
        assert await status(channel, CATALOG) == NOT_SERVING
        dynamo_proxy.start()
        await eventually_async(lambda: _is(channel, CATALOG, SERVING))
    await server.stop()


async def test_tables_that_are_missing_are_named_in_a_sentence(
    settings, dynamo_endpoint, db
) -> None:
    server = Server(replace(settings, dynamodb_endpoint=dynamo_endpoint, table_prefix="none-"))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = CatalogServiceStub(channel)

        async def sentence() -> str:
            call = stub.GetProduct(pb.GetProductRequest(sku="A"))
            return (await refused(call)).status.message

        async def is_said() -> bool:
            return "create them" in await sentence()

        await eventually_async(is_said)
    await server.stop()
