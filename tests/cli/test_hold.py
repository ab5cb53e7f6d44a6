"""`inventory hold`: from placing to its end, and what is said of one that has ended."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from tests.cli.conftest import Inv

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def hold(inv: Inv, sku: str) -> str:
    """A hold of three units online and one in a store."""
    inv("stock", "set", f"{sku}=10", f"{sku}@store:S1=10")
    place = ("hold", "place", f"{sku}=3", f"{sku}@store:S1=1", "--quiet")
    ended = inv(*place, "--ttl", "10m", "--reference", sku, "--actor", "till-4")
    assert ended.status == 0
    return ended.out.strip()


def test_a_hold_is_shown_with_what_became_of_each_line(inv: Inv, sku: str, hold: str) -> None:
    inv("hold", "confirm", hold, f"{sku}=1", "--keep-rest")
    shown = inv("hold", "get", hold)
    assert re.sub(TIME, "TIME", shown.out).splitlines() == [
        f"Hold:      {hold}",
        "State:     HELD",
        "Expires:   TIME",
        f"Reference: {sku}",
        "Actor:     till-4",
        "SKU         LOCATION  QUANTITY  HELD  CONFIRMED  RELEASED  EXPIRED",
        f"{sku}  online           3     2          1         0        0",
        f"{sku}  store:S1         1     1          0         0        0",
    ]


def test_a_hold_lasts_as_long_as_was_asked(inv: Inv, sku: str, hold: str) -> None:
    def span(answer: dict[str, str]) -> timedelta:
        begin, end = (
            datetime.fromisoformat(answer[name]) for name in ("create_time", "expire_time")
        )
        return end - begin

    assert span(inv("hold", "get", hold, "-o", "json").json) == timedelta(minutes=10)
    plain = inv("hold", "place", f"{sku}=1", "-o", "json").json
    assert span(plain["hold"]) == timedelta(minutes=5)
    extended = inv("hold", "extend", hold, "--ttl", "1h30m", "-o", "json").json
    assert span(extended["hold"]) > timedelta(minutes=90)


def test_a_hold_is_sold_or_given_back_in_parts(inv: Inv, sku: str, hold: str) -> None:
    inv("hold", "release", hold, f"{sku}=1")
    sold = inv("hold", "confirm", hold, f"{sku}=1", "-o", "json").json
    assert sold["hold"]["state"] == "CONFIRMED"
    lines = [
        [line[name] for name in ("held", "confirmed", "released")] for line in sold["hold"]["lines"]
    ]
    assert lines == [[0, 1, 2], [0, 0, 1]]
    total = inv("stock", "get", sku, "-o", "json").json["total"]
    assert (total["on_hand"], total["held"]) == (19, 0)


def test_what_has_ended_is_refused_with_a_hint(inv: Inv, sku: str, hold: str) -> None:
    assert inv("hold", "release", hold).status == 0
    assert inv("hold", "release", hold).status == 0
    for command in (("confirm", hold), ("extend", hold, "--ttl", "1m")):
        ended = inv("hold", *command)
        assert ended.status == 1
        assert ended.err.startswith("inventory: the hold was released at ")
        assert ended.err.endswith("hint: place a new hold\n")


def test_an_expired_hold_is_sold_only_where_that_is_asked_for(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=1")
    placed = inv("hold", "place", f"{sku}=1", "--ttl", "1s", "-o", "json").json
    hold = placed["hold"]["hold_id"]
    expired = inv("stock", "watch", "--cursor", placed["cursor"], "--count", "1", "--sku", sku)
    assert expired.out.split()[1] == "EXPIRE"
    refused = inv("hold", "confirm", hold)
    assert refused.status == 1
    assert "`inventory hold confirm --rehold`" in refused.err
    assert inv("hold", "confirm", hold, "--rehold", "-o", "json").json["reheld"] is True


def test_too_much_is_refused_and_a_part_is_held_where_that_is_asked_for(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=5", f"{sku}-b=1")
    place = ("hold", "place", f"{sku}=9", f"{sku}-b=1")
    refused = inv(*place)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.splitlines() == [
        f"inventory: not enough stock: {sku}@online (requested 9, available 5, sellable 5)",
        "hint: ask for at most what is sellable; `hold place --partial` takes that",
    ]
    assert inv("stock", "get", f"{sku}-b", "-o", "json").json["total"]["held"] == 0
    part = inv(*place, "--partial")
    assert part.status == 0
    assert part.err == f"{sku}@online: 5 of 9 held, 4 short\n"


def test_many_refused_lines_are_named_and_counted(inv: Inv, sku: str) -> None:
    inv("stock", "set", *[f"{sku}-{n}=0" for n in range(9)])
    refused = inv("hold", "place", *[f"{sku}-{n}=1" for n in range(9)])
    assert refused.err.count(sku) == 5
    assert refused.err.splitlines()[0].endswith("; and 4 more")


def test_holds_are_listed_by_level_or_by_reference(inv: Inv, sku: str, hold: str) -> None:
    second = inv("hold", "place", f"{sku}=1", "-q", "--reference", sku).out.strip()
    by_level = inv("hold", "list", sku, "-o", "json").json
    assert [one["hold_id"] for one in by_level["holds"]] == [second, hold]
    inv("hold", "release", second)
    assert inv("hold", "list", sku, "-q").out == f"{hold}\n"
    assert inv("hold", "list", f"{sku}@store:S1", "--by", "till-4", "-q").out == f"{hold}\n"
    assert inv("hold", "list", sku, "--by", "nobody", "-q").out == ""
    both = inv("hold", "list", "--reference", sku)
    assert re.sub(TIME, "TIME", both.out).splitlines()[0].split() == [
        *("HOLD", "STATE", "LINES", "UNITS", "EXPIRES", "REFERENCE", "ACTOR")
    ]
    states = {line.split()[0]: line.split()[1] for line in both.out.splitlines()[1:]}
    assert states == {hold: "HELD", second: "RELEASED"}
    released = inv("hold", "list", "--reference", sku, "--state", "released", "-q")
    assert released.out == f"{second}\n"
    for wrong in ((), (sku, "--reference", "x")):
        assert inv("hold", "list", *wrong).status == 2


def test_a_hold_that_is_not_there_is_not_found(inv: Inv) -> None:
    ended = inv("hold", "get", "3-2gizxps6n7gyscqaxr4y")
    assert ended.status == 4
    assert ended.err.splitlines()[0] == "inventory: no such hold"
