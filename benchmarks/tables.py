"""Tables as Markdown, their columns aligned."""

from __future__ import annotations

import re
from collections.abc import Sequence


def to_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; numbers stand to the right."""
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 or not _is_number(cell) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join((row(head), row(["-" * width for width in widths]), *map(row, lines)))


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[\d.,]+( B)?|-+", cell))
