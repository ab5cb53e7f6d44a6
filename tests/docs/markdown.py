"""Reads what the tests need of a Markdown file: tables, and commands with their output."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A shell command and what it is said to print."""

    command: str
    output: str


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The contents of the code blocks in this language."""
    return [content for found, content in _BLOCK.findall(text) if found == language]


def examples(text: str) -> list[Example]:
    """The examples of the `console` blocks: `$ command`, then its output."""
    found = []
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            end = _command_lines(lines)
            found.append(Example("\n".join(lines[:end]), "\n".join(lines[end:])))
    return found


def _command_lines(lines: list[str]) -> int:
    """How many lines the command has: it goes on after a backslash and inside of quotes."""
    is_quoted = False
    for number, line in enumerate(lines, 1):
        is_quoted ^= line.count("'") % 2 == 1
        if not is_quoted and not line.endswith("\\"):
            return number
    raise AssertionError(f"a command without an end: {lines[0]}")


def table(text: str, first_heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading; a cell for each column."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first_heading} |"):
            break
    else:
        raise AssertionError(f"no table of {first_heading}")
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def words(cell: str) -> list[str]:
    """What stands in a cell as code."""
    return re.findall(r"`([^`]*)`", cell)
