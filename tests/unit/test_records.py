"""The packed forms: what is packed is what is read, and what the scripts write is read whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.domain.limits import MAX_TOTAL
from inventory_server.domain.model import HoldLine, Level, Line
from inventory_server.stores.records import (
    pack_lines,
    parse_hold,
    parse_level,
    parse_levels,
    parse_lines,
    parse_placed,
    sum_levels,
)

SKUS = st.from_regex(r"[A-Za-z0-9._\-/+#]{1,64}", fullmatch=True)
LOCATIONS = st.from_regex(r"online|store:[A-Za-z0-9._\-]{1,64}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\u2028\u2029"), max_size=256
)
LINES = st.lists(
    st.builds(Line, SKUS, LOCATIONS, st.integers(1, 2**31 - 1)), min_size=1, max_size=5
)


def record_of(lines: list[Line], *texts: str) -> str:
    """A record as place_hold writes it."""
    levels = ",".join("10 2 3" for _ in lines)
    packed = ",".join(
        f"{n % 16} {location} {sku} {quantity}" for n, (sku, location, quantity) in enumerate(lines)
    )
    return "\n".join(("print", "1000 300000 1 3:7,5:9", packed, levels, *texts))


@given(LINES, TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_record_reads_as_it_was_packed(
    lines: list[Line], caller: str, actor: str, reference: str, note: str
) -> None:
    record = record_of(lines, caller, actor, reference, note)
    hold, levels, epoch, places = parse_placed("3-a", record)
    assert parse_lines(record) == tuple(lines)
    assert [(line.sku, line.location, line.quantity) for line in hold.lines] == lines
    assert levels == tuple(Level(sku, location, 10, 2, 3) for sku, location, _ in lines)
    assert (hold.actor, hold.reference, hold.note) == (actor, reference, note)
    assert (hold.create_time_ms, hold.expire_time_ms) == (1000, 301_000)
    assert (epoch, places) == ("1", "3:7,5:9")
    assert parse_hold("3-a", record, "HELD 301000") == hold


def test_asked_lines_are_packed_without_their_partitions() -> None:
    line = Line("A", "store:X", 3)
    assert pack_lines([]) == ""
    assert pack_lines([line]) == "store:X A 3"
    assert pack_lines([line, line]) == "store:X A 3,store:X A 3"


def test_a_level_that_did_not_change_is_left_out() -> None:
    lines = [Line("A", "online", 1), Line("B", "online", 1)]
    assert parse_levels(lines, "-,10 2 3") == (Level("B", "online", 10, 2, 3),)


def test_a_level_without_a_policy_is_short() -> None:
    assert parse_level("A", "online", "10 2 3") == Level("A", "online", 10, 2, 3)


def test_a_level_with_a_policy_is_long() -> None:
    level = parse_level("A", "online", "10 2 3 1 4 5 6 LOW")
    assert level == Level("A", "online", 10, 2, 3, 1, 4, 5, 6, "LOW")
    assert (level.available, level.sellable, level.status) == (7, 11, "OK")


@pytest.mark.parametrize("on_hand", [0, -1, -MAX_TOTAL, MAX_TOTAL])
def test_counts_of_every_size_are_read_exactly(on_hand: int) -> None:
    assert parse_level("A", "online", f"{on_hand} 0 1").on_hand == on_hand


@pytest.mark.parametrize("packed", ["", "10", "10 2", "10 2 x", "10 2 3 4", "nil nil nil"])
def test_what_is_no_level_is_an_error(packed: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        parse_level("A", "online", packed)


@given(st.lists(st.one_of(st.none(), st.tuples(
    st.integers(-5, 30), st.integers(0, 9), st.integers(0, 5), st.integers(0, 9), st.booleans(),
))))  # fmt: skip
def test_sums_are_those_of_the_levels_one_by_one(rows: list[tuple[int, ...] | None]) -> None:
    packed = [
        row and f"{row[0]} {row[1]} 7" + f" {row[2]} 0 {row[3]} 9 LOW" * row[4] for row in rows
    ]
    by_sku = [(f"S{n}", one) for n, one in enumerate(packed)]
    levels = [parse_level(sku, "online", one) for sku, one in by_sku if one]
    statuses = [level.status for level in levels]
    assert sum_levels(by_sku) == (
        len(levels), statuses.count("LOW"), statuses.count("OUT"),
        sum(level.held for level in levels), {level.sku: level.on_hand for level in levels},
    )  # fmt: skip


def test_levels_and_lines_belong_together() -> None:
    with pytest.raises(ValueError, match="zip"):
        parse_levels([Line("A", "online", 1)], "1 0 1,2 0 1")


@pytest.mark.parametrize(
    ("state", "word", "resolved", "counts"),
    [
        ("HELD 500", "HELD", None, (3, 0, 0, 0)),
        ("CONFIRMED 500 400", "CONFIRMED", 400, (0, 3, 0, 0)),
        ("RELEASED 500 400", "RELEASED", 400, (0, 0, 3, 0)),
        ("EXPIRED 500 500", "EXPIRED", 500, (0, 0, 0, 3)),
        ("HELD 500 - 1:0:0", "HELD", None, (2, 1, 0, 0)),
        ("CONFIRMED 500 400 1:2:0", "CONFIRMED", 400, (0, 1, 2, 0)),
        ("EXPIRED 500 500 0:1:2", "EXPIRED", 500, (0, 0, 1, 2)),
    ],
)
def test_a_hold_is_its_record_and_its_state(
    state: str, word: str, resolved: int | None, counts: tuple[int, ...]
) -> None:
    record = record_of([Line("A", "online", 3)], "", "actor", "order-1", "note")
    hold = parse_hold("3-a", record, state)
    assert (hold.hold_id, hold.state) == ("3-a", word)
    assert (hold.create_time_ms, hold.expire_time_ms, hold.resolve_time_ms) == (1000, 500, resolved)
    assert hold.lines == (HoldLine("A", "online", 3, *counts),)
    assert (hold.actor, hold.reference, hold.note) == ("actor", "order-1", "note")
