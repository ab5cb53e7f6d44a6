"""What is well-formed, at its edges, and what the lines of a request come to."""

from __future__ import annotations

import string

import pytest

from inventory_server.domain.limits import MAX_KEY_LENGTH
from inventory_server.domain.model import Line
from inventory_server.domain.rules import (
    has_control,
    is_key,
    is_location,
    is_sku,
    last_lines,
    line_text,
    sum_lines,
)

LETTERS = string.ascii_letters + string.digits
NEVER = [*"\n\r\t \0{},;*?[\\'", '"', "é", "٣", "🧦"]


@pytest.mark.parametrize("character", LETTERS + "._-/+#")
def test_a_sku_may_be_of_each_allowed_character(character: str) -> None:
    assert is_sku(character)
    assert is_sku(character * 64)


@pytest.mark.parametrize("character", [*NEVER, ":", "%", "@"])
def test_a_sku_has_no_other_character_anywhere(character: str) -> None:
    for text in (character, "A" + character, character + "A", "A" + character + "A"):
        assert not is_sku(text), repr(text)


def test_a_sku_has_1_to_64_characters() -> None:
    assert not is_sku("")
    assert is_sku("A")
    assert is_sku("A" * 64)
    assert not is_sku("A" * 65)


@pytest.mark.parametrize("character", LETTERS + "._-")
def test_a_store_may_be_named_with_each_allowed_character(character: str) -> None:
    assert is_location("store:" + character)
    assert is_location("store:" + character * 64)


@pytest.mark.parametrize("character", [*NEVER, ":", "/", "+", "#"])
def test_a_location_has_no_other_character_anywhere(character: str) -> None:
    for text in (character, "S" + character, character + "S"):
        assert not is_location("store:" + text), repr(text)
    assert not is_location("online" + character)
    assert not is_location(character + "online")


@pytest.mark.parametrize(
    "location", ["", "store", "store:", "Online", "ONLINE", "online2", "Store:A", "A", "store:" * 2]
)
def test_a_location_is_online_or_a_store(location: str) -> None:
    assert not is_location(location)


def test_a_store_has_1_to_64_characters() -> None:
    assert is_location("online")
    assert is_location("store:" + "S" * 64)
    assert not is_location("store:" + "S" * 65)


def test_the_seeds_doubled_prefix_is_no_location() -> None:
    assert not is_location("store:store:DELHI")


def test_an_idempotency_key_is_of_visible_characters() -> None:
    visible = "".join(map(chr, range(0x21, 0x7F)))
    assert is_key(visible)
    assert is_key("k" * MAX_KEY_LENGTH)
    assert not is_key("k" * (MAX_KEY_LENGTH + 1))
    for wrong in ("", " ", "a b", "a\n", "a\0", "ä", "\x7f"):
        assert not is_key(wrong), repr(wrong)


@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\t", "\x1f", "\x7f", "\x85", "\x9f"])
def test_text_with_a_control_character_is_found(character: str) -> None:
    assert has_control(f"call {character} back")


@pytest.mark.parametrize("text", ["", "call back", "Grüße, 你好 🧦", "\u00a0", "\u200d"])
def test_other_text_has_none(text: str) -> None:
    assert not has_control(text)


def test_lines_of_one_level_are_summed_and_sorted_by_location_then_sku() -> None:
    lines = [
        Line("B", "store:X", 1),
        Line("B", "online", 2),
        Line("A", "store:X", 3),
        Line("B", "store:X", 4),
    ]
    assert sum_lines(lines) == (
        Line("B", "online", 2),
        Line("A", "store:X", 3),
        Line("B", "store:X", 5),
    )


def test_the_order_of_lines_says_nothing() -> None:
    lines = [Line("A", "online", 1), Line("A", "store:X", 2), Line("B", "online", 3)]
    assert sum_lines(lines) == sum_lines(lines[::-1])


def test_one_line_is_its_own_sum() -> None:
    assert sum_lines([Line("A", "online", 7)]) == (Line("A", "online", 7),)
    assert sum_lines([]) == ()


def test_deltas_may_cancel_each_other() -> None:
    assert sum_lines([Line("A", "online", 5), Line("A", "online", -5)]) == (Line("A", "online", 0),)


def test_of_counts_the_last_one_stands() -> None:
    lines = [Line("B", "online", 1), Line("A", "store:X", 2), Line("B", "online", 0)]
    assert last_lines(lines) == (Line("B", "online", 0), Line("A", "store:X", 2))
    assert last_lines([]) == ()


def test_lines_differ_in_fingerprints_where_they_differ() -> None:
    lines = [Line("A", "online", 1), Line("A", "online", 11), Line("A1", "online", 1)]
    assert len({line_text(line) for line in lines}) == 3
