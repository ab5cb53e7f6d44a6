"""The drainer: afterwards the copy is the fold of the journals, whatever stopped it and where."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.domain.copy import CopiedStore
from inventory_server.domain.errors import StoreUnavailable
from inventory_server.operations.drain_leases import DrainLeases
from inventory_server.operations.draining import Drainer
from inventory_server.operations.partition_drain import PartitionDrain
from inventory_server.operations.trimming import Trimmer
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.dynamo import LostError
from inventory_server.stores.stream_store import StreamStore
from tests.calls import COUNT, set_stock
from tests.copy.day import DELHI, ONLINE, a_day, until_copied
from tests.copy.entries import NOW, soon, until
from tests.copy.serving import (
    PARTITIONS,
    assert_copy_is_the_fold,
    assert_histories_are_whole,
    marks,
)
from tests.faults.dynamo_proxy import broken, partly, reply_lost, throttled


async def test_all_of_a_day_is_copied_and_redis_knows_how_far(
    stock, holds, db, reader, leases, running
) -> None:
    drainer = running()
    await a_day(stock, holds)
    await until_copied(db, leases)
    assert await assert_copy_is_the_fold(db, reader) > 40
    await assert_histories_are_whole(
        db, reader, (ONLINE, "online", "SKU1"), (DELHI, "store:DELHI", "GONE")
    )
    for n, seq in marks(db).items():
        assert int(db.hget(f"inv:{{{n}}}:meta", "copied")) == seq
        progress = drainer.progress.of(n)
        assert (progress.copied_seq, progress.journal_seq, progress.not_copied) == (seq, seq, 0)
    assert sum(drainer.progress.lags) == sum(marks(db).values())
    assert 0 < drainer.progress.quantile_ms(0.5) <= 5_000
    assert drainer.progress.lag_ms(NOW) == 0


STEPS = (
    (CopyStore, "put_movements"), (CopyStore, "put_fold"), (CopyLeases, "advance"),
    (CopySource, "mark"), (CopyLeases, "take"), (CopyLeases, "beat"), (CopyLeases, "partitions"),
    (CopyStore, "_write_part"),
)  # fmt: skip


class Killed(BaseException):
    """Ends a drainer as a kill would: nothing of it goes on."""


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_a_drainer_that_dies_at_any_step_leaves_nothing_out_and_nothing_twice(
    stock, holds, db, reader, leases, make, running, monkeypatch, is_done
) -> None:
    for n, (owner, step) in enumerate(STEPS):
        await a_day(stock, holds, 2, seed=n)
        with monkeypatch.context() as patched:
            # The last one has died: nobody waits for its term to be over.
            patched.setattr(DrainLeases, "TERM_S", 0.0)
            patched.setattr(owner, step, _dies_at(owner, step, 3, is_done=is_done))
            with pytest.raises(Killed):
                await _live(make(), stock)
    running()
    await until_copied(db, leases)
    await assert_copy_is_the_fold(db, reader)
    await assert_histories_are_whole(db, reader, (ONLINE, "online", "SKU1"))


def _dies_at(owner: Any, step: str, call: int, *, is_done: bool) -> Any:
    real, calls = getattr(owner, step), 0

    async def dies(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls < call or is_done:
            answer = await real(self, *args, **kwargs)
        if calls >= call:
            raise Killed
        return answer

    return dies


async def _live(drainer: Drainer, stock: Any) -> None:
    """What `run` does, one step after another, so that an end is an end."""
    await drainer._begin()
    for n in range(9):
        await drainer.lease.keep()
        await drainer.drain()
        await asyncio.gather(*[drain.fold() for drain in drainer._drains.values()])
        await set_stock(stock, 400 + n, sku="SKU1")


async def test_faults_of_dynamodb_delay_the_copy_and_change_nothing(
    stock, holds, db, reader, leases, dynamo_proxy, running
) -> None:
    for fault, operation in (
        (throttled(), ""), (broken, ""), (reply_lost, ""), (partly(2), "BatchWriteItem"),
        (reply_lost, "UpdateItem"), (reply_lost, "BatchWriteItem"),
    ):  # fmt: skip
        dynamo_proxy.inject(fault, operation=operation, times=4)
    running()
    await a_day(stock, holds)
    await until_copied(db, leases)
    await assert_copy_is_the_fold(db, reader)


async def test_what_fails_at_any_step_is_tried_again_by_the_same_drainer(
    stock, holds, db, reader, leases, running, monkeypatch
) -> None:
    chance = random.Random(5)
    with monkeypatch.context() as patched:
        for owner, step in STEPS:
            patched.setattr(owner, step, _fails_at_times(owner, step, chance))
        drainer = running()
        await a_day(stock, holds, 4)
        await until(lambda: sum(drainer.progress.lags) > 10)
    await until_copied(db, leases)
    await assert_copy_is_the_fold(db, reader)


def _fails_at_times(owner: Any, step: str, chance: random.Random) -> Any:
    """Before it has done anything, or when it has done it."""
    real = getattr(owner, step)

    async def fails(self: Any, *args: Any, **kwargs: Any) -> Any:
        if chance.random() < 0.1:
            raise StoreUnavailable("not done")
        answer = await real(self, *args, **kwargs)
        if chance.random() < 0.1:
            raise LostError("done")
        return answer

    return fails


async def test_holds_never_wait_for_dynamodb_and_all_is_copied_when_it_is_back(
    stock, holds, db, reader, leases, dynamo_proxy, running, monkeypatch
) -> None:
    drainer = running()
    await a_day(stock, holds, 2)
    await until_copied(db, leases)
    dynamo_proxy.stop()
    await a_day(stock, holds, 4, seed=2)
    lag = lambda: drainer.progress.lag_ms(2 * NOW)  # noqa: E731
    await until(lag)
    assert sum(marks(db).values()) > sum(
        int(db.hget(f"inv:{{{n}}}:meta", "copied")) for n in marks(db)
    )
    dynamo_proxy.start()
    await until_copied(db, leases)
    await assert_copy_is_the_fold(db, reader)
    assert lag() == 0


async def test_drainers_share_partitions_and_take_over_from_the_dead(
    stock, holds, db, reader, leases, running, make
) -> None:
    dead = make()
    await dead.lease.keep()
    await dead.drain()
    assert len(dead.lease.owned) == PARTITIONS
    drainers = [running(), running(), running()]
    await a_day(stock, holds, 5)
    await until_copied(db, leases)
    owners = {there.owner for there in await leases.partitions(range(PARTITIONS), soon())}
    assert dead.lease.name not in owners
    assert sum(len(drainer.lease.owned) for drainer in drainers) == PARTITIONS
    await assert_copy_is_the_fold(db, reader)


async def test_one_that_was_taken_for_dead_writes_on_and_changes_nothing(
    stock, holds, db, reader, leases, running, make, monkeypatch
) -> None:
    old = make()
    await old._begin()
    await old.lease.keep()
    await a_day(stock, holds, 3)
    monkeypatch.setattr(PartitionDrain, "BATCH", 5)
    await old.drain()
    for number in range(PARTITIONS):
        assert await leases.take(number, "another", 1, soon())
        assert await leases.leave(number, 2, soon())
    running()
    await a_day(stock, holds, 3, seed=3)
    await until_copied(db, leases)
    # It still believes that all is its own, and has nothing of what came since.
    await old.drain()
    assert not set(old.lease.owned) & set(marks(db))
    await assert_copy_is_the_fold(db, reader)


async def test_a_stopping_drainer_copies_all_and_leaves_at_once(
    stock, holds, db, reader, leases, make
) -> None:
    await a_day(stock, holds, 3)
    drainer = make()
    task = asyncio.create_task(drainer.run())
    await until(lambda: sum(drainer.progress.lags))
    drainer.stop()
    await task
    assert {there.owner for there in await leases.partitions(range(PARTITIONS), soon())} == {""}


# Trimming


async def test_what_is_not_copied_is_not_trimmed(server, stock, db, leases, running) -> None:
    trimmer = Trimmer(
        StreamStore(server.store, "journal"), max_age_ms=0, max_entries=1, max_bytes=1 << 30
    )
    for n in range(30):
        await set_stock(stock, n)
    assert await trimmer.trim() == 0
    running()
    await until_copied(db, leases)
    assert await trimmer.trim() == 29, "the last one that is copied stays, to be compared with"
    assert trimmer.uncopied == 0
    db.flushall()


async def test_past_the_bound_the_oldest_go_and_the_copy_says_that_it_is_not_complete(
    server, stock, db, leases, make, caplog
) -> None:
    trimmer = Trimmer(
        StreamStore(server.store, "journal"), max_age_ms=10**12, max_entries=10**6, max_bytes=30_000
    )
    skus = [f"SKU{n}" for n in range(400)]
    lines = [stock_pb.SetStockLine(sku=sku, location="online", on_hand=1) for sku in skus]
    await stock.SetStock(stock_pb.SetStockRequest(lines=lines, reason=COUNT))
    gone = await trimmer.trim()
    assert 50 < gone == trimmer.uncopied < 400
    assert db.xlen(f"inv:{{{ONLINE}}}:journal") == 400 - gone
    assert "went before they were copied" in caplog.text
    drainer = make()
    await drainer._begin()
    await drainer.lease.keep()
    while await drainer.drain():
        pass
    (there,) = await leases.partitions([ONLINE], soon())
    assert (there.watermark.not_copied, there.watermark.place.seq) == (gone, 400)
    assert drainer.progress.of(ONLINE).not_copied == gone
    db.flushall()


# A store that is not the copy's


async def test_a_store_that_went_back_is_not_copied(
    server, stock, db, reader, leases, make, caplog
) -> None:
    drainer = make()
    await drainer._begin()
    await drainer.lease.keep()
    for n in range(3):
        await set_stock(stock, n)
    await drainer.drain()
    journal, meta = f"inv:{{{ONLINE}}}:journal", f"inv:{{{ONLINE}}}:meta"
    db.hset(meta, "seq", 2)
    await drainer.drain()
    assert drainer.progress.of(ONLINE).rewound.startswith("it is at 1:2 of the store")
    # It went on past where the copy is: then its movement there is another one.
    last = db.xrange(journal, "3-0", "3-0")[0][1]
    db.delete(journal)
    db.xadd(journal, last | {"id": "other.1"}, "3-0")
    db.xadd(journal, last, "4-0")
    db.hset(meta, "seq", 4)
    await drainer.drain()
    assert "its movement 3 is other.1" in drainer.progress.of(ONLINE).rewound
    (there,) = await leases.partitions([ONLINE], soon())
    assert there.watermark.place.seq == 3
    db.flushall()


async def test_a_copy_of_another_store_is_left_alone(
    server, stock, db, reader, leases, dynamo, names, running, caplog
) -> None:
    await CopyLeases(dynamo, names, "other").register(
        CopiedStore("other", "00", 16, "3", 1), soon()
    )
    running()
    await set_stock(stock, 5)
    await until(lambda: "is of the store other" in caplog.text)
    assert {there.owner for there in await leases.partitions(range(PARTITIONS), soon())} == {""}
