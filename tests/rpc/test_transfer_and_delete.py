"""TransferStock and DeleteStockLevels, and SetStock and AdjustStock that only look."""

from __future__ import annotations

import grpc
import pytest
from inventory.v1 import stock_service_pb2 as pb

from inventory_server.domain.limits import MAX_TOTAL, MAX_TRANSFER_LINES
from tests.calls import COUNT, key, level_of, line, place, refused, set_stock
from tests.scripts.database import dump

NOW = 1_800_000_000_000


def transfer(*lines, source="online", target="store:DELHI", **more) -> pb.TransferStockRequest:
    return pb.TransferStockRequest(
        lines=[pb.TransferStockLine(sku=sku, quantity=quantity) for sku, quantity in lines],
        from_location=source,
        to_location=target,
        **more,
    )


def delete(*levels) -> pb.DeleteStockLevelsRequest:
    return pb.DeleteStockLevelsRequest(
        lines=[pb.DeleteStockLevelsLine(sku=sku, location=where) for sku, where in levels]
    )


async def test_units_move_and_missing_levels_are_made(stock, holds) -> None:
    await set_stock(stock, 10, "A")
    await set_stock(stock, 10, "B")
    await set_stock(stock, 1, "A", "store:DELHI")
    answer = await stock.TransferStock(transfer(("B", 2), ("A", 3), ("A", 1), reference="t-1"))
    assert [(li.location, li.sku, li.on_hand) for li in answer.levels] == [
        ("online", "A", 6),
        ("online", "B", 8),
        ("store:DELHI", "A", 5),
        ("store:DELHI", "B", 2),
    ]
    assert answer.cursor
    await place(holds, line("B", 2, "store:DELHI"))


async def test_only_what_can_be_sold_moves(stock, holds) -> None:
    await set_stock(stock, 10, "A")
    await set_stock(stock, 10, "B")
    await place(holds, line("A", 4))
    refusal = await refused(stock.TransferStock(transfer(("A", 7), ("B", 1))))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "INSUFFICIENT_STOCK",
    )
    assert (refusal.facts["requested"], refusal.facts["available"]) == ("7", "6")
    assert (await level_of(stock, "B")).on_hand == 10, "all lines or none"
    await stock.TransferStock(transfer(("A", 6)))


async def test_a_transfer_never_uses_the_backorder_limit(stock, db) -> None:
    await set_stock(stock, 3, "A")
    version = (await level_of(stock, "A")).version
    db.set("inv:{3}:level:online:A", f"3 0 {version} 1 10 0 0 OK")
    refusal = await refused(stock.TransferStock(transfer(("A", 3))))
    assert (refusal.facts["available"], refusal.facts["sellable"]) == ("2", "2")
    db.flushall()


async def test_a_transfer_of_what_is_not_there_names_it(stock) -> None:
    await set_stock(stock, 3, "A", "store:DELHI")
    refusal = await refused(stock.TransferStock(transfer(("A", 1))))
    assert (refusal.code, refusal.facts["levels"]) == (grpc.StatusCode.NOT_FOUND, "online/A")


async def test_a_destination_cannot_overflow(stock) -> None:
    await set_stock(stock, 10, "A")
    add = [pb.AdjustStockLine(sku="A", location="store:DELHI", delta=2**31 - 1)]
    await set_stock(stock, 0, "A", "store:DELHI")
    for n in range(3):
        await stock.AdjustStock(
            pb.AdjustStockRequest(lines=add * 500, reason=COUNT), metadata=key(f"a{n}")
        )
    level = await level_of(stock, "A", "store:DELHI")
    assert level.on_hand < MAX_TOTAL
    # As near to the edge as whole requests come; the script's own edge is a unit test's.
    assert (await stock.TransferStock(transfer(("A", 10)))).levels[1].on_hand == level.on_hand + 10


async def test_a_transfer_is_repeated_with_its_answer(stock) -> None:
    await set_stock(stock, 10, "A")
    first = await stock.TransferStock(transfer(("A", 3)), metadata=key("k"))
    again = stock.TransferStock(transfer(("A", 3)), metadata=key("k"))
    assert await again == first
    assert dict(await again.trailing_metadata())["idempotent-replayed"] == "true"
    other = stock.TransferStock(transfer(("A", 4)), metadata=key("k"))
    assert (await refused(other)).reason == "IDEMPOTENCY_KEY_REUSED"


async def test_units_of_a_hold_that_is_just_expiring_can_move(stock, holds, server) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 10, "A")
    await place(holds, line("A", 10), ttl_s=1)
    server.store.now_ms = str(NOW + 1000)
    await stock.TransferStock(transfer(("A", 10)))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (transfer(), "lines"),
        (transfer(*[("A", 1)] * (MAX_TRANSFER_LINES + 1)), "lines"),
        (transfer(("A b", 1)), "lines[0].sku"),
        (transfer(("A", 0)), "lines[0].quantity"),
        (transfer(("A", 2**31)), "lines[0].quantity"),
        (transfer(("A", 1), source="here"), "from_location"),
        (transfer(("A", 1), target=""), "to_location"),
        (transfer(("A", 1), target="online"), "to_location"),
        (transfer(("A", 1), reference="r" * 129), "reference"),
    ],
)
async def test_a_wrong_transfer_is_refused_and_changes_nothing(stock, db, request_, field) -> None:
    await set_stock(stock, 10, "A")
    before = dump(db)
    refusal = await refused(stock.TransferStock(request_))
    assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", field)
    assert dump(db) == before


async def test_as_many_lines_as_are_allowed_move(stock) -> None:
    skus = [f"S{n}" for n in range(MAX_TRANSFER_LINES)]
    lines = [pb.SetStockLine(sku=sku, location="online", on_hand=1) for sku in skus]
    await stock.SetStock(pb.SetStockRequest(lines=lines, reason=COUNT))
    answer = await stock.TransferStock(transfer(*[(sku, 1) for sku in skus]))
    assert len(answer.levels) == 2 * MAX_TRANSFER_LINES


# Deletion


async def test_an_empty_level_is_deleted_and_can_be_made_again(stock, db) -> None:
    await set_stock(stock, 5, "A")
    before = (await set_stock(stock, 0, "A")).levels[0]
    answer = await stock.DeleteStockLevels(delete(("A", "online")), metadata=key("d"))
    assert [(li.sku, li.on_hand, li.held) for li in answer.levels] == [("A", 0, 0)]
    assert answer.levels[0].version > before.version
    refusal = await refused(stock.GetStock(pb.GetStockRequest(sku="A")))
    assert refusal.reason == "STOCK_LEVEL_NOT_FOUND"
    assert not db.exists("inv:{3}:skus:online", "inv:{3}:low:online")
    again = stock.DeleteStockLevels(delete(("A", "online")), metadata=key("d"))
    assert await again == answer
    made = (await set_stock(stock, 3, "A")).levels[0]
    assert made.version > answer.levels[0].version, "a version is never given twice"


async def test_a_level_with_units_stays(stock, holds) -> None:
    await set_stock(stock, 0, "A")
    await set_stock(stock, 2, "B")
    await place(holds, line("B", 2))
    await set_stock(stock, 0, "B", force=True)
    refusal = await refused(stock.DeleteStockLevels(delete(("A", "online"), ("B", "online"))))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "LEVEL_IN_USE",
    )
    assert refusal.facts == {
        "short_lines": "1", "sku": "B", "location": "online", "on_hand": "0", "held": "2",
    }  # fmt: skip
    assert (await level_of(stock, "A")).on_hand == 0, "all or none"


async def test_a_level_is_free_when_its_last_hold_has_expired(stock, holds, server) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 1, "A")
    await place(holds, line("A"), ttl_s=1)
    await set_stock(stock, 0, "A", force=True)
    server.store.now_ms = str(NOW + 1000)
    await stock.DeleteStockLevels(delete(("A", "online")))


@pytest.mark.parametrize(
    ("request_", "reason", "fact"),
    [
        (delete(), "INVALID_REQUEST", "lines"),
        (delete(*[(f"S{n}", "online") for n in range(501)]), "INVALID_REQUEST", "lines"),
        (delete(("A", "online"), ("A", "online")), "INVALID_REQUEST", "lines[1]"),
        (delete(("", "online")), "INVALID_REQUEST", "lines[0].sku"),
        (delete(("A", "x")), "INVALID_REQUEST", "lines[0].location"),
        (delete(("A", "online"), ("B", "online")), "STOCK_LEVEL_NOT_FOUND", "online/B"),
    ],
)
async def test_a_wrong_deletion_is_refused_and_changes_nothing(
    stock, db, request_, reason, fact
) -> None:
    await set_stock(stock, 0, "A")
    before = dump(db)
    refusal = await refused(stock.DeleteStockLevels(request_))
    assert refusal.reason == reason
    assert fact in refusal.facts.values()
    assert dump(db) == before


# Only looking


async def test_a_check_of_a_count_says_what_would_become_and_changes_nothing(
    stock, holds, db
) -> None:
    await set_stock(stock, 10, "A")
    await place(holds, line("A", 4))
    before = dump(db)
    lines = [
        pb.SetStockLine(sku="A", location="online", on_hand=7),
        pb.SetStockLine(sku="NEW", location="store:DELHI", on_hand=3),
        pb.SetStockLine(sku="NEWER", location="store:DELHI", on_hand=0),
    ]
    request = pb.SetStockRequest(lines=lines, reason=COUNT, validate_only=True)
    answer = await stock.SetStock(request, metadata=key("k"))
    assert [(li.sku, li.on_hand, li.held) for li in answer.levels] == [
        ("A", 7, 4),
        ("NEW", 3, 0),
        ("NEWER", 0, 0),
    ]
    assert answer.cursor == ""
    request.lines[0].on_hand = 3
    assert (await refused(stock.SetStock(request))).reason == "BELOW_HELD"
    assert dump(db) == before
    # The key is still free, for another request too.
    request.validate_only = False
    request.lines[0].on_hand = 5
    done = await stock.SetStock(request, metadata=key("k"))
    assert done.levels[0].on_hand == 5
    assert [li.version for li in done.levels] == [li.version for li in answer.levels]


async def test_a_check_of_a_change_says_what_would_become_and_changes_nothing(stock, db) -> None:
    await set_stock(stock, 10, "A")
    before = dump(db)
    line_ = pb.AdjustStockLine(sku="A", location="online", delta=-4)
    request = pb.AdjustStockRequest(lines=[line_], reason=COUNT, validate_only=True)
    answer = await stock.AdjustStock(request)
    assert (answer.levels[0].on_hand, answer.cursor) == (6, "")
    request.lines[0].delta = -11
    assert (await refused(stock.AdjustStock(request))).reason == "BELOW_HELD"
    request.lines[0].sku = "GONE"
    assert (await refused(stock.AdjustStock(request))).reason == "STOCK_LEVEL_NOT_FOUND"
    assert dump(db) == before
