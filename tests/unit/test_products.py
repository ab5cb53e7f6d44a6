"""What a product may be, and what a row of a table says of one."""

from __future__ import annotations

from typing import Any

import pytest

from inventory_server.domain import limits
from inventory_server.domain.attributes import pack_attributes, parse_attributes
from inventory_server.domain.catalog import Product
from inventory_server.domain.money import parse_minor
from inventory_server.domain.product_rules import RowError, check_product, merge_row, sku_of_row

CHAIR = Product("CHAIR-1", "Chair", price_minor=129_995, currency="EUR", barcode="4006381333931")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1986.21", "INR", 198_621),
        ("1986.2", "EUR", 198_620),
        ("1986", "USD", 198_600),
        ("1986.00", "JPY", 1986),
        ("1.234", "KWD", 1234),
        ("0.2919", "CLF", 2919),
        ("0", "EUR", 0),
        ("19.990", "EUR", 1999),
    ],
)
def test_prices_become_whole_numbers_exactly(text: str, currency: str, minor: int) -> None:
    assert parse_minor(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "+1", "1e3", "NaN", "inf", "1,99", "1.999", ".5", "5.", " 1", "0x10", "١٢"),
        "9" * 14,
    ],
)
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|decimals"):
        parse_minor(text, "EUR")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sku": "a b"}, "sku"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"brand": "x" * 129}, "brand"),
        ({"category": "a\nb"}, "category"),
        ({"subcategory": "x" * 129}, "subcategory"),
        ({"unit": "x" * 33}, "unit"),
        ({"barcode": "4006 3813"}, "barcode"),
        ({"barcode": "x" * 65}, "barcode"),
        ({"price_minor": -1}, "price_minor"),
        ({"list_price_minor": limits.MAX_PRICE_MINOR + 1}, "list_price_minor"),
        ({"currency": "euro"}, "currency"),
        ({"currency": ""}, "currency"),
        ({"image_url": "x" * 2049}, "image_url"),
    ],
)
def test_each_field_has_its_rule(change: dict[str, Any], field: str) -> None:
    assert [name for name, _ in check_product(CHAIR._replace(**change))] == [field]


def test_the_edges_are_within() -> None:
    product = Product(
        "S" * 64, "x" * 256, "x" * 128, "x" * 128, "x" * 128, "x" * 32, "x" * 64,
        limits.MAX_PRICE_MINOR, 0, "EUR", image_url="x" * 2048,
    )  # fmt: skip
    assert check_product(product) == []
    assert check_product(Product("A", "كرسي 🪑 Stühlchen")) == []


def test_attributes_are_kept_in_one_form() -> None:
    values = {"size": ["28", 30.0], "a": {"z": None, "b": True}, "é": 0.5}
    text = pack_attributes(values)
    assert text == '{"a":{"b":true,"z":null},"size":["28",30],"é":0.5}'
    assert pack_attributes(parse_attributes(text)) == text


def _nested(depth: int) -> dict[str, Any]:
    return {"a": _nested(depth - 1)} if depth > 1 else {"a": 1}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({str(n): n for n in range(101)}, "at most 100 entries"),
        ({"a": "x" * limits.MAX_ATTRIBUTES_BYTES}, "at most 16384 bytes"),
        (_nested(limits.MAX_ATTRIBUTES_DEPTH + 1), "levels deep"),
        ({"a": float("nan")}, "finite"),
        ({"a": float("inf")}, "finite"),
        ({"a": 2**53 + 2}, "finite"),
        ({"a": "x\0y"}, "control"),
        ({"a\x07": 1}, "control"),
        ({"a": "\ud800"}, "half"),
        ({"": 1}, "no name"),
    ],
)
def test_attributes_past_their_limits_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        pack_attributes(values)


def test_attributes_at_their_limits_are_taken() -> None:
    assert pack_attributes({str(n): n for n in range(100)})
    assert pack_attributes({"a": "x" * (limits.MAX_ATTRIBUTES_BYTES - len('{"a":""}'))})
    assert pack_attributes(_nested(limits.MAX_ATTRIBUTES_DEPTH))
    assert pack_attributes({"a": "line\nline\ttab"})


@pytest.mark.parametrize(
    "text",
    ["[1]", "null", "{", '{"a": NaN}', '{"a": Infinity}', "[" * 20_000, "x" * 40_000, '{"a": 1'],
)
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        parse_attributes(text)


ROW = {
    "sku": "SKU1", "ProductDisplayName": "Chinos", "brand": "Reebok", "category": "Apparel",
    "subcategory": "Bottomwear", "season": "Fall", "usage": "Casual", "price": "1986.21",
    "msrp": "2920.12", "currency": "INR", "attributes": '{"size": ["28", "30"]}',
    "image_url": "images/1.jpg", "ratings": "3.7", "review count": "936",
    "barcode": "8900000000012", "unit": "piece",
}  # fmt: skip


def test_a_row_makes_a_product_and_its_other_columns_are_attributes() -> None:
    assert merge_row(ROW, Product("SKU1", "")) == Product(
        "SKU1", "Chinos", "Reebok", "Apparel", "Bottomwear", "piece", "8900000000012",
        198_621, 292_012, "INR", True,
        '{"ratings":"3.7","review count":"936","season":"Fall","size":["28","30"],'
        '"usage":"Casual"}',
        "images/1.jpg",
    )  # fmt: skip


def test_a_column_that_is_missing_leaves_its_field_and_an_empty_cell_empties_it() -> None:
    before = CHAIR._replace(brand="Oak", attributes='{"legs":4,"season":"Fall"}')
    after = merge_row({"sku": "CHAIR-1", "Brand": "", "season": "", "active": "no"}, before)
    assert after == before._replace(brand="", active=False, attributes='{"legs":4}')
    assert merge_row({"sku": "CHAIR-1"}, before) == before
    assert merge_row({"sku": "CHAIR-1", "price": ""}, before).price_minor is None


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"price": "12,50"}, "price"),
        ({"msrp": "-1"}, "msrp"),
        ({"currency": ""}, "currency"),
        ({"ProductDisplayName": ""}, "ProductDisplayName"),
        ({"name": "twice"}, "name"),
        ({"attributes": "size: 28"}, "attributes"),
        ({"active": "maybe"}, "active"),
        ({"barcode": "89 00"}, "barcode"),
        ({"ratings": "\0"}, "attributes"),
    ],
)
def test_a_bad_cell_is_named_by_its_column(change: dict[str, str], column: str) -> None:
    with pytest.raises(RowError) as caught:
        merge_row(ROW | change, Product("SKU1", ""))
    assert caught.value.column == column


@pytest.mark.parametrize("cells", [{}, {"name": "x"}, {"sku": ""}, {"sku": "a b"},
                                   {"sku": "A", "SKU": "B"}])  # fmt: skip
def test_a_row_without_a_sku_is_refused(cells: dict[str, str]) -> None:
    with pytest.raises(RowError) as caught:
        sku_of_row(cells)
    assert caught.value.column == "sku"
