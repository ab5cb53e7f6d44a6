"""The life of a hold: placed, then confirmed, released or expired, once."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as pb
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_server.operations.expiry import Sweeper
from inventory_server.server import Server
from inventory_server.stores.hold_store import HoldStore
from tests.calls import key, level_of, line, place, refused, set_stock

NOW = 1_800_000_000_000


@pytest.fixture
def clock(server: Server) -> Server:
    """The server at a time that the test sets (`store.now_ms`)."""
    server.store.now_ms = str(NOW)
    return server


@pytest.mark.parametrize("verb", ["GetHold", "ConfirmHold", "ReleaseHold", "ExtendHold"])
async def test_another_spelling_of_an_id_is_no_hold_and_harms_nobody(
    verb, server, stock, holds
) -> None:
    await set_stock(stock, 10)
    hold_id = (await place(holds)).hold.hold_id
    for other in ("0" + hold_id, hold_id.upper(), hold_id + " ", "99999-" + hold_id[2:]):
        request = getattr(pb, f"{verb}Request")(hold_id=other)
        if verb == "ExtendHold":
            request.ttl.seconds = 60
        assert (await refused(getattr(holds, verb)(request))).reason == "HOLD_NOT_FOUND"
    assert server.store.is_ready
    assert (await level_of(stock)).held == 1


async def test_place_then_confirm_sells_the_units(stock, holds) -> None:
    await set_stock(stock, 10)
    placed = await place(holds, line(quantity=3), reference="order-1", note="call back")
    assert placed.hold.state == pb.HOLD_STATE_HELD
    assert (placed.hold.reference, placed.hold.note) == ("order-1", "call back")
    assert (placed.levels[0].on_hand, placed.levels[0].held, placed.levels[0].available) == (
        10,
        3,
        7,
    )
    confirmed = await holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=placed.hold.hold_id))
    assert confirmed.hold.state == pb.HOLD_STATE_CONFIRMED
    assert confirmed.hold.lines[0].confirmed == 3
    assert confirmed.hold.HasField("resolve_time")
    level = await level_of(stock)
    assert (level.on_hand, level.held, level.available) == (7, 0, 7)


async def test_place_then_release_gives_the_units_back(stock, holds) -> None:
    await set_stock(stock, 10)
    placed = await place(holds, line(quantity=3))
    released = await holds.ReleaseHold(pb.ReleaseHoldRequest(hold_id=placed.hold.hold_id))
    assert released.hold.lines[0].released == 3
    level = await level_of(stock)
    assert (level.on_hand, level.held, level.available) == (10, 0, 10)


async def test_expired_units_are_free_at_the_deadline_without_a_sweeper(
    stock, holds, clock
) -> None:
    await set_stock(stock, 5)
    placed = await place(holds, line(quantity=5), ttl_s=1)
    clock.store.now_ms = str(NOW + 999)
    assert (await level_of(stock)).available == 0
    assert (await refused(place(holds, line()))).reason == "INSUFFICIENT_STOCK"
    clock.store.now_ms = str(NOW + 1000)
    assert (await level_of(stock)).available == 5
    seen = await holds.GetHold(pb.GetHoldRequest(hold_id=placed.hold.hold_id))
    assert seen.hold.state == pb.HOLD_STATE_EXPIRED
    assert seen.hold.lines[0].expired == 5
    assert seen.hold.resolve_time == seen.hold.expire_time


async def test_expired_units_can_be_held_again_at_once(stock, holds, clock) -> None:
    await set_stock(stock, 5)
    for n in range(3):
        await place(holds, line(quantity=5), ttl_s=1, metadata=key(f"k{n}"))
        clock.store.now_ms = str(int(clock.store.now_ms) + 1000)
    assert (await level_of(stock)).held == 0


@pytest.mark.parametrize("verb", ["ConfirmHold", "ExtendHold", "ReleaseHold"])
async def test_an_expired_hold_takes_no_verb(stock, holds, clock, verb) -> None:
    await set_stock(stock, 5)
    placed = await place(holds, ttl_s=1)
    clock.store.now_ms = str(NOW + 1000)
    more = {"ttl": Duration(seconds=5)} if verb == "ExtendHold" else {}
    request = getattr(pb, verb + "Request")(hold_id=placed.hold.hold_id, **more)
    refusal = await refused(getattr(holds, verb)(request))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "HOLD_EXPIRED",
    )
    assert refusal.facts["expire_time"] == "2027-01-15T08:00:01.000Z"


async def test_extend_moves_the_deadline_and_never_back(stock, holds, clock) -> None:
    await set_stock(stock, 5)
    placed = await place(holds, ttl_s=100)
    extend = pb.ExtendHoldRequest(hold_id=placed.hold.hold_id, ttl=Duration(seconds=200))
    extended = await holds.ExtendHold(extend)
    assert extended.hold.expire_time.seconds == NOW // 1000 + 200
    extend.ttl.seconds = 1
    assert (await holds.ExtendHold(extend)).hold.expire_time.seconds == NOW // 1000 + 200
    clock.store.now_ms = str(NOW + 199_999)
    assert (await level_of(stock)).held == 1
    extend.ttl.seconds = 24 * 3600
    late = await holds.ExtendHold(extend)
    assert late.hold.expire_time.seconds == NOW // 1000 + 24 * 3600


async def test_each_end_has_its_own_error(stock, holds) -> None:
    await set_stock(stock, 5)
    one, other = (await place(holds)).hold.hold_id, (await place(holds)).hold.hold_id
    await holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=one))
    await holds.ReleaseHold(pb.ReleaseHoldRequest(hold_id=other))
    refusal = await refused(holds.ReleaseHold(pb.ReleaseHoldRequest(hold_id=one)))
    assert refusal.reason == "HOLD_ALREADY_CONFIRMED"
    refusal = await refused(holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=other)))
    assert refusal.reason == "HOLD_ALREADY_RELEASED"
    assert refusal.facts["hold_id"] == other
    assert refusal.details["PreconditionFailure"].violations[0].subject == f"holds/{other}"


async def test_confirming_again_is_the_same_answer(stock, holds) -> None:
    await set_stock(stock, 5)
    hold_id = (await place(holds)).hold.hold_id
    first = await holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=hold_id))
    again = holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=hold_id))
    assert (await again).SerializeToString() == first.SerializeToString()
    assert dict(await again.trailing_metadata())["idempotent-replayed"] == "true"
    assert (await level_of(stock)).on_hand == 4


async def test_all_lines_or_none(stock, holds) -> None:
    await set_stock(stock, 5, sku="A")
    await set_stock(stock, 1, sku="B", location="store:DELHI")
    lines = [line("A", 2), line("B", 2, "store:DELHI")]
    refusal = await refused(place(holds, *lines))
    assert refusal.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.facts == {
        "short_lines": "1", "sku": "B", "location": "store:DELHI", "requested": "2",
        "available": "1", "sellable": "1",
    }  # fmt: skip
    assert (await level_of(stock, "A")).held == 0


async def test_the_same_level_twice_is_summed_before_the_check(stock, holds) -> None:
    await set_stock(stock, 5)
    refusal = await refused(place(holds, line(quantity=3), line(quantity=3)))
    assert refusal.facts["requested"] == "6"
    placed = await place(holds, line(quantity=3), line(quantity=2))
    assert [(li.sku, li.quantity) for li in placed.hold.lines] == [("SKU1", 5)]


async def test_a_hold_over_several_partitions_lives_and_ends_whole(stock, holds, clock) -> None:
    places = ["online", *[f"store:S{n}" for n in range(8)]]
    for location in places:
        await set_stock(stock, 3, location=location)
    placed = await place(holds, *[line(quantity=2, location=name) for name in places], ttl_s=5)
    assert len(placed.levels) == len(placed.hold.lines) == 9
    assert {level.held for level in placed.levels} == {2}
    clock.store.now_ms = str(NOW + 5000)
    for location in places:
        assert (await level_of(stock, location=location)).held == 0


async def test_unknown_levels_are_all_named(stock, holds) -> None:
    await set_stock(stock, 5)
    refusal = await refused(place(holds, line(), line("GONE"), line("LOST", 1, "store:X")))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.NOT_FOUND,
        "STOCK_LEVEL_NOT_FOUND",
    )
    assert refusal.facts == {"levels": "online/GONE,store:X/LOST", "missing_levels": "2"}


@pytest.mark.parametrize(
    "hold_id", ["3-aaaaaaaaaaaaaaaaaaaa", "99-aaaaaaaaaaaaaaaaaaaa", "x", "}{"]
)
async def test_an_unknown_hold_is_not_found(holds, hold_id) -> None:
    refusal = await refused(holds.GetHold(pb.GetHoldRequest(hold_id=hold_id)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "HOLD_NOT_FOUND")


async def test_a_forced_count_keeps_the_hold_held(stock, holds) -> None:
    await set_stock(stock, 5)
    placed = await place(holds, line(quantity=4))
    await set_stock(stock, 2, force=True)
    refusal = await refused(holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=placed.hold.hold_id)))
    assert refusal.reason == "INSUFFICIENT_STOCK"
    assert (refusal.facts["requested"], refusal.facts["sellable"]) == ("4", "2")
    seen = await holds.GetHold(pb.GetHoldRequest(hold_id=placed.hold.hold_id))
    assert seen.hold.state == pb.HOLD_STATE_HELD


@pytest.mark.parametrize("count", [100])
async def test_every_short_line_is_counted_within_the_size_of_trailers(stock, holds, count) -> None:
    for n in range(count):
        await set_stock(stock, 1, sku=f"A-RATHER-LONG-SKU-NAME-TO-FILL-THE-DETAILS-{n:03}")
    lines = [line(f"A-RATHER-LONG-SKU-NAME-TO-FILL-THE-DETAILS-{n:03}", 2) for n in range(count)]
    refusal = await refused(place(holds, *lines))
    assert refusal.facts["short_lines"] == str(count)
    assert len(refusal.raw) < 6 * 1024
    violations = refusal.details["PreconditionFailure"].violations
    assert 10 < len(violations) < count
    assert "requested 2, available 1" in violations[-1].description


async def test_the_sweeper_expires_and_then_forgets(stock, holds, clock, db) -> None:
    await set_stock(stock, 200)
    for n in range(120):
        await place(holds, ttl_s=1, reference=f"r{n}")
    store = HoldStore(clock.store, retention_ms=86_400_000, max_hold_life_ms=86_400_000)
    sweeper = Sweeper(store, clock.store.keys)
    assert await sweeper.sweep() == 0
    clock.store.now_ms = str(NOW + 1000)
    assert await sweeper.sweep() == 120
    assert (await level_of(stock)).held == 0
    clock.store.now_ms = str(NOW + 1000 + 86_400_000)
    await sweeper.sweep()
    assert not list(db.scan_iter("inv:*:hold:*"))
    assert not db.exists("inv:{3}:due", "inv:{3}:refs")


async def test_a_hold_without_a_ttl_lasts_no_longer_than_the_longest_ttl(settings, db) -> None:
    running = Server(replace(settings, max_ttl_s=60, max_hold_life_s=60))
    await running.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
            await set_stock(StockServiceStub(channel), 10)
            hold = (await place(HoldServiceStub(channel))).hold
        assert hold.expire_time.ToMilliseconds() - hold.create_time.ToMilliseconds() == 60_000
    finally:
        await running.stop()
