"""The lines that an error names, with their numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

NUMBERS: Final = (
    *("requested", "available", "sellable", "held", "on_hand", "expected"),
    *("reorder_point", "rearm_point"),
)
"""The names that a violation's description can bring."""

_LINE = re.compile(r"(online|store:[^/]+)/")
"""How a line is named as a subject; a hold is `holds/<id>`."""
_NUMBER = re.compile(rf"\b({'|'.join(NUMBERS)}) (-?\d+)\b")


class Violation(NamedTuple):
    """One violation of a PreconditionFailure or a BadRequest."""

    subject: str
    description: str


class RefusedLine(NamedTuple):
    """A line that was refused. Which numbers there are, the error's class says; others are 0."""

    sku: str
    location: str
    requested: int = 0
    available: int = 0
    sellable: int = 0
    held: int = 0
    on_hand: int = 0
    expected: int = 0
    reorder_point: int = 0
    rearm_point: int = 0

    @property
    def shortage(self) -> int:
        """How many units too many were asked for, of an InsufficientStock."""
        return max(0, self.requested - self.sellable)


def lines_of(violations: Sequence[Violation], facts: Mapping[str, str]) -> tuple[RefusedLine, ...]:
    """The refused lines: those of the violations, else the first one, which the facts have."""
    if violations:
        return tuple(_line_of(one) for one in violations if _LINE.match(one.subject))
    if "sku" not in facts:
        return ()
    numbers = {name: int(facts[name]) for name in NUMBERS if name in facts}
    return (RefusedLine(facts["sku"], facts.get("location", ""), **numbers),)


def _line_of(violation: Violation) -> RefusedLine:
    location, _, sku = violation.subject.partition("/")
    numbers = {name: int(value) for name, value in _NUMBER.findall(violation.description)}
    return RefusedLine(sku, location, **numbers)
