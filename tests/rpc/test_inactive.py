"""A product that is inactive is neither held nor sold, and what was held of it is not stuck."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.availability_service_pb2 import CheckAvailabilityRequest
from inventory.v1.line_pb2 import Line

from inventory_server.server import Server
from inventory_server.stores.activity_store import ActivityStore
from tests.calls import COUNT, Refusal, key, level_of, line, place, refused, set_stock
from tests.scripts.database import dump

NOW = 1_800_000_000_000


async def set_active(server: Server, is_active: bool, *skus: str) -> None:
    """Says of these SKUs' products that they are active, or are not."""
    deadline = asyncio.get_running_loop().time() + 10
    await ActivityStore(server.store).set_active(dict.fromkeys(skus, is_active), deadline)


async def deactivate(server: Server, *skus: str) -> None:
    await set_active(server, False, *skus)


def assert_inactive(refusal: Refusal, *levels: str, reason: str = "PRODUCT_INACTIVE") -> None:
    """The refusal names exactly these levels, as online/A, in their order."""
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, reason)
    violations = refusal.details["PreconditionFailure"].violations
    assert [(told.type, told.subject) for told in violations] == [
        ("PRODUCT_INACTIVE", level) for level in levels
    ]
    location, _, sku = levels[0].rpartition("/")
    facts = {"short_lines": str(len(levels)), "sku": sku, "location": location}
    assert {name: refusal.facts.get(name) for name in facts} == facts
    assert f"the product is inactive: {levels[0]}" in refusal.status.message


def sale(*lines: Line) -> stock_pb.RecordSaleRequest:
    return stock_pb.RecordSaleRequest(lines=lines)


def confirm(hold_id: str, *lines: Line, **more: bool) -> hold_pb.ConfirmHoldRequest:
    return hold_pb.ConfirmHoldRequest(hold_id=hold_id, lines=lines, **more)


# Holding and selling


@pytest.mark.parametrize("verb", ["place", "place partial", "sell"])
async def test_an_inactive_product_is_not_held_and_not_sold(
    server, stock, holds, db, verb: str
) -> None:
    for sku in "ABC":
        await set_stock(stock, 9, sku=sku)
    await deactivate(server, "B")

    def call(*lines: Line) -> Any:
        if verb == "sell":
            return stock.RecordSale(sale(*lines))
        return place(holds, *lines, allow_partial=verb == "place partial")

    before = dump(db)
    # Not even what there is of the others: it is no want of units.
    assert_inactive(await refused(call(line("B"))), "online/B")
    assert_inactive(await refused(call(line("A"), line("B"), line("C", 99))), "online/B")
    assert dump(db) == before
    await call(line("A"), line("C"))
    await set_active(server, True, "B")
    await call(line("B"))


async def test_every_inactive_line_is_named_wherever_it_is(server, stock, holds) -> None:
    chance = random.Random(11)
    stores = ["online", *[f"store:{n}" for n in range(12)]]
    skus = ["A", "B", "C", "100"]
    partitions = [server.store.keys.partition(name) for name in stores]
    assert len(set(partitions)) < len(partitions), "some share a partition"
    assert sorted(partitions) != partitions, "and not all in the order of their names"
    for location in stores:
        for sku in skus:
            await set_stock(stock, 5, sku=sku, location=location)
    for _ in range(12):
        gone = {sku for sku in skus if chance.random() < 0.4}
        await deactivate(server, *gone)
        chosen = sorted({(chance.choice(stores), chance.choice(skus)) for _ in range(15)})
        lines = [line(sku, 1, location) for location, sku in chosen]
        named = [f"{location}/{sku}" for location, sku in chosen if sku in gone]
        for call in (lambda at: place(holds, *at), lambda at: stock.RecordSale(sale(*at))):
            if named:
                assert_inactive(await refused(call(lines)), *named)
            else:
                await call(lines)
        await set_active(server, True, *gone)


async def test_a_batchs_other_items_are_held(server, stock, holds) -> None:
    await set_stock(stock, 9, sku="A")
    await set_stock(stock, 9, sku="B")
    await deactivate(server, "A")
    items = [
        hold_pb.BatchPlaceHoldsItem(request=hold_pb.PlaceHoldRequest(lines=[line(sku)]))
        for sku in "AB"
    ]
    answer = await holds.BatchPlaceHolds(hold_pb.BatchPlaceHoldsRequest(items=items))
    assert answer.results[0].error.reason == "PRODUCT_INACTIVE"
    assert answer.results[1].response.hold.state == hold_pb.HOLD_STATE_HELD


# What is judged first


async def test_what_is_not_there_is_told_before_what_is_inactive(server, stock, holds) -> None:
    await set_stock(stock, 9, sku="A")
    await deactivate(server, "A", "GONE")
    for call in (
        place(holds, line("A"), line("GONE")),
        stock.RecordSale(sale(line("A"), line("GONE"))),
    ):
        refusal = await refused(call)
        assert (refusal.reason, refusal.facts["levels"]) == ("STOCK_LEVEL_NOT_FOUND", "online/GONE")


async def test_what_is_inactive_is_told_before_what_is_short_or_due(
    server, stock, holds, db
) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 1, sku="A")
    await set_stock(stock, 1, sku="B")
    await place(holds, line("A"), line("B"), ttl_s=1)
    await deactivate(server, "A")
    server.store.now_ms = str(NOW + 1000)
    before = dump(db)
    for lines in ([line("A", 5)], [line("A"), line("B", 5)]):
        assert_inactive(await refused(place(holds, *lines)), "online/A")
        assert_inactive(await refused(stock.RecordSale(sale(*lines))), "online/A")
    assert dump(db) == before, "nothing had to expire for that"


async def test_a_repeated_call_is_answered_as_the_first_time(server, stock, holds) -> None:
    await set_stock(stock, 9)
    first = await place(holds, metadata=key("cart"))
    sold = await stock.RecordSale(sale(line()), metadata=key("till"))
    await deactivate(server, "SKU1")
    assert await place(holds, metadata=key("cart")) == first
    assert await stock.RecordSale(sale(line()), metadata=key("till")) == sold
    reused = await refused(place(holds, line(quantity=2), metadata=key("cart")))
    assert reused.reason == "IDEMPOTENCY_KEY_REUSED"
    # A refusal is not kept: the same request is judged anew.
    assert_inactive(await refused(place(holds, metadata=key("next"))), "online/SKU1")
    await set_active(server, True, "SKU1")
    await place(holds, metadata=key("next"))


# What was held before


async def test_holds_that_are_open_end_as_if_nothing_had_happened(server, stock, holds) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 9)
    ids = [(await place(holds, ttl_s=60, metadata=key(f"h{n}"))).hold.hold_id for n in range(4)]
    await deactivate(server, "SKU1")
    await holds.ConfirmHold(confirm(ids[0]))
    await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=ids[1]))
    await holds.ExtendHold(hold_pb.ExtendHoldRequest(hold_id=ids[2], ttl=Duration(seconds=90)))
    server.store.now_ms = str(NOW + 60_000)
    found = await holds.GetHold(hold_pb.GetHoldRequest(hold_id=ids[3]))
    assert found.hold.state == hold_pb.HOLD_STATE_EXPIRED
    level = await level_of(stock)
    assert (level.on_hand, level.held) == (8, 1)


async def test_stock_is_counted_and_moved_on(server, stock) -> None:
    await set_stock(stock, 9)
    await deactivate(server, "SKU1")
    await stock.TransferStock(
        stock_pb.TransferStockRequest(
            lines=[stock_pb.TransferStockLine(sku="SKU1", quantity=4)],
            from_location="online", to_location="store:DELHI",
        )
    )  # fmt: skip
    await stock.AdjustStock(
        stock_pb.AdjustStockRequest(
            lines=[stock_pb.AdjustStockLine(sku="SKU1", location="online", delta=-2)], reason=COUNT
        )
    )
    assert (await level_of(stock)).on_hand == 3
    assert (await level_of(stock, location="store:DELHI")).on_hand == 4


async def expired_hold(server: Any, stock: Any, holds: Any, *released: Line) -> str:
    """A hold of A and B, of which these lines were given back before the rest expired."""
    server.store.now_ms = str(NOW)
    for sku in "AB":
        await set_stock(stock, 5, sku=sku)
        await set_stock(stock, 5, sku=sku, location="store:DELHI")
    lines = [line(sku, 2, at) for sku in "AB" for at in ("online", "store:DELHI")]
    hold_id = (await place(holds, *lines, ttl_s=1)).hold.hold_id
    if released:
        await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=hold_id, lines=released))
    server.store.now_ms = str(NOW + 1000)
    return hold_id


@pytest.mark.parametrize("is_swept", [True, False])
async def test_an_expired_hold_of_an_inactive_product_is_not_taken_again(
    server, stock, holds, db, is_swept: bool
) -> None:
    hold_id = await expired_hold(server, stock, holds)
    if is_swept:
        await server.sweeper.sweep()
        # Some are gone as well: that is told when they are active.
        await set_stock(stock, 0, sku="A")
    await deactivate(server, "A")
    before = dump(db)
    again = confirm(hold_id, rehold_if_expired=True)
    refusal = await refused(holds.ConfirmHold(again))
    assert_inactive(refusal, "online/A", "store:DELHI/A", reason="HOLD_EXPIRED")
    assert dump(db) == before
    await set_active(server, True, "A")
    await set_stock(stock, 9, sku="A")
    assert (await holds.ConfirmHold(again)).reheld


async def test_a_line_that_was_given_back_keeps_no_other_from_being_taken_again(
    server, stock, holds
) -> None:
    released = [line("A", 2), line("A", 2, "store:DELHI")]
    hold_id = await expired_hold(server, stock, holds, *released)
    await deactivate(server, "A")
    answer = await holds.ConfirmHold(confirm(hold_id, rehold_if_expired=True))
    assert answer.reheld
    assert [(of.sku, of.confirmed) for of in answer.hold.lines] == [
        ("A", 0), ("B", 2), ("A", 0), ("B", 2),
    ]  # fmt: skip


# Judging a basket


async def verdict_of(availability: Any, lines: Sequence[Line]) -> Any:
    return await availability.CheckAvailability(CheckAvailabilityRequest(lines=lines))


async def test_a_basket_says_which_products_are_inactive(
    server, stock, holds, availability
) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 5, sku="A")
    await set_stock(stock, 5, sku="B")
    await set_stock(stock, 5, sku="B", location="store:DELHI")
    await place(holds, line("B", 5), ttl_s=1)
    await deactivate(server, "B", "GONE")
    basket = [line("B", 2), line("GONE"), line("A"), line("B", 9, "store:DELHI"), line("NEW")]
    server.store.now_ms = str(NOW + 1000)
    verdict = await verdict_of(availability, basket)
    assert not verdict.available
    assert [(of.sku, of.found, of.active, of.sellable, of.shortage) for of in verdict.lines] == [
        ("B", True, False, 5, 0),
        ("GONE", False, False, 0, 1),
        ("A", True, True, 5, 0),
        ("B", True, False, 5, 4),
        ("NEW", False, True, 0, 1),
    ]
    assert not (await verdict_of(availability, [line("B")])).available
    assert (await verdict_of(availability, [line("A")])).available


async def test_the_verdict_is_what_place_hold_does(server, stock, holds, availability) -> None:
    chance = random.Random(5)
    stores = ["online", *[f"store:{n}" for n in range(6)]]
    for location in stores:
        for sku in "ABCD":
            await set_stock(stock, 40, sku=sku, location=location)
    reasons = set()
    for _ in range(60):
        is_active = chance.random() < 0.5
        await set_active(server, is_active, *chance.sample("ABCD", 2))
        basket = [line(chance.choice("ABCDX"), 1, chance.choice(stores)) for _ in range(6)]
        basket = basket[: chance.randint(1, 6)]
        verdict = await verdict_of(availability, basket)
        inactive = {f"{of.location}/{of.sku}" for of in verdict.lines if not of.active}
        if verdict.available:
            assert not inactive
            await place(holds, *basket)
            continue
        refusal = await refused(place(holds, *basket))
        reasons.add(refusal.reason)
        if refusal.reason == "PRODUCT_INACTIVE":
            named = refusal.details["PreconditionFailure"].violations
            assert {told.subject for told in named} == inactive
    assert reasons == {"PRODUCT_INACTIVE", "STOCK_LEVEL_NOT_FOUND"}


async def test_a_partition_is_asked_once_however_many_lines_it_has(
    stock, holds, availability, server, db
) -> None:
    places = ["online", *[f"store:{n}" for n in range(40)]]
    partitions = {server.store.keys.partition(location) for location in places}
    for location in places:
        await set_stock(stock, 5, location=location)
        await set_stock(stock, 5, sku="B", location=location)
    lines = [line(sku, 1, location) for sku in ("SKU1", "B") for location in places]
    calls = {
        "place": lambda: place(holds, *lines),
        "sell": lambda: stock.RecordSale(sale(*lines)),
        "check": lambda: verdict_of(availability, lines),
    }
    for name, call in calls.items():
        db.config_resetstat()
        await call()
        asked = db.info("commandstats")["cmdstat_smismember"]["calls"]
        assert asked == len(partitions) < len(places), name


async def test_other_reads_show_the_stock_as_it_is(server, stock) -> None:
    await set_stock(stock, 5)
    before = await level_of(stock)
    await deactivate(server, "SKU1")
    assert await level_of(stock) == before
