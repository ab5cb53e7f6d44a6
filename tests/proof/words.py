"""The words of the model: what verbs answer, and what follows from a hold or a level alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from inventory_server.domain.model import Hold, Level, Line, Shortage

Place = tuple[str, str]
"""A level's name: location and SKU, which is also the order of lines."""
Units = dict[Place, int]
Lines = tuple[tuple[str | int, ...], ...]
"""Refused lines: location, SKU, and the numbers that were compared."""


class Answer(NamedTuple):
    """What changed: the levels as they became, and for a verb on a hold the hold."""

    levels: tuple[Level, ...] = ()
    hold: Hold | None = None
    shortages: tuple[Shortage, ...] = ()
    reheld: bool = False
    replayed: bool = False
    refused_rows: tuple[tuple[int, str], ...] = ()
    """Of an import: the rows that stayed out, and why."""


class Refusal(NamedTuple):
    """Why nothing was done."""

    reason: str
    lines: Lines = ()
    time_ms: int | None = None


Result = Answer | Refusal


def sum_up(lines: Iterable[Line]) -> Units:
    """The units of each level, in the order of lines."""
    units: Units = {}
    for sku, location, quantity in lines:
        units[location, sku] = units.get((location, sku), 0) + quantity
    return dict(sorted(units.items()))


def units_of(hold: Hold, way: str = "held") -> Units:
    """How many of a hold's units are held, or went this way."""
    return {(line.location, line.sku): n for line in hold.lines if (n := getattr(line, way))}


def part(hold: Hold, at_ms: int, **ways: Units) -> Hold:
    """The hold once these of its units were confirmed, released or expired."""
    lines = []
    for line in hold.lines:
        new = {way: units.get((line.location, line.sku), 0) for way, units in ways.items()}
        told = {way: getattr(line, way) + units for way, units in new.items()}
        lines.append(line._replace(held=line.held - sum(new.values()), **told))
    hold = hold._replace(lines=tuple(lines))
    if units_of(hold):
        return hold
    ends = [way.upper() for way in ("confirmed", "expired") if units_of(hold, way)]
    return hold._replace(state=[*ends, "RELEASED"][0], resolve_time_ms=at_ms)


def home_of(hold: Hold) -> int:
    """The partition that a hold is at home in: its id begins with it."""
    return int(hold.hold_id.partition("-")[0])


def is_due(hold: Hold, now_ms: int) -> bool:
    """Whether a hold's deadline has come while it holds units."""
    return hold.state == "HELD" and now_ms >= hold.expire_time_ms


def available(level: Level) -> int:
    """What is neither held nor kept back."""
    return level.on_hand - level.held - level.safety_stock
