"""VerifyInvariants finds what is damaged, and nothing else; RepairLevel puts it right."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import redis
from inventory.v1 import audit_service_pb2 as pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.audit_service_pb2_grpc import AuditServiceStub

from inventory_server.operations import level_sum
from inventory_server.stores.audit_store import AuditStore
from tests.calls import key, level_of, line, place, refused, set_stock
from tests.fold import assert_journal_folds_to_state
from tests.scripts.database import dump

P = "inv:{3}:"
"""The partition of `online`."""


@pytest.fixture
def audit(channel: Any) -> AuditServiceStub:
    return AuditServiceStub(channel)


async def findings(audit: Any) -> tuple[list[str], pb.VerifySummary]:
    """What a check says, a line each, and its summary."""
    found, summary = [], None
    async for part in audit.VerifyInvariants(pb.VerifyInvariantsRequest()):
        if part.HasField("discrepancy"):
            entry = part.discrepancy
            kind = pb.DiscrepancyKind.Name(entry.kind).removeprefix("DISCREPANCY_KIND_")
            names = "/".join(filter(None, (entry.location, entry.sku, entry.hold_id)))
            found.append(f"{kind} {names}: {entry.message}" + " unsettled" * entry.unsettled)
        elif part.HasField("summary"):
            summary = part.summary
    return found, summary


@pytest.fixture
async def world(stock: Any, holds: Any, db: redis.Redis) -> dict[str, str]:
    """Levels at two places, and holds of every state; by name, their ids."""
    for location in ("online", "store:DELHI"):
        await set_stock(stock, 20, sku="A", location=location)
    await set_stock(stock, 0, sku="OUT")
    lines = [line("A", 2), line("A", 1, "store:DELHI")]
    ids = {}
    for name in ("open", "part", "confirmed", "released"):
        placed = await place(holds, *lines, reference=f"order-{name}", metadata=key(name))
        ids[name] = placed.hold.hold_id
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=ids["confirmed"]))
    await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=ids["released"]))
    await holds.ConfirmHold(
        hold_pb.ConfirmHoldRequest(hold_id=ids["part"], lines=[line("A", 1)], keep_rest=True)
    )
    db.sadd(f"{P}inactive", "OUT", "NO-LEVEL")
    return ids


async def test_a_store_that_is_as_it_should_be_has_no_discrepancy(audit, world) -> None:
    found, summary = await findings(audit)
    assert found == []
    assert (summary.levels, summary.holds, summary.discrepancies) == (3, 4, 0)
    assert summary.movements == 3 + 8 + 2 + 2 + 1


Damage = Callable[[redis.Redis, dict[str, str]], Any]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "held is too high": (
        lambda db, ids: db.set(f"{P}level:online:A", "18 4 99"),
        r"HELD online/A: held is 4, the open holds have 3",
    ),
    "a hold is missing in its level's due": (
        lambda db, ids: db.zrem(f"{P}due:online:A", ids["open"]),
        r"INDEX .*: due of online:A lacks the hold",
    ),
    "a level's due has a wrong deadline": (
        lambda db, ids: db.zadd(f"{P}due:online:A", {ids["open"]: 5}),
        r"INDEX online/A/.*: the level's due names another deadline",
    ),
    "a level's due names an ended hold": (
        lambda db, ids: db.zadd(f"{P}due:online:A", {ids["confirmed"]: 5}),
        r"INDEX online/A/.*: the level's due names a hold that is CONFIRMED",
    ),
    "a level's due names no hold": (
        lambda db, ids: db.zadd(f"{P}due:online:B", {"3-" + "a" * 20: 5}),
        r"INDEX online/B: an index names a level that is not there",
    ),
    "the home's due lacks a hold": (
        lambda db, ids: db.zrem(f"{P}due", ids["open"]),
        r"INDEX .*: due lacks the hold",
    ),
    "the home's due names an ended hold": (
        lambda db, ids: db.zadd(f"{P}due", {ids["released"]: 5}),
        r"INDEX .*: due names a hold that is RELEASED",
    ),
    "the home's due names no hold": (
        lambda db, ids: db.zadd(f"{P}due", {"3-" + "a" * 20: 5}),
        r"INDEX 3-a+: due names a hold that is not there",
    ),
    "an ended hold is in no list": (
        lambda db, ids: db.lrem(f"{P}ended", 0, ids["released"]),
        r"INDEX .*: ended lacks the hold",
    ),
    "the list of ended holds has an open one": (
        lambda db, ids: db.rpush(f"{P}ended", ids["open"]),
        r"INDEX .*: ended names an open hold",
    ),
    "the list of ended holds has one that is not there": (
        lambda db, ids: db.rpush(f"{P}ended", "3-" + "a" * 20),
        r"INDEX 3-a+: ended names a hold that is not there",
    ),
    "a reference is missing": (
        lambda db, ids: db.zrem(f"{P}refs", f"order-open\0{ids['open']}"),
        r"INDEX .*: refs lacks the hold",
    ),
    "a reference is left over": (
        lambda db, ids: db.zadd(f"{P}refs", {"order\0" + "3-" + "a" * 20: 0}),
        r"INDEX 3-a+: refs names a hold that is not there",
    ),
    "a SKU is missing": (
        lambda db, ids: db.zrem(f"{P}skus:online", "A"),
        r"INDEX online/A: skus lacks the level",
    ),
    "a SKU is left over": (
        lambda db, ids: db.zadd(f"{P}skus:online", {"GONE": 0}),
        r"INDEX online/GONE: an index names a level that is not there",
    ),
    "a low level is missing": (
        lambda db, ids: db.zrem(f"{P}low:online", "OUT"),
        r"INDEX online/OUT: low lacks the level",
    ),
    "a level is low that is not": (
        lambda db, ids: db.zadd(f"{P}low:online", {"A": 0}),
        r"INDEX online/A: low has the level",
    ),
    "a location is missing": (
        lambda db, ids: db.hdel(f"{P}locations", "online"),
        r"INDEX online: locations lacks the location",
    ),
    "a level is gone": (
        lambda db, ids: db.delete(f"{P}level:online:OUT"),
        r"JOURNAL online/OUT: the journal has a level that is not there",
    ),
    "a level is not what the journal says": (
        lambda db, ids: db.set(f"{P}level:online:OUT", "0 0 2 0 0 1 1 OUT"),
        r"JOURNAL online/OUT: the level is not what it says",
    ),
    "a level is behind its journal": (
        lambda db, ids: db.set(f"{P}level:online:OUT", "0 0 1 0 0 0 0 OUT"),
        r"JOURNAL online/OUT: the level is behind its journal",
    ),
    "a journal has a gap": (
        lambda db, ids: db.xdel(f"{P}journal", "3-0"),
        r"JOURNAL : partition 3: the journal lacks 3 to 3",
    ),
    "a journal ends early": (
        lambda db, ids: db.hset(f"{P}meta", "seq", 10_000),
        r"JOURNAL : partition 3: the journal ends at \d+, the partition is at 10000",
    ),
    "a level is ahead of its journal": (
        lambda db, ids: db.set(f"{P}level:online:OUT", "0 0 99 0 0 0 0 OUT"),
        r"JOURNAL online/OUT: the level is ahead of its journal",
    ),
    "a partition is behind its journal": (
        lambda db, ids: db.hset(f"{P}meta", "seq", 2),
        r"JOURNAL : partition 3: the partition is at 2, its journal already at \d+",
    ),
    "a partition has lost its meta": (
        lambda db, ids: db.delete(f"{P}meta"),
        r"DAMAGED : partition 3 has no meta of this store",
    ),
    "a partition's meta is another store's": (
        lambda db, ids: db.hset(f"{P}meta", "store_id", "x"),
        r"DAMAGED : partition 3 has no meta of this store",
    ),
    "a partition's seq is no number": (
        lambda db, ids: db.hset(f"{P}meta", "seq", "x"),
        r"DAMAGED : partition 3 has no meta of this store",
    ),
    "a partition's meta is of another type": (
        lambda db, ids: (db.delete(f"{P}meta"), db.set(f"{P}meta", "x")),
        r"DAMAGED : inv:\{3\}:meta is a string, not a hash",
    ),
    "the locations are of another type": (
        lambda db, ids: (db.delete(f"{P}locations"), db.set(f"{P}locations", "x")),
        r"DAMAGED : inv:\{3\}:locations is a string, not a hash",
    ),
    "a level's due is of another type": (
        lambda db, ids: (db.delete(f"{P}due:online:A"), db.set(f"{P}due:online:A", "x")),
        r"DAMAGED online/A: one of its keys is of another type",
    ),
    "a due names a hold of another partition": (
        lambda db, ids: db.zadd("inv:{4}:due", {ids["open"]: 5}),
        r"INDEX : due of partition 4 names '3-",
    ),
    "a list of ended holds names what is no hold": (
        lambda db, ids: db.rpush(f"{P}ended", "garbage"),
        r"INDEX : ended of partition 3 names 'garbage'",
    ),
    "a list of ended holds names one of another partition": (
        lambda db, ids: db.rpush("inv:{4}:ended", ids["released"]),
        r"INDEX : ended of partition 4 names '3-",
    ),
    "a hold stands under another reference": (
        lambda db, ids: db.zadd(f"{P}refs", {f"wrong\0{ids['open']}": 0}),
        r"INDEX .*: refs names the hold under 'wrong'",
    ),
    "a hold is in a partition that there is not": (
        lambda db, ids: db.set("inv:{99}:hold:99-" + "a" * 20, "x"),
        r"UNKNOWN_KEY : inv:\{99\}:hold:99-a+",
    ),
    "an entry of a journal is another one": (
        lambda db, ids: db.xadd(f"{P}journal", {"x": "y"}, id="1000-0"),
        r"JOURNAL : partition 3: ",
    ),
    "a key is no text": (
        lambda db, ids: db.set(b"inv:{3}:\xff", "x"),
        r"UNKNOWN_KEY : inv:\{3\}:\\udcff",
    ),
    "a record is no record": (
        lambda db, ids: db.rpush(f"{P}key:x", "x"),
        r"DAMAGED : inv:\{3\}:key:x is no idempotency record",
    ),
    "a hold has too few parts": (
        lambda db, ids: db.set(
            f"{P}hold:{ids['open']}",
            db.get(f"{P}hold:{ids['open']}").replace("\n", " - 1:0:0\n", 1),
        ),
        r"DAMAGED .*: it cannot be read: ",
    ),
    "a level cannot be read": (
        lambda db, ids: db.set(f"{P}level:online:A", "many"),
        r"DAMAGED online/A: the level cannot be read",
    ),
    "a hold cannot be read": (
        lambda db, ids: db.set(f"{P}hold:{ids['open']}", "HELD"),
        r"DAMAGED .*: the hold cannot be read",
    ),
    "an alert state is wrong": (
        lambda db, ids: db.set(f"{P}level:online:OUT", "1 0 2 0 0 0 0 OUT"),
        r"DAMAGED online/OUT: alert_state is OUT at 1 available",
    ),
    "an index is of another type": (
        lambda db, ids: (db.delete(f"{P}refs"), db.rpush(f"{P}refs", "x")),
        r"DAMAGED : inv:\{3\}:refs is a list, not a zset",
    ),
    "a set of inactive products names what is no SKU": (
        lambda db, ids: db.sadd(f"{P}inactive", "GONE", "not a sku"),
        r"INDEX : inactive of partition 3 names 'not a sku', no SKU",
    ),
    "a set of inactive products is of another type": (
        lambda db, ids: (db.delete(f"{P}inactive"), db.rpush(f"{P}inactive", "x")),
        r"DAMAGED : inv:\{3\}:inactive is a list, not a set",
    ),
    "a key is not ours": (
        lambda db, ids: db.set(f"{P}surprise", "x"),
        r"UNKNOWN_KEY : inv:\{3\}:surprise",
    ),
    "a level is in another partition": (
        lambda db, ids: db.set("inv:{4}:level:online:A", "1 0 1"),
        r"UNKNOWN_KEY : inv:\{4\}:level:online:A",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_every_damage_is_found(audit, world, db, name) -> None:
    damage, wanted = DAMAGES[name]
    damage(db, world)
    before = dump(db) if name != "a key is no text" else None
    found, summary = await findings(audit)
    assert [text for text in found if re.match(wanted, text)], found
    assert summary.discrepancies == len(found) <= 8, found
    if name != "a key is no text":
        assert dump(db) == before, "looking changes nothing"
    db.flushall()


async def test_holds_that_move_meanwhile_are_no_discrepancy(audit, stock, holds, db) -> None:
    for n in range(40):
        await set_stock(stock, 10_000, sku=f"S{n}")
    stopping = asyncio.Event()

    async def trade(n: int) -> int:
        count = 0
        while not stopping.is_set():
            placed = await place(holds, line(f"S{n}", 2), line(f"S{n + 1}", 1), reference=f"r{n}")
            hold_id = placed.hold.hold_id
            if count % 3 == 0:
                await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=hold_id))
            elif count % 3 == 1:
                part = hold_pb.ConfirmHoldRequest(
                    hold_id=hold_id, lines=[line(f"S{n}", 1)], keep_rest=True
                )
                await holds.ConfirmHold(part)
            count += 1
        return count

    traders = [asyncio.create_task(trade(n % 39)) for n in range(16)]
    for _ in range(5):
        found, summary = await findings(audit)
        assert (found, summary.discrepancies) == ([], 0)
    stopping.set()
    assert sum(await asyncio.gather(*traders)) > 16


@pytest.mark.parametrize("is_moving", [False, True])
async def test_a_level_with_more_holds_than_a_page_is_summed_in_pages(
    audit, stock, holds, db, monkeypatch, is_moving
) -> None:
    monkeypatch.setattr("inventory_server.stores.audit_store.VERIFY_HOLDS_A_SCRIPT", 10)
    monkeypatch.setattr(level_sum, "VERIFY_HOLDS_A_SCRIPT", 10)
    await set_stock(stock, 10_000)
    ids = [(await place(holds, ttl_s=60 + n % 3)).hold.hold_id for n in range(45)]
    stopping = asyncio.Event()

    async def trade() -> None:
        while is_moving and not stopping.is_set():
            placed = await place(holds, line(quantity=2), ttl_s=100)
            await holds.ExtendHold(
                hold_pb.ExtendHoldRequest(hold_id=placed.hold.hold_id, ttl={"seconds": 200})
            )
            await holds.ReleaseHold(
                hold_pb.ReleaseHoldRequest(hold_id=placed.hold.hold_id, lines=[line()])
            )

    trader = asyncio.create_task(trade())
    for _ in range(10 if is_moving else 1):
        found, summary = await findings(audit)
        assert found == []
    stopping.set()
    await trader
    # Then one is lost: both what holds it and what it is found by.
    db.zrem(f"{P}due:online:SKU1", ids[0])
    found, summary = await findings(audit)
    assert any(text.startswith("HELD online/SKU1: held is") for text in found)
    assert summary.unsettled == 0
    db.flushall()


async def test_a_repair_sets_held_and_indexes_to_what_the_open_holds_say(
    audit, stock, world, db
) -> None:
    before = await level_of(stock, "A")
    db.zrem(f"{P}due:online:A", world["open"])
    db.zadd(f"{P}due:online:A", {world["confirmed"]: 5, "3-" + "a" * 20: 6})
    db.zrem(f"{P}due", world["part"])
    db.zrem(f"{P}skus:online", "A")
    db.zadd(f"{P}low:online", {"A": 0})
    request = pb.RepairLevelRequest(sku="A", location="online", validate_only=True)
    kept = dump(db)
    said = await audit.RepairLevel(request)
    assert dump(db) == kept
    assert sorted(said.repairs) == [
        "due lacked 1 holds",
        "due named 2 holds",
        "low was wrong",
        "skus lacked the level",
        "the home of 1 holds lacked them",
    ]
    assert said.cursor == ""
    request.validate_only = False
    done = await audit.RepairLevel(request, metadata=key("repair"))
    assert sorted(done.repairs) == sorted(said.repairs)
    assert (done.after.on_hand, done.after.held) == (before.on_hand, before.held)
    assert (await findings(audit))[0] == []
    assert_journal_folds_to_state(db)
    again = audit.RepairLevel(request, metadata=key("repair"))
    assert await again == done
    assert dict(await again.trailing_metadata())["idempotent-replayed"] == "true"
    assert (await audit.RepairLevel(request)).repairs == []


async def test_a_repair_changes_held_by_a_movement_and_never_on_hand(
    audit, stock, world, db
) -> None:
    journal_end = db.xrevrange(f"{P}journal", count=1)[0][0]
    on_hand = (await level_of(stock, "A")).on_hand
    version = int(db.get(f"{P}level:online:A").split(" ")[2])
    db.set(f"{P}level:online:A", f"{on_hand} 9 {version}")
    done = await audit.RepairLevel(pb.RepairLevelRequest(sku="A", location="online"))
    assert list(done.repairs) == ["held was 9"]
    assert (done.before.held, done.after.held, done.after.on_hand) == (9, 3, on_hand)
    (entry,) = db.xrange(f"{P}journal", f"({journal_end}")
    assert (entry[1]["kind"], entry[1]["delta"]) == ("REPAIR", "0 -6")
    # The journal cannot tell what was done behind its back.
    db.flushall()


async def test_what_cannot_be_repaired_is_an_error(audit, stock, holds, monkeypatch) -> None:
    missing = pb.RepairLevelRequest(sku="A", location="online")
    assert (await refused(audit.RepairLevel(missing))).reason == "STOCK_LEVEL_NOT_FOUND"
    for request in (
        pb.RepairLevelRequest(location="online"),
        pb.RepairLevelRequest(sku="A", location="shop"),
    ):
        assert (await refused(audit.RepairLevel(request))).reason == "INVALID_REQUEST"
    await set_stock(stock, 10)
    for _ in range(3):
        await place(holds)
    monkeypatch.setattr("inventory_server.stores.audit_store.MAX_REPAIR_HOLDS", 2)
    request = pb.RepairLevelRequest(sku="SKU1", location="online")
    refusal = await refused(audit.RepairLevel(request))
    assert (refusal.reason, refusal.facts["open_holds"]) == ("LEVEL_BUSY", "3")


async def test_a_key_that_cannot_be_read_hides_nothing_else(audit, stock, world, db) -> None:
    await set_stock(stock, 5, "B")
    db.delete(f"{P}due:online:A")
    db.set(f"{P}due:online:A", "x")
    version = db.get(f"{P}level:online:B").split(" ")[2]
    db.set(f"{P}level:online:B", f"5 3 {version}")
    found, _ = await findings(audit)
    assert "HELD online/B: held is 3, the open holds have 0" in found
    db.flushall()


async def test_a_deadline_that_moves_while_a_level_is_read_is_no_discrepancy(
    audit, stock, holds, server, db, monkeypatch
) -> None:
    monkeypatch.setattr("inventory_server.stores.audit_store.VERIFY_HOLDS_A_SCRIPT", 10)
    monkeypatch.setattr(level_sum, "VERIFY_HOLDS_A_SCRIPT", 10)
    server.store.now_ms = "1800000000000"
    await set_stock(stock, 10_000)
    ids = sorted([(await place(holds, ttl_s=60)).hold.hold_id for _ in range(35)])
    level_holds = AuditStore.level_holds
    moved = iter(ids)

    async def move_one_that_was_read(self, *given):
        answer = await level_holds(self, *given)
        hold_id = next(moved, None)
        if hold_id is not None:
            request = hold_pb.ExtendHoldRequest(hold_id=hold_id, ttl={"seconds": 100})
            await holds.ExtendHold(request)
        return answer

    monkeypatch.setattr(AuditStore, "level_holds", move_one_that_was_read)
    found, summary = await findings(audit)
    assert (found, summary.unsettled) == ([], 0)


async def test_levels_that_are_deleted_meanwhile_are_no_discrepancy(
    audit, stock, db, monkeypatch
) -> None:
    monkeypatch.setattr("inventory_server.operations.journal_audit.VERIFY_KEYS_A_READ", 50)
    stopping = asyncio.Event()

    async def make_and_delete(n: int) -> None:
        while not stopping.is_set():
            await set_stock(stock, 0, f"D{n}")
            gone = [stock_pb.DeleteStockLevelsLine(sku=f"D{n}", location="online")]
            await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=gone))

    for n in range(30):
        await set_stock(stock, n)
    makers = [asyncio.create_task(make_and_delete(n)) for n in range(2)]
    for _ in range(3):
        assert (await findings(audit))[0] == []
    stopping.set()
    await asyncio.gather(*makers)


async def test_a_repair_takes_out_what_is_no_hold(audit, stock, world, db) -> None:
    db.zadd(f"{P}due:online:A", {"garbage": 5})
    assert any("INDEX online/A" in text for text in (await findings(audit))[0])
    done = await audit.RepairLevel(pb.RepairLevelRequest(sku="A", location="online"))
    assert list(done.repairs) == ["due named 1 holds"]
    assert (await findings(audit))[0] == []
