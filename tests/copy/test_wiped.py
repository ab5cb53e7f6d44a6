"""Redis is lost in one instant under load, and the server killed: the store comes back from its
copy, each partition as it was at one moment, and restore says which, and what is lost.

`INVENTORY_WIPED_CHANGES` is about how many changes are made before.
"""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc
import pytest
import redis
from inventory.v1 import alert_service_pb2 as alert_pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.alert_service_pb2_grpc import AlertServiceStub

from tests.calls import Refusal, key, line
from tests.copy.busy import PLACES, SKUS, Busy, Told
from tests.copy.serving import PARTITIONS, marks
from tests.copy.wiping import (
    Copied,
    GapAfter,
    Journals,
    StuckWatermark,
    copied_movements,
    folded_up_to,
    repairs_that_are_due,
    told_by_restore,
    wipe,
)
from tests.eventually import eventually
from tests.fold import Folded, assert_indexes, stored_holds, stored_levels
from tests.processes import DurableRedis
from tests.serving import PROGRAM, Running

CHANGES = int(os.environ.get("INVENTORY_WIPED_CHANGES", "200"))
CALLERS = 4
DELHI, SURAT, ONLINE = range(PARTITIONS)
LADDER_S = range(6, 240, 3)
"""Lives of holds, so that some end while the store is away, and one soon after."""
GAP = "the-gap"


class Lost(NamedTuple):
    """What was known when Redis was lost."""

    busy: Busy
    journals: Journals
    at_ms: int
    cursors: dict[str, str]
    copied: dict[int, Copied]

    @property
    def reached(self) -> dict[int, int]:
        return {n: there.reached for n, there in self.copied.items()}

    @property
    def folded(self) -> Folded:
        return folded_up_to(self.journals, self.reached)

    def told(self, name: str) -> Told:
        return next(one for one in self.busy.told if one.key == name)


class Commands:
    """The program's commands on one Redis and one copy."""

    def __init__(self, store: DurableRedis, *flags: str) -> None:
        self._flags, self._store = flags, store

    def run(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "INVENTORY_REDIS_URL": self._store.url}
        return subprocess.run(
            [*PROGRAM, name, *(more or self._flags)],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def flags(
    dynamo: Any, dynamo_proxy: Any, table_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "double")
    return ("--dynamodb-endpoint", dynamo_proxy.endpoint, "--table-prefix", table_prefix)


@pytest.fixture
def serve_store(start: Any, store: DurableRedis, flags: tuple[str, ...]) -> Any:
    own = (*flags, "--partitions", str(PARTITIONS), "--redis-url", store.url)
    return lambda *more: start(*own, *more)


def cursors_of(server: Running) -> dict[str, str]:
    """Of each stream, a cursor of now."""
    alerts = AlertServiceStub(server.channel)
    found = {}
    for name, call in (
        ("stock", server.stock.WatchStock(stock_pb.WatchStockRequest(), timeout=20)),
        ("alerts", alerts.WatchLowStock(alert_pb.WatchLowStockRequest(), timeout=20)),
    ):
        found[name] = next(iter(call)).cursor
        call.cancel()
    return found


def prepare(busy: Busy) -> None:
    """Levels everywhere, and the holds that the test asks for afterwards."""
    for location in PLACES:
        for sku in SKUS:
            busy.set_stock(10**6, sku, location)
    for name in ("kept", "sold", "late", "part"):
        busy.place(name)
    for name in ("sold", "part"):
        confirm(busy, name)


def confirm(busy: Busy, name: str) -> Any:
    """Confirms the hold of this name; of "part" one unit, and the others are kept."""
    hold_id = next(one for one in busy.told if one.key == name).answer.hold.hold_id
    some = {"lines": [line()], "keep_rest": True} if name == "part" else {}
    request = hold_pb.ConfirmHoldRequest(hold_id=hold_id, **some)
    return busy.say("ConfirmHold", f"confirm-{name}", request)


def lose(server: Running, store: DurableRedis, proxy: Any, names: Any) -> Lost:
    """A load, of which each partition is copied another way: "online" with a gap, DELHI past
    its watermark, SURAT as it comes. In the middle of it Redis is emptied, and the server dies.
    """
    busy = Busy(server)
    prepare(busy)
    gap, stuck = GapAfter(GAP, ONLINE), StuckWatermark(DELHI)
    with busy.calling(CALLERS):
        busy.let_and_wait(CHANGES)
        for life_s in LADDER_S:
            busy.place(f"lives-{life_s}", line(), ttl_s=life_s)
        place_s = marks(store.db)
        cursors = cursors_of(server)
        eventually(lambda: has_copied(store.db, place_s), timeout_s=60)
        proxy.inject(gap, operation="BatchWriteItem")
        proxy.inject(stuck, operation="UpdateItem")
        busy.set_stock(10**6, "SKU1", "online", reference=GAP)
        busy.place("never")
        confirm(busy, "late")
        # Sold at both places, of which only the other one will be copied.
        busy.place("away")
        confirm(busy, "away")
        busy.let_and_wait(CHANGES // 2)
        eventually(lambda: len(gap.passed) > 40 and stuck.refused > place_s[DELHI], timeout_s=60)
        told = len(busy.told)
        busy.let(10**4)
        eventually(lambda: len(busy.told) > told + 5)
        journals, at_ms = wipe(store.db)
    assert busy.codes <= {grpc.StatusCode.UNAVAILABLE}
    server.kill()
    assert store.db.dbsize() == 0
    proxy.heal()
    return Lost(busy, journals, at_ms, cursors, copied_movements(proxy.endpoint, names.movements))


def has_copied(db: redis.Redis, seqs: dict[int, int]) -> bool:
    return all(int(db.hget(f"inv:{{{n}}}:meta", "copied") or 0) >= s for n, s in seqs.items())


async def test_a_store_that_was_lost_under_load_comes_back_as_far_as_its_copy(
    serve_store: Any, store: DurableRedis, dynamo_proxy: Any, names: Any, flags: Any
) -> None:
    lost = lose(serve_store(), store, dynamo_proxy, names)
    assert_all_that_was_told_was_there(lost)
    commands = Commands(store, *flags)
    done = commands.run("restore")
    assert done.returncode == 0, done.stderr
    assert_restore_says_what_it_did(done.stdout, lost)
    assert_each_partition_is_the_fold_up_to_its_moment(store.db, lost)
    before = stored_holds(store.db)
    server = serve_store()
    assert_deadlines_hold(server, store.db, lost, before)
    assert_cursors_have_expired(server, lost)
    assert_holds_are_placed_once(server, store.db, lost)
    assert_later_keys_do_what_the_readme_says(server, lost)
    checked = commands.run("verify", "--port", str(server.port))
    assert (checked.returncode, "no discrepancies" in checked.stdout) == (0, True), checked.stdout


def assert_all_that_was_told_was_there(lost: Lost) -> None:
    """What was acknowledged was in the journals at that instant, each hold under its own id."""
    everything = {n: len(journal) for n, journal in lost.journals.items()}
    holds = folded_up_to(lost.journals, everything).holds
    placed = [one.answer.hold.hold_id for one in lost.busy.told if one.verb == "PlaceHold"]
    assert len(placed) == len(set(placed)) > 50
    assert not set(placed) - set(holds)


def assert_restore_says_what_it_did(output: str, lost: Lost) -> None:
    said = told_by_restore(output)
    assert {n: one.seq for n, one in said.items()} == lost.reached
    assert said[DELHI].past_mark > 0
    for n, there in lost.copied.items():
        wanted = (0, 0, 0)
        if there.left_out:
            wanted = (there.reached + 1, there.left_out[-1], len(there.left_out))
        assert said[n].left_out == wanted, output
        assert there.ids.items() <= {s: e["id"] for s, e in lost.journals[n]}.items()
    assert said[ONLINE].left_out[2] > 10
    gap = next(seq for seq, entry in lost.journals[ONLINE] if entry["reference"] == GAP)
    assert said[ONLINE].seq < gap <= said[ONLINE].left_out[1]


def assert_each_partition_is_the_fold_up_to_its_moment(db: redis.Redis, lost: Lost) -> None:
    """And movements REPAIR tell of every difference."""
    folded, levels = lost.folded, stored_levels(db)
    assert stored_holds(db) == folded.holds
    for n in range(PARTITIONS):
        for location, policy in db.hgetall(f"inv:{{{n}}}:locations").items():
            assert policy == folded.defaults.get((n, location), "")
    repaired: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    counts: dict[Any, int] = defaultdict(int)
    for n in range(PARTITIONS):
        for id_, entry in db.xrange(f"inv:{{{n}}}:journal"):
            assert (entry["kind"], entry["actor"]) == ("REPAIR", "restore")
            assert int(id_.partition("-")[0]) > lost.reached[n]
            place = (n, entry["location"], entry["sku"])
            counts[place] += 1
            for at, delta in enumerate(entry["delta"].split(" ")):
                repaired[place, entry["hold_id"]][at] += int(delta)
    due = repairs_that_are_due(lost.journals, folded, lost.reached)
    assert {what: tuple(deltas) for what, deltas in repaired.items()} == due
    assert len(due) > 5
    for place, level in levels.items():
        own = [deltas for (where, _), deltas in due.items() if where == place]
        wanted = dict(folded.levels[place])
        wanted["on_hand"] += sum(on_hand for on_hand, _ in own)
        wanted["held"] += sum(held for _, held in own)
        wanted["version"] += counts[place]
        if own:
            wanted["alert_state"] = level["alert_state"]
        assert level == wanted, place
    assert levels.keys() == folded.levels.keys()
    assert_indexes(db, levels, folded.holds, PARTITIONS)


def assert_deadlines_hold(
    server: Running, db: redis.Redis, lost: Lost, restored: dict[str, Any]
) -> None:
    """A hold comes back with its deadline; who asks first past that finds that it has ended."""

    def state_of(hold: Any) -> Any:
        request = hold_pb.GetHoldRequest(hold_id=hold.hold_id)
        return server.holds.GetHold(request, timeout=10).hold.state

    holds = [lost.told(f"lives-{life_s}").answer.hold for life_s in LADDER_S]
    ends_ms = {hold.hold_id: hold.expire_time.ToMilliseconds() for hold in holds}
    gone = [hold for hold in holds if lost.at_ms < ends_ms[hold.hold_id] <= now_ms(db)]
    assert gone, "some ended while the store was away"
    for hold in gone:
        assert restored[hold.hold_id][0].startswith("HELD")
        assert state_of(hold) == hold_pb.HOLD_STATE_EXPIRED
    next_one = next(hold for hold in holds if ends_ms[hold.hold_id] > now_ms(db) + 1500)
    state = state_of(next_one)
    assert state == hold_pb.HOLD_STATE_HELD or now_ms(db) >= ends_ms[next_one.hold_id]
    eventually(lambda: state_of(next_one) == hold_pb.HOLD_STATE_EXPIRED)
    assert now_ms(db) >= ends_ms[next_one.hold_id]
    assert state_of(lost.told("kept").answer.hold) == hold_pb.HOLD_STATE_HELD


def now_ms(db: redis.Redis) -> int:
    seconds, micros = db.time()
    return int(seconds) * 1000 + int(micros) // 1000


def assert_cursors_have_expired(server: Running, lost: Lost) -> None:
    alerts = AlertServiceStub(server.channel)
    for call in (
        server.stock.WatchStock(
            stock_pb.WatchStockRequest(cursor=lost.cursors["stock"]), timeout=20
        ),
        alerts.WatchLowStock(
            alert_pb.WatchLowStockRequest(cursor=lost.cursors["alerts"]), timeout=20
        ),
    ):
        with pytest.raises(grpc.RpcError) as error:
            next(iter(call))
        assert Refusal(error.value).reason == "CURSOR_EXPIRED"


def again(server: Running, told: Told) -> tuple[Any, bool]:
    """The same call under the same key; what it answers, and whether that is a replay."""
    service = server.stock if hasattr(server.stock, told.verb) else server.holds
    call = getattr(service, told.verb)
    answer, done = call.with_call(told.request, metadata=key(told.key), timeout=10)
    return answer, dict(done.trailing_metadata())["idempotent-replayed"] == "true"


def assert_holds_are_placed_once(server: Running, db: redis.Redis, lost: Lost) -> None:
    """A hold that was copied is a replay; one that was not is placed, under the id it had."""
    there = lost.folded.holds
    placed = [one for one in lost.busy.told if one.verb == "PlaceHold"]
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(lambda told: again(server, told), placed))
        twice = list(callers.map(lambda told: again(server, told), placed))
    is_copied = [told.answer.hold.hold_id in there for told in placed]
    assert True in is_copied
    assert False in is_copied
    for told, was_there, first, second in zip(placed, is_copied, answers, twice, strict=True):
        hold_id = told.answer.hold.hold_id
        assert (first[0].hold.hold_id, first[1]) == (hold_id, was_there), told
        assert second == (first[0], True), told
        if was_there:
            assert first[0].hold == told.answer.hold, told
    made = [
        entry["hold_id"]
        for n in range(PARTITIONS)
        for _, entry in db.xrange(f"inv:{{{n}}}:journal")
        if entry["kind"] == "HOLD" and entry["hold"]
    ]
    wanted = [t.answer.hold.hold_id for t, was in zip(placed, is_copied, strict=True) if not was]
    assert sorted(made) == sorted(wanted)


def assert_later_keys_do_what_the_readme_says(server: Running, lost: Lost) -> None:
    """A hold's later verbs are forgotten with their keys; how it ended is not."""
    with pytest.raises(grpc.RpcError) as error:
        again(server, lost.told("confirm-sold"))
    assert Refusal(error.value).reason == "HOLD_ALREADY_CONFIRMED"
    for is_replay in (False, True):
        answer, replayed = again(server, lost.told("confirm-late"))
        assert (answer.hold.state, replayed) == (hold_pb.HOLD_STATE_CONFIRMED, is_replay)
    # A part is taken a second time.
    for confirmed, is_replay in ((2, False), (2, True)):
        answer, replayed = again(server, lost.told("confirm-part"))
        assert (answer.hold.lines[0].confirmed, replayed) == (confirmed, is_replay)
