"""ListMovements past the journal: the durable copy goes on, as if nothing had been trimmed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result
from google.protobuf.timestamp_pb2 import Timestamp
from inventory.v1 import stock_service_pb2 as pb
from typer.testing import CliRunner

from inventory_server import copy_root
from inventory_server.cli import app
from inventory_server.domain.copy import JournalEntry, Place, Watermark
from inventory_server.domain.model import MovementFilter
from inventory_server.operations import movements as movements_module
from inventory_server.operations.expiry import Expiry
from inventory_server.operations.holds import HoldOperations
from inventory_server.operations.movements import MovementOperations
from inventory_server.operations.trimming import Trimmer
from inventory_server.settings import Settings
from inventory_server.stores import (
    copy_fold,
    copy_history,
    copy_reader,
    copy_tables,
)
from inventory_server.stores.copy_fold import CopyFold
from inventory_server.stores.copy_history import CopyHistory, CopyWalk
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.movement_store import MovementStore
from inventory_server.stores.stream_store import StreamStore
from tests.calls import line, place, refused, set_stock
from tests.copy.conftest import Serving
from tests.copy.day import DELHI, ONLINE, PLACES, a_day, until_copied
from tests.copy.draining_here import DrainerHere
from tests.copy.entries import NOW, STORE, entry, soon
from tests.faults.dynamo_proxy import delayed
from tests.faults.dynamo_proxy import refused as answers

ONE_LEVEL = {"sku": "SKU1", "location": "online"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read at once is little, so that a day has many borders."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "double")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "double")
    for module in (copy_tables, copy_reader, copy_history):
        monkeypatch.setattr(module, "MOVEMENTS_A_RUN", 10)
    for module in (movements_module, copy_history):
        monkeypatch.setattr(module, "MOVEMENTS_A_READ", 7)
    monkeypatch.setattr(copy_fold, "SEQS_A_SPAN", 3)
    monkeypatch.setattr(copy_root, "DrainChild", DrainerHere)
    monkeypatch.setattr(CopyWalk, "SPANS_A_READ", 2)


@pytest.fixture
def start(
    settings: Settings, dynamo_proxy: Any, table_prefix: str, serve_with: Any, dynamo: Any
) -> Callable[..., Any]:
    """Starts servers that copy their store."""
    endpoint = dynamo_proxy.endpoint
    copied = replace(settings, dynamodb_endpoint=endpoint, table_prefix=table_prefix)
    return lambda **more: serve_with(replace(copied, **{"store_timeout_s": 30.0, **more}))


async def page_of(stock: Any, query: dict[str, Any], size: int, token: str = "") -> Any:
    return await stock.ListMovements(
        pb.ListMovementsRequest(page_size=size, page_token=token, **query)
    )


async def listed(stock: Any, query: dict[str, Any], size: int = 1000, token: str = "") -> list[Any]:
    """Every movement of a walk, from a token on."""
    found: list[Any] = []
    while True:
        page = await page_of(stock, query, size, token)
        assert len(page.movements) <= size
        found += page.movements
        token = page.next_page_token
        if not token:
            return found


async def a_copied_day(one: Serving, db: Any, dynamo: Any, names: Any, seed: int = 7) -> None:
    await a_day(one.stock, one.holds, 12, seed=seed)
    await until_copied(db, CopyLeases(dynamo, names, one.server.store.store_id))


async def trim(one: Serving, kept: int) -> int:
    """Trims each journal to so many movements."""
    store = StreamStore(one.server.store, "journal")
    return await Trimmer(store, max_age_ms=10**12, max_entries=kept, max_bytes=1 << 30).trim()


def queries(found: list[Any]) -> list[dict[str, Any]]:
    """Every way to ask, for the movements that are there."""
    early, late = found[len(found) * 3 // 4].time, found[len(found) // 4].time
    of_both = {m.hold_id for m in found if m.location == "online"} & {
        m.hold_id for m in found if m.location == "store:DELHI"
    }
    hold_id = max(of_both - {""})
    return [
        {}, {"location": "store:DELHI"}, ONE_LEVEL, {"sku": "GONE", "location": "store:DELHI"},
        {"hold_id": hold_id}, {"hold_id": hold_id, "location": "online"},
        {"reference": "order-3"}, {"actor": "anonymous", "from_time": early},
        {"to_time": late}, {"to_time": early}, {"from_time": early, "to_time": late},
        {**ONE_LEVEL, "to_time": early}, {**ONE_LEVEL, "from_time": early, "to_time": late},
        {"hold_id": hold_id, "to_time": late}, {"to_time": found[-1].time},
        {"from_time": Timestamp(seconds=1), "to_time": Timestamp(seconds=2)},
    ]  # fmt: skip


async def test_what_was_trimmed_is_listed_as_it_was(start, db, dynamo, names) -> None:
    one = await start()
    await a_copied_day(one, db, dynamo, names)
    asked = queries(await listed(one.stock, {}))
    before = [await listed(one.stock, query) for query in asked]
    assert len(before[0]) > 40
    # Nothing is before the first or long ago; when the day was short, not of every hold either.
    assert sum(map(bool, before)) >= len(before) - 4
    for kept in (11, 1):
        assert await trim(one, kept) > 0
        for query, wanted in zip(asked, before, strict=True):
            for size in (4, 1000):
                assert await listed(one.stock, query, size) == wanted, (query, kept, size)
    # One walk, one movement a page.
    assert await listed(one.stock, ONE_LEVEL, 1) == before[2]
    db.flushall()


async def test_a_walk_goes_on_where_its_place_is_trimmed_meanwhile(
    start, db, dynamo, names
) -> None:
    one = await start()
    await a_copied_day(one, db, dynamo, names)
    asked = queries(await listed(one.stock, {}))
    before = [await listed(one.stock, query) for query in asked]
    chance, kept = random.Random(5), 25
    walks = [([], "") for _ in asked]
    going = set(range(len(asked)))
    while going:
        for n in sorted(going):
            found, token = walks[n]
            page = await page_of(one.stock, asked[n], chance.randint(1, 9), token)
            walks[n] = ([*found, *page.movements], page.next_page_token)
            if not page.next_page_token:
                going.remove(n)
        kept = max(1, kept - 4)
        await trim(one, kept)
        await set_stock(one.stock, kept, sku="LATER")
    assert [found for found, _ in walks] == before
    db.flushall()


async def test_the_copy_is_asked_only_for_what_the_journal_has_not(
    start, db, dynamo, names, dynamo_proxy
) -> None:
    one = await start()
    await a_copied_day(one, db, dynamo, names)
    everything = await listed(one.stock, {})
    await trim(one, 12)
    wanted = await listed(one.stock, ONE_LEVEL)
    dynamo_proxy.inject(answers("AccessDeniedException"))
    recent = await page_of(one.stock, ONE_LEVEL, 2)
    assert list(recent.movements) == wanted[:2]
    since = {"from_time": everything[8].time}
    assert await listed(one.stock, since, 3) == [
        m for m in everything if m.time.ToMilliseconds() >= since["from_time"].ToMilliseconds()
    ]
    for query, token in (
        (ONE_LEVEL, recent.next_page_token), ({}, ""), ({"to_time": everything[-5].time}, ""),
    ):  # fmt: skip
        refusal = await refused(page_of(one.stock, query, 1000, token))
        assert refusal.reason == "STORE_UNAVAILABLE"
        assert "only in the durable copy, which is out of reach" in refusal.status.message
    dynamo_proxy.heal()
    assert await listed(one.stock, ONE_LEVEL, 5, recent.next_page_token) == wanted[2:]
    db.flushall()


async def test_without_a_copy_a_walk_ends_where_the_journal_does(serve, db) -> None:
    one = await serve()
    for n in range(9):
        await set_stock(one.stock, n)
    store = StreamStore(one.server.store, "journal")
    await Trimmer(store, max_age_ms=10**12, max_entries=4).trim()
    assert len(await listed(one.stock, ONE_LEVEL, 3)) == 4
    db.flushall()


async def test_movements_from_before_a_restore_are_listed_after_it(
    start, db, dynamo, names, redis_url, dynamo_endpoint, table_prefix
) -> None:
    one = await start()
    await a_copied_day(one, db, dynamo, names)
    asked = queries(await listed(one.stock, {}))[::2]
    before = [await listed(one.stock, query) for query in asked]
    token = (await page_of(one.stock, {}, 10)).next_page_token
    await one.stop()
    db.flushall()
    flags = ("--redis-url", redis_url, "--dynamodb-endpoint", dynamo_endpoint)
    told: Result = await asyncio.to_thread(
        CliRunner().invoke, app, ["restore", *flags, "--table-prefix", table_prefix]
    )
    assert told.exit_code == 0, told.output
    again = await start()
    for query, wanted in zip(asked, before, strict=True):
        assert await listed(again.stock, query) == wanted, query
    assert await listed(again.stock, {}, 9, token) == before[0][10:]
    # And what comes in the new epoch, once that is trimmed too.
    await a_copied_day(again, db, dynamo, names, seed=8)
    wanted = [await listed(again.stock, query) for query in asked]
    assert wanted[0][-len(before[0]) :] == before[0]
    assert len(wanted[0]) > len(before[0]) + 30
    assert await trim(again, 1) > 0
    for query, movements in zip(asked, wanted, strict=True):
        assert await listed(again.stock, query, 20) == movements, query
    db.flushall()


async def test_what_was_on_its_way_at_a_restore_is_never_listed(
    start, db, dynamo, names, redis_url, dynamo_endpoint, table_prefix
) -> None:
    """A movement of a hold is in the copy, and the one before it is not."""
    one = await start()
    for location in PLACES:
        await set_stock(one.stock, 50, location=location)
    both = (line(), line(location="store:DELHI"))
    hold_id = (await place(one.holds, *both)).hold.hold_id
    asked = ({"hold_id": hold_id}, {"hold_id": hold_id, "location": "store:DELHI"}, {})
    wanted = [await listed(one.stock, query) for query in asked]
    store = one.server.store
    await until_copied(db, CopyLeases(dynamo, names, store.store_id))
    await one.stop()
    ((last, fields),) = db.xrevrange(f"inv:{{{DELHI}}}:journal", count=1)
    seq = int(last.partition("-")[0]) + 2
    never = JournalEntry(1, DELHI, seq, {**fields, "id": "never.1"})
    copy = CopyStore(dynamo, names, store.store_id, retention_ms=86_400_000)
    await copy.put_movements([never], soon)
    db.flushall()
    flags = ("--redis-url", redis_url, "--dynamodb-endpoint", dynamo_endpoint)
    told: Result = await asyncio.to_thread(
        CliRunner().invoke, app, ["restore", *flags, "--table-prefix", table_prefix]
    )
    assert told.exit_code == 0, told.output
    assert f"{seq - 1} to {seq} were on their way and are lost" in told.output
    again = await start()
    assert [await listed(again.stock, query) for query in asked] == wanted
    for n in range(5):
        await set_stock(again.stock, 60 + n, location="store:DELHI")
    await until_copied(db, CopyLeases(dynamo, names, store.store_id))
    assert await trim(again, 1) > 0
    assert [await listed(again.stock, query) for query in asked[:2]] == wanted[:2]
    assert (await listed(again.stock, {}))[5:] == wanted[2]
    db.flushall()


async def test_a_page_ends_early_where_the_copy_is_slow(
    start, db, dynamo, names, dynamo_proxy
) -> None:
    """Its caller waits 2 s, and the whole walk takes longer."""
    one = await start(store_timeout_s=2.0)
    await a_copied_day(one, db, dynamo, names)
    wanted = await listed(one.stock, {"location": "online"})
    await trim(one, 1)
    dynamo_proxy.inject(delayed(0.4), operation="Query")
    pages, token = [], "-"
    while token:
        page = await page_of(one.stock, {"location": "online"}, 1000, token.strip("-"))
        pages.append(page.movements)
        token = page.next_page_token
    assert [m for page in pages for m in page] == wanted
    assert 1 < len(pages) < 6
    dynamo_proxy.heal()
    db.flushall()


# The copy alone


@pytest.fixture
def history(dynamo, names) -> CopyHistory:
    return CopyHistory(dynamo, names, CopyLeases(dynamo, names, STORE), STORE)


async def copied(
    history: CopyHistory, copy: Any, entries: list[Any], folded: int, lost: int = 0, number: int = 3
) -> None:
    """Puts these into the copy, with their histories up to a seq."""
    await copy.put_movements(entries, soon)
    for epoch in sorted({one.epoch for one in entries}):
        fold = CopyFold()
        for one in entries:
            if one.epoch == epoch and one.seq <= folded:
                fold.add(one)
        await copy.put_fold(fold, soon)
    last = max(Place(one.epoch, one.seq) for one in entries)
    assert await history.leases.take(number, "drainer", 0, soon())
    mark = Watermark(last, NOW, "", Place(last.epoch, folded), lost)
    assert await history.leases.advance(number, 1, mark, soon())


async def walked(history: CopyHistory, seq: int, **wanted: Any) -> tuple[list[int], int]:
    """The seqs of a walk from a seq down, and how many reads it took."""
    found, reads = [], 0
    while seq:
        walk = history.walk(MovementFilter(**wanted), soon())
        older = await walk.before(3, seq)
        found += [(m.seq, m.movement_id) for m in older.movements]
        if older.movements:
            assert older.movements[-1].seq < seq
        seq, reads = older.below, reads + 1
    return found, reads


async def test_a_gap_of_the_copy_is_passed_in_bounded_reads(history, copy) -> None:
    """Movements that were trimmed before they were copied are nowhere."""
    entries = [entry(seq) for seq in (1, 2, 3, 204, 205, 206)]
    await copied(history, copy, entries, 206)
    wanted = [(one.seq, one.fields["id"]) for one in reversed(entries)]
    found, reads = await walked(history, 207)
    assert (found, reads) == (wanted, 21)
    assert (await walked(history, 207, sku="A", location="online"))[0] == wanted
    walk = history.walk(MovementFilter(to_ms=NOW + 204), soon())
    assert await walk.seq_at(3, 207, NOW + 204) == 204
    assert [m.seq for m in (await walk.before(3, 207)).movements] == []


async def test_a_copy_that_began_late_is_not_looked_through_to_the_first_seq(history, copy) -> None:
    assert await walked(history, 10**6) == ([], 1), "nothing was copied yet"
    await copied(history, copy, [entry(seq) for seq in range(10**6, 10**6 + 5)], 0, 10**6 - 1)
    found, reads = await walked(history, 10**6 + 5)
    assert ([seq for seq, _ in found], reads) == ([*range(10**6 + 4, 10**6 - 1, -1)], 2)


async def test_what_a_levels_history_does_not_name_yet_is_found(history, copy) -> None:
    entries = [entry(seq, sku="AB"[seq % 2]) for seq in range(1, 36)]
    await copied(history, copy, entries, 18)
    found, _ = await walked(history, 36, sku="A", location="online")
    assert [seq for seq, _ in found if seq <= 18] == list(range(18, 0, -2))
    assert [seq for seq, _ in found if seq > 18] == list(range(35, 18, -1)), "all of the journal"


async def test_of_two_epochs_the_later_one_counts_and_of_a_fork_both(history, copy) -> None:
    """Epoch 1 was restored up to 14; what it has past that never was. Then 22 came twice."""
    first = [entry(seq) for seq in range(1, 18)]
    second = [entry(seq, epoch=2, op=f"new{seq}") for seq in range(15, 25)]
    fork = entry(22, epoch=2, op="fork22")
    await copied(history, copy, [*first, *second, fork], 14)
    found, _ = await walked(history, 25)
    wanted = [(seq, f"new{seq}.1") for seq in range(24, 14, -1)]
    wanted.insert(3, (22, "fork22.1"))
    assert found == [*wanted, *[(seq, f"op{seq}.1") for seq in range(14, 0, -1)]]


async def test_a_clock_that_was_set_back_hides_nothing_of_a_level(history, copy) -> None:
    """From the tenth movement on it is half a minute earlier."""
    entries = [entry(seq, at_ms=str(NOW + seq + 30_000 * (seq < 10))) for seq in range(1, 19)]
    await copied(history, copy, entries, 18)
    found, _ = await walked(history, 19, sku="A", location="online")
    assert [seq for seq, _ in found] == [*range(18, 0, -1)]


async def paged(pages: MovementOperations, wanted: MovementFilter, count: int) -> list[list[str]]:
    """The ids of each page of a walk."""
    found, after = [], ""
    while not found or after:
        page = await pages.page(wanted, after=after, count=count, deadline=soon())
        found.append([movement.movement_id for movement in page.movements])
        after = page.last
    return found


def pages_of(serving: Serving, db: Any, history: CopyHistory, kept_from: int) -> MovementOperations:
    """Of a store whose journal has nothing before this seq, nor from it on."""
    db.hset(f"inv:{{{ONLINE}}}:meta", mapping={"kept_from": kept_from, "seq": kept_from - 1})
    store = serving.server.store
    holds = HoldStore(store, retention_ms=86_400_000, max_hold_life_ms=86_400_000)
    operations = HoldOperations(holds, Expiry(holds, store.keys), default_ttl_ms=1000)
    return MovementOperations(MovementStore(store), operations, history)


async def test_a_fork_is_not_parted_by_the_end_of_a_page(serve, db, history, copy) -> None:
    entries = [entry(seq, partition=ONLINE) for seq in range(1, 20)]
    fork = entry(12, partition=ONLINE, op="fork12")
    await copied(history, copy, [*entries, fork], 19, number=ONLINE)
    pages = pages_of(await serve(), db, history, 20)
    wanted = {one.fields["id"] for one in [*entries, fork]}
    for count in (1, 2, 3):
        found = await paged(pages, MovementFilter(location="online"), count)
        ids = [movement_id for page in found for movement_id in page]
        assert (len(ids), set(ids)) == (20, wanted), count
    db.flushall()


async def test_a_page_over_a_gap_of_the_copy_reads_so_much_and_no_more(
    serve, db, history, copy, monkeypatch
) -> None:
    monkeypatch.setattr(movements_module, "MAX_PAGE_SCAN", 70)
    reads, real = [], CopyWalk.before

    async def counted(self: CopyWalk, *args: int) -> Any:
        reads.append(args)
        return await real(self, *args)

    monkeypatch.setattr(CopyWalk, "before", counted)
    entries = [entry(seq, partition=ONLINE) for seq in (1, 2, 3, 504, 505)]
    await copied(history, copy, entries, 505, 500, number=ONLINE)
    pages = pages_of(await serve(), db, history, 506)
    first = await pages.page(MovementFilter(location="online"), after="", count=9, deadline=soon())
    assert [one.seq for one in first.movements] == [505, 504]
    assert first.last
    assert len(reads) <= 12
    found = await paged(pages, MovementFilter(location="online"), 9)
    assert [id_ for page in found for id_ in page] == [e.fields["id"] for e in reversed(entries)]
    db.flushall()


async def test_a_time_long_past_is_found_without_reading_down_to_it(
    start, db, dynamo, names, monkeypatch
) -> None:
    one = await start()
    for n in range(80):
        await set_stock(one.stock, n)
    everything = await listed(one.stock, {"location": "online"})
    await until_copied(db, CopyLeases(dynamo, names, one.server.store.store_id))
    assert await trim(one, 1) > 70
    reads, real = [], CopyWalk.before

    async def counted(self: CopyWalk, *args: int) -> Any:
        reads.append(args)
        return await real(self, *args)

    monkeypatch.setattr(CopyWalk, "before", counted)
    early = {"location": "online", "to_time": everything[-3].time}
    found = list((await page_of(one.stock, early, 10)).movements)
    assert found == [
        m for m in everything if m.time.ToNanoseconds() < early["to_time"].ToNanoseconds()
    ]
    assert found
    assert len(reads) <= 2
    db.flushall()


async def test_a_hold_is_found_whole_wherever_its_movements_are(start, db, dynamo, names) -> None:
    """Its journal is full of others, and all is trimmed."""
    one = await start()
    await set_stock(one.stock, 50)
    hold_id = (await place(one.holds)).hold.hold_id
    wanted = await listed(one.stock, {"hold_id": hold_id})
    for n in range(30):
        await set_stock(one.stock, n + 10)
    await until_copied(db, CopyLeases(dynamo, names, one.server.store.store_id))
    await trim(one, 1)
    assert await listed(one.stock, {"hold_id": hold_id}) == wanted
    assert len(wanted) == 1
    db.flushall()
