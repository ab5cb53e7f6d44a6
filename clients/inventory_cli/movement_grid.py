"""Movements as a table, and as lines."""

from __future__ import annotations

from collections.abc import Iterable

from inventory.v1.movement_pb2 import Movement
from inventory_client.words import datetime_of

from inventory_cli.json_form import word_of
from inventory_cli.lines import level_text
from inventory_cli.tables import Cell, Column, Grid, plain_text

COLUMNS = (
    Column("Time"),
    Column("Kind", "word"),
    Column("SKU"),
    Column("Location"),
    Column("On hand by", "number", spared=2),
    Column("Held by", "number", spared=1),
    Column("On hand", "number"),
    Column("Held", "number"),
    Column("Available", "number"),
    Column("Reference", spared=3),
    Column("Actor", spared=4),
)


def movement_grid(movements: Iterable[Movement]) -> Grid:
    """A table with a row a movement."""
    return Grid(COLUMNS, [movement_row(one) for one in movements])


def movement_row(one: Movement) -> list[Cell]:
    """A movement's cells; counts are those that it left."""
    level = one.level if one.HasField("level") else None
    counts = [level.on_hand, level.held, level.available] if level else [None] * 3
    return [
        datetime_of(one.time),
        word_of(one, "kind"),
        one.sku,
        one.location,
        _signed(one.on_hand_delta),
        _signed(one.held_delta),
        *counts,
        one.reference,
        one.actor,
    ]


def movement_line(one: Movement) -> str:
    """A movement in one line."""
    what = level_text(one.sku, one.location) if one.sku else one.location or one.hold_id
    changes = [
        f"{name} {_signed(delta)}"
        for name, delta in (("on_hand", one.on_hand_delta), ("held", one.held_delta))
        if delta
    ]
    if one.HasField("level"):
        changes.append(f"available {one.level.available}")
    words = [
        plain_text(datetime_of(one.time)),
        f"{word_of(one, 'kind'):<12}",
        what,
        *changes,
        *named_words(one.reference, one.actor),
    ]
    return "  ".join(words)


def named_words(reference: str, actor: str) -> list[str]:
    """Who and why, at the end of a line."""
    return [
        plain_text(f"{name}={text}")
        for name, text in (("reference", reference), ("actor", actor))
        if text
    ]


def _signed(delta: int) -> str:
    return f"{delta:+}" if delta else ""
