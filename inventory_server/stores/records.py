"""The packed forms of levels, lines, places and holds, to and from values.

ARCHITECTURE.md describes them; the Lua side is `scripts/include/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inventory_server.domain.model import Hold, HoldLine, Level, Line


class HoldRecord(NamedTuple):
    """The part of a hold that never changes."""

    fingerprint: str
    create_time_ms: int
    ttl_ms: int
    epoch: str
    places: str
    lines: tuple[Line, ...]
    packed_levels: str
    caller: str
    actor: str
    reference: str
    note: str


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
    on_hand, held, version, safety, backorder, reorder, rearm = map(int, parts[:7])
    return Level(sku, location, on_hand, held, version, safety, backorder, reorder, rearm, parts[7])


def parse_levels(lines: Sequence[Line], packed: str) -> tuple[Level, ...]:
    """The levels of these lines, from their packed forms with commas between."""
    return tuple(
        [
            parse_level(line.sku, line.location, part)
            for line, part in zip(lines, packed.split(","), strict=True)
        ]
    )


def parse_places(places: str) -> list[tuple[int, int]]:
    """`n:seq[,n:seq]`: how far a change reaches in the journals it touched."""
    pairs = [place.split(":") for place in places.split(",") if place]
    return [(int(number), int(seq)) for number, seq in pairs]


def parse_record(record: str) -> HoldRecord:
    """The unchanging part of a hold, as the scripts answer it."""
    fingerprint, placed, packed, levels, caller, actor, reference, note = record.split("\n")
    create_time, ttl, epoch, places = placed.split(" ")
    lines = []
    for part in packed.split(","):
        _, location, sku, quantity = part.split(" ")
        lines.append(Line(sku, location, int(quantity)))
    return HoldRecord(
        fingerprint, int(create_time), int(ttl), epoch, places, tuple(lines), levels,
        caller, actor, reference, note,
    )  # fmt: skip


def make_hold(hold_id: str, record: HoldRecord, state: str) -> Hold:
    """A hold from its unchanging part and a state: `WORD deadline_ms[ resolve_ms]`."""
    word, *times = state.split(" ")
    return Hold(
        hold_id,
        word,
        tuple(
            [
                HoldLine(
                    line.sku,
                    line.location,
                    line.quantity,
                    line.quantity if word == "HELD" else 0,
                    line.quantity if word == "CONFIRMED" else 0,
                    line.quantity if word == "RELEASED" else 0,
                    line.quantity if word == "EXPIRED" else 0,
                )
                for line in record.lines
            ]
        ),
        record.create_time_ms,
        int(times[0]),
        int(times[1]) if len(times) > 1 else None,
        record.reference,
        record.note,
        record.actor,
    )
