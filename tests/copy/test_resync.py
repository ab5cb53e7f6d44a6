"""`inventory-server resync`: a copy that lacks movements becomes one to restore from again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import pytest
from inventory.v1 import hold_service_pb2 as hold_pb

from inventory_server.drain_process import DrainRoot
from inventory_server.operations.resyncing import Resync
from inventory_server.stores import resync_source
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.resync_source import ResyncSource
from tests.calls import key, place, set_stock
from tests.copy.day import DELHI, ONLINE, PLACES, until_copied
from tests.copy.entries import all_of, until
from tests.copy.losing import (
    BOTH,
    a_day_that_is_lost,
    assert_restored,
    lacking,
    set_default,
    trim,
)
from tests.copy.serving import PARTITIONS
from tests.fold import stored_levels


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read at once is little, so that a partition has many pages."""
    monkeypatch.setattr(resync_source, "_STATES_A_READ", 1)


@pytest.fixture
def resync(run_copy_command: Any) -> Any:
    return partial(run_copy_command, "resync")


@pytest.fixture
def status(run_copy_command: Any) -> Any:
    return partial(run_copy_command, "status")


@pytest.mark.parametrize(
    ("lost", "is_copied_before"),
    [((ONLINE, DELHI), True), ((ONLINE, DELHI), False), ((ONLINE,), True), ((DELHI,), True)],
    ids=["both", "before the first copy", "home", "away"],
)
async def test_what_was_trimmed_before_it_was_copied_is_made_up_for(
    serve, db, copying, restore, resync, status, leases_of, lost, is_copied_before
) -> None:
    first = await serve()
    earlier = copying if is_copied_before else None
    await a_day_that_is_lost(first, db, earlier, is_home_lost=ONLINE in lost)
    trim(db, *lost)
    await copying(first)
    lacks = await lacking(leases_of(first))
    assert lacks > 0
    assert (await status()).exit_code == 1
    told = await resync()
    assert told.exit_code == 0, told.output
    assert f"Resynced {len(lost)} partitions" in told.output
    assert f"Histories lack {lacks} movements for good." in told.output
    told = await status()
    wanted = f"the copy is complete (histories lack {lacks} movements for good)."
    assert (told.exit_code, wanted in told.output) == (0, True), told.output
    told = await resync()
    assert (told.exit_code, "Resynced" in told.output) == (0, False), "there is nothing to do"
    await assert_restored(first, db, restore, serve)


async def test_what_changes_meanwhile_is_copied_too(
    serve,
    db,
    copying,
    restore,
    resync,
    leases_of,
    dynamo_endpoint,
    table_prefix,
    settings,
) -> None:
    first = await serve()
    await a_day_that_is_lost(first, db, copying)
    trim(db, ONLINE, DELHI)
    given = replace(settings, dynamodb_endpoint=dynamo_endpoint, table_prefix=table_prefix)
    root = DrainRoot(given, first.server.store)
    draining = asyncio.create_task(root.run())
    numbers, is_over = count(), asyncio.Event()

    async def goes_on() -> None:
        while not is_over.is_set():
            n = next(numbers)
            made = await place(first.holds, *BOTH, metadata=key(f"meanwhile-{n}"))
            if n % 3:
                hold_id = made.hold.hold_id
                await first.holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id))
            for location in PLACES:
                await set_stock(first.stock, 900, location=location)

    changing = asyncio.create_task(goes_on())
    began = next(numbers)
    told = await resync()
    assert told.exit_code == 0, told.output
    ended = next(numbers)
    assert ended - began > 5
    await until(lambda: next(numbers) > ended + 5)
    is_over.set()
    await changing
    await until_copied(db, leases_of(first))
    root.stop()
    await draining
    assert await lacking(leases_of(first)) == 0, "the drainer does not take it back"
    await assert_restored(first, db, restore, serve)


@pytest.mark.parametrize("lost", [ONLINE, DELHI], ids=["home", "away"])
async def test_what_changes_after_it_was_read_is_newer_than_what_was_read(
    serve, db, copying, restore, resync, monkeypatch, lost
) -> None:
    """Each thing once only: a level has fewer versions than its partition has movements."""
    first = await serve()
    stock, holds = first.stock, first.holds
    await a_day_that_is_lost(first, db, copying, is_home_lost=lost == ONLINE)
    sold, longer = [
        (await place(holds, *BOTH, metadata=key(name))).hold.hold_id for name in ("sale", "long")
    ]
    trim(db, lost)
    await copying(first)
    real, loop = Resync._copy, asyncio.get_running_loop()

    async def changes() -> None:
        await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=sold))
        await holds.ExtendHold(hold_pb.ExtendHoldRequest(hold_id=longer, ttl={"seconds": 3600}))
        for location in PLACES:
            await set_stock(stock, 777, sku="SKU2", location=location)
            await set_default(stock, location, 3)
        await copying(first)

    async def copies(self: Resync, number: int, at: Any) -> None:
        await real(self, number, at)
        if number == lost:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(changes(), loop))

    monkeypatch.setattr(Resync, "_copy", copies)
    told = await resync()
    assert (told.exit_code, "Resynced 1 partitions" in told.output) == (0, True), told.output
    await assert_restored(first, db, restore, serve)


async def test_it_may_break_off_anywhere_and_is_begun_anew(
    serve, db, copying, restore, resync, leases_of, monkeypatch
) -> None:
    first = await serve()
    await a_day_that_is_lost(first, db, copying)
    trim(db, ONLINE, DELHI)
    await copying(first)
    for step in range(1, 40):
        steps = count(1)

        def dies_at(real: Any, step: int = step, steps: Any = steps) -> Any:
            async def works(*args: Any) -> Any:
                if next(steps) == step:
                    raise ConnectionError("killed")
                return await real(*args)

            return works

        with monkeypatch.context() as patched:
            patched.setattr(CopyStore, "put_fold", dies_at(CopyStore.put_fold))
            patched.setattr(CopyLeases, "resync", dies_at(CopyLeases.resync))
            told = await resync()
        if told.exit_code == 0:
            break
        assert (told.exit_code, "killed" in told.output) == (2, True), told.output
        assert await lacking(leases_of(first)) > 0
    assert step >= 8
    await assert_restored(first, db, restore, serve)


async def test_where_more_is_lost_meanwhile_the_copy_is_not_called_complete(
    serve, db, copying, restore, resync, leases_of, monkeypatch
) -> None:
    first = await serve()
    await a_day_that_is_lost(first, db, copying)
    trim(db, ONLINE)
    await copying(first)
    seen = await lacking(leases_of(first))
    real, loop = Resync._copy, asyncio.get_running_loop()

    async def loses() -> None:
        for n in range(4):
            await set_stock(first.stock, 900 + n)
        trim(db, ONLINE)
        await copying(first)

    async def copies(self: Resync, *args: Any) -> None:
        await real(self, *args)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(loses(), loop))

    with monkeypatch.context() as patched:
        patched.setattr(Resync, "_copy", copies)
        told = await resync()
    assert (told.exit_code, "lost more movements meanwhile" in told.output) == (2, True)
    assert await lacking(leases_of(first)) == seen + 3
    assert (await resync()).exit_code == 0
    await assert_restored(first, db, restore, serve)


async def test_while_nobody_copies_what_changes_the_copy_is_not_called_complete(
    serve, db, copying, resync, leases_of, monkeypatch
) -> None:
    first = await serve()
    await a_day_that_is_lost(first, db, copying)
    trim(db, ONLINE)
    await copying(first)
    await set_stock(first.stock, 900)
    monkeypatch.setattr(Resync, "PATIENCE_S", 0.5)
    told = await resync()
    assert (told.exit_code, f"no server copies partition {ONLINE}" in told.output) == (2, True)
    assert await lacking(leases_of(first)) > 0


async def test_what_was_trimmed_and_no_server_has_noticed_yet_is_waited_for(
    serve, db, copying, resync, leases_of, monkeypatch
) -> None:
    """The copy itself does not know yet that it lacks something."""
    first = await serve()
    await a_day_that_is_lost(first, db, copying)
    trim(db, ONLINE)
    assert await lacking(leases_of(first)) == 0
    monkeypatch.setattr(Resync, "PATIENCE_S", 0.5)
    told = await resync()
    assert (told.exit_code, f"no server copies partition {ONLINE}" in told.output) == (2, True)
    await copying(first)
    assert "Resynced 1 partitions" in (await resync()).output


async def test_without_a_copy_or_with_another_stores_nothing_is_written(
    serve, db, dynamo, copying, resync
) -> None:
    told = await resync()
    assert (told.exit_code, "nothing was copied yet" in told.output) == (2, True), told.output
    first = await serve()
    await set_stock(first.stock, 5)
    await copying(first)
    for n in range(PARTITIONS):
        db.hset(f"inv:{{{n}}}:meta", "store_id", "other")
    told = await resync()
    assert (told.exit_code, "the durable copy is of the store" in told.output) == (2, True)


async def test_a_redis_that_is_lost_meanwhile_takes_nothing_out_of_the_copy(
    serve, db, copying, restore, resync, reader, monkeypatch
) -> None:
    first = await serve()
    await a_day_that_is_lost(first, db, copying)
    trim(db, ONLINE)
    await copying(first)
    store_id = first.server.store.store_id

    async def copied_levels() -> set[tuple[str, str]]:
        states = [
            state for n in range(PARTITIONS) for state in await all_of(reader.levels(store_id, n))
        ]
        return {(state.location, state.sku) for state in states if state.packed}

    before = await copied_levels()
    await first.stop()
    real = ResyncSource.deleted

    async def is_lost(self: ResyncSource, *args: Any) -> Any:
        db.flushall()
        return await real(self, *args)

    monkeypatch.setattr(ResyncSource, "deleted", is_lost)
    told = await resync()
    assert (told.exit_code, "went back" in told.output) == (2, True), told.output
    assert before <= await copied_levels()
    told = await restore("--accept-incomplete")
    assert told.exit_code == 0, told.output
    assert len(stored_levels(db)) >= 4
