"""CheckAvailability says what PlaceHold would do."""

from __future__ import annotations

import random

from inventory.v1.availability_service_pb2 import CheckAvailabilityRequest

from tests.calls import line, place, refused, set_stock


async def test_each_level_of_a_basket_is_answered_once(stock, holds, availability) -> None:
    await set_stock(stock, 5, sku="A")
    await set_stock(stock, 1, sku="B")
    placed = await place(holds, line("A", 4))
    basket = [line("B"), line("A"), line("GONE", 2), line("A")]
    verdict = await availability.CheckAvailability(CheckAvailabilityRequest(lines=basket))
    assert not verdict.available
    assert [(li.sku, li.found, li.requested, li.sellable, li.shortage) for li in verdict.lines] == [
        ("B", True, 1, 1, 0),
        ("A", True, 2, 1, 1),
        ("GONE", False, 2, 0, 2),
    ]
    assert verdict.lines[1].earliest_expire_time == placed.hold.expire_time
    assert not verdict.lines[0].HasField("earliest_expire_time")


async def test_the_verdict_is_what_place_hold_does(stock, holds, availability) -> None:
    chance = random.Random(7)
    for sku in "ABC":
        await set_stock(stock, 40, sku=sku)
    for _ in range(60):
        basket = [line(chance.choice("ABCD"), chance.randint(1, 6)) for _ in range(3)]
        verdict = await availability.CheckAvailability(CheckAvailabilityRequest(lines=basket))
        if verdict.available:
            await place(holds, *basket)
        else:
            reason = (await refused(place(holds, *basket))).reason
            assert reason in ("INSUFFICIENT_STOCK", "STOCK_LEVEL_NOT_FOUND")


async def test_five_hundred_lines_are_judged_and_no_more(stock, availability) -> None:
    await set_stock(stock, 499, sku="A")
    lines = [line("A")] * 500
    verdict = await availability.CheckAvailability(CheckAvailabilityRequest(lines=lines))
    assert (verdict.available, verdict.lines[0].shortage) == (False, 1)
    many = CheckAvailabilityRequest(lines=[*lines, line("A")])
    assert (await refused(availability.CheckAvailability(many))).facts["field"] == "lines"
