"""`inventory stock`: what is read, changed and refused, as a table and as JSON."""

from __future__ import annotations

from tests.cli.conftest import Inv


def test_the_levels_of_a_sku_are_a_table_with_their_sum(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=12000", f"{sku}@store:S1=3")
    inv("hold", "place", f"{sku}=2")
    ended = inv("stock", "get", sku)
    assert ended.status == 0
    assert ended.out.splitlines() == [
        "SKU         LOCATION  ON_HAND  HELD  AVAILABLE  SELLABLE  REORDER_AT  STATUS",
        f"{sku}  online      12000     2      11998     11998           0  OK",
        f"{sku}  store:S1        3     0          3         3           0  OK",
        f"{sku}  total       12003     2      12001         -           -  -",
    ]


def test_a_level_is_one_row_however_it_is_named(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=1", f"{sku}@store:S1=3")
    one = inv("stock", "get", f"{sku}@store:S1")
    other = inv("stock", "get", sku, "--location", "store:S1")
    assert one.out == other.out
    assert len(one.out.splitlines()) == 2


def test_json_has_every_field_and_numbers_that_are_numbers(inv: Inv, sku: str) -> None:
    most = 2**31 - 1
    inv("stock", "set", f"{sku}={most}")
    ended = inv("stock", "get", sku, "--output", "json")
    assert ended.out.count("\n") == 1
    totals = {"on_hand": most, "held": 0, "available": most}
    assert ended.json == {
        "sku": sku,
        "levels": [
            {
                "sku": sku, "location": "online", "on_hand": most, "held": 0, "safety_stock": 0,
                "backorder_limit": 0, "reorder_point": 0, "rearm_point": 0, "available": most,
                "sellable": most, "status": "OK", "version": ended.json["levels"][0]["version"],
            }
        ],
        "total": totals,
        "online": totals,
        "stores": {"on_hand": 0, "held": 0, "available": 0},
    }  # fmt: skip


def test_a_list_is_cut_only_where_it_says_so(inv: Inv, sku: str) -> None:
    inv("stock", "set", *[f"{sku}-{n}@store:{sku}={n}" for n in range(3)])
    where = ("stock", "list", f"store:{sku}")
    whole = inv(*where, "-o", "json").json
    assert [level["sku"] for level in whole["levels"]] == [f"{sku}-{n}" for n in range(3)]
    assert whole["more"] is False
    assert inv(*where, "-o", "json", "--limit", "3").json["more"] is False
    cut = inv(*where, "-o", "json", "--limit", "2").json
    assert (len(cut["levels"]), cut["more"]) == (2, True)
    shown = inv(*where, "--limit", "2")
    assert len(shown.out.splitlines()) == 3
    assert shown.err == "the first 2; --limit shows more, --limit 0 all\n"
    assert len(inv(*where, "--limit", "0").out.splitlines()) == 4


def test_a_list_is_filtered(inv: Inv, sku: str) -> None:
    inv("stock", "set", *[f"{sku}-{n}@store:{sku}={n}" for n in range(3)])
    where = ("stock", "list", f"store:{sku}", "-o", "json")
    out = inv(*where, "--status", "out").json["levels"]
    assert [(level["sku"], level["status"]) for level in out] == [(f"{sku}-0", "OUT")]
    assert len(inv(*where, "--status", "OUT").json["levels"]) == 1
    assert len(inv(*where, "--prefix", f"{sku}-2").json["levels"]) == 1
    empty = inv("stock", "list", f"store:{sku}", "--status", "low")
    assert (empty.status, len(empty.out.splitlines()), empty.err) == (0, 1, "no levels\n")


def test_counts_are_set_for_a_reason_only_from_what_was_expected(inv: Inv, sku: str) -> None:
    assert inv("stock", "set", f"{sku}=40").status == 0
    ended = inv("stock", "set", f"{sku}=41", "--expect", "38")
    assert ended.status == 1
    assert ended.err.splitlines()[0] == (
        f"inventory: the count is not the expected one: {sku}@online (expected 38, on hand 40)"
    )
    right = ("--expect", "40", "--reason", "loss", "--note", "two gone", "--reference", "c-1")
    assert inv("stock", "set", f"{sku}=38", *right).status == 0
    (moved, _) = inv("movements", sku, "-o", "json").json["movements"]
    assert (moved["reason"], moved["note"], moved["reference"]) == ("LOSS", "two gone", "c-1")
    assert inv("stock", "set", f"{sku}=1", "B=1", "--expect", "1").status == 2


def test_a_dry_run_says_what_would_become_of_it(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=5")
    for command in (("set", f"{sku}=9"), ("adjust", f"{sku}=+4", "--reason", "count")):
        ended = inv("stock", *command, "--dry-run")
        assert ended.out.splitlines()[1].split()[2] == "9"
        assert ended.err == "Nothing was changed: this is what would become of it.\n"
        assert inv("stock", "get", sku, "-o", "json").json["total"]["on_hand"] == 5


def test_counts_are_adjusted_all_or_none(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=5", f"{sku}@store:S1=5")
    up = inv(
        *("stock", "adjust", f"{sku}=+2", f"{sku}@store:S1=-1", "--reason", "correction"),
        *("-o", "json", "--key", f"{sku}-1"),
    )
    assert [level["on_hand"] for level in up.json["levels"]] == [7, 4]
    assert up.json["idempotency_key"] == f"{sku}-1"
    down = ("stock", "adjust", f"{sku}=-2", f"{sku}@store:S1=-5", "--reason", "damage")
    refused = inv(*down)
    assert refused.status == 1
    assert refused.err.splitlines()[0].endswith(f"{sku}@store:S1 (requested -1, held 0)")
    total = inv("stock", "get", sku, "-o", "json").json["total"]
    assert total["on_hand"] == 11


def test_the_same_key_does_nothing_twice(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=5")
    command = ("stock", "adjust", f"{sku}=+2", "--reason", "receipt", "--key", f"{sku}-k")
    assert [inv(*command).status for _ in range(3)] == [0, 0, 0]
    assert inv("stock", "get", sku, "-o", "json").json["total"]["on_hand"] == 7
    other = inv("stock", "adjust", f"{sku}=+3", "--reason", "receipt", "--key", f"{sku}-k")
    assert other.status == 2
    assert "hint: it is another request: give it a key of its own" in other.err
    wrong = inv("stock", "set", f"{sku}=1", "--key", "two words")
    assert (wrong.status, wrong.err.startswith("inventory: --key takes 1 to 255")) == (2, True)


def test_units_are_moved_between_locations(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=5")
    there = ("--from", "online", "--to", "store:S1")
    assert inv("stock", "transfer", f"{sku}=2", *there).status == 0
    levels = inv("stock", "get", sku, "-o", "json").json["levels"]
    assert {level["location"]: level["on_hand"] for level in levels} == {
        "online": 3,
        "store:S1": 2,
    }
    short = inv("stock", "transfer", f"{sku}=4", *there)
    assert short.status == 1
    assert f"{sku}@online (requested 4, available 3, sellable 3)" in short.err


def test_who_asks_stands_in_the_movements(inv: Inv, sku: str) -> None:
    inv("--actor", "before", "stock", "set", f"{sku}=5")
    inv("stock", "set", f"{sku}=6", INVENTORY_ACTOR="variable")
    inv("stock", "set", f"{sku}=7", "--actor", "after", INVENTORY_ACTOR="variable")
    moved = inv("movements", sku, "-o", "json").json["movements"]
    assert [movement["actor"] for movement in moved] == ["after", "variable", "before"]


def test_what_is_not_there_is_not_found(inv: Inv, sku: str) -> None:
    ended = inv("stock", "get", sku)
    assert (ended.status, ended.out) == (4, "")
    assert ended.err.splitlines() == [
        f"inventory: no stock level: {sku}",
        "hint: `inventory stock set` makes a level",
    ]
