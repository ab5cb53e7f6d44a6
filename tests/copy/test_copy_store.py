"""The copy's store: what is written again changes nothing, what is newer stays, forks show."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import pytest

from inventory_server.domain.copy import CopiedStore, HoldState, LevelState, Place, Watermark
from inventory_server.stores.copy_fold import CopyFold
from inventory_server.stores.copy_leases import CopyLeases, OtherStoreError
from inventory_server.stores.copy_tables import MOVEMENTS_A_RUN
from tests.copy.entries import NOW, STORE, all_of, entry, soon
from tests.faults.dynamo_proxy import broken, cut_short, partly, reply_lost, throttled


@pytest.fixture
def leases(dynamo: Any, names: Any) -> CopyLeases:
    return CopyLeases(dynamo, names, STORE)


MANY = 2 * MOVEMENTS_A_RUN + 7


async def movements(reader, after: int = 0, epoch: int = 1) -> list[Any]:
    return [found async for found in reader.movements(STORE, epoch, 3, after)]


async def test_movements_come_back_as_they_were_however_often_they_are_put(copy, reader) -> None:
    written = [entry(n) for n in range(1, MANY)]
    await copy.put_movements(written, soon)
    await copy.put_movements(written[40:90], soon)
    assert await movements(reader) == written
    assert await movements(reader, after=150) == written[150:]
    assert await movements(reader, after=MANY - 1) == []


async def test_movements_end_where_one_is_missing(copy, reader) -> None:
    await copy.put_movements([entry(n) for n in range(1, 250) if n not in (130, 200)], soon)
    assert [found.seq for found in await movements(reader)] == list(range(1, 130))
    assert [found.seq for found in await movements(reader, after=130)] == list(range(131, 200))
    assert await movements(reader, after=199) == []


async def test_a_fork_shows_as_two(copy, reader) -> None:
    await copy.put_movements([entry(1), entry(2), entry(2, op="other"), entry(3)], soon)
    found = await movements(reader)
    assert [(one.seq, one.fields["id"]) for one in found] == [
        (1, "op1.1"), (2, "op2.1"), (2, "other.1"), (3, "op3.1"),
    ]  # fmt: skip
    await copy.put_movements([entry(2, epoch=2)], soon)
    assert [one.epoch for one in await movements(reader, after=1, epoch=2)] == [2]
    assert len(await reader.history_of_level(STORE, "online", "A")) == 0


async def put(copy, *entries: Any) -> None:
    fold = CopyFold()
    for one in entries:
        fold.add(one)
    await copy.put_fold(fold, soon)


async def test_levels_are_the_newest_in_any_order(copy, reader) -> None:
    states = [(1, 7, "5 0 7"), (1, 8, "9 0 8"), (2, 8, "4 0 8")]
    for n, order in enumerate(permutations(states)):
        for epoch, seq, level in order:
            await put(copy, entry(seq, sku=f"A{n}", epoch=epoch, level=level))
    found = await all_of(reader.levels(STORE, 3))
    assert sorted(found) == [LevelState(3, "online", f"A{n}", "4 0 8", 2, 8) for n in range(6)]
    assert await all_of(reader.levels(STORE, 4)) == []


async def test_what_a_state_makes_needless_goes_with_it(copy, dynamo, names) -> None:
    record = f"print\n{NOW} 5000 1 3:4\n3 online A 1,3 online B 1,7 store:X A 1\n\n\n\n\n"
    placed = {"hold_id": "3-a", "record": record}
    await put(copy, entry(1), entry(2), entry(3, hold=f"HELD {NOW}", **placed))
    await put(copy, entry(5, level="1 0 4"), entry(6, level="1 0 5"))
    await put(copy, entry(7, sku="B", hold=f"RELEASED {NOW} {NOW}", **placed))
    for table, left in ((names.levels, 2), (names.holds, 1)):
        answer = await dynamo.call("scan", soon(), TableName=table)
        assert len(answer["Items"]) == left, table


async def test_a_deleted_level_stays_deleted_and_a_default_policy_is_a_level_without_sku(
    copy, reader
) -> None:
    await put(copy, entry(2, kind="DELETE", level=""))
    await put(copy, entry(1), entry(3, sku="", level="0 0 0 1 2 3 4 OK"), entry(4, sku="B"))
    found = {s.sku: (s.packed, s.rank) for s in await all_of(reader.levels(STORE, 3))}
    assert found == {"A": ("", 2), "": ("0 0 0 1 2 3 4 OK", 3), "B": ("4 0 4", 4)}
    await put(copy, entry(5, level="1 0 5"))
    found = {s.sku: (s.packed, s.rank) for s in await all_of(reader.levels(STORE, 3))}
    assert found["A"] == ("1 0 5", 5)


async def test_holds_are_the_newest_in_any_order(copy, reader) -> None:
    record = f"print\n{NOW} 5000 1 3:1\n3 online A 1\n\n\n\n\n"
    own = {"hold_id": "3-a", "record": record}
    opened = entry(1, hold=f"HELD {NOW + 9}", **own)
    extended = entry(2, hold=f"HELD {NOW + 20} - 0:0:0", **own)
    ended = entry(5, hold=f"CONFIRMED {NOW + 20} {NOW + 7}", **own)
    silent = entry(6, hold_id="3-a")
    for order in permutations((opened, extended, ended)):
        for one in order:
            await put(copy, one, silent)
        assert await all_of(reader.holds(STORE, 3)) == [
            HoldState("3-a", ended.fields["hold"], record, 1, 5)
        ]
    states = [HoldState("", one.fields["hold"], "", 1, 1) for one in (opened, extended, ended)]
    assert [state.is_open for state in states] == [True, True, False]
    assert [state.last_ms - NOW for state in states] == [9, 20, 20], "it vanishes no earlier"


async def test_a_history_has_each_movement_once_though_it_was_written_in_other_batches(
    copy, reader
) -> None:
    written = [entry(n, sku="AB"[n % 2], hold_id="3-h" if n % 3 else "") for n in range(1, 40)]
    await copy.put_movements(written, soon)
    for first, last in ((0, 20), (5, 30), (0, 10), (30, 39), (12, 39)):
        await put(copy, *written[first:last])
    assert await reader.history_of_level(STORE, "online", "A") == written[1::2]
    assert await reader.history_of_hold(STORE, "3-h") == [one for one in written if one.seq % 3]
    assert await reader.history_of_hold(STORE, "3-other") == []


@pytest.mark.parametrize(
    ("fault", "operation"),
    [
        (throttled(), ""),
        (broken, ""),
        (reply_lost, ""),
        (partly(3), "BatchWriteItem"),
        (partly(0), "BatchWriteItem"),
        (cut_short(0), ""),
        (cut_short(1), ""),
        (cut_short(0, partly(3)), "BatchWriteItem"),
        (cut_short(0, partly(0)), "BatchWriteItem"),
    ],
)
async def test_what_dynamodb_does_not_do_at_once_is_done_all_the_same(
    copy, reader, dynamo_proxy, fault, operation
) -> None:
    written = [entry(n) for n in range(1, 60)]
    dynamo_proxy.inject(fault, operation=operation, times=4)
    await copy.put_movements(written, soon)
    await put(copy, *written)
    dynamo_proxy.heal()
    assert await movements(reader) == written
    assert await reader.history_of_level(STORE, "online", "A") == written
    assert [state.rank for state in await all_of(reader.levels(STORE, 3))] == [59]


async def test_of_many_drainers_one_gets_a_partition_and_its_term_rises(leases) -> None:
    taken = await asyncio.gather(*[leases.take(3, f"d{n}", 0, soon()) for n in range(5)])
    assert sorted(taken) == [False] * 4 + [True]
    (there,) = await leases.partitions([3], soon())
    assert (there.owner, there.term) == (f"d{taken.index(True)}", 1)
    assert not await leases.take(3, "late", 0, soon())
    assert await leases.take(3, "next", 1, soon())
    assert not await leases.leave(3, 1, soon())
    assert await leases.leave(3, 2, soon())
    (there,) = await leases.partitions([3], soon())
    assert (there.owner, there.term, there.watermark) == ("", 2, Watermark())


async def test_a_watermark_moves_forward_and_only_by_who_has_the_term(leases) -> None:
    assert await leases.take(3, "d", 0, soon())
    one = Watermark(Place(1, 5), NOW, "op.1", Place(1, 2), 0)
    two = Watermark(Place(1, 9), NOW, "op.2", Place(1, 9), 3)
    later = Watermark(Place(2, 1), NOW, "op.3", Place(1, 9), 0)
    assert await leases.advance(3, 1, two, soon())
    assert not await leases.advance(3, 1, one, soon()), "never back"
    assert await leases.advance(3, 1, two, soon()), "again is no harm"
    assert not await leases.advance(3, 0, later, soon())
    assert not await leases.advance(3, 2, later, soon())
    assert await leases.take(3, "e", 1, soon())
    assert not await leases.advance(3, 1, later, soon()), "the term is over"
    assert await leases.advance(3, 2, later, soon())
    assert [there.watermark for there in await leases.partitions([2, 3], soon())] == [
        Watermark(), later,
    ]  # fmt: skip


async def test_a_mark_that_comes_late_takes_the_other_one_not_back(leases) -> None:
    assert await leases.take(3, "d", 0, soon())
    began, copied = Watermark(Place(1, 1), NOW, "op.1", Place(1, 1)), Place(1, 5)
    assert await leases.advance(3, 1, began, soon())
    moved = began._replace(place=copied, movement_id="op.5")
    assert await leases.advance(3, 1, moved, soon(), began)
    folded = moved._replace(folded=copied)
    assert await leases.advance(3, 1, folded, soon(), moved)
    # The one before, again: it was held up on its way.
    await leases.advance(3, 1, moved, soon(), began)
    (there,) = await leases.partitions([3], soon())
    assert there.watermark == folded
    # Its answer was lost, so who sent it does not know that all is folded yet.
    further = moved._replace(place=Place(1, 9), movement_id="op.9")
    assert await leases.advance(3, 1, further, soon(), moved)
    assert not await leases.advance(3, 1, moved, soon()), "never back"
    (there,) = await leases.partitions([3], soon())
    assert there.watermark == further._replace(folded=copied)


async def test_a_lost_reply_does_not_lose_the_lease(leases, dynamo_proxy) -> None:
    dynamo_proxy.inject(reply_lost, operation="UpdateItem", times=1)
    assert await leases.take(3, "d", 0, soon())
    dynamo_proxy.inject(reply_lost, operation="UpdateItem", times=1)
    assert await leases.advance(3, 1, Watermark(Place(1, 5)), soon())


async def test_drainers_show_that_they_live(leases) -> None:
    await leases.beat("d", 7, soon())
    assert await leases.beats(["d", "nobody"], soon()) == {"d": 7, "nobody": 0}


async def test_a_copy_is_of_one_store_and_never_of_an_earlier_epoch(leases, reader) -> None:
    assert await reader.store() is None
    store = CopiedStore(STORE, "00ff", 16, "3", 2)
    await leases.register(store, soon())
    await leases.register(store, soon())
    with pytest.raises(OtherStoreError, match=f"of the store {STORE}, not of d4"):
        await leases.register(store._replace(store_id="d4"), soon())
    with pytest.raises(OtherStoreError, match="a later epoch of the store than 1"):
        await leases.register(store._replace(epoch=1), soon())
    assert await reader.store() == store
