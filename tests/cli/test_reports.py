"""`inventory check`, `summary`, `movements`, `verify`, `alerts list` and `products`."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.cli.conftest import Inv, invoke
from tests.serving import Running


def test_a_basket_is_judged_line_by_line_and_by_the_exit_status(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=5")
    assert inv("check", f"{sku}=5").status == 0
    ended = inv("check", f"{sku}=6", f"{sku}@store:S1=1")
    assert ended.status == 1
    assert ended.out.splitlines() == [
        "SKU         LOCATION  REQUESTED  AVAILABLE  SELLABLE  SHORT  CAN_BE_HELD  WHY_NOT",
        f"{sku}  online            6          5         5      1  no           not enough stock",
        f"{sku}  store:S1          1          0         0      1  no           no such level",
    ]
    told = inv("check", f"{sku}=6", "-o", "json")
    assert (told.status, told.json["available"]) == (1, False)
    assert inv("stock", "get", sku, "-o", "json").json["total"]["held"] == 0


def test_movements_are_found_by_level_hold_reference_actor_and_time(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}=5", f"{sku}@store:S1=5")
    place = ("hold", "place", f"{sku}=1", "--reference", sku, "--actor", sku, "-q")
    hold = inv(*place).out.strip()

    def kinds(*filters: str) -> list[str]:
        found = inv("movements", *filters, "-o", "json").json["movements"]
        return [movement["kind"] for movement in found]

    assert kinds(sku) == ["HOLD", "SET"]
    assert kinds(sku, "--location", "online") == ["HOLD", "SET"]
    assert kinds(f"{sku}@store:S1") == ["SET"]
    assert kinds("--hold", hold) == kinds("--reference", sku) == kinds("--by", sku) == ["HOLD"]
    assert kinds(sku, "--since", "1h") == ["HOLD", "SET"]
    assert kinds(sku, "--until", "2026-01-01T00:00:00Z") == []
    assert inv("movements", f"{sku}@store:S1", "--location", "online").status == 2
    row = inv("movements", sku, "--limit", "1").out.splitlines()[1].split()
    assert row[1:] == ["HOLD", sku, "online", "-", "+1", "5", "1", "4", sku, sku]


def test_what_is_low_is_listed(inv: Inv, sku: str) -> None:
    inv("stock", "set", f"{sku}@store:{sku}=0", f"{sku}-b@store:{sku}=30")
    where = ("alerts", "list", "--location", f"store:{sku}", "-o", "json")
    assert [level["sku"] for level in inv(*where).json["levels"]] == [sku]
    assert len(inv(*where, "--threshold", "30").json["levels"]) == 2


def test_a_good_store_is_told_to_be_good(start: Any) -> None:
    server: Running = start()
    server.set_stock(10)
    hold_id = server.place("k")
    where = {"INVENTORY_SERVER": f"127.0.0.1:{server.port}"}
    good = invoke("verify", **where)
    sentence = "1 levels, 1 holds, 2 movements: no discrepancies, 0 unsettled\n"
    assert (good.status, good.out) == (0, sentence)
    with contextlib.closing(server.redis()) as db:
        db.zrem("inv:{3}:due:online:SKU1", hold_id)
    bad = invoke("verify", **where)
    assert bad.status == 1
    assert bad.out.splitlines()[0].split() == ["WHAT", "LOCATION", "SKU", "HOLD", "FOUND"]
    assert bad.out.splitlines()[-1].endswith("2 discrepancies, 0 unsettled")
    told = invoke("verify", "-o", "json", **where)
    assert told.status == 1
    assert told.json["summary"]["discrepancies"] == len(told.json["discrepancies"]) == 2


@pytest.mark.usefixtures("products")
class TestProducts:
    """Over the three products of the fixture."""

    def test_they_are_listed_with_their_prices_in_money(self, inv: Inv) -> None:
        assert inv("products", "list").out.splitlines() == [
            "SKU      NAME         CATEGORY   BRAND        PRICE  ACTIVE",
            "CHAIR-1  Oak Chair    Furniture  Acme   1299.50 EUR  yes",
            "CHAIR-2  Beech Chair  Furniture  Acme    849.00 EUR  yes",
            "LAMP-1   Desk Lamp    Light      Lux       5000 JPY  no",
        ]

    def test_filters_hold_together(self, inv: Inv) -> None:
        def skus(*filters: str) -> list[str]:
            found = inv("products", "list", *filters, "-o", "json").json["products"]
            return [one["product"]["sku"] for one in found]

        assert skus("--inactive") == ["LAMP-1"]
        assert skus("--active", "--brand", "Acme") == ["CHAIR-1", "CHAIR-2"]
        assert skus("--category", "Light") == ["LAMP-1"]
        assert inv("products", "list", "--status", "out").status == 2

    def test_they_are_searched_with_what_is_available_somewhere(self, inv: Inv) -> None:
        inv("stock", "set", "CHAIR-1=7")
        found = inv("products", "search", "acme", "oak", "--location", "online")
        assert found.out.splitlines()[1].split()[-2:] == ["7", "OK"]
        assert inv("products", "search", "nothing", "-o", "json").json["products"] == []

    def test_one_is_shown_by_sku_or_barcode(self, inv: Inv) -> None:
        by_sku = inv("products", "show", "CHAIR-1", "-o", "json").json
        by_barcode = inv("products", "show", "--barcode", "4006381333931", "-o", "json").json
        assert by_sku == by_barcode
        assert by_sku["product"]["price_minor"] == 129_950
        assert by_sku["product"]["list_price_minor"] is None
        shown = inv("products", "show", "CHAIR-1").out
        assert "Price:    1299.50 EUR\n" in shown
        assert "Barcode:  4006381333931\n" in shown
        assert inv("products", "show", "NONE").status == 4
        assert inv("products", "show").status == 2

    def test_all_is_summed_up(self, inv: Inv) -> None:
        told = inv("summary", "-o", "json").json
        assert (told["products"], told["active_products"]) == (3, 2)
        shown = dict(line.split(":", 1) for line in inv("summary").out.splitlines())
        assert shown["Products"].strip() == "3"
        assert shown["Value"].strip().endswith(" EUR")

    def test_what_is_inactive_cannot_be_held_and_is_said_to_be(self, inv: Inv) -> None:
        inv("stock", "set", "LAMP-1=7")
        assert inv("check", "LAMP-1=1").out.splitlines()[1].split()[-1] == "inactive"
        refused = inv("hold", "place", "LAMP-1=1")
        assert refused.status == 1
        assert refused.err.startswith("inventory: the product is inactive: LAMP-1@online\n")
