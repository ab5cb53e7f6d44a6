"""`inventory products`: commands on the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, cast

import typer
from google.protobuf.json_format import MessageToDict
from inventory.v1.catalog_service_pb2 import (
    GetProductByBarcodeResponse,
    GetProductResponse,
    Product,
    StockedProduct,
)
from inventory_client.words import StatusName, datetime_of

from inventory_cli.choices import Status, choice
from inventory_cli.command import DEFAULT_LIMIT, LimitOption, command
from inventory_cli.errors import UsageError
from inventory_cli.json_form import json_of, word_of
from inventory_cli.level_grid import level_grid
from inventory_cli.money import money_text
from inventory_cli.session import Session, page_size_of
from inventory_cli.tables import Cell, Column, Grid, show_facts
from inventory_cli.watch_options import LocationsOption

app = typer.Typer(no_args_is_help=True)

LocationOption = Annotated[
    str,
    typer.Option(metavar="LOCATION", help="Tell what is available there too.", show_default=False),
]
COLUMNS = (Column("SKU"), Column("Name"), Column("Category", spared=1), Column("Brand", spared=2))
PRICE_COLUMNS = (Column("Price", "number"), Column("Active", "word"))
LEVEL_COLUMNS = (Column("Available", "number"), Column("Status", "word"))


@app.callback()
def products() -> None:
    """The catalogue: what the sellable things are."""


@command(
    app,
    "list",
    examples="""
inventory products list --category Shirts
inventory products list --location online --status out
inventory products list --inactive --limit 0 --output json
""",
)
def list_(
    session: Session,
    category: Annotated[str, typer.Option(help="Only of this.", show_default=False)] = "",
    subcategory: Annotated[str, typer.Option(help="Only of this.", show_default=False)] = "",
    brand: Annotated[str, typer.Option(help="Only of this.", show_default=False)] = "",
    location: LocationOption = "",
    status: Annotated[
        Status | None, choice("--status", help="Only with this status at the location.")
    ] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Only those that are, or are not.")
    ] = None,
    limit: LimitOption = DEFAULT_LIMIT,
) -> None:
    """Lists products by SKU; filters hold together."""
    if status and not location:
        raise UsageError("--status is that at a --location: say which")
    found = session.client.list_products(
        location=location,
        category=category,
        subcategory=subcategory,
        brand=brand,
        status=cast(StatusName, status.name) if status else None,
        active=active,
        page_size=page_size_of(limit),
    )
    _show_list(session, found, location, limit)


@command(
    app,
    "search",
    examples="""
inventory products search mustard chino
inventory products search shirt --location online --limit 10
""",
)
def search(
    session: Session,
    words: Annotated[
        list[str], typer.Argument(metavar="WORD", help="Beginnings of words, in any order.")
    ],
    location: LocationOption = "",
    limit: LimitOption = 20,
) -> None:
    """Finds products by their SKU, name, brand and category, best first."""
    found = session.client.search_products(
        " ".join(words), location=location, page_size=page_size_of(limit)
    )
    _show_list(session, found, location, limit)


@command(
    app,
    "show",
    examples="""
inventory products show A-1
inventory products show A-1 --location online --location store:S1
inventory products show --barcode 4006381333931
""",
)
def show(
    session: Session,
    sku: Annotated[
        str, typer.Argument(metavar="SKU", help="The product's SKU.", show_default=False)
    ] = "",
    barcode: Annotated[
        str, typer.Option(help="The product's barcode, instead.", show_default=False)
    ] = "",
    location: LocationsOption = None,
) -> None:
    """Shows one product, and its stock at the locations that are named."""
    if bool(sku) == bool(barcode):
        raise UsageError("say which product: its SKU, or --barcode")
    client = session.client
    found: GetProductResponse | GetProductByBarcodeResponse = (
        client.get_product(sku, locations=location or ())
        if sku
        else client.get_product_by_barcode(barcode, locations=location or ())
    )
    if session.is_json:
        session.write(json_of(found))
        return
    show_facts(session.results, _facts(session, found.product))
    if location:
        session.show(level_grid(found.levels), "no stock levels at these locations")


def _show_list(
    session: Session, found: Iterable[StockedProduct], location: str, limit: int
) -> None:
    is_grouped = session.results.is_terminal

    def grid_of(shown: Sequence[StockedProduct]) -> Grid:
        columns = [*COLUMNS, *PRICE_COLUMNS, *(LEVEL_COLUMNS if location else ())]
        rows: list[Sequence[Cell]] = [
            [*_product_row(one.product, is_grouped=is_grouped), *_level_cells(one, location)]
            for one in shown
        ]
        return Grid(columns, rows)

    session.show_list("products", found, limit, grid_of)


def _product_row(product: Product, *, is_grouped: bool) -> list[Cell]:
    return [
        product.sku,
        product.name,
        product.category,
        product.brand,
        _price(product, is_grouped=is_grouped),
        _yes_no(product),
    ]


def _level_cells(one: StockedProduct, location: str) -> list[Cell]:
    if not location:
        return []
    if not one.levels:
        return [None, None]
    return [one.levels[0].available, word_of(one.levels[0], "status")]


def _facts(session: Session, product: Product) -> list[tuple[str, Cell]]:
    is_grouped = session.results.is_terminal
    attributes = MessageToDict(product.attributes) if product.HasField("attributes") else {}
    return [
        ("SKU", product.sku),
        ("Name", product.name),
        ("Brand", product.brand),
        ("Category", " / ".join(filter(None, (product.category, product.subcategory)))),
        ("Unit", product.unit),
        ("Barcode", product.barcode),
        ("Price", _price(product, is_grouped=is_grouped)),
        ("List price", _list_price(product, is_grouped=is_grouped)),
        ("Active", _yes_no(product)),
        ("Image", product.image_url),
        ("Attributes", json.dumps(attributes, ensure_ascii=False) if attributes else ""),
        ("Created", datetime_of(product.create_time)),
        ("Updated", datetime_of(product.update_time)),
    ]


def _price(product: Product, *, is_grouped: bool) -> str:
    if not product.HasField("price_minor"):
        return ""
    return money_text(product.price_minor, product.currency, grouped=is_grouped)


def _list_price(product: Product, *, is_grouped: bool) -> str:
    if not product.HasField("list_price_minor"):
        return ""
    return money_text(product.list_price_minor, product.currency, grouped=is_grouped)


def _yes_no(product: Product) -> str:
    is_active = product.active or not product.HasField("active")
    return "yes" if is_active else "no"
