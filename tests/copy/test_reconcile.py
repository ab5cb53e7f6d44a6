"""`inventory-server reconcile`: a store that was put back gets back what its copy has."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.server import StartError
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.opening import SCHEMA
from inventory_server.stores.reconcile_store import ReconcileStore
from tests.calls import key, level_of, line, place, refused, set_stock
from tests.copy.conftest import Serving
from tests.copy.day import DELHI, ONLINE, PLACES, a_day
from tests.copy.entries import soon, until
from tests.copy.serving import PARTITIONS, marks, world
from tests.copy.snapshots import put_back, snapshot
from tests.eventually import eventually_async
from tests.fold import assert_journal_folds_to_state, stored_levels

BOTH = (line(quantity=3), line(quantity=4, location="store:DELHI"))


def streams(db: redis.Redis) -> dict[str, Any]:
    """All movements and alerts."""
    names = [f"inv:{{{n}}}:{kind}" for n in range(PARTITIONS) for kind in ("journal", "alerts")]
    return {name: db.xrange(name) for name in names}


async def until_taken_over(serving: Serving) -> None:
    """Waits until a server goes on with the store that got back what it lost."""
    store = serving.server.store
    await until(lambda: store.is_ready and {part.epoch for part in store.partitions} == {"2"})


async def place_some(serving: Serving) -> dict[str, str]:
    """Holds that are going to end; their ids."""
    return {
        name: (await place(serving.holds, *BOTH, metadata=key(name), ttl_s=3600)).hold.hold_id
        for name in ("sold", "back", "part", "late")
    }


async def expire_one(serving: Serving) -> str:
    """A hold that has expired; its id."""
    made = await place(serving.holds, *BOTH, metadata=key("paid-late"), ttl_s=1)
    hold_id = made.hold.hold_id

    async def has_expired() -> bool:
        hold = (await serving.holds.GetHold(hold_pb.GetHoldRequest(hold_id=hold_id))).hold
        return bool(hold.state == hold_pb.HOLD_STATE_EXPIRED)

    await eventually_async(has_expired)
    return hold_id


async def end_some(serving: Serving, ids: dict[str, str]) -> None:
    """Ends all but one, in all ways."""
    holds = serving.holds
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=ids["sold"]))
    await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=ids["back"]))
    part = hold_pb.ConfirmHoldRequest(hold_id=ids["part"], lines=[line()], keep_rest=True)
    await holds.ConfirmHold(part)


async def test_levels_policies_holds_journals_and_alerts_are_what_they_were(
    serve, db, copying, reconcile, restore
) -> None:
    first = await serve()
    await a_day(first.stock, first.holds, 7)
    ids = await place_some(first)
    counted = stock_pb.SetStockRequest(
        lines=[stock_pb.SetStockLine(sku="OLD", location="online", on_hand=7)], reason=1
    )
    await first.stock.SetStock(counted, metadata=key("before"))
    sold_a_part = hold_pb.ConfirmHoldRequest(
        hold_id=ids["late"], lines=[line(quantity=2)], keep_rest=True
    )
    await first.holds.ConfirmHold(sold_a_part, metadata=key("a-part"))
    expired = await expire_one(first)
    await copying(first)
    old, had = snapshot(db), marks(db)
    await end_some(first, ids)
    longer = Duration(seconds=7200)
    await first.holds.ExtendHold(hold_pb.ExtendHoldRequest(hold_id=ids["late"], ttl=longer))
    await first.holds.ConfirmHold(
        hold_pb.ConfirmHoldRequest(hold_id=expired, rehold_if_expired=True)
    )
    await a_day(first.stock, first.holds, 12, seed=5)
    kept = await place(first.holds, *BOTH, metadata=key("kept"))
    cursor = (await set_stock(first.stock, 0, sku="SOLD-OUT")).cursor
    await copying(first)
    before, told_before, after = world(db), streams(db), marks(db)
    put_back(db, old)
    refusal = await refused(place(first.holds, *BOTH, metadata=key("more")))
    assert refusal.reason == "STORE_REWOUND"
    told = await reconcile()
    assert told.exit_code == 0, told.output
    lost = sum(after.values()) - sum(had.values())
    assert f"at epoch 2: {lost} movements came back, in 2 partitions." in told.output
    assert "REPAIR" not in told.output
    assert world(db) == before
    assert streams(db) == told_before
    assert_journal_folds_to_state(db, PARTITIONS)
    # The server that refused goes on by itself.
    await until_taken_over(first)
    assert await first.discrepancies() == []
    again = first.holds.PlaceHold(hold_pb.PlaceHoldRequest(lines=BOTH), metadata=key("kept"))
    assert (await again).hold == kept.hold
    assert dict(await again.trailing_metadata())["idempotent-replayed"] == "true"
    for call in (
        first.stock.SetStock(counted, metadata=key("before")),
        first.holds.ConfirmHold(sold_a_part, metadata=key("a-part")),
    ):
        await call
        assert dict(await call.trailing_metadata())["idempotent-replayed"] == "true"
    watched = first.stock.WatchStock(stock_pb.WatchStockRequest(cursor=cursor))
    assert (await refused(watched.read())).reason == "CURSOR_EXPIRED"
    await place(first.holds, *BOTH, metadata=key("more"))
    await first.holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=ids["late"]))
    assert await first.discrepancies() == []
    # And so does the copy.
    await copying(first)
    before = without_second_ends(world(db))
    await first.stop()
    db.flushall()
    assert (await restore()).exit_code == 0
    assert without_second_ends(world(db)) == before


def without_second_ends(found: dict[str, Any]) -> dict[str, Any]:
    """A restore writes the end of a hold once that was taken again."""
    ended = [name for name in found if name.startswith("ended ")]
    return found | {name: {one.removesuffix("+") for one in found[name]} for name in ended}


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
async def test_it_may_break_off_anywhere_and_is_gone_on_with(
    serve, db, copying, reconcile, monkeypatch, is_after
) -> None:
    first = await serve()
    await a_day(first.stock, first.holds, 5)
    ids = await place_some(first)
    await copying(first)
    old = snapshot(db)
    await end_some(first, ids)
    await a_day(first.stock, first.holds, 5, seed=5)
    await copying(first)
    before = world(db)
    await first.stop()
    monkeypatch.setattr(ReconcileStore, "A_WRITE", 40)
    real = ReconcileStore._run
    for step in range(1, 60):
        steps = count(1)

        async def dies(self: Any, *args: Any, step: int = step, steps: Any = steps) -> Any:
            is_now = next(steps) == step
            if is_now and not is_after:
                raise ConnectionError("killed")
            reply = await real(self, *args)
            if is_now:
                raise ConnectionError("killed")
            return reply

        put_back(db, old)
        with monkeypatch.context() as patched:
            patched.setattr(ReconcileStore, "_run", dies)
            told = await reconcile()
        if told.exit_code == 0:
            break
        assert "killed" in told.output
        # Before its first step, and after its last one, the store can be used.
        if db.hget("inv:{0}:meta", "schema") != SCHEMA:
            with pytest.raises(StartError, match="run inventory-server reconcile again"):
                await serve()
            told = await reconcile()
            assert told.exit_code == 0, told.output
            assert world(db) == before
    assert step > 4
    assert world(db) == before
    assert_journal_folds_to_state(db, PARTITIONS)
    again = await serve()
    assert await again.discrepancies() == []


@pytest.mark.parametrize("copied", [ONLINE, DELHI], ids=["home", "away"])
async def test_a_change_of_which_only_a_part_came_back_leaves_no_unit_held_for_nobody(
    serve, db, copying, reconcile, copied
) -> None:
    """ "online" is home to every hold that has lines at both places."""
    first = await serve()
    for location in PLACES:
        await set_stock(first.stock, 100, location=location)
    ids = await place_some(first)
    await copying(first)
    old = snapshot(db)
    await end_some(first, ids)
    await place(first.holds, *BOTH, metadata=key("new"))
    await copying(first, copied)
    put_back(db, old)
    told = await reconcile()
    assert told.exit_code == 0, told.output
    await until_taken_over(first)
    assert await first.discrepancies() == []
    assert_journal_folds_to_state(db, PARTITIONS)
    # At home: sold and back have ended, a part was sold, and one is new; else nothing of that was.
    held = 12 - 3 - 3 - 1 + 3 if copied == ONLINE else 12
    assert (await level_of(first.stock)).held == held
    away = await level_of(first.stock, location="store:DELHI")
    assert (away.held, away.on_hand) == ((12, 96) if copied == ONLINE else (16, 100))
    repairs = [e for _, e in db.xrange(f"inv:{{{DELHI}}}:journal") if e["kind"] == "REPAIR"]
    assert {entry["actor"] for entry in repairs} == {"reconcile"}
    assert {entry["hold_id"] for entry in repairs} >= {ids["sold"], ids["back"]}


async def test_what_redis_alone_has_stays(serve, db, copying, reconcile) -> None:
    """A partition may be ahead of its copy while another one is behind."""
    first = await serve()
    for location in PLACES:
        await set_stock(first.stock, 100, location=location)
    ids = await place_some(first)
    await copying(first)
    a_part = [line(quantity=2, location="store:DELHI")]
    await first.holds.ConfirmHold(
        hold_pb.ConfirmHoldRequest(hold_id=ids["late"], lines=a_part, keep_rest=True)
    )
    await copying(first, ONLINE)
    old = snapshot(db)
    await end_some(first, ids)
    await first.holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=ids["late"]))
    await copying(first, ONLINE)
    put_back(db, old)
    told = await reconcile()
    assert told.exit_code == 0, told.output
    await until_taken_over(first)
    assert await first.discrepancies() == []
    assert_journal_folds_to_state(db, PARTITIONS)
    away = await level_of(first.stock, location="store:DELHI")
    # Of "late" two units were sold before, and of "sold" all four; "part" still holds four.
    assert (away.held, away.on_hand) == (4, 94)
    await copying(first)
    told = await reconcile()
    assert (told.exit_code, "not behind its copy" in told.output) == (2, True), told.output


async def test_while_it_is_under_way_no_server_writes(
    serve, db, copying, reconcile, monkeypatch
) -> None:
    """Not even one that has seen no more than what was put back."""
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    old = snapshot(db)
    await set_stock(first.stock, 6)
    await copying(first)
    await first.stop()
    put_back(db, old)
    other = await serve()
    real, steps = ReconcileStore._run, count(1)

    async def dies(self: Any, *args: Any) -> Any:
        if next(steps) == 2:
            raise ConnectionError("killed")
        return await real(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(ReconcileStore, "_run", dies)
        assert "killed" in (await reconcile()).output
    before = snapshot(db)
    for location in PLACES:
        refusal = await refused(set_stock(other.stock, 7, location=location))
        assert refusal.reason == "STORE_REWOUND"
    assert snapshot(db) == before
    assert (await reconcile()).exit_code == 0
    await until_taken_over(other)
    await set_stock(other.stock, 7, location="store:DELHI")
    assert (await level_of(other.stock)).on_hand == 6


async def test_what_is_copied_past_the_watermark_comes_back_too(
    serve, db, copying, reconcile, monkeypatch
) -> None:
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    old = snapshot(db)
    await set_stock(first.stock, 6)
    await set_stock(first.stock, 7)

    async def never(*_: Any, **__: Any) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(CopyLeases, "advance", never)
        with pytest.raises(ConnectionError):
            await copying(first)
    put_back(db, old)
    told = await reconcile()
    assert told.exit_code == 0, told.output
    assert [level["on_hand"] for level in stored_levels(db).values()] == [7]


async def test_what_nobody_has_any_more_is_given_up_only_where_that_is_accepted(
    serve, db, copying, reconcile
) -> None:
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    old = snapshot(db)
    await set_stock(first.stock, 6)
    put_back(db, old)
    assert (await refused(set_stock(first.stock, 7))).reason == "STORE_REWOUND"
    told = await reconcile()
    assert (told.exit_code, "--accept-loss" in told.output) == (2, True), told.output
    assert (await refused(set_stock(first.stock, 7))).reason == "STORE_REWOUND"
    told = await reconcile("--accept-loss")
    assert (told.exit_code, "0 movements came back" in told.output) == (0, True), told.output
    await until_taken_over(first)
    await set_stock(first.stock, 7)
    assert (await level_of(first.stock)).on_hand == 7


# What is refused


async def test_a_store_that_went_on_by_itself_is_left_as_it_is(
    serve, db, copying, reconcile
) -> None:
    first = await serve()
    for n in range(3):
        await set_stock(first.stock, n)
    old = snapshot(db)
    for n in range(5):
        await set_stock(first.stock, n)
    await copying(first)
    await first.stop()
    put_back(db, old)
    # One that knows of no copy.
    other = await serve()
    await set_stock(other.stock, 50)
    await other.stop()
    before = snapshot(db)
    told = await reconcile()
    assert (told.exit_code, "went on by itself" in told.output) == (2, True), told.output
    assert snapshot(db) == before


async def test_a_state_of_before_the_last_restore_is_left_as_it_is(
    serve, db, copying, reconcile, restore
) -> None:
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    old = snapshot(db)
    await first.stop()
    db.flushall()
    assert (await restore()).exit_code == 0
    again = await serve()
    await set_stock(again.stock, 6)
    await copying(again)
    await again.stop()
    put_back(db, old)
    told = await reconcile()
    wanted = f"partition {ONLINE} is of epoch 1, the copy of 2"
    assert (told.exit_code, wanted in told.output) == (2, True), told.output
    assert snapshot(db) == old


async def test_another_store_an_empty_one_and_one_without_a_copy_are_left_as_they_are(
    serve, db, dynamo, copying, reconcile
) -> None:
    told = await reconcile()
    assert (told.exit_code, "nothing was copied yet" in told.output) == (2, True), told.output
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    await first.stop()
    for n in range(PARTITIONS):
        db.hset(f"inv:{{{n}}}:meta", "store_id", "other")
    before = snapshot(db)
    told = await reconcile()
    assert (told.exit_code, "this Redis has other" in told.output) == (2, True), told.output
    assert snapshot(db) == before
    db.flushall()
    told = await reconcile()
    wanted = "inventory-server restore makes it anew"
    assert (told.exit_code, wanted in told.output) == (2, True), told.output
    assert db.keys("*") == []


async def test_where_the_copy_lacks_a_movement_the_way_out_is_named(
    serve, db, copying, reconcile, monkeypatch
) -> None:
    first = await serve()
    await set_stock(first.stock, 1)
    await copying(first)
    old = snapshot(db)
    await set_stock(first.stock, 2)

    async def loses(*_: Any) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(CopyStore, "put_movements", loses)
        await copying(first)
    put_back(db, old)
    told = await reconcile()
    assert (told.exit_code, "its movement 2 is not there" in told.output) == (2, True), told.output
    assert "run inventory-server restore" in told.output


async def test_while_another_redis_of_the_store_is_copied_nothing_comes_back(
    serve, db, copying, reconcile, leases_of, monkeypatch
) -> None:
    """As where a snapshot is tried out beside the store that it was taken of."""
    first = await serve()
    await set_stock(first.stock, 1)
    await copying(first)
    old = snapshot(db)
    await set_stock(first.stock, 2)
    await copying(first)
    leases = leases_of(first)
    (there,) = await leases.partitions([ONLINE], soon())
    assert await leases.take(ONLINE, "another", there.term, soon())
    put_back(db, old)
    further = there.watermark._replace(place=there.watermark.place._replace(seq=9))
    real = CopyLeases.partitions
    asked = count(1)

    async def goes_on(self: CopyLeases, numbers: Any, deadline: float) -> Any:
        if next(asked) == 2:
            assert await self.advance(ONLINE, there.term + 1, further, deadline)
        return await real(self, numbers, deadline)

    monkeypatch.setattr(CopyLeases, "partitions", goes_on)
    told = await reconcile()
    assert (told.exit_code, "copied further meanwhile, by another" in told.output) == (2, True)
    assert [level["on_hand"] for level in stored_levels(db).values()] == [1]
