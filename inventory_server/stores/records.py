"""The packed forms of levels, lines, places and holds, to and from values.

docs/design/store.md describes them; the Lua side is `scripts/include/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inventory_server.domain.model import Hold, HoldLine, Level, Line


class LevelSums(NamedTuple):
    """What some levels come to: how many there are, low, out, and the units of all."""

    levels: int
    low: int
    out: int
    held: int
    on_hand: dict[str, int]
    """Of each SKU."""


def pack_lines(lines: Sequence[Line]) -> str:
    """`location sku quantity`, with commas between."""
    return ",".join([f"{location} {sku} {quantity}" for sku, location, quantity in lines])


def pack_level(level: Level) -> str:
    """The packed form of a level; `parse_level` is its inverse."""
    counts = f"{level.on_hand} {level.held} {level.version}"
    if level[5:] == (0, 0, 0, 0, "OK"):
        return counts
    return " ".join([counts, *map(str, level[5:])])


def parse_level(sku: str, location: str, packed: str) -> Level:
    """`on_hand held version[ safety backorder reorder rearm alert_state]`."""
    parts = packed.split(" ")
    if len(parts) == 3:
        return Level(sku, location, int(parts[0]), int(parts[1]), int(parts[2]))
    *numbers, alert_state = parts
    on_hand, held, version, safety, backorder, reorder, rearm = map(int, numbers)
    return Level(
        sku, location, on_hand, held, version, safety, backorder, reorder, rearm, alert_state
    )


def sum_levels(packed_by_sku: Iterable[tuple[str, str | None]]) -> LevelSums:
    """What levels come to, from their packed forms; None where there is none.

    It makes no Level of each: of a hundred thousand that would take a second.
    """
    low = out = held = 0
    on_hand: dict[str, int] = {}
    for sku, packed in packed_by_sku:
        if packed is None:
            continue
        parts = packed.split(" ")
        units, level_held = int(parts[0]), int(parts[1])
        available = units - level_held
        reorder_point = 0
        if len(parts) > 3:
            available -= int(parts[3])
            reorder_point = int(parts[5])
        out += available <= 0
        low += 0 < available <= reorder_point
        held += level_held
        on_hand[sku] = units
    return LevelSums(len(on_hand), low, out, held, on_hand)


def parse_levels(lines: Sequence[Line | HoldLine], packed: str) -> tuple[Level, ...]:
    """The levels of these lines, from their packed forms with commas between.

    A line whose level did not change has "-" there, and is left out.
    """
    parts = packed.split(",")
    return tuple(
        [
            parse_level(line[0], line[1], part)
            for line, part in zip(lines, parts, strict=True)
            if part != "-"
        ]
    )


def parse_lines(record: str) -> tuple[Line, ...]:
    """The lines of a hold's record."""
    parts = [part.split(" ") for part in record.split("\n", 3)[2].split(",")]
    return tuple([Line(sku, location, int(quantity)) for _, location, sku, quantity in parts])


def parse_placed(hold_id: str, record: str) -> tuple[Hold, tuple[Level, ...], str, str]:
    """What PlaceHold answered: the hold, its levels, epoch and places."""
    _, placed, packed, packed_levels, _, actor, reference, note = record.split("\n")
    create_time, ttl, epoch, places = placed.split(" ")
    lines: list[HoldLine] = []
    levels: list[Level] = []
    for line, level in zip(packed.split(","), packed_levels.split(","), strict=True):
        _, location, sku, quantity = line.split(" ")
        units = int(quantity)
        lines.append(HoldLine(sku, location, units, units, 0, 0, 0))
        levels.append(parse_level(sku, location, level))
    create_ms = int(create_time)
    hold = Hold(
        hold_id, "HELD", tuple(lines), create_ms, create_ms + int(ttl), None, reference, note, actor
    )
    return hold, tuple(levels), epoch, places


def parse_reference(value: str) -> str | None:
    """The reference in a hold's whole value: state, verbs, record; None for what is no hold."""
    parts = value.split("\n")
    return parts[8] if len(parts) == 10 else None


def parse_stored_hold(value: str) -> tuple[str, str]:
    """State and record of a hold's whole value, which has the verbs between them."""
    state, _, record = value.split("\n", 2)
    return state, record


_SHARES = {
    "HELD": (1, 0, 0, 0),
    "CONFIRMED": (0, 1, 0, 0),
    "RELEASED": (0, 0, 1, 0),
    "EXPIRED": (0, 0, 0, 1),
}
"""Where all units of a hold went one way: held, confirmed, released, expired."""


def parse_hold(hold_id: str, record: str, state: str) -> Hold:
    """A hold from its unchanging part and a state: `WORD deadline_ms[ resolve_ms[ parts]]`."""
    _, placed, packed, _, _, actor, reference, note = record.split("\n")
    word, deadline, *more = state.split(" ")
    packed_lines = packed.split(",")
    parts = more[1].split(",") if len(more) > 1 else [""] * len(packed_lines)
    lines: list[HoldLine] = []
    for line, part in zip(packed_lines, parts, strict=True):
        _, location, sku, quantity = line.split(" ")
        n = int(quantity)
        if part:
            confirmed, released, expired = map(int, part.split(":"))
            held = n - confirmed - released - expired
        else:
            held, confirmed, released, expired = [n * share for share in _SHARES[word]]
        lines.append(HoldLine(sku, location, n, held, confirmed, released, expired))
    create_ms = int(placed.partition(" ")[0])
    resolve_ms = int(more[0]) if more and more[0] != "-" else None
    return Hold(
        hold_id, word, tuple(lines), create_ms, int(deadline), resolve_ms, reference, note, actor
    )
