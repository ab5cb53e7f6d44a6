"""The packed forms of levels, lines, places and holds, to and from values.

ARCHITECTURE.md describes them; the Lua side is `scripts/include/`.
"""

from __future__ import annotations

from collections.abc import Sequence

from inventory_server.domain.model import Hold, HoldLine, Level, Line


def pack_lines(lines: Sequence[Line], partitions: Sequence[int]) -> str:
    """`n location sku quantity`, with commas between."""
    if len(lines) == 1:
        sku, location, quantity = lines[0]
        return f"{partitions[0]} {location} {sku} {quantity}"
    return ",".join(
        f"{n} {location} {sku} {quantity}"
        for n, (sku, location, quantity) in zip(partitions, lines, strict=True)
    )


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


def parse_levels(lines: Sequence[Line | HoldLine], packed: str) -> tuple[Level, ...]:
    """The levels of these lines, from their packed forms with commas between."""
    parts = packed.split(",")
    return tuple(
        [parse_level(line[0], line[1], part) for line, part in zip(lines, parts, strict=True)]
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


_SHARES = {
    "HELD": (1, 0, 0, 0),
    "CONFIRMED": (0, 1, 0, 0),
    "RELEASED": (0, 0, 1, 0),
    "EXPIRED": (0, 0, 0, 1),
}
"""Which units of a line are held, confirmed, released and expired, by the hold's state."""


def parse_hold(hold_id: str, record: str, state: str) -> Hold:
    """A hold from its unchanging part and a state: `WORD deadline_ms[ resolve_ms]`."""
    _, placed, packed, _, _, actor, reference, note = record.split("\n")
    word, deadline, *resolved = state.split(" ")
    held, confirmed, released, expired = _SHARES[word]
    lines: list[HoldLine] = []
    for line in packed.split(","):
        _, location, sku, quantity = line.split(" ")
        n = int(quantity)
        shares = (n * held, n * confirmed, n * released, n * expired)
        lines.append(HoldLine(sku, location, n, *shares))
    create_ms = int(placed.partition(" ")[0])
    resolve_ms = int(resolved[0]) if resolved else None
    return Hold(
        hold_id, word, tuple(lines), create_ms, int(deadline), resolve_ms, reference, note, actor
    )
