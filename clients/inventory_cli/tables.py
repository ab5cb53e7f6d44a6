"""Tables: with colours on a terminal, plain and stable everywhere else.

Not on a terminal a table has a header in capitals, two spaces between the
columns, `-` for what is empty, and no row is cut or folded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

Cell: TypeAlias = str | int | datetime | None
Kind = Literal["text", "number", "word"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: a `number` stands at its right edge, a `word` has its colour."""

    name: str
    kind: Kind = "text"


@dataclass(slots=True)
class Grid:
    """Rows under columns, as they are; how they look is decided when they are shown."""

    columns: Sequence[Column]
    rows: list[Sequence[Cell]] = field(default_factory=list)

    def show(self, console: Console) -> None:
        """Writes it to the console."""
        if console.is_terminal:
            console.print(self.table())
        else:
            console.file.write(self.plain())

    def table(self) -> Table:
        """The table of a terminal."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in self.columns:
            is_number = column.kind == "number"
            table.add_column(
                Text(column.name),
                justify="right" if is_number else "left",
                no_wrap=is_number or column.kind == "word",
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*map(_rich_cell, self.columns, row))
        return table

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
    text_of: Callable[[Cell], Text] = _rich_text if console.is_terminal else _plain_rich
    for name, cell in told:
        line = Text(f"{name + ':':<{width}} ", style="bold" if console.is_terminal else "")
        line.append_text(text_of(cell))
        console.print(line, soft_wrap=True)


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


def _plain_rich(cell: Cell) -> Text:
    return Text(plain_text(cell))


def _padded(text: str, width: int, *, is_right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if is_right else text + space
