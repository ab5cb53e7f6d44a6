"""`inventory-server restore`: a store is made again from its copy, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from typer.testing import CliRunner

from inventory_server.cli import app
from inventory_server.embedded_redis import EmbeddedRedis
from inventory_server.operations.drain_leases import DrainLeases
from inventory_server.server import StartError
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.copy_tables import pack_place
from inventory_server.stores.restore_store import RestoreStore
from tests.calls import key, level_of, line, place, refused, set_stock
from tests.copy.day import DELHI, ONLINE, PLACES, a_day
from tests.copy.entries import soon
from tests.copy.serving import marks, world
from tests.fold import stored_levels


async def test_levels_policies_holds_and_indexes_come_back_and_the_store_goes_on(
    serve, db, copying, restore
) -> None:
    first = await serve()
    await a_day(first.stock, first.holds, 9)
    kept = await place(first.holds, line(), line(location="store:DELHI"), metadata=key("kept"))
    cursor = (await set_stock(first.stock, 300, sku="SKU2")).cursor
    await copying(first)
    before, seqs = world(db), marks(db)
    await first.stop()
    db.flushall()
    told = await restore()
    assert told.exit_code == 0, told.output
    assert "at epoch 2" in told.output
    assert world(db) == before
    again = await serve()
    assert await again.discrepancies() == []
    call = again.holds.PlaceHold(
        hold_pb.PlaceHoldRequest(lines=[line(), line(location="store:DELHI")]),
        metadata=key("kept"),
    )
    assert (await call).hold == kept.hold, "the same id, lines and deadline"
    assert dict(await call.trailing_metadata())["idempotent-replayed"] == "true"
    assert marks(db) == seqs, "a replay is no movement"
    watched = again.stock.WatchStock(stock_pb.WatchStockRequest(cursor=cursor))
    assert (await refused(watched.read())).reason == "CURSOR_EXPIRED"
    # Deadlines hold: a hold that is past its own is expired, its units are back.
    held = (await level_of(again.stock)).held
    assert held > 0
    again.server.store.now_ms = str(int(db.time()[0] + 10**6) * 1000)
    assert (await level_of(again.stock)).held == 0
    await a_day(again.stock, again.holds, 3, seed=5)
    assert await again.discrepancies() == []
    await copying(again)
    before = world(db)
    await again.stop()
    db.flushall()
    told = await restore()
    assert told.exit_code == 0, told.output
    assert "at epoch 3" in told.output
    assert world(db)["levels"] == before["levels"]


@pytest.mark.parametrize("copied", [ONLINE, DELHI], ids=["home", "away"])
async def test_a_change_of_which_only_a_part_was_copied_leaves_no_unit_held_for_nobody(
    serve, db, copying, restore, copied
) -> None:
    """ "online" is home to every hold that has lines at both places."""
    first = await serve()
    for location in PLACES:
        await set_stock(first.stock, 100, location=location)
    both = [line(quantity=3), line(quantity=4, location="store:DELHI")]
    sold, back, late = [
        (await place(first.holds, *both, metadata=key(name))).hold.hold_id for name in "abc"
    ]
    await copying(first)
    await first.holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=sold))
    await first.holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=back))
    await place(first.holds, *both, metadata=key("d"))
    await copying(first, copied)
    await first.stop()
    db.flushall()
    told = await restore()
    assert told.exit_code == 0, told.output
    again = await serve()
    assert await again.discrepancies() == []
    open_holds = 2 if copied == ONLINE else 3
    for location, quantity in zip(PLACES, (3, 4), strict=True):
        level = await level_of(again.stock, location=location)
        assert level.held == open_holds * quantity
        assert level.on_hand == (100 - quantity if copied == ONLINE else 100)
    repairs = [e for _, e in db.xrange(f"inv:{{{DELHI}}}:journal") if e["kind"] == "REPAIR"]
    assert {entry["actor"] for entry in repairs} == {"restore"}
    assert {entry["hold_id"] for entry in repairs} >= {sold, back}
    # What was repaired once is not repaired again.
    await again.holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=late))
    await copying(again)
    before = stored_levels(db)
    await again.stop()
    db.flushall()
    told = await restore()
    assert (told.exit_code, "REPAIR" in told.output) == (0, False), told.output
    assert stored_levels(db) == before


async def test_what_was_left_out_by_a_restore_counts_in_no_later_one(
    serve, db, copying, restore, names, dynamo
) -> None:
    """The confirmation of a hold is copied at home; away the movement before it is not."""
    first = await serve()
    for location in PLACES:
        await set_stock(first.stock, 100, location=location)
    both = [line(quantity=3), line(quantity=4, location="store:DELHI")]
    sold = (await place(first.holds, *both)).hold.hold_id
    await copying(first)
    copied = marks(db)[DELHI]
    await set_stock(first.stock, 90, location="store:DELHI")
    await first.holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=sold))
    await copying(first, ONLINE)
    _, movements = await CopySource(first.server.store).read(DELHI, copied + 2, 1)
    store_id = first.server.store.store_id
    copy = CopyStore(dynamo, names, store_id, retention_ms=86_400_000)
    await copy.put_movements(movements, soon)
    await first.stop()
    db.flushall()
    told = await restore()
    assert f"{copied + 1} to {copied + 2} were on their way and are lost" in told.output
    assert f"Look at these holds: {sold}." in told.output
    again = await serve()
    delhi = await level_of(again.stock, location="store:DELHI")
    assert (delhi.on_hand, delhi.held) == (96, 0)
    await set_stock(again.stock, 50, location="store:DELHI")
    await copying(again)
    before = stored_levels(db)
    await again.stop()
    db.flushall()
    told = await restore()
    assert (told.exit_code, "REPAIR" in told.output) == (0, False), told.output
    assert stored_levels(db) == before


async def test_a_hold_of_which_nothing_is_copied_at_home_was_never_placed(
    serve, db, copying, restore
) -> None:
    first = await serve()
    for location in PLACES:
        await set_stock(first.stock, 100, location=location)
    await copying(first)
    both = [line(quantity=3), line(quantity=4, location="store:DELHI")]
    placed = await place(first.holds, *both, metadata=key("lost"))
    sale = hold_pb.ConfirmHoldRequest(hold_id=placed.hold.hold_id)
    await first.holds.ConfirmHold(sale)
    await copying(first, DELHI)
    await first.stop()
    db.flushall()
    told = await restore()
    assert f"Look at these holds: {placed.hold.hold_id}." in told.output, told.output
    again = await serve()
    assert await again.discrepancies() == []
    counts = [await level_of(again.stock, location=location) for location in PLACES]
    assert {(level.on_hand, level.held) for level in counts} == {(100, 0)}
    # The order is made again, under its old key, and sold once.
    made = await place(again.holds, *both, metadata=key("lost"))
    assert made.hold.hold_id == placed.hold.hold_id
    await again.holds.ConfirmHold(sale)
    counts = [await level_of(again.stock, location=location) for location in PLACES]
    assert [(level.on_hand, level.held) for level in counts] == [(97, 0), (96, 0)]


async def test_what_is_copied_past_the_watermark_is_restored_too(
    serve, db, copying, restore, monkeypatch
) -> None:
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    await set_stock(first.stock, 6)
    await set_stock(first.stock, 7)

    async def never(*_: Any, **__: Any) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(CopyLeases, "advance", never)
        with pytest.raises(ConnectionError):
            await copying(first)
    await first.stop()
    db.flushall()
    told = await restore()
    assert told.exit_code == 0, told.output
    assert [level["on_hand"] for level in stored_levels(db).values()] == [7]


# What is refused


async def test_a_redis_that_is_not_empty_is_left_as_it_is(serve, db, copying, restore) -> None:
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    before = world(db)
    told = await restore()
    assert (told.exit_code, "not empty" in told.output) == (2, True)
    assert world(db) == before


async def test_without_a_copy_nothing_is_made(dynamo, db, restore) -> None:
    told = await restore()
    assert (told.exit_code, "nothing was copied yet" in told.output) == (2, True)
    assert db.keys("*") == []


async def test_while_a_server_still_runs_nothing_is_made(
    serve, db, copying, restore, leases_of, monkeypatch
) -> None:
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    leases = leases_of(first)
    assert await leases.take(0, "alive", 1, soon())
    await leases.beat("alive", 1, soon())
    db.flushall()
    monkeypatch.setattr(DrainLeases, "TERM_S", 0.5)
    beats, real = iter(range(2, 99)), CopyLeases.beats

    async def beating(self: Any, *args: Any) -> Any:
        await self.beat("alive", next(beats), soon_in_this_loop())
        return await real(self, *args)

    def soon_in_this_loop() -> float:
        return asyncio.get_running_loop().time() + 20

    monkeypatch.setattr(CopyLeases, "beats", beating)
    told = await restore()
    assert (told.exit_code, "stop it first (alive)" in told.output) == (2, True), told.output
    assert db.keys("*") == []


async def test_a_copy_that_lacks_something_is_restored_only_where_that_is_accepted(
    serve, db, copying, restore, names, dynamo
) -> None:
    first = await serve()
    for n in range(4):
        await set_stock(first.stock, n)
    db.hset(f"inv:{{{ONLINE}}}:meta", "kept_from", 3)
    db.xtrim(f"inv:{{{ONLINE}}}:journal", minid="3-0")
    await copying(first)
    await first.stop()
    db.flushall()
    told = await restore()
    assert (told.exit_code, "it lacks 2 movements" in told.output) == (2, True)
    told = await restore("--accept-incomplete")
    assert told.exit_code == 0, told.output
    assert [level["on_hand"] for level in stored_levels(db).values()] == [3]


async def test_a_copy_without_a_movement_that_it_says_it_has_is_not_restored(
    serve, db, copying, restore, names, dynamo, monkeypatch
) -> None:
    first = await serve()
    await set_stock(first.stock, 1)

    async def loses(*_: Any) -> None:
        return None

    monkeypatch.setattr(CopyStore, "put_movements", loses)
    monkeypatch.setattr(CopyStore, "put_fold", loses)
    await copying(first)
    (there,) = await CopyLeases(dynamo, names, first.server.store.store_id).partitions(
        [ONLINE], soon()
    )
    nothing = there.watermark.folded._replace(seq=0)
    await dynamo.call(
        "update_item", soon(), TableName=names.copy,
        Key={"item": {"S": f"{first.server.store.store_id}/partition/{ONLINE}"}},
        UpdateExpression="SET folded = :folded",
        ExpressionAttributeValues={":folded": {"N": pack_place(nothing)}},
    )  # fmt: skip
    await first.stop()
    db.flushall()
    told = await restore()
    assert (told.exit_code, "its movement 1 is not there" in told.output) == (2, True)
    assert db.keys("*") == []


async def test_a_restore_that_breaks_off_is_seen_by_servers_and_begun_anew(
    serve, db, copying, restore, monkeypatch
) -> None:
    first = await serve()
    await a_day(first.stock, first.holds, 4)
    await copying(first)
    before = world(db)
    await first.stop()
    db.flushall()
    real = RestoreStore._run
    for step in range(2, 30):
        calls = 0

        async def dies(self: Any, *args: Any, step: int = step) -> None:
            nonlocal calls
            calls += 1
            if calls == step:
                raise ConnectionError("killed")
            await real(self, *args)

        with monkeypatch.context() as patched:
            patched.setattr(RestoreStore, "_run", dies)
            told = await restore()
        if calls < step:
            break
        assert told.exit_code == 2
        with pytest.raises(StartError, match="restore into this Redis is under way, or broke off"):
            await serve()
    assert step > 5
    assert told.exit_code == 0, told.output
    assert world(db) == before
    again = await serve()
    assert await again.discrepancies() == []


async def test_a_data_folder_that_was_lost_is_restored_without_a_server(
    serve, db, copying, dynamo_endpoint, table_prefix, tmp_path, monkeypatch
) -> None:
    """A server of a folder has its Redis in it: where that is empty, none starts."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "double")
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    before = stored_levels(db)
    await first.stop()
    where = ["--dynamodb-endpoint", dynamo_endpoint, "--table-prefix", table_prefix]
    command = ["restore", "--data-dir", str(tmp_path / "data"), *where]
    told = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert told.exit_code == 0, told.output
    own = EmbeddedRedis(tmp_path / "data")
    await own.start()
    with redis.Redis.from_url(own.url, decode_responses=True) as client:
        assert stored_levels(client) == before
        # While a server has the folder, its Redis is the one that is looked at.
        told = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert (told.exit_code, "not empty" in told.output) == (2, True), told.output
    await own.stop()
