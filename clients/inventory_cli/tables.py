"""Tables: with colours on a terminal, plain and stable everywhere else.

Not on a terminal a table has a header in capitals, two spaces between the
columns, `-` for what is empty, and no row is cut or folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inventory_cli.output import printable

STYLES: Final = {
    "OUT": "red",
    "LOW": "yellow",
    "OK": "green",
    "RECOVERED": "green",
    "HELD": "cyan",
    "CONFIRMED": "green",
    "RELEASED": "dim",
    "EXPIRED": "yellow",
    "no": "red",
    "yes": "green",
}
"""The colours of the words that have one."""

_GAP: Final = 2
"""Spaces between two columns."""

Cell: TypeAlias = str | int | datetime | None
Kind = Literal["text", "number", "word"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: a `number` stands at its right edge, a `word` has its colour.

    Where a terminal is too narrow, those that can be spared are left out, the
    highest number first; those with 0 stay.
    """

    name: str
    kind: Kind = "text"
    spared: int = 0


@dataclass(slots=True)
class Grid:
    """Rows under columns, as they are; how they look is decided when they are shown."""

    columns: Sequence[Column]
    rows: list[Sequence[Cell]] = field(default_factory=list)

    def show(self, console: Console) -> None:
        """Writes it to the console."""
        if console.is_terminal:
            console.print(self.table(console.width))
        else:
            console.file.write(self.plain())

    def table(self, width: int) -> Table:
        """The table of a terminal with so many columns."""
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        shown = self._fitting(width)
        for column in [self.columns[at] for at in shown]:
            table.add_column(
                Text(column.name),
                justify="right" if column.kind == "number" else "left",
                no_wrap=column.kind != "text",
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*[_rich_cell(self.columns[at], row[at]) for at in shown])
        return table

    def _fitting(self, width: int) -> list[int]:
        """Which columns there is room for."""
        widths = [
            max(
                [cell_len(column.name), *(cell_len(_rich_text(row[at]).plain) for row in self.rows)]
            )
            for at, column in enumerate(self.columns)
        ]
        shown = list(range(len(self.columns)))
        by_need = sorted(shown, key=lambda at: self.columns[at].spared)
        while sum(widths[at] + _GAP for at in shown) - _GAP > width:
            if not self.columns[by_need[-1]].spared:
                break
            shown.remove(by_need.pop())
        return shown

    def plain(self) -> str:
        """The table of a pipe or a file."""
        header = [column.name.upper().replace(" ", "_") for column in self.columns]
        lines = [header, *([plain_text(cell) or "-" for cell in row] for row in self.rows)]
        widths = [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]
        return "".join(self._line(line, widths) for line in lines)

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        placed = [
            _padded(cell, width, is_right=column.kind == "number")
            for cell, width, column in zip(cells, widths, self.columns, strict=True)
        ]
        return "  ".join(placed).rstrip() + "\n"


def show_facts(console: Console, facts: Sequence[tuple[str, Cell]]) -> None:
    """Writes names and values, one a line; those without a value are left out."""
    told = [(name, cell) for name, cell in facts if cell not in (None, "")]
    width = max([len(name) for name, _ in told], default=0) + 1
    for name, cell in told:
        label = f"{name + ':':<{width}} "
        if console.is_terminal:
            console.print(Text.assemble((label, "bold"), _rich_text(cell)), soft_wrap=True)
        else:
            console.file.write(f"{label}{plain_text(cell)}\n")


def plain_text(cell: Cell) -> str:
    """A cell as it stands in a pipe: numbers without commas, times in UTC."""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return "" if cell is None else printable(str(cell))


def local_text(time: datetime) -> str:
    """A time as it stands on a terminal."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _rich_cell(column: Column, cell: Cell) -> Text:
    text = _rich_text(cell)
    if column.kind == "word":
        text.stylize(STYLES.get(text.plain, ""))
    return text


def _rich_text(cell: Cell) -> Text:
    if isinstance(cell, datetime):
        return Text(local_text(cell))
    if isinstance(cell, int):
        return Text(f"{cell:,}")
    text = printable(cell or "")
    return Text(text, style=STYLES.get(text, ""))


def _padded(text: str, width: int, *, is_right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if is_right else text + space
