"""A hold in parts: some of it sold, some given back, the rest kept; and one taken again."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.server import Server
from tests.calls import key, level_of, line, place, refused, set_stock
from tests.scripts.database import dump

NOW = 1_800_000_000_000
DAY_MS = 86_400_000
PLACES = ("online", "store:DELHI")


@pytest.fixture
def clock(server: Server) -> Server:
    """The server at a time that the test sets (`store.now_ms`)."""
    server.store.now_ms = str(NOW)
    return server


@pytest.fixture
async def hold_id(stock, holds, clock) -> str:
    """A hold of 5 A online and 3 B in Delhi, of 10 each, for 60 s."""
    await set_stock(stock, 10, "A")
    await set_stock(stock, 10, "B", "store:DELHI")
    lines = [line("A", 5), line("B", 3, "store:DELHI")]
    return (await place(holds, *lines, ttl_s=60)).hold.hold_id


def confirm(hold_id: str, *lines, **more) -> pb.ConfirmHoldRequest:
    return pb.ConfirmHoldRequest(hold_id=hold_id, lines=lines, **more)


def release(hold_id: str, *lines) -> pb.ReleaseHoldRequest:
    return pb.ReleaseHoldRequest(hold_id=hold_id, lines=lines)


def counts(hold: pb.Hold) -> list[tuple[int, int, int, int]]:
    return [(li.held, li.confirmed, li.released, li.expired) for li in hold.lines]


async def levels(stock) -> list[tuple[int, int]]:
    found = [await level_of(stock, "A"), await level_of(stock, "B", "store:DELHI")]
    return [(level.on_hand, level.held) for level in found]


async def test_a_part_is_sold_and_the_rest_goes_back(stock, holds, hold_id) -> None:
    answer = await holds.ConfirmHold(confirm(hold_id, line("A", 2)))
    assert answer.hold.state == pb.HOLD_STATE_CONFIRMED
    assert counts(answer.hold) == [(0, 2, 3, 0), (0, 0, 3, 0)]
    assert answer.hold.resolve_time.ToMilliseconds() == NOW
    assert [(level.sku, level.on_hand, level.held) for level in answer.levels] == [
        ("A", 8, 0),
        ("B", 10, 0),
    ]
    assert await levels(stock) == [(8, 0), (10, 0)]


async def test_a_part_is_sold_and_the_rest_is_kept_under_the_same_deadline(
    stock, holds, hold_id, clock
) -> None:
    answer = await holds.ConfirmHold(confirm(hold_id, line("A", 2), keep_rest=True))
    assert answer.hold.state == pb.HOLD_STATE_HELD
    assert counts(answer.hold) == [(3, 2, 0, 0), (3, 0, 0, 0)]
    assert not answer.hold.HasField("resolve_time")
    assert answer.hold.expire_time.ToMilliseconds() == NOW + 60_000
    assert [level.sku for level in answer.levels] == ["A"], "B did not change"
    assert await levels(stock) == [(8, 3), (10, 3)]
    # What is left expires, and the hold counts as confirmed, since its deadline.
    clock.store.now_ms = str(NOW + 60_000)
    seen = (await holds.GetHold(pb.GetHoldRequest(hold_id=hold_id))).hold
    assert seen.state == pb.HOLD_STATE_CONFIRMED
    assert seen.resolve_time == seen.expire_time
    assert counts(seen) == [(0, 2, 0, 3), (0, 0, 0, 3)]
    assert await levels(stock) == [(8, 0), (10, 0)]
    refusal = await refused(holds.ConfirmHold(confirm(hold_id)))
    assert refusal.reason == "HOLD_ALREADY_CONFIRMED"


async def test_a_hold_is_confirmed_part_by_part(stock, holds, hold_id) -> None:
    for n in range(3):
        await holds.ConfirmHold(
            confirm(hold_id, line("A"), keep_rest=True), metadata=key(f"part-{n}")
        )
    await holds.ReleaseHold(release(hold_id, line("B", 2, "store:DELHI")))
    extended = await holds.ExtendHold(
        pb.ExtendHoldRequest(hold_id=hold_id, ttl=Duration(seconds=600))
    )
    assert counts(extended.hold) == [(2, 3, 0, 0), (1, 0, 2, 0)]
    answer = await holds.ConfirmHold(confirm(hold_id))
    assert counts(answer.hold) == [(0, 5, 0, 0), (0, 1, 2, 0)]
    assert await levels(stock) == [(5, 0), (9, 0)]


async def test_a_part_is_given_back_and_the_rest_stays_held(stock, holds, hold_id) -> None:
    answer = await holds.ReleaseHold(release(hold_id, line("A", 5)))
    assert answer.hold.state == pb.HOLD_STATE_HELD
    assert counts(answer.hold) == [(0, 0, 5, 0), (3, 0, 0, 0)]
    assert await levels(stock) == [(10, 0), (10, 3)]
    answer = await holds.ReleaseHold(release(hold_id))
    assert answer.hold.state == pb.HOLD_STATE_RELEASED
    assert counts(answer.hold) == [(0, 0, 5, 0), (0, 0, 3, 0)]
    assert [level.sku for level in answer.levels] == ["B"]


async def test_a_hold_with_released_and_expired_units_has_expired(stock, holds, hold_id, clock):
    await holds.ReleaseHold(release(hold_id, line("A", 1)))
    clock.store.now_ms = str(NOW + 60_000)
    refusal = await refused(holds.ConfirmHold(confirm(hold_id)))
    assert refusal.reason == "HOLD_EXPIRED", "told before anything was swept"
    seen = (await holds.GetHold(pb.GetHoldRequest(hold_id=hold_id))).hold
    assert (seen.state, counts(seen)) == (pb.HOLD_STATE_EXPIRED, [(0, 0, 1, 4), (0, 0, 0, 3)])


@pytest.mark.parametrize("verb", ["ConfirmHold", "ReleaseHold"])
async def test_more_than_the_hold_has_left_is_refused_with_the_numbers(
    stock, holds, hold_id, verb
) -> None:
    await holds.ReleaseHold(release(hold_id, line("A", 1)))
    for lines, requested, held in (
        ([line("A", 5)], "5", "4"),
        ([line("A", 2), line("A", 3)], "5", "4"),
        ([line("A", 1), line("C", 1)], "1", "0"),
        ([line("A", 1, "store:DELHI")], "1", "0"),
    ):
        request = getattr(pb, f"{verb}Request")(hold_id=hold_id, lines=lines)
        refusal = await refused(getattr(holds, verb)(request))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "QUANTITY_EXCEEDS_HELD",
        )
        assert (refusal.facts["requested"], refusal.facts["held"]) == (requested, held)
    assert await levels(stock) == [(10, 4), (10, 3)]


async def test_every_part_is_repeated_with_the_answer_that_it_had(stock, holds, hold_id) -> None:
    calls = [
        (holds.ConfirmHold, confirm(hold_id, line("A", 1), keep_rest=True)),
        (holds.ReleaseHold, release(hold_id, line("B", 1, "store:DELHI"))),
        (holds.ExtendHold, pb.ExtendHoldRequest(hold_id=hold_id, ttl=Duration(seconds=90))),
        (holds.ConfirmHold, confirm(hold_id, line("A", 1))),
    ]
    first = [await run(request, metadata=key(f"k{n}")) for n, (run, request) in enumerate(calls)]
    for n, (run, request) in enumerate(calls):
        again = run(request, metadata=key(f"k{n}"))
        assert (await again).SerializeToString() == first[n].SerializeToString()
        assert dict(await again.trailing_metadata())["idempotent-replayed"] == "true"
    other = confirm(hold_id, line("A", 2), keep_rest=True)
    refusal = await refused(holds.ConfirmHold(other, metadata=key("k0")))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"
    assert await levels(stock) == [(8, 0), (10, 0)]


async def test_an_ended_hold_is_ended_again_only_with_the_same_content(
    stock, holds, hold_id
) -> None:
    part = confirm(hold_id, line("A", 1))
    first = await holds.ConfirmHold(part)
    assert await holds.ConfirmHold(part) == first
    for other in (confirm(hold_id), confirm(hold_id, line("A", 2))):
        assert (await refused(holds.ConfirmHold(other))).reason == "HOLD_ALREADY_CONFIRMED"
    for other in (release(hold_id), release(hold_id, line("A", 1))):
        assert (await refused(holds.ReleaseHold(other))).reason == "HOLD_ALREADY_CONFIRMED"


async def test_a_hold_released_in_parts_can_be_released_again(stock, holds, hold_id) -> None:
    await holds.ReleaseHold(release(hold_id, line("A", 5)))
    last = await holds.ReleaseHold(release(hold_id, line("B", 3, "store:DELHI")))
    assert last.hold.state == pb.HOLD_STATE_RELEASED
    assert await holds.ReleaseHold(release(hold_id)) == last
    assert (await refused(holds.ConfirmHold(confirm(hold_id)))).reason == "HOLD_ALREADY_RELEASED"


# Taken again


async def test_an_expired_hold_is_taken_again_and_sold_in_one_step(
    stock, holds, hold_id, clock, db
) -> None:
    clock.store.now_ms = str(NOW + 60_000)
    late = confirm(hold_id, rehold_if_expired=True)
    assert (await refused(holds.ConfirmHold(confirm(hold_id)))).reason == "HOLD_EXPIRED"
    answer = await holds.ConfirmHold(late, metadata=key("late"))
    assert answer.reheld
    assert answer.hold.state == pb.HOLD_STATE_CONFIRMED
    assert counts(answer.hold) == [(0, 5, 0, 0), (0, 3, 0, 0)]
    assert answer.hold.resolve_time.ToMilliseconds() == NOW + 60_000
    assert await levels(stock) == [(5, 0), (7, 0)]
    kinds = [entry["kind"] for _, entry in db.xrange("inv:{3}:journal")]
    assert kinds == ["SET", "HOLD", "EXPIRE", "REHOLD"]
    again = holds.ConfirmHold(late, metadata=key("late"))
    assert (await again).SerializeToString() == answer.SerializeToString()
    # Without its key it is the same end again.
    assert await holds.ConfirmHold(confirm(hold_id)) == answer
    assert (await refused(holds.ReleaseHold(release(hold_id)))).reason == "HOLD_ALREADY_CONFIRMED"


async def test_what_cannot_be_taken_again_says_what_is_short(stock, holds, hold_id, clock) -> None:
    clock.store.now_ms = str(NOW + 60_000)
    await place(holds, line("A", 7), ttl_s=600)
    refusal = await refused(holds.ConfirmHold(confirm(hold_id, rehold_if_expired=True)))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "HOLD_EXPIRED",
    )
    assert refusal.facts["expire_time"] == "2027-01-15T08:01:00.000Z"
    assert {name: refusal.facts[name] for name in ("short_lines", "sku", "requested")} == {
        "short_lines": "1", "sku": "A", "requested": "5",
    }  # fmt: skip
    assert (refusal.facts["available"], refusal.facts["sellable"]) == ("3", "3")
    (violation,) = refusal.details["PreconditionFailure"].violations
    assert violation.subject == "online/A"
    assert await levels(stock) == [(10, 7), (10, 0)]


async def test_others_that_are_due_are_expired_before_a_hold_is_taken_again(
    stock, holds, hold_id, clock
) -> None:
    await place(holds, line("A", 5), ttl_s=100)
    clock.store.now_ms = str(NOW + 60_000)
    late = confirm(hold_id, rehold_if_expired=True)
    await place(holds, line("A", 5), ttl_s=1)
    refusal = await refused(holds.ConfirmHold(late))
    assert refusal.facts["available"] == "0"
    clock.store.now_ms = str(NOW + 61_000)
    assert (await holds.ConfirmHold(late)).reheld
    assert await levels(stock) == [(5, 5), (7, 0)]


async def test_a_hold_that_has_not_expired_is_confirmed_as_ever(holds, hold_id) -> None:
    answer = await holds.ConfirmHold(confirm(hold_id, rehold_if_expired=True))
    assert not answer.reheld
    assert answer.hold.state == pb.HOLD_STATE_CONFIRMED


async def test_only_the_expired_part_is_taken_again(stock, holds, hold_id, clock) -> None:
    await holds.ReleaseHold(release(hold_id, line("A", 2)))
    clock.store.now_ms = str(NOW + 60_000)
    answer = await holds.ConfirmHold(confirm(hold_id, rehold_if_expired=True))
    assert counts(answer.hold) == [(0, 3, 2, 0), (0, 3, 0, 0)]
    assert await levels(stock) == [(7, 0), (7, 0)]


async def test_a_hold_that_was_confirmed_in_part_is_not_taken_again(
    stock, holds, hold_id, clock
) -> None:
    await holds.ConfirmHold(confirm(hold_id, line("A", 1), keep_rest=True))
    clock.store.now_ms = str(NOW + 60_000)
    late = confirm(hold_id, rehold_if_expired=True)
    assert (await refused(holds.ConfirmHold(late))).reason == "HOLD_ALREADY_CONFIRMED"


async def test_a_hold_whose_level_was_deleted_is_not_taken_again(
    stock, holds, hold_id, clock
) -> None:
    clock.store.now_ms = str(NOW + 60_000)
    await levels(stock)
    await set_stock(stock, 0, "A")
    gone = [stock_pb.DeleteStockLevelsLine(sku="A", location="online")]
    await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=gone))
    refusal = await refused(holds.ConfirmHold(confirm(hold_id, rehold_if_expired=True)))
    assert (refusal.reason, refusal.facts["sku"]) == ("HOLD_EXPIRED", "A")


async def test_a_hold_taken_again_is_kept_for_a_retention_time_from_then_on(
    stock, holds, hold_id, clock, db
) -> None:
    clock.store.now_ms = str(NOW + 60_000)
    await clock.sweeper.sweep()
    clock.store.now_ms = str(NOW + 60_000 + DAY_MS - 1)
    await holds.ConfirmHold(confirm(hold_id, rehold_if_expired=True))
    clock.store.now_ms = str(NOW + 60_000 + DAY_MS)
    await clock.sweeper.sweep()
    seen = await holds.GetHold(pb.GetHoldRequest(hold_id=hold_id))
    assert seen.hold.state == pb.HOLD_STATE_CONFIRMED
    clock.store.now_ms = str(NOW + 60_000 + 2 * DAY_MS)
    await clock.sweeper.sweep()
    assert (await refused(holds.GetHold(pb.GetHoldRequest(hold_id=hold_id)))).reason == (
        "HOLD_NOT_FOUND"
    )
    assert not db.exists("inv:{3}:ended", "inv:{3}:refs")


# What there is


async def test_partial_holds_take_what_there_is(stock, holds) -> None:
    await set_stock(stock, 4, "A")
    await set_stock(stock, 10, "B", "store:DELHI")
    await set_stock(stock, 0, "C")
    lines = [line("A", 3), line("A", 3), line("B", 2, "store:DELHI"), line("C", 1)]
    assert (await refused(place(holds, *lines))).reason == "INSUFFICIENT_STOCK"
    answer = await place(holds, *lines, allow_partial=True, metadata=key("k"))
    assert [(li.sku, li.quantity, li.held) for li in answer.hold.lines] == [
        ("A", 4, 4),
        ("B", 2, 2),
    ]
    assert [(s.sku, s.location, s.requested, s.held, s.shortage) for s in answer.shortages] == [
        ("A", "online", 6, 4, 2),
        ("C", "online", 1, 0, 1),
    ]
    again = place(holds, *lines, allow_partial=True, metadata=key("k"))
    assert (await again).SerializeToString() == answer.SerializeToString()
    other = await refused(place(holds, *lines, metadata=key("k")))
    assert other.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_a_partial_hold_of_everything_has_no_shortage(stock, holds) -> None:
    await set_stock(stock, 4)
    answer = await place(holds, line(quantity=4), allow_partial=True)
    assert answer.hold.lines[0].held == 4
    assert not answer.shortages


async def test_a_partial_hold_of_nothing_at_all_is_refused(stock, holds) -> None:
    await set_stock(stock, 0, "A")
    await set_stock(stock, 0, "B")
    refusal = await refused(place(holds, line("A"), line("B"), allow_partial=True))
    assert (refusal.reason, refusal.facts["short_lines"]) == ("INSUFFICIENT_STOCK", "2")
    refusal = await refused(place(holds, line("A"), line("GONE"), allow_partial=True))
    assert refusal.reason == "STOCK_LEVEL_NOT_FOUND"


async def test_a_partial_hold_takes_units_that_are_just_expiring(stock, holds, clock) -> None:
    await set_stock(stock, 5)
    await place(holds, line(quantity=5), ttl_s=1)
    clock.store.now_ms = str(NOW + 1000)
    answer = await place(holds, line(quantity=7), allow_partial=True)
    assert answer.hold.lines[0].held == 5


async def test_a_partial_hold_whose_first_line_gets_nothing_lives_and_ends(
    stock, holds, clock, db
) -> None:
    await set_stock(stock, 0, "A")
    await set_stock(stock, 5, "B", "store:DELHI")
    lines = [line("A", 1), line("B", 2, "store:DELHI")]
    placed = await place(holds, *lines, allow_partial=True, ttl_s=60)
    hold_id = placed.hold.hold_id
    assert hold_id.startswith("3-"), "home is where the first line that was asked for is"
    entries = [entry for _, entry in db.xrange("inv:{3}:journal")]
    assert [(entry["kind"], entry["sku"]) for entry in entries] == [("SET", "A"), ("HOLD", "")]
    part = await holds.ConfirmHold(confirm(hold_id, line("B", 1, "store:DELHI"), keep_rest=True))
    assert counts(part.hold) == [(1, 1, 0, 0)]
    await holds.ExtendHold(pb.ExtendHoldRequest(hold_id=hold_id, ttl=Duration(seconds=90)))
    clock.store.now_ms = str(NOW + 90_000)
    level = await level_of(stock, "B", "store:DELHI")
    assert (level.on_hand, level.held) == (4, 0)


# Memory


async def test_a_part_is_never_forgotten_and_no_more_are_taken_than_are_remembered(
    stock, holds
) -> None:
    await set_stock(stock, 1000)
    hold_id = (await place(holds, line(quantity=100))).hold.hold_id
    part = confirm(hold_id, line(), keep_rest=True)
    first = await holds.ConfirmHold(part, metadata=key("pay-0"))
    for n in range(40):
        await holds.ExtendHold(pb.ExtendHoldRequest(hold_id=hold_id, ttl=Duration(seconds=300 + n)))
    assert await holds.ConfirmHold(part, metadata=key("pay-0")) == first
    for n in range(1, 32):
        await holds.ConfirmHold(part, metadata=key(f"pay-{n}"))
    for request in (part, release(hold_id, line())):
        run = holds.ConfirmHold if request is part else holds.ReleaseHold
        refusal = await refused(run(request))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "TOO_MANY_PARTS",
        )
        assert refusal.facts == {"hold_id": hold_id, "parts": "32"}
    assert await holds.ConfirmHold(part, metadata=key("pay-0")) == first
    await holds.ExtendHold(pb.ExtendHoldRequest(hold_id=hold_id, ttl=Duration(seconds=600)))
    last = await holds.ConfirmHold(confirm(hold_id), metadata=key("all"))
    assert counts(last.hold) == [(0, 100, 0, 0)]
    assert await holds.ConfirmHold(part, metadata=key("pay-0")) == first
    assert await holds.ConfirmHold(confirm(hold_id)) == last
    assert (await level_of(stock)).on_hand == 900


async def test_holds_that_were_taken_again_keep_the_sweeper_from_nothing(
    stock, holds, clock, db
) -> None:
    await set_stock(stock, 1000)
    ids = [(await place(holds, ttl_s=60)).hold.hold_id for _ in range(60)]
    clock.store.now_ms = str(NOW + 60_000)
    await clock.sweeper.sweep()
    clock.store.now_ms = str(NOW + 3_600_000)
    for hold_id in ids:
        await holds.ConfirmHold(confirm(hold_id, rehold_if_expired=True))
    clock.store.now_ms = str(NOW + 60_000 + DAY_MS)
    await clock.sweeper.sweep()
    assert db.llen("inv:{3}:ended") == 60, "each waits once more, for its own time"
    before = dump(db)
    await clock.sweeper.sweep()
    assert dump(db) == before
    assert (await holds.GetHold(pb.GetHoldRequest(hold_id=ids[0]))).hold.state == (
        pb.HOLD_STATE_CONFIRMED
    )
    clock.store.now_ms = str(NOW + 3_600_000 + DAY_MS)
    await clock.sweeper.sweep()
    assert not list(db.scan_iter("inv:*:hold:*"))
    assert not db.exists("inv:{3}:ended")


async def test_a_hold_is_taken_again_within_its_retention_time_only(
    stock, holds, hold_id, clock
) -> None:
    clock.store.now_ms = str(NOW + 60_000)
    await levels(stock)
    clock.store.now_ms = str(NOW + 60_000 + DAY_MS)
    late = confirm(hold_id, rehold_if_expired=True)
    assert (await refused(holds.ConfirmHold(late))).reason == "HOLD_NOT_FOUND"
    clock.store.now_ms = str(NOW + 60_000 + DAY_MS - 1)
    assert (await holds.ConfirmHold(late)).reheld
