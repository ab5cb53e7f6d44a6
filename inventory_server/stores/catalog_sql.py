"""How the index speaks with SQLite: whole batches, in as few steps as can be.

A thread gives the interpreter away at each row that a statement takes or
answers, and gets it back when the others let it. So rows go in by hundreds,
and come out as one text.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

Item = TypeVar("Item")

_VALUES_A_STATEMENT: Final = 1000


def read_rows(db: sqlite3.Connection, row: str, rest: str, values: Any = ()) -> list[Any]:
    """All rows FROM `rest`, each as the JSON that the expression `row` makes, in any order."""
    statement = f"SELECT group_concat(row, ',') FROM (SELECT {row} AS row FROM {rest})"
    ((text,),) = db.execute(statement, values).fetchall()
    rows: list[Any] = json.loads(f"[{text or ''}]")
    return rows


def write_rows(
    db: sqlite3.Connection, insert: str, rows: Sequence[Sequence[Any]], then: str = ""
) -> None:
    """Runs `INSERT INTO ...` with all rows, in their order."""
    width = len(rows[0]) if rows else 1
    for part in parts_of(rows, _VALUES_A_STATEMENT // width):
        values = ", ".join([marks(width)] * len(part))
        db.execute(f"{insert} VALUES {values} {then}", [value for row in part for value in row])


def marks(count: int) -> str:
    """Placeholders for so many values."""
    return f"({', '.join('?' * count)})"


def parts_of(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in parts of this size, the last one shorter."""
    for at in range(0, len(items), size):
        yield items[at : at + size]
