"""Stock levels as a table."""

from __future__ import annotations

from collections.abc import Iterable

from inventory.v1.stock_level_pb2 import StockLevel
from inventory.v1.stock_service_pb2 import Stock

from inventory_cli.json_form import word_of
from inventory_cli.tables import Cell, Column, Grid

COLUMNS = (
    Column("SKU"),
    Column("Location"),
    Column("On hand", "number"),
    Column("Held", "number"),
    Column("Available", "number"),
    Column("Sellable", "number", spared=2),
    Column("Reorder at", "number", spared=1),
    Column("Status", "word"),
)


def level_row(level: StockLevel) -> list[Cell]:
    """A level's cells."""
    return [
        level.sku,
        level.location,
        level.on_hand,
        level.held,
        level.available,
        level.sellable,
        level.reorder_point,
        word_of(level, "status"),
    ]


def level_grid(levels: Iterable[StockLevel]) -> Grid:
    """A table with a row a level."""
    return Grid(COLUMNS, [level_row(level) for level in levels])


def stock_grid(stock: Stock) -> Grid:
    """A SKU's levels, and their sum where there are several."""
    grid = level_grid(stock.levels)
    if len(stock.levels) > 1:
        total = stock.total
        sums = [total.on_hand, total.held, total.available]
        grid.rows.append([stock.sku, "total", *sums, None, None, None])
    return grid
