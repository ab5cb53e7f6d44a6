"""Importing products: good rows in, bad ones named, sending again changes nothing."""

from __future__ import annotations

import asyncio
import csv
from itertools import islice
from pathlib import Path

from inventory.v1 import catalog_service_pb2 as pb

from tests.calls import line, place, refused, set_stock
from tests.catalog.serving import listed, upsert

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "products.csv"


async def imported(catalog, *rows: dict[str, str], first_row: int = 1):
    request = pb.ImportProductsRequest(
        first_row=first_row, rows=[pb.ProductRow(cells=row) for row in rows]
    )
    answers = [answer async for answer in catalog.ImportProducts(iter([request]))]
    return answers[0]


def refusals(answer) -> list[tuple[int, str, str]]:
    return [(row.row_number, row.column, row.reason) for row in answer.refused_rows]


async def test_good_rows_go_in_and_bad_ones_are_named(catalog) -> None:
    answer = await imported(
        catalog,
        {"sku": "A", "name": "Chair", "price": "12.50", "currency": "EUR", "colour": "oak"},
        {"sku": "B", "name": "Table", "price": "12,50", "currency": "EUR"},
        {"sku": "not a sku", "name": "x"},
        {"name": "nameless"},
        {"sku": "C", "name": "Sofa", "barcode": "111"},
        {"sku": "D", "name": "Lamp", "barcode": "111"},
        {"sku": "E", "name": "", "brand": "x"},
        first_row=10,
    )
    assert (answer.accepted_rows, answer.unchanged_rows, answer.next_row) == (2, 0, 17)
    assert refusals(answer) == [
        (11, "price", "INVALID_REQUEST"),
        (12, "sku", "INVALID_REQUEST"),
        (13, "sku", "INVALID_REQUEST"),
        (15, "barcode", "INVALID_REQUEST"),
        (16, "name", "INVALID_REQUEST"),
    ]
    found = [stocked.product for stocked in await listed(catalog)]
    assert [product.sku for product in found] == ["A", "C"]
    assert (found[0].price_minor, found[0].attributes["colour"]) == (1250, "oak")


async def test_sending_again_changes_nothing(catalog) -> None:
    row = {"sku": "A", "name": "Chair", "barcode": "111"}
    await imported(catalog, row)
    before = await listed(catalog)
    answer = await imported(catalog, row)
    assert (answer.accepted_rows, answer.unchanged_rows) == (0, 1)
    assert await listed(catalog) == before


async def test_rows_change_only_what_they_name(catalog) -> None:
    await upsert(catalog, "A", brand="Oak & Co", attributes={"legs": 4})
    await imported(catalog, {"sku": "A", "unit": "set"}, {"sku": "A", "legs": "3"})
    product = (await listed(catalog))[0].product
    assert (product.brand, product.unit, product.attributes["legs"]) == ("Oak & Co", "set", "3")


async def test_a_barcode_that_another_product_has_is_refused(catalog) -> None:
    await upsert(catalog, "A", barcode="111")
    answer = await imported(catalog, {"sku": "B", "name": "x", "barcode": "111"})
    assert refusals(answer) == [(1, "barcode", "BARCODE_TAKEN")]


async def test_products_that_become_inactive_are_not_sold(catalog, stock, holds) -> None:
    await set_stock(stock, 5, "A")
    await imported(catalog, {"sku": "A", "name": "Chair", "active": "no"})
    assert (await refused(place(holds, line("A")))).reason == "PRODUCT_INACTIVE"


async def test_two_imports_at_once_lose_nothing(catalog) -> None:
    rows = [{"sku": f"P{n}", "name": "x"} for n in range(20)]
    more = [{"sku": f"P{n}", "name": "x", "brand": "y"} for n in range(20)]
    await asyncio.gather(imported(catalog, *rows), imported(catalog, *more))
    found = await listed(catalog)
    assert {stocked.product.brand for stocked in found} == {"y"}
    assert len(found) == 20


async def test_chunks_have_rows_and_numbers_that_rise(catalog) -> None:
    for request in (
        pb.ImportProductsRequest(first_row=1),
        pb.ImportProductsRequest(first_row=0, rows=[pb.ProductRow()]),
        pb.ImportProductsRequest(first_row=1, rows=[pb.ProductRow()] * 501),
    ):
        call = catalog.ImportProducts(iter([request]))
        assert (await refused(call.read())).reason == "INVALID_REQUEST"


async def test_rows_of_the_sample_file_are_read(catalog) -> None:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(islice(csv.DictReader(file), 100))
    answer = await imported(catalog, *rows)
    assert (answer.accepted_rows, refusals(answer)) == (100, [])
    chinos = (await catalog.GetProduct(pb.GetProductRequest(sku="SKU000001"))).product
    assert (chinos.name, chinos.price_minor, chinos.list_price_minor, chinos.currency) == (
        "Unisex Mustard Chinos", 198_621, 292_012, "INR",
    )  # fmt: skip
    assert chinos.attributes["season"] == "Fall"
    assert list(chinos.attributes["size"])[:2] == ["28", "30"]
