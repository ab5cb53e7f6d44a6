"""SetStockPolicy: reorder points, safety stock and backorder limits, of levels and locations."""

from __future__ import annotations

import grpc
import pytest
from inventory.v1 import stock_level_pb2 as level_pb
from inventory.v1 import stock_service_pb2 as pb

from tests.calls import key, level_of, place, refused, set_stock
from tests.scripts.database import dump


def policies(*lines: dict) -> pb.SetStockPolicyRequest:
    return pb.SetStockPolicyRequest(lines=[pb.SetStockPolicyLine(**fields) for fields in lines])


def of(sku: str = "SKU1", location: str = "online", **points: int) -> dict:
    return {"sku": sku, "location": location, **points}


def points(level) -> tuple[int, int, int, int]:
    return (
        level.reorder_point, level.rearm_point, level.safety_stock, level.backorder_limit,
    )  # fmt: skip


async def test_a_policy_is_set_and_what_is_not_set_stays(stock) -> None:
    await set_stock(stock, 10)
    request = policies(of(reorder_point=5, safety_stock=2))
    answer = await stock.SetStockPolicy(request)
    assert points(answer.levels[0]) == (5, 5, 2, 0), "the rearm point follows"
    assert (answer.levels[0].available, answer.levels[0].sellable) == (8, 8)
    await stock.SetStockPolicy(policies(of(rearm_point=7)))
    await stock.SetStockPolicy(policies(of(backorder_limit=3)))
    answer = await stock.SetStockPolicy(policies(of(reorder_point=6)))
    assert points(answer.levels[0]) == (6, 7, 2, 3), "it was set apart and stays"
    assert answer.levels[0].sellable == 11
    assert points(await level_of(stock)) == (6, 7, 2, 3)


async def test_a_policy_is_judged_at_once(stock, holds, db) -> None:
    await set_stock(stock, 10)
    low = await stock.SetStockPolicy(policies(of(reorder_point=10)))
    assert low.levels[0].status == level_pb.STOCK_STATUS_LOW
    assert db.zrange("inv:{3}:low:online", 0, -1) == ["SKU1"]
    await stock.SetStockPolicy(policies(of(reorder_point=0)))
    assert not db.exists("inv:{3}:low:online")
    await stock.SetStockPolicy(policies(of(safety_stock=10)))
    assert (await refused(place(holds))).reason == "INSUFFICIENT_STOCK"
    await stock.SetStockPolicy(policies(of(backorder_limit=1)))
    await place(holds)


async def test_a_locations_default_goes_into_levels_that_are_made(stock) -> None:
    await set_stock(stock, 10, "OLD")
    answer = await stock.SetStockPolicy(
        policies(of("", reorder_point=5), of("", "store:DELHI", safety_stock=1))
    )
    assert not answer.levels
    assert [(d.location, points(d)) for d in answer.defaults] == [
        ("online", (5, 5, 0, 0)),
        ("store:DELHI", (0, 0, 1, 0)),
    ]
    assert points(await level_of(stock, "OLD")) == (0, 0, 0, 0), "changes none that exist"
    assert points((await set_stock(stock, 3, "NEW")).levels[0]) == (5, 5, 0, 0)
    moved = pb.TransferStockRequest(
        lines=[pb.TransferStockLine(sku="OLD", quantity=1)],
        from_location="online",
        to_location="store:DELHI",
    )
    await stock.TransferStock(moved)
    assert points(await level_of(stock, "OLD", "store:DELHI")) == (0, 0, 1, 0)
    again = await stock.SetStockPolicy(policies(of("", rearm_point=9)))
    assert points(again.defaults[0]) == (5, 9, 0, 0)


async def test_levels_and_defaults_change_together_or_not_at_all(stock, db) -> None:
    await set_stock(stock, 10)
    before = dump(db)
    request = policies(of("", reorder_point=5), of(reorder_point=5), of("GONE", reorder_point=5))
    refusal = await refused(stock.SetStockPolicy(request))
    assert (refusal.code, refusal.facts["levels"]) == (grpc.StatusCode.NOT_FOUND, "online/GONE")
    request = policies(of("", reorder_point=5), of(reorder_point=5, rearm_point=4))
    refusal = await refused(stock.SetStockPolicy(request))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "REARM_BELOW_REORDER",
    )
    assert (refusal.facts["reorder_point"], refusal.facts["rearm_point"]) == ("5", "4")
    assert dump(db) == before


async def test_a_policy_is_set_once_under_its_key(stock) -> None:
    await set_stock(stock, 10)
    request = policies(of(reorder_point=5), of("", reorder_point=6))
    first = await stock.SetStockPolicy(request, metadata=key("k"))
    again = stock.SetStockPolicy(request, metadata=key("k"))
    assert await again == first
    assert dict(await again.trailing_metadata())["idempotent-replayed"] == "true"
    other = policies(of(reorder_point=7))
    refusal = await refused(stock.SetStockPolicy(other, metadata=key("k")))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_a_policy_is_a_movement(stock) -> None:
    await set_stock(stock, 10)
    await stock.SetStockPolicy(policies(of(reorder_point=5), of("", reorder_point=6)))
    found = (await stock.ListMovements(pb.ListMovementsRequest())).movements
    assert [(m.kind, m.sku, m.level.reorder_point) for m in found][:2] == [
        (15, "SKU1", 5),
        (15, "", 6),
    ]


async def test_an_import_brings_policies(stock) -> None:
    rows = [
        pb.ImportRow(sku="A", location="online", quantity=3, reorder_point=2, rearm_point=4),
        pb.ImportRow(sku="B", location="online", quantity=3),
        pb.ImportRow(sku="C", location="online", quantity=3, reorder_point=2, rearm_point=1),
        pb.ImportRow(sku="D", location="online", quantity=3, safety_stock=-1),
        pb.ImportRow(sku="E", location="online", quantity=3, backorder_limit=7),
        pb.ImportRow(sku="E", location="online", quantity=4),
    ]
    chunk = pb.ImportStockRequest(first_row=1, rows=rows, mode=pb.IMPORT_MODE_SET)
    (answer,) = [part async for part in stock.ImportStock(iter([chunk]))]
    assert [(r.row_number, r.field, r.reason) for r in answer.refused_rows] == [
        (3, "rearm_point", "REARM_BELOW_REORDER"),
        (4, "safety_stock", "INVALID_REQUEST"),
    ]
    assert points(await level_of(stock, "A")) == (2, 4, 0, 0)
    assert points(await level_of(stock, "E")) == (0, 0, 0, 7)
    # A later import without policies leaves them.
    chunk = pb.ImportStockRequest(first_row=1, rows=rows[1:2], mode=pb.IMPORT_MODE_SET)
    chunk.rows[0].sku = "A"
    assert [part async for part in stock.ImportStock(iter([chunk]))]
    assert points(await level_of(stock, "A")) == (2, 4, 0, 0)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (policies(), "lines"),
        (policies(*[of(f"S{n}", reorder_point=1) for n in range(501)]), "lines"),
        (policies(of("A b", reorder_point=1)), "lines[0].sku"),
        (policies(of("", "shop", reorder_point=1)), "lines[0].location"),
        (policies(of(reorder_point=-1)), "lines[0].reorder_point"),
        (policies(of(rearm_point=2**31)), "lines[0].rearm_point"),
        (policies(of(safety_stock=2**31)), "lines[0].safety_stock"),
        (policies(of(backorder_limit=-5)), "lines[0].backorder_limit"),
        (policies(of()), "lines[0]"),
        (policies(of(reorder_point=1), of(safety_stock=1)), "lines[1]"),
        (policies(of("", reorder_point=1), of("", safety_stock=1)), "lines[1]"),
    ],
)
async def test_a_wrong_policy_is_refused_and_changes_nothing(stock, db, request_, field) -> None:
    await set_stock(stock, 10)
    before = dump(db)
    refusal = await refused(stock.SetStockPolicy(request_))
    assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", field)
    assert dump(db) == before
