"""What people type: lines, levels, spans of time; and what is said to a slip of the finger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from inventory_cli.errors import UsageError
from inventory_cli.lines import deltas_of, level_of, lines_of, quantities_of
from inventory_cli.money import money_text
from inventory_cli.spans import instant_of, seconds_of, span_text


def test_a_line_is_a_level_and_a_quantity_and_online_where_no_location_is_said() -> None:
    assert lines_of(["A-1=2", "A/b+c#.d_1@store:S.1=0"]) == [
        ("A-1", "online", 2),
        ("A/b+c#.d_1", "store:S.1", 0),
    ]
    assert deltas_of(["A=+2", "A@store:S1=-30"]) == [("A", "online", 2), ("A", "store:S1", -30)]
    assert quantities_of(["A=2"]) == [("A", 2)]
    assert level_of("A") == ("A", "")
    assert level_of("A@store:S1") == ("A", "store:S1")


@pytest.mark.parametrize(
    "text",
    [
        *("", "A", "=2", "A=", "A=x", "A=1.5", "A=-1", "A=+1", "A@=1", "@online=1", "A=1=2"),
        *("A@b@c=1", "A=1_0", "A=٣", "A=" + "9" * 19, "A" * 200 + "=1", "A= 1"),
    ],
)
def test_what_is_no_line_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="A-1"):
        lines_of([text])


@pytest.mark.parametrize("text", ["A=3", "A=", "A=+", "A=+-1", "A=++1"])
def test_a_change_of_a_count_says_its_sign(text: str) -> None:
    with pytest.raises(UsageError, match=r"as A-1@store:S1=\+2"):
        deltas_of([text])


def test_a_transfer_says_its_locations_once() -> None:
    with pytest.raises(UsageError, match="--from and --to"):
        quantities_of(["A@online=1"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90", 90), ("1.5", 1.5), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800)),
        *(("500ms", 0.5), ("1m500ms", 60.5), ("315360000", 315_360_000)),
    ],
)
def test_spans_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text, "--ttl") == seconds


@pytest.mark.parametrize(
    "text", ["", "m", "10 m", "-5s", "5x", "1e3", "0", "0s", "315360001", "٣s"]
)
def test_what_is_no_span_is_refused_by_the_name_of_its_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--ttl takes"):
        seconds_of(text, "--ttl")


def test_an_instant_is_a_time_or_how_long_ago() -> None:
    assert instant_of("2026-11-21T15:31:40Z", "--since") == datetime(
        2026, 11, 21, 15, 31, 40, tzinfo=UTC
    )
    before = datetime.now(UTC)
    ago = instant_of("2h", "--since") + timedelta(hours=2)
    assert before <= ago <= datetime.now(UTC)
    for text in ("yesterday", "2026-13-01", "2026-11-21T"):
        with pytest.raises(UsageError, match=r"^--since takes"):
            instant_of(text, "--since")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.6, "1m"), (599, "9m 59s"), (93_784, "1d 2h"), (-5, "0s")]
)
def test_spans_are_told_in_two_units(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        *((198_621, "INR", "1986.21 INR"), (5, "EUR", "0.05 EUR"), (-1205, "EUR", "-12.05 EUR")),
        *((5000, "JPY", "5000 JPY"), (1234, "KWD", "1.234 KWD"), (12_345, "CLF", "1.2345 CLF")),
    ],
)
def test_money_has_the_decimals_of_its_currency(minor: int, currency: str, text: str) -> None:
    assert money_text(minor, currency) == text
