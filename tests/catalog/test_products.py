"""Products: written once a key, never by two at a time, read as they are."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from inventory.v1 import catalog_service_pb2 as pb

from inventory_server.stores import barcode_store
from tests.calls import key, refused, set_stock
from tests.catalog.serving import product, upsert


async def get(catalog, sku: str = "CHAIR-1") -> pb.Product:
    return (await catalog.GetProduct(pb.GetProductRequest(sku=sku))).product


async def test_a_product_is_read_as_it_was_written(catalog) -> None:
    asked = product(attributes={"legs": 4, "colours": ["oak", {"deep": None}], "new": True})
    answer = await catalog.UpsertProduct(pb.UpsertProductRequest(product=asked))
    assert answer.created
    assert answer.product.active
    assert answer.product.etag
    assert answer.product.create_time == answer.product.update_time
    found = await get(catalog)
    assert found == answer.product
    for field in ("etag", "create_time", "update_time", "active"):
        found.ClearField(field)
    assert found == asked


async def test_what_is_not_set_is_empty_afterwards(catalog) -> None:
    first = await upsert(catalog, attributes={"legs": 4}, list_price_minor=5)
    again = pb.Product(sku="CHAIR-1", name="Stool")
    answer = await catalog.UpsertProduct(pb.UpsertProductRequest(product=again))
    assert not answer.created
    assert answer.product.create_time == first.product.create_time
    assert answer.product.etag != first.product.etag
    found = await get(catalog)
    assert (found.brand, found.currency, found.HasField("price_minor")) == ("", "", False)
    assert not found.attributes.fields


async def test_an_unknown_product_is_not_found(catalog) -> None:
    refusal = await refused(catalog.GetProduct(pb.GetProductRequest(sku="NONE")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert refusal.facts == {"sku": "NONE"}
    call = catalog.GetProductByBarcode(pb.GetProductByBarcodeRequest(barcode="123"))
    assert (await refused(call)).facts == {"barcode": "123"}
    call = catalog.DeleteProduct(pb.DeleteProductRequest(sku="NONE"))
    assert (await refused(call)).reason == "PRODUCT_NOT_FOUND"


async def test_many_are_read_in_the_order_asked_with_their_levels(catalog, stock) -> None:
    for sku in ("B", "A", "C"):
        await upsert(catalog, sku)
    await set_stock(stock, 7, "A")
    await set_stock(stock, 3, "A", "store:1")
    request = pb.BatchGetProductsRequest(skus=["C", "NONE", "A"], locations=["store:1", "online"])
    answer = await catalog.BatchGetProducts(request)
    assert [stocked.product.sku for stocked in answer.products] == ["C", "A"]
    assert list(answer.unknown_skus) == ["NONE"]
    levels = [(level.location, level.on_hand) for level in answer.products[1].levels]
    assert levels == [("online", 7), ("store:1", 3)]
    one = await catalog.GetProduct(pb.GetProductRequest(sku="A", locations=["online"]))
    assert [level.on_hand for level in one.levels] == [7]


async def test_a_key_writes_once_and_is_answered_as_the_first_time(catalog) -> None:
    first = await upsert(catalog, name="First", metadata=key("k1"))
    await upsert(catalog, name="Second")
    call = catalog.UpsertProduct(
        pb.UpsertProductRequest(product=product(barcode="", name="First")), metadata=key("k1")
    )
    assert await call == first
    assert dict(await call.trailing_metadata())["idempotent-replayed"] == "true"
    assert (await get(catalog)).name == "Second"
    refusal = await refused(upsert(catalog, name="Third", metadata=key("k1")))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_an_etag_lets_only_the_product_through_that_was_read(catalog) -> None:
    old = (await upsert(catalog)).product.etag
    new = (await upsert(catalog, name="Newer")).product.etag
    refusal = await refused(upsert(catalog, etag=old, name="Lost update"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert refusal.facts == {"sku": "CHAIR-1", "etag": new}
    assert (await upsert(catalog, etag=new, name="Newest")).product.name == "Newest"
    call = catalog.DeleteProduct(pb.DeleteProductRequest(sku="CHAIR-1", etag=new))
    assert (await refused(call)).reason == "ETAG_MISMATCH"
    assert (await refused(upsert(catalog, "OTHER", etag="abc"))).reason == "ETAG_MISMATCH"


async def test_of_two_writers_with_one_etag_one_wins_each_time(catalog) -> None:
    etag = (await upsert(catalog)).product.etag
    for round_ in range(10):
        calls = [upsert(catalog, etag=etag, name=f"{round_} {n}") for n in range(4)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        won = [answer for answer in answers if not isinstance(answer, BaseException)]
        lost = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert len(won) == 1
        assert {error.code() for error in lost} == {grpc.StatusCode.ABORTED}
        assert await get(catalog) == won[0].product
        etag = won[0].product.etag


async def test_writers_without_an_etag_all_get_through_one_after_another(catalog) -> None:
    answers = await asyncio.gather(*[upsert(catalog, name=f"{n}") for n in range(6)])
    assert len({answer.product.etag for answer in answers}) == 6
    assert sum(answer.created for answer in answers) == 1
    newest = max(answers, key=lambda answer: int(answer.product.etag, 16))
    assert await get(catalog) == newest.product


async def test_a_barcode_leads_to_its_product_and_to_no_other(catalog) -> None:
    await upsert(catalog, "A", barcode="111")
    refusal = await refused(upsert(catalog, "B", barcode="111"))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "BARCODE_TAKEN",
    )
    assert refusal.facts == {"barcode": "111", "sku": "A"}
    assert (await refused(catalog.GetProduct(pb.GetProductRequest(sku="B")))).reason
    await upsert(catalog, "A", barcode="222")
    await upsert(catalog, "B", barcode="111")
    for barcode, sku in (("111", "B"), ("222", "A")):
        call = catalog.GetProductByBarcode(pb.GetProductByBarcodeRequest(barcode=barcode))
        assert (await call).product.sku == sku


async def test_of_two_products_that_want_a_barcode_one_gets_it_each_time(catalog) -> None:
    for n in range(10):
        barcode = f"{n}"
        calls = [upsert(catalog, sku, barcode=barcode) for sku in ("A", "B", "C")]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        won = [answer for answer in answers if not isinstance(answer, BaseException)]
        lost = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert len(won) == 1
        assert {error.code() for error in lost} == {grpc.StatusCode.ALREADY_EXISTS}
        call = catalog.GetProductByBarcode(pb.GetProductByBarcodeRequest(barcode=barcode))
        assert (await call).product.sku == won[0].product.sku


async def test_a_claim_that_a_crash_left_is_taken_over_by_its_age(
    catalog, dynamo, names, monkeypatch
) -> None:
    store = barcode_store.BarcodeStore(dynamo, names)
    await store.claim("111", barcode_store.Claim("DEAD", 1, 1_000), 1e9)
    await upsert(catalog, "A", barcode="111")
    # One that is young may belong to a writer that is about to write.
    now = (await get(catalog, "A")).update_time.ToMilliseconds()
    await store.claim("222", barcode_store.Claim("BUSY", 1, now), 1e9)
    assert (await refused(upsert(catalog, "A", barcode="222"))).reason == "BARCODE_TAKEN"
    # However old the claim, whoever has the barcode keeps it.
    monkeypatch.setattr("inventory_server.operations.product_writes.CLAIM_MS", -1)
    assert (await refused(upsert(catalog, "B", barcode="111"))).reason == "BARCODE_TAKEN"


async def test_a_deleted_product_is_gone_and_can_be_made_again(catalog) -> None:
    first = await upsert(catalog, "A", barcode="111")
    request = pb.DeleteProductRequest(sku="A", etag=first.product.etag)
    await catalog.DeleteProduct(request, metadata=key("d1"))
    assert (await refused(catalog.GetProduct(pb.GetProductRequest(sku="A")))).reason
    call = catalog.GetProductByBarcode(pb.GetProductByBarcodeRequest(barcode="111"))
    assert (await refused(call)).reason == "PRODUCT_NOT_FOUND"
    replay = catalog.DeleteProduct(request, metadata=key("d1"))
    await replay
    assert dict(await replay.trailing_metadata())["idempotent-replayed"] == "true"
    await upsert(catalog, "B", barcode="111")
    again = await upsert(catalog, "A")
    assert again.created
    assert int(again.product.etag, 16) > int(first.product.etag, 16)


HOSTILE_PRODUCTS: list[tuple[dict[str, Any], str]] = [
    ({"sku": "a b"}, "product.sku"),
    ({"name": ""}, "product.name"),
    ({"name": "x" * 257}, "product.name"),
    ({"brand": "a\0b"}, "product.brand"),
    ({"barcode": "1 2"}, "product.barcode"),
    ({"price_minor": -1}, "product.price_minor"),
    ({"price_minor": 10**12 + 1}, "product.price_minor"),
    ({"currency": "eur"}, "product.currency"),
    ({"attributes": {"a": float("nan")}}, "product.attributes"),
    ({"attributes": {"a": float("inf")}}, "product.attributes"),
    ({"attributes": {str(n): 1 for n in range(10_000)}}, "product.attributes"),
    ({"attributes": {"a": "x" * 400_000}}, "product.attributes"),
    ({"attributes": {"a": "\0"}}, "product.attributes"),
    ({"etag": "x" * 65}, "product.etag"),
]


async def test_what_is_no_product_is_refused_and_changes_nothing(catalog) -> None:
    await upsert(catalog)
    before = await get(catalog)
    for change, field in HOSTILE_PRODUCTS:
        message = product(**{"barcode": "", **change})
        refusal = await refused(catalog.UpsertProduct(pb.UpsertProductRequest(product=message)))
        assert (refusal.code, refusal.reason, refusal.facts) == (
            grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", {"field": field},
        ), change  # fmt: skip
    assert await get(catalog) == before


async def test_names_may_be_of_any_writing(catalog) -> None:
    name = "كرسي 🪑 Stühlchen 椅子"
    await upsert(catalog, name=name, attributes={"写": "🪑", "note": "line\nline"})
    found = await get(catalog)
    assert found.name == name
    assert found.attributes["写"] == "🪑"


BAD_REQUESTS: list[tuple[str, Any, str]] = [
    ("GetProduct", pb.GetProductRequest(), "sku"),
    ("GetProduct", pb.GetProductRequest(sku="A", locations=["shop"]), "locations[0]"),
    ("BatchGetProducts", pb.BatchGetProductsRequest(), "skus"),
    ("BatchGetProducts", pb.BatchGetProductsRequest(skus=["A", "A"]), "skus"),
    ("BatchGetProducts", pb.BatchGetProductsRequest(skus=map(str, range(101))), "skus"),
    ("GetProductByBarcode", pb.GetProductByBarcodeRequest(barcode="a b"), "barcode"),
    ("ListProducts", pb.ListProductsRequest(status=1), "location"),
    ("ListProducts", pb.ListProductsRequest(status=9, location="online"), "status"),
    ("ListProducts", pb.ListProductsRequest(page_size=-1), "page_size"),
    ("ListProducts", pb.ListProductsRequest(category="a\0"), "category"),
    ("SearchProducts", pb.SearchProductsRequest(), "query"),
    ("SearchProducts", pb.SearchProductsRequest(query="x" * 201), "query"),
    ("SearchProducts", pb.SearchProductsRequest(query="a " * 11), "query"),
    ("SearchProducts", pb.SearchProductsRequest(query="s-" * 21), "query"),
    ("SearchProducts", pb.SearchProductsRequest(query="a\0b"), "query"),
    ("SearchProducts", pb.SearchProductsRequest(query="a", page_token="zzz"), "page_token"),
    ("GetInventorySummary", pb.GetInventorySummaryRequest(location="x"), "location"),
    ("DeleteProduct", pb.DeleteProductRequest(sku=""), "sku"),
]


async def test_bad_fields_are_named(catalog) -> None:
    for method, request, field in BAD_REQUESTS:
        refusal = await refused(getattr(catalog, method)(request))
        assert (refusal.reason, refusal.facts) == ("INVALID_REQUEST", {"field": field}), request
