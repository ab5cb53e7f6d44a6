"""What a product may be, and what a row of a table says of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from inventory_server.domain import limits
from inventory_server.domain.attributes import pack_attributes, parse_attributes
from inventory_server.domain.catalog import Product
from inventory_server.domain.money import CURRENCY_FORM, is_currency, parse_minor
from inventory_server.domain.rules import SKU_FORM, has_control, is_sku

is_barcode = re.compile(rf"[A-Za-z0-9\-]{{1,{limits.MAX_BARCODE_LENGTH}}}").fullmatch
BARCODE_FORM = f"1 to {limits.MAX_BARCODE_LENGTH} of A-Z a-z 0-9 -"
_LENGTHS: Final = {
    "name": limits.MAX_NAME_LENGTH,
    "brand": limits.MAX_GROUP_LENGTH,
    "category": limits.MAX_GROUP_LENGTH,
    "subcategory": limits.MAX_GROUP_LENGTH,
    "unit": limits.MAX_UNIT_LENGTH,
    "image_url": limits.MAX_URL_LENGTH,
}
Violations = list[tuple[str, str]]


def check_product(product: Product) -> Violations:
    """What is wrong with it: (field, sentence) pairs. Its attributes were checked when packed."""
    wrong: Violations = []
    if not is_sku(product.sku):
        wrong.append(("sku", f"a SKU is {SKU_FORM}"))
    if not product.name.strip():
        wrong.append(("name", "required"))
    for field, longest in _LENGTHS.items():
        text = getattr(product, field)
        if len(text) > longest:
            wrong.append((field, f"at most {longest} characters; it has {len(text)}"))
        elif has_control(text):
            wrong.append((field, "must not contain control characters"))
    if product.barcode and not is_barcode(product.barcode):
        wrong.append(("barcode", f"a barcode is {BARCODE_FORM}"))
    if product.currency and not is_currency(product.currency):
        wrong.append(("currency", f"a currency is {CURRENCY_FORM}"))
    for field in ("price_minor", "list_price_minor"):
        price = getattr(product, field)
        if price is None:
            continue
        if not 0 <= price <= limits.MAX_PRICE_MINOR:
            wrong.append((field, f"0 to {limits.MAX_PRICE_MINOR}; it is {price}"))
        if not product.currency:
            wrong.append(("currency", "required with a price"))
    return wrong


class RowError(ValueError):
    """A row of a table says something that cannot be."""

    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(sentence)
        self.column = column


_NAMES: Final = {
    "productdisplayname": "name",
    "msrp": "list_price",
    **{
        name: name
        for name in (
            *("sku", "name", "brand", "category", "subcategory", "unit", "barcode", "price"),
            *("list_price", "currency", "active", "image_url", "attributes"),
        )
    },
}
"""The columns that mean a field, in small letters; any other one is an attribute."""
_FLAGS: Final = {
    **dict.fromkeys(("true", "yes", "1", ""), True),
    **dict.fromkeys(("false", "no", "0"), False),
}
_PRICES: Final = ("price", "list_price")


def sku_of_row(cells: Mapping[str, str]) -> str:
    """The SKU that a row is about; raises RowError."""
    found = [text.strip() for column, text in cells.items() if _field(column) == "sku"]
    if len(found) != 1:
        raise RowError("sku", "the column is missing" if not found else "the column is there twice")
    if not is_sku(found[0]):
        raise RowError("sku", f"a SKU is {SKU_FORM}")
    return found[0]


def merge_row(cells: Mapping[str, str], before: Product) -> Product:
    """The product that a row makes of another; raises RowError.

    A column that is not there leaves its field as it is, an empty cell empties it.
    """
    given: dict[str, str] = {}
    columns: dict[str, str] = {}
    others: dict[str, str] = {}
    for column, text in cells.items():
        field = _field(column)
        if not field:
            others[column.strip()] = text.strip()
        elif field in given:
            raise RowError(column, f"{columns[field]} says the same")
        else:
            given[field], columns[field] = text.strip(), column
    fields: dict[str, Any] = {
        name: text for name, text in given.items() if name in Product._fields and name != "active"
    }
    if "active" in given:
        fields["active"] = _read(columns["active"], given["active"], _read_flag)
    fields |= _read_prices(given, columns, fields.get("currency", before.currency))
    fields["attributes"] = _read_attributes(given, columns, others, before.attributes)
    product = before._replace(**fields)
    for field, sentence in check_product(product):
        column = columns.get(field.removesuffix("_minor"), field)
        raise RowError(column, sentence)
    return product


def _field(column: str) -> str:
    return _NAMES.get(column.strip().lower().replace(" ", "_"), "")


def _read(column: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise RowError(column, str(error)) from error


def _read_flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError(f"true or false, not {text[:40]!r}")
    return _FLAGS[text.lower()]


def _read_prices(
    given: Mapping[str, str], columns: Mapping[str, str], currency: str
) -> dict[str, int | None]:
    prices: dict[str, int | None] = {}
    for field in _PRICES:
        text = given.get(field)
        if text is not None:
            minor: int | None = None
            if text:
                minor = _read(columns[field], text, lambda text: parse_minor(text, currency))
            prices[f"{field}_minor"] = minor
    return prices


def _read_attributes(
    given: Mapping[str, str], columns: Mapping[str, str], others: Mapping[str, str], before: str
) -> str:
    """The attributes with those of the columns that mean no field, each under its name."""
    column = columns.get("attributes", "attributes")
    text = given.get("attributes", before)
    values = _read(column, text or "{}", parse_attributes)
    for name, cell in others.items():
        if cell:
            values[name] = cell
        else:
            values.pop(name, None)
    packed: str = _read(column, "", lambda _: pack_attributes(values))
    return packed
