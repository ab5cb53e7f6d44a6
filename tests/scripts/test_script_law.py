"""A script that fails or refuses has written nothing, whatever it is given.

Redis takes nothing back. So every script is called as its store calls it, on a
store with all that a day brings, and then with each key of another type or
another name, and each argument replaced by junk. What the stores give is
compared with what the scripts' headers say, by name and by number.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

import hiredis
import pytest
import redis

from inventory_server.domain.audit import LevelHold
from inventory_server.domain.copy import CopiedStore, HoldState, JournalEntry
from inventory_server.domain.limits import (
    EXPIRE_HOLDS_A_RUN,
    EXPIRE_LINES_A_RUN,
    MAX_REPAIR_HOLDS,
    MAX_TOTAL,
    TRIMMED_A_RUN,
    VERIFY_HOLDS_A_SCRIPT,
)
from inventory_server.domain.model import (
    ConfirmRequest,
    CountLine,
    Level,
    Line,
    Origin,
    PlaceRequest,
    Policy,
    PolicyLine,
    ReleaseRequest,
)
from inventory_server.domain.rules import is_sku
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.connection import PipelinedConnection
from inventory_server.stores.copy_records import FIELDS
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.keys import Keyspace, partition_of
from inventory_server.stores.opening import SCHEMA, SCRIPT_COMMANDS, StoreOpener
from inventory_server.stores.pipeline import Call
from inventory_server.stores.reconcile_store import ReconcileStore
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.restore_store import Repair, RestoreStore
from inventory_server.stores.scripts import load_script, script_names
from inventory_server.stores.stock_store import StockStore
from inventory_server.stores.stream_store import StreamStore
from tests.fold import assert_journal_folds_to_state
from tests.project.lua_source import SCRIPTS, Source, scripts
from tests.scripts.database import put_wrong_type
from tests.scripts.direct import NOW, PARTITIONS, DirectConnection, open_store

HOME, AWAY = PLACES = ("online", "store:DELHI")
"""Of two partitions, the first one being home."""
RETENTION_MS, MAX_HOLD_LIFE_MS, TTL_MS = 86_400_123, 7_654_321, 12_345
REFERENCE = "the-reference"

# The world


World = dict[str, tuple[int, bytes]]
"""Every key with its time to live and its bytes."""
Scope = Sequence[tuple[str, str, tuple[Any, ...]]]
"""Lines: SKU, location, and the arguments that stand behind them."""


def save(db: redis.Redis) -> World:
    """The whole store, to be put back."""
    keys = sorted(db.keys("*"))
    with db.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.pttl(key)
            pipe.dump(key)
        found = pipe.execute()
    return {
        key: (max(0, ttl), packed)
        for key, ttl, packed in zip(keys, found[::2], found[1::2], strict=True)
    }


def state(db: redis.Redis) -> dict[str, tuple[bool, bytes]]:
    """Every key with whether it will go by itself, and its bytes."""
    return {key: (ttl > 0, packed) for key, (ttl, packed) in save(db).items()}


def put_back(db: redis.Redis, world: World) -> None:
    """Makes the store what it was."""
    with db.pipeline(transaction=False) as pipe:
        pipe.flushall()
        for key, (ttl, packed) in world.items():
            pipe.restore(key, ttl, packed)
        pipe.execute()


class Recorder(DirectConnection):
    """Keeps the last command as it goes over the wire."""

    last: list[str]

    def start(self, packed: bytes, deadline: float) -> Call:
        reader = hiredis.Reader(encoding="utf-8")
        reader.feed(packed)
        self.last = reader.gets()
        return super().start(packed, deadline)


class Captured(NamedTuple):
    """A call that went through, the store before it, and what its numbers have to be.

    `given` has the value of every argument and key by its name in the header,
    `scope` the lines of its scope.
    """

    script: str
    keys: list[str]
    arguments: list[str]
    world: World
    given: dict[str, Any]
    scope: Scope

    def run(self, db: redis.Redis) -> tuple[str, str]:
        """Runs it; the status word, or `error` and what Redis says."""
        sha = load_script(self.script).sha
        try:
            reply = db.evalsha(sha, len(self.keys), *self.keys, *self.arguments)
        except redis.ResponseError as error:
            return "error", str(error)
        return str(reply[0]), ""

    def with_key(self, at: int, key: str) -> Captured:
        """The same call with another key at this place, counted from 0."""
        return self._replace(keys=[*self.keys[:at], key, *self.keys[at + 1 :]])

    def with_argument(self, at: int, value: str) -> Captured:
        """The same call with another argument at this place, counted from 0."""
        return self._replace(arguments=[*self.arguments[:at], value, *self.arguments[at + 1 :]])


class Day:
    """A store on which holds are open, due, ended and past their retention time, and
    every script's call on it.
    """

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.store: RedisStore = open_store(client, with_shebang=True)
        self.wire = self.store._connection = Recorder(client)  # type: ignore[assignment]
        self.stock = StockStore(self.store, retention_ms=RETENTION_MS)
        self.holds = HoldStore(
            self.store, retention_ms=RETENTION_MS, max_hold_life_ms=MAX_HOLD_LIFE_MS
        )
        self.audit = AuditStore(self.store, retention_ms=RETENTION_MS)
        self.deadline = asyncio.get_running_loop().time() + 60
        self.home, self.away = (self.store.keys.partition(name) for name in PLACES)
        self.ids: dict[str, str] = {}
        self.calls: dict[str, Captured] = {}
        self.world: World = {}
        self.seen: list[int] = []

    def origin(self, key: str) -> Origin:
        return Origin("the-caller", "the-actor", key, False, self.deadline)

    def at(self, ago_ms: int) -> None:
        self.store.now_ms = str(NOW - ago_ms)

    async def set(self, key: str, lines: list[CountLine], force: bool = False) -> Any:
        return await self.stock.set(
            lines, reason="COUNT", note="the note", reference=REFERENCE, force=force,
            validate_only=False, fingerprint=f"print/{key}", origin=self.origin(key),
        )  # fmt: skip

    async def place(
        self, name: str, *skus: str, ttl_ms: int = TTL_MS, reference: str = REFERENCE,
        partial: bool = False, quantity: int = 3,
    ) -> Any:  # fmt: skip
        lines = [Line(sku, place, quantity) for place in PLACES for sku in skus]
        request = PlaceRequest(lines, ttl_ms, reference, "the note", partial)
        made = self.holds.place_command(request, f"print/{name}", self.origin(name))
        self.ids[name] = made.hold_id
        reply = await self.holds.run(made.command, self.origin(name))
        return self.holds.placed(made, reply, self.origin(name))

    async def confirm(self, name: str, *lines: Line, keep: bool = False, key: str = "k") -> Any:
        request = ConfirmRequest(self.ids[name], lines, keep)
        command = self.holds.confirm_command(request, f"print/{key}", self.origin(key))
        reply = await self.holds.run(command, self.origin(key))
        return self.holds.changed(reply, self.ids[name], lines, self.origin(key))

    async def release(self, name: str, *lines: Line, key: str = "k") -> Any:
        request = ReleaseRequest(self.ids[name], lines)
        command = self.holds.release_command(request, f"print/{key}", self.origin(key))
        reply = await self.holds.run(command, self.origin(key))
        return self.holds.changed(reply, self.ids[name], lines, self.origin(key))

    async def expire(self) -> Any:
        return await self.holds.expire(self.store.keys.due(self.home), self.deadline)

    async def begin(self) -> None:
        """Fills the store. SKUs that look like numbers and like the start of a hold's id are
        among them, because what reads an index by mistake would take them for more.
        """
        self.at(2 * RETENTION_MS)
        counts = {"100": 8, "A": 20, "B": 5, "E": 0, f"{self.home}-F": 4}
        await self.set(
            "base", [CountLine(sku, at, n, None) for at in PLACES for sku, n in counts.items()]
        )
        for number in range(PARTITIONS):
            self.client.sadd(self.store.keys.inactive(number), "C", "E")
        for name in ("confirmed", "released", "expired"):
            await self.place(name, "A", reference=f"{self.home}-old", quantity=1)
        await self.confirm("confirmed", key="c0")
        await self.release("released", key="r0")
        self.at(2 * RETENTION_MS - TTL_MS)
        await self.expire()
        self.at(60_000)
        await self.place("gone", "A", ttl_ms=1000)
        await self.place("late", "A", "B", ttl_ms=50_000, quantity=2)
        await self.place("part", "A", ttl_ms=90_000, reference="")
        await self.release("part", Line("A", AWAY, 1), key="r1")
        self.at(55_000)
        await self.expire()
        self.at(0)
        await self.place("open", "100", "A")
        await self.place("done", "A", quantity=1)
        await self.confirm("done", key="c1")
        self.world = save(self.client)
        self.seen = [partition.seq for partition in self.store.partitions]

    async def capture(
        self,
        name: str,
        call: Callable[[], Awaitable[Any]],
        scope: Scope = (),
        world: World | None = None,
        **given: Any,
    ) -> None:
        """Makes a call on the store as `begin` left it, or on another, and keeps it."""
        world = self.world if world is None else world
        put_back(self.client, world)
        for partition, seq in zip(self.store.partitions, self.seen, strict=True):
            partition.seq = seq
        guards = self.store.guards()
        await call()
        self.keep(name, self.wire.last, world, scope, guards=guards, **given)

    def keep(
        self,
        name: str,
        command: list[str],
        world: World,
        scope: Scope,
        **given: Any,
    ) -> None:
        verb, sha, count, *rest = command
        script = name.partition(":")[0]
        assert (verb, sha) == ("EVALSHA", load_script(script).sha)
        keys, arguments = rest[: int(count)], rest[int(count) :]
        given = {"now_ms": NOW, "actor": "the-actor", "retention_ms": RETENTION_MS, **given}
        self.calls[name] = Captured(script, keys, arguments, world, given, scope)

    def named(self, method: str, key: str, *, record: bool = False, **given: Any) -> dict[str, Any]:
        """What a verb's call has to say: who asks, under which key, and why."""
        op = self.store.operation_id(method, self.origin(key))
        if record:
            given["idempotency record"] = self.store.keys.record(self.home, op)
        own = {"op": op, "fingerprint": f"print/{key}", "reference": REFERENCE}
        return {**own, "note": "the note", **given}

    def of_hold(self, name: str) -> dict[str, Any]:
        """What a call on a hold, or at its home, has to name."""
        keys, hold_id = self.store.keys, self.ids.get(name, "")
        return {
            "hold_id": hold_id, "hold": keys.hold(hold_id), "home": self.home,
            "due": keys.due(self.home), "ended": keys.ended(self.home),
            "refs": keys.refs(self.home),
        }  # fmt: skip

    async def capture_stock_verbs(self) -> None:
        """Levels are new, gone, and out of stock after them."""
        counts = [CountLine("A", HOME, 10, 18), CountLine("C", AWAY, 0, None)]
        await self.capture(
            "set_stock", lambda: self.set("k", counts, force=True),
            [("A", HOME, (10, 18)), ("C", AWAY, (0, ""))],
            **self.named("SetStock", "k", record=True, reason="COUNT", force=1, validate_only=""),
        )  # fmt: skip

        def of_both(sku: str, one: int, other: int) -> tuple[list[Line], list[Any]]:
            both = ((HOME, one), (AWAY, other))
            return [Line(sku, at, n) for at, n in both], [(sku, at, (n,)) for at, n in both]

        lines, packed = of_both("B", -3, 4)
        for name, dry in (("adjust_stock", False), ("adjust_stock: to look", True)):
            await self.capture(
                name, lambda dry=dry: self.stock.adjust(
                    lines, reason="LOSS", note="the note", reference=REFERENCE,
                    validate_only=dry, fingerprint="print/k", origin=self.origin("k"),
                ), packed, max_total=MAX_TOTAL, validate_only="1" if dry else "",
                **self.named("AdjustStock", "k", record=True, reason="LOSS"),
            )  # fmt: skip
        both = {"reference": REFERENCE, "fingerprint": "print/k", "origin": self.origin("k")}
        sold, packed = of_both("B", 3, 2)
        await self.capture(
            "record_sale", lambda: self.stock.sell(sold, **both), packed,
            **self.named("RecordSale", "k", record=True),
        )  # fmt: skip
        moved, packed = of_both("B", -3, 3)
        await self.capture(
            "transfer_stock", lambda: self.stock.transfer(moved, **both), packed,
            max_total=MAX_TOTAL, **self.named("TransferStock", "k", record=True),
        )  # fmt: skip
        gone, _ = of_both("E", 0, 0)
        await self.capture(
            "delete_levels",
            lambda: self.stock.delete(gone, fingerprint="print/k", origin=self.origin("k")),
            [("E", HOME, ()), ("E", AWAY, ())],
            **self.named("DeleteStockLevels", "k", record=True),
        )
        policies = [
            PolicyLine("A", HOME, Policy(reorder_point=18)),
            PolicyLine("", AWAY, Policy(safety_stock=2, rearm_point=3)),
        ]
        own = {"fingerprint": "print/k", "origin": self.origin("k")}
        await self.capture(
            "set_policy", lambda: self.stock.set_policies(policies, **own),
            [("A", HOME, (0, "18:::")), ("", AWAY, (0, ":3:2:"))],
            **self.named("SetStockPolicy", "k", record=True),
        )  # fmt: skip
        await self.capture_import(of_both)

    async def capture_import(self, of_both: Callable[..., Any]) -> None:
        rows, packed = of_both("D", 0, 7)
        keys = self.store.keys
        whole = self.store.operation_id("ImportStock", self.origin("k"))
        op = self.store.operation_id("ImportStock", self.origin("k"), "\00011")
        home = partition_of(whole, PARTITIONS)
        await self.capture(
            "import_stock", lambda: self.stock.import_lines(
                rows, [Policy()] * 2, mode="SET", rows=(11, 13), reference=REFERENCE,
                fingerprint="print/k", origin=self.origin("k"),
            ), [(sku, at, (n, ":::")) for sku, at, (n,) in packed],
            max_total=MAX_TOTAL, mode="SET", first_row=11, next_row=13, home=home,
            **{
                **self.named("ImportStock", "k"), "op": op,
                "the chunk's idempotency record": keys.record(home, op),
                "the import's progress record": keys.record(home, whole),
            },
        )  # fmt: skip

    async def capture_hold_verbs(self) -> None:
        """Of holds with lines in both partitions, some with a part gone before."""
        packed = [(sku, at, (3,)) for at in PLACES for sku in ("A", "B")]
        op = self.store.operation_id("PlaceHold", self.origin("k"))
        self.ids["k"] = f"{self.home}-{op}"
        await self.capture(
            "place_hold", lambda: self.place("k", "A", "B", partial=True), packed,
            ttl_ms=TTL_MS, caller="the-caller", allow_partial=1,
            **self.named("PlaceHold", "k"), **self.of_hold("k"),
        )  # fmt: skip
        one, two = Line("A", HOME, 1), Line("A", AWAY, 2)
        confirm, release = self.named("ConfirmHold", "k"), self.named("ReleaseHold", "k")
        await self.capture(
            "confirm_hold", lambda: self.confirm("open"),
            lines="", keep_rest="", **confirm, **self.of_hold("open"),
        )  # fmt: skip
        await self.capture(
            "confirm_hold: a part", lambda: self.confirm("open", one, two, keep=True),
            lines=f"{HOME} A 1,{AWAY} A 2", keep_rest=1, **confirm, **self.of_hold("open"),
        )  # fmt: skip
        await self.capture(
            "release_hold", lambda: self.release("part"), lines="", **release,
            **self.of_hold("part"),
        )  # fmt: skip
        await self.capture(
            "release_hold: a part", lambda: self.release("open", two),
            lines=f"{AWAY} A 2", **release, **self.of_hold("open"),
        )  # fmt: skip
        call = {"fingerprint": "print/k", "origin": self.origin("k")}
        await self.capture(
            "extend_hold", lambda: self.holds.extend(self.ids["part"], ttl_ms=99_999, **call),
            ttl_ms=99_999, max_hold_life_ms=MAX_HOLD_LIFE_MS,
            **self.named("ExtendHold", "k"), **self.of_hold("part"),
        )  # fmt: skip
        await self.capture(
            "rehold_hold", lambda: self.holds.rehold(self.ids["gone"], **call),
            **confirm, **self.of_hold("gone"),
        )  # fmt: skip

    async def capture_sweeps_and_reads(self) -> None:
        keys, deadline = self.store.keys, self.deadline
        limits = {"max_holds": EXPIRE_HOLDS_A_RUN, "max_lines": EXPIRE_LINES_A_RUN}
        where = {"": keys.due(self.home), ": of a level": keys.level_due(AWAY, "B")}
        for name, key in where.items():
            await self.capture(
                f"expire_holds{name}", lambda key=key: self.holds.expire(key, deadline),
                **limits, **{"where to look": key},
            )  # fmt: skip
        await self.capture(
            "remove_holds", lambda: self.holds.remove(self.home, deadline), **limits,
            **self.of_hold(""),
        )  # fmt: skip
        await self.capture(
            "read_due", lambda: self.holds.read_due(deadline),
            **{"due of each partition": [keys.due(n) for n in range(PARTITIONS)]},
        )  # fmt: skip
        streams = StreamStore(self.store, "journal")
        await self.capture(
            "read_places", streams.places,
            **{"meta of each partition": [keys.meta(n) for n in range(PARTITIONS)]},
        )  # fmt: skip
        await self.capture(
            "trim_streams", lambda: streams.trim(self.home, RETENTION_MS, 10_000),
            max_age_ms=RETENTION_MS, max_entries=10_000, max_trimmed=TRIMMED_A_RUN,
            keeps_uncopied="",
            meta=keys.meta(self.home), journal=keys.journal(self.home),
            alerts=keys.alerts(self.home),
        )  # fmt: skip
        source = CopySource(self.store)
        await self.capture(
            "mark_copied", lambda: source.mark(self.home, 1, 7), number=self.home, epoch=1,
            copied=7, store_id="store", meta=keys.meta(self.home),
        )  # fmt: skip
        ids = [self.ids[name] for name in ("open", "done", "gone")]
        await self.capture(
            "read_holds", lambda: self.holds.read_many(ids, deadline),
            **{"hold...": [keys.hold(hold_id) for hold_id in ids], "hold_id...": ids},
        )  # fmt: skip
        await self.capture(
            "count_lines", lambda: self.holds.count_lines(ids, 77, deadline), max_lines=77,
            **{"hold...": [keys.hold(hold_id) for hold_id in ids]},
        )  # fmt: skip
        activity = ActivityStore(self.store)
        for name, is_active in (("set_inactive", False), ("set_inactive: active again", True)):
            await self.capture(
                name, lambda to=is_active: activity.set_active({"E": to, "Z": to}, deadline),
                inactive=keys.inactive(15), meta=keys.meta(15), journal=keys.journal(15),
                number=15, epoch=1, seen_seq=self.seen[15], store_id="store",
                is_inactive="" if is_active else 1, product=["E", "Z"],
            )  # fmt: skip
        levels = [(HOME, "100"), (AWAY, "100"), (AWAY, "E")]
        named = [key for at in levels for key in (keys.level(*at), keys.level_due(*at))]
        await self.capture(
            "read_levels", lambda: self.stock.read_levels(levels, deadline),
            **{"a level: level, due": named},
        )  # fmt: skip
        named = [
            key for at in levels for key in (
                keys.level(*at), keys.level_due(*at), keys.inactive(keys.partition(at[0]))
            )
        ]  # fmt: skip
        await self.capture(
            "read_basket", lambda: self.stock.read_basket(levels, deadline),
            **{"a level: level, due, inactive": named, "sku": [sku for _, sku in levels]},
        )  # fmt: skip

    async def capture_restore(self) -> None:
        """Of a store like this one, into an empty Redis: what stands there is what was written
        before by the restore itself.
        """
        keys, restore = self.store.keys, RestoreStore(self.store, PARTITIONS)
        metas = {"meta of each partition": [keys.meta(n) for n in range(PARTITIONS)]}
        self.client.flushall()
        await self.capture("begin_restore", restore.begin, (), {}, partitions=PARTITIONS, **metas)
        begun = save(self.client)
        meta, journal = keys.meta(self.home), keys.journal(self.home)
        levels = [Level("100", HOME, 8, 3, 9), Level("A", HOME, 2, 2, 7, 1, 2, 3, 4, "LOW")]
        await self.capture(
            "restore_levels", lambda: restore.put_levels(HOME, " 1 2 3 4", levels), (), begun,
            number=self.home, location=HOME, policy=" 1 2 3 4", meta=meta,
            locations=keys.locations(self.home), skus=keys.skus(HOME), low=keys.low(HOME),
            level=[keys.level(HOME, level.sku) for level in levels],
            **{"a level": ["100", "8 3 9", "A", "2 2 7 1 2 3 4 LOW"]},
        )  # fmt: skip
        states = []
        for name in ("gone", "done", "open"):
            state, _, record = self.client_value(keys.hold(self.ids[name])).split("\n", 2)
            states.append(HoldState(self.ids[name], state, record, 1, 5))
        flat = [text for hold in states for text in hold[:3]]
        await self.capture(
            "restore_holds", lambda: restore.put_holds(self.home, states), (), begun,
            meta=meta, **self.of_hold("") | {"hold": [keys.hold(one.hold_id) for one in states]},
            **{"a hold": flat},
        )  # fmt: skip
        repairs = [Repair(levels[0], 3, -2), Repair(levels[1], 0, 4, self.ids["open"])]
        await self.capture(
            "restore_repairs",
            lambda: restore.put_repairs(self.home, 8, repairs, op="restore-2", at_ms=NOW), (),
            begun, number=self.home, at_ms=NOW, op="restore-2-0", seq=8, meta=meta,
            journal=journal, **{"a repair": [
                HOME, "100", 3, -2, "", "8 3 9",
                HOME, "A", 0, 4, self.ids["open"], "2 2 7 1 2 3 4 LOW",
            ]},
        )  # fmt: skip
        copied = CopiedStore("store", "00ff", PARTITIONS, SCHEMA, 2)
        places = [(n, n + 1) for n in range(PARTITIONS)]
        await self.capture(
            "finish_restore", lambda: restore.finish(copied, places), (), begun,
            schema=SCHEMA, store_id="store", secret="00ff", new_epoch=2,
            **metas, **{"a partition": [seq for place in places for seq in place]},
        )  # fmt: skip

    async def capture_reconcile(self) -> None:
        """Of this store, put back to this day: a level goes on, one is made and deleted, a
        default policy is set, and a hold gets a later deadline.
        """
        keys, target = self.store.keys, ReconcileStore(self.store, PARTITIONS)
        metas = {"meta of each partition": [keys.meta(n) for n in range(PARTITIONS)]}

        async def begin() -> None:
            await target.begin("store")

        await self.capture(
            "begin_reconcile", begin, partitions=PARTITIONS, schema=SCHEMA, store_id="store",
            **metas,
        )  # fmt: skip
        begun, home, hold_id = save(self.client), self.home, self.ids["open"]
        seq = int(self.client.hget(keys.meta(home), "seq") or 0)
        on_hand, held, version, *policy = self.client_value(keys.level(HOME, "100")).split(" ")
        after = " ".join([on_hand, held, str(int(version) + 1), *policy])
        _, deadline, *_ = self.client_value(keys.hold(hold_id)).split("\n")[0].split(" ")
        record = self.client_value(keys.hold(hold_id)).split("\n", 2)[2]
        moves = [
            {"kind": "SET", "location": HOME, "sku": "100", "level": after},
            {"kind": "SET", "location": HOME, "sku": "NEW", "level": f"0 0 {seq + 2}"},
            {"kind": "DELETE", "location": HOME, "sku": "NEW"},
            {"kind": "POLICY", "location": HOME, "level": "0 0 0 1 2 3 4 OK"},
            {"kind": "EXTEND", "hold_id": hold_id, "hold": f"HELD {int(deadline) + 1000}",
             "record": record, "reference": REFERENCE},
        ]  # fmt: skip
        entries = [
            JournalEntry(1, home, seq + n, {
                **dict.fromkeys(FIELDS, ""), "id": f"op{n}.1", "at_ms": str(NOW), "delta": "0 0",
                "actor": "till-1", **move,
            })
            for n, move in enumerate(moves, 1)
        ]  # fmt: skip
        levels = [keys.level(HOME, sku) for sku in ("100", "NEW")]
        await self.capture(
            "replay_movements", lambda: target.replay(home, entries), (), begun,
            number=home, seq=seq + 1, meta=keys.meta(home), journal=keys.journal(home),
            alerts=keys.alerts(home), locations=keys.locations(home), due=keys.due(home),
            ended=keys.ended(home), refs=keys.refs(home),
            **{"what they name": [
                keys.low(HOME), keys.skus(HOME), *levels, keys.hold(hold_id),
            ], "a movement": [one.fields[name] for one in entries for name in FIELDS]},
        )  # fmt: skip
        copied = [0, None] * (PARTITIONS // 2)
        await self.capture(
            "finish_reconcile", lambda: target.finish("store", 2, copied), (), begun,
            schema=SCHEMA, store_id="store", new_epoch=2,
            **metas, copied_seq=["" if one is None else one for one in copied],
        )  # fmt: skip

    def client_value(self, key: str) -> str:
        """What this key has on a day."""
        put_back(self.client, self.world)
        return str(self.client.get(key))

    async def capture_audits(self) -> None:
        """A level is repaired that is named as low, and whose hold its home has lost."""
        keys, late = self.store.keys, self.ids["late"]
        put_back(self.client, self.world)
        self.client.zadd(keys.low(HOME), {"B": 0})
        self.client.zrem(keys.due(self.home), late)
        damaged = save(self.client)
        for name, dry in (("repair_level", False), ("repair_level: to look", True)):
            await self.capture(
                name, lambda dry=dry: self.audit.repair(
                    Line("B", HOME, 0), [late], validate_only=dry, fingerprint="print/k",
                    origin=self.origin("k"),
                ), [("B", HOME, ())], damaged, max_holds=MAX_REPAIR_HOLDS,
                validate_only="1" if dry else "", **{"hold ids": late},
                **self.named("RepairLevel", "k", record=True),
            )  # fmt: skip
        places = [(HOME, "A"), (AWAY, "E")]
        await self.capture(
            "verify_levels", lambda: self.audit.verify_levels(places),
            max_holds=VERIFY_HOLDS_A_SCRIPT, **{
                "a level: level, due, low, skus": [
                    key for at, sku in places for key in (
                        keys.level(at, sku), keys.level_due(at, sku), keys.low(at), keys.skus(at)
                    )
                ],
                "a level": [name for place in places for name in place],
            },
        )  # fmt: skip
        ids = [self.ids[name] for name in ("open", "done", "gone")]
        named = [keys.hold(hold_id) for hold_id in ids]
        await self.capture(
            "verify_holds", lambda: self.audit.verify_holds(self.home, ids),
            **{**self.of_hold(""), "hold": named, "hold_id...": ids},
        )  # fmt: skip
        level = {"location": HOME, "sku": "A"}
        await self.capture(
            "read_level_holds", lambda: self.audit.level_holds(
                HOME, "A", LevelHold("3-x", 5, None), 7
            ),
            after_ms=5, after_id="3-x", count=7, level=keys.level(HOME, "A"),
            **(self.of_hold("") | level | {"due": keys.level_due(HOME, "A")}),
            meta=keys.meta(self.home),
        )  # fmt: skip
        there = [key for key in self.world if ":hold:" in key]

        async def keys_of_holds(pattern: str) -> AsyncIterator[list[str]]:
            yield there

        # A walk through the keys gives them in an order that nobody knows.
        self.audit.keys = keys_of_holds  # type: ignore[method-assign]
        await self.capture(
            "find_open_holds", lambda: self.audit.open_holds(HOME, "A"), **level,
            **{"hold...": there},
        )  # fmt: skip

    async def capture_opening(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a server calls when it starts, on an empty store."""
        sent: list[list[str]] = []
        command = PipelinedConnection.command

        async def keeping(self: Any, *arguments: Any, timeout_s: float) -> Any:
            sent.append([str(argument) for argument in arguments])
            return await command(self, *arguments, timeout_s=timeout_s)

        self.client.flushall()
        with monkeypatch.context() as patched:
            patched.setattr(PipelinedConnection, "command", keeping)
            opener = StoreOpener(
                url, partitions=PARTITIONS, durability="declared", stall_timeout_s=5,
                on_change=lambda _: None,
            )  # fmt: skip
            await opener.open()
            assert opener.connection
            await opener.connection.close()
        meta, journal = self.store.keys.meta(0), self.store.keys.journal(0)
        made = self.client.hgetall(meta)
        for name in ("check_commands", "initialize_partition"):
            sha = load_script(name).sha
            first = next(one for one in sent if one[0] == "EVALSHA" and one[1] == sha)
            given = {"meta": meta, "journal": journal, "any key of the store": meta, **made}
            self.keep(name, first, {}, (), **{"command...": SCRIPT_COMMANDS}, **given)


@pytest.fixture(scope="module")
def calls(redis_socket: str) -> Iterator[dict[str, Captured]]:
    """Every script's calls, by name; those that a script has more than one of have more names."""
    client = redis.Redis(unix_socket_path=redis_socket, decode_responses=True)

    async def live() -> dict[str, Captured]:
        client.flushall()
        day = Day(client)
        await day.begin()
        await day.capture_stock_verbs()
        await day.capture_hold_verbs()
        await day.capture_sweeps_and_reads()
        await day.capture_audits()
        await day.capture_reconcile()
        await day.capture_restore()
        with pytest.MonkeyPatch.context() as monkeypatch:
            await day.capture_opening(f"unix://{redis_socket}", monkeypatch)
        return day.calls

    yield asyncio.run(live())
    client.flushall()
    client.close()


CALLS = (
    *("begin_restore", "finish_restore", "restore_holds", "restore_levels", "restore_repairs"),
    *("begin_reconcile", "finish_reconcile", "replay_movements"),
    *("mark_copied", "read_places", "set_policy", "trim_streams"),
    *("adjust_stock", "adjust_stock: to look", "check_commands"),
    *("confirm_hold", "confirm_hold: a part", "delete_levels", "expire_holds"),
    *("expire_holds: of a level", "extend_hold", "find_open_holds", "import_stock"),
    *(
        "count_lines",
        "initialize_partition",
        "place_hold",
        "read_due",
        "read_holds",
        "read_level_holds",
    ),
    *("read_basket", "set_inactive", "set_inactive: active again"),
    *("read_levels", "record_sale", "rehold_hold", "release_hold", "release_hold: a part"),
    *("remove_holds", "repair_level", "repair_level: to look", "set_stock", "transfer_stock"),
    *("verify_holds", "verify_levels"),
)
every_call = pytest.mark.parametrize("name", CALLS)


def test_every_script_is_called_here(calls: dict[str, Captured]) -> None:
    assert set(calls) == set(CALLS)
    assert {call.script for call in calls.values()} == set(script_names())


@every_call
def test_the_call_goes_through_where_nothing_is_wrong(
    calls: dict[str, Captured], db: redis.Redis, name: str
) -> None:
    put_back(db, calls[name].world)
    before, written = state(db), writes(db)
    assert calls[name].run(db) == (("valid" if name.endswith(": to look") else "ok"), "")
    changes = state(db) != before
    assert changes == (writes(db) > written) == (not is_reader(calls[name].script, name))
    if changes:
        assert_consistent(db, calls[name].script)


# What the header says


def source(name: str) -> Source:
    return next(script for script in scripts() if script.name == name)


def is_reader(script: str, name: str = "") -> bool:
    """Whether the call writes nothing."""
    return "flags=no-writes" in source(script).text or name.endswith(": to look")


class Item(NamedTuple):
    """An item of a header's list: its number (0: the list has none), and what it is called."""

    number: int
    is_rest: bool
    name: str
    about: str


def items(script: str, kind: str) -> list[Item]:
    """The numbered items under KEYS or ARGV."""
    end = {"KEYS": "ARGV", "ARGV": "Returns"}[kind]
    section = source(script).header.partition(f"\n  {kind}")[2].partition(f"\n  {end}")[0]
    text = re.sub(r"\n +", "  ", section).strip()
    found = re.findall(r"(?:^|  )(\d+)(\.\.)? (.+?)(?=  \d+(?:\.\.)? |$)", text)
    if not found:
        return [] if text == "none" else [Item(1, True, text, "")]
    return [
        Item(int(number), bool(rest), re.split(r" \(|[,:] ", name)[0], name)
        for number, rest, name in found
    ]


SCOPE = re.compile(r"^--   (\w+) +KEYS (.+?) +ARGV (.+)$", re.MULTILINE)
"""A row of the table in include/scope.lua."""
READ_SCOPE = re.compile(r"read_scope\((\d+), (\d+), ARGV\[(\d+)\], (\d), [^,)]+(, true)?\)")


def scope_of(call: Captured, kind: int, *, named: bool = False) -> list[Any]:
    """The scope's KEYS (0) or ARGV (1), or their names, in the order of include/scope.lua."""
    keys, found = Keyspace(PARTITIONS), READ_SCOPE.search(source(call.script).body)
    assert found
    text = (SCRIPTS / "include" / "scope.lua").read_text("utf-8")
    table = {name: (key, arg) for name, key, arg in SCOPE.findall(text)}
    places = list(dict.fromkeys(at for _, at, _ in call.scope))
    numbers = [call.given["home"]] if call.script == "import_stock" else []
    numbers = list(dict.fromkeys([*numbers, *map(keys.partition, places)]))
    seen = dict(re.findall(r" (\d+)=1:(\d+)", call.given["guards"]))
    values: list[tuple[str, dict[str, Any]]] = []
    for n in numbers:
        own = {
            "meta": keys.meta(n), "journal": keys.journal(n), "alerts": keys.alerts(n),
            "inactive": keys.inactive(n), "locations": keys.locations(n),
        }  # fmt: skip
        values.append(("partition", {**own, "number": n, "epoch": 1, "seen_seq": seen[str(n)]}))
    for at in places:
        index = numbers.index(keys.partition(at)) + 1
        own = {"low": keys.low(at), "skus": keys.skus(at), "name": at}
        values.append(("location", {**own, "index of its partition": index}))
    about = next(item.about for item in items(call.script, "ARGV") if item.name == "the scope")
    amount_names = re.findall(
        r"\w+", (re.findall(r"each line with its ([\w ]+)", about) or [""])[0]
    )
    amount_names = [name for name in amount_names if name != "and"]
    for sku, at, amounts in call.scope:
        own = {"level": keys.level(at, sku), "due": keys.level_due(at, sku), "sku": sku}
        values.append(("line", {**own, "index of its location": places.index(at) + 1}))
        values.append(("amounts", dict(zip(amount_names, amounts, strict=True))))
        assert len(amounts) == int(found[4])
    table = {**table, "amounts": ("", ", ".join(amount_names))}
    made: list[Any] = []
    for row, value in values:
        for name in filter(None, table[row][kind].split(", ")):
            if name != "`values` amounts" and (found[5] or not name.endswith("*")):
                name = name.rstrip("*")
                made.append(name if named else value[name])
    return made


def expected(call: Captured, kind: str) -> list[str]:
    """KEYS or ARGV as the header says that they are."""
    made: list[Any] = []
    for item in items(call.script, kind):
        if item.name == "the scope":
            made += scope_of(call, ("KEYS", "ARGV").index(kind))
        elif item.name == "scope counts":
            made.append(call.arguments[item.number - 1])
        elif item.is_rest:
            made += call.given[item.name]
        else:
            made.append(call.given[item.name])
    return list(map(str, made))


@every_call
def test_a_header_says_what_its_script_is_given(calls: dict[str, Captured], name: str) -> None:
    call = calls[name]
    for kind in ("KEYS", "ARGV"):
        numbers = [item.number for item in items(call.script, kind)]
        assert numbers == list(range(1, len(numbers) + 1))
    assert call.keys == expected(call, "KEYS")
    assert call.arguments == expected(call, "ARGV")


@every_call
def test_a_scope_begins_where_the_header_says(calls: dict[str, Captured], name: str) -> None:
    call = calls[name]
    found = READ_SCOPE.search(source(call.script).body)
    numbers = {
        (kind, item.name): item.number
        for kind in ("KEYS", "ARGV")
        for item in items(call.script, kind)
    }
    if not found:
        assert ("KEYS", "the scope") not in numbers
        return
    begins = (("KEYS", "the scope"), ("ARGV", "the scope"), ("ARGV", "scope counts"))
    assert [int(number) for number in found.groups()[:3]] == [numbers[at] for at in begins]
    counted = call.arguments[numbers["ARGV", "scope counts"] - 1].split(" ")
    places = {at for _, at, _ in call.scope}
    count = len({call.given.get("home", ""), *map(Keyspace(PARTITIONS).partition, places)} - {""})
    if call.script == "place_hold":
        count = len(places)
    assert counted == [str(count), str(len(places)), str(len(call.scope)), "store"]


@every_call
def test_what_a_script_is_given_stands_in_the_journal(
    calls: dict[str, Captured], db: redis.Redis, name: str
) -> None:
    call = calls[name]
    given = {item.name for item in items(call.script, "ARGV")} & {*TEXTS}
    put_back(db, call.world)
    journals = [key for key in call.world if key.endswith(":journal")]
    before = {key: db.xlen(key) for key in journals}
    call.run(db)
    for key in journals:
        for _, entry in db.xrange(key)[before[key] :]:
            told = {field: entry[field] for field in given - {"caller"}}
            assert told == {field: str(call.given[field]) for field in told}
            assert entry["at_ms"] == str(NOW)


# The law


TAKEN_WORDS = ("ok", "valid")
"""Answers of a call that went through."""
TEXTS = ("actor", "caller", "note", "reason", "reference")
"""Arguments that a person has written."""
JUNK = (
    *("", "x", "-1", "1.5", "1e30", "nan", "inf", "0x10", "99999999999999999999"),
    *("a\nb", "a b", "a,b;c|d", "\0", "1", "7", "999999999999999"),
)
WHOLE = frozenset({"1", "7", "999999999999999"})
TOKENS = frozenset(junk for junk in JUNK if re.fullmatch("[A-Za-z0-9-]+", junk))
ODD_TEXT = ("", "1e30", "a\nb", "a b", "a,b;c|d", "\0")
"""The junk for what may be any text anyway."""
FLAG = frozenset({"", "1"})
FREE_TEXT = frozenset(JUNK) - {"a\nb", "\0"}

TAKEN: dict[str, frozenset[str]] = {
    **dict.fromkeys(TEXTS, FREE_TEXT),
    "now_ms": WHOLE | {""},
    "op": TOKENS,
    "fingerprint": TOKENS,
    **dict.fromkeys(("ttl_ms", "max_hold_life_ms", "retention_ms", "max_total"), WHOLE),
    **dict.fromkeys(("max_holds", "max_lines", "first_row", "next_row"), WHOLE),
    **dict.fromkeys(("allow_partial", "force", "keep_rest", "validate_only"), FLAG),
    "is_inactive": FLAG,
    **dict.fromkeys(("at_ms", "seq", "new_epoch", "a partition"), WHOLE),
    "a repair": frozenset(filter(is_sku, JUNK)) | WHOLE | {""},
    "a movement": FREE_TEXT,
    "copied_seq": WHOLE | {""},
    "policy": frozenset({""}),
    "keeps_uncopied": FLAG,
    "copied": WHOLE - {"999999999999999"},
    "product": frozenset(filter(is_sku, JUNK)),
    **dict.fromkeys(("lines", "hold ids"), frozenset({""})),
    "seen_seq": WHOLE,
    **dict.fromkeys(("quantity", "on_hand", "zero"), WHOLE),
    **dict.fromkeys(("max_age_ms", "max_entries", "max_trimmed"), WHOLE),
    "delta": WHOLE | {"-1"},
    "expected_on_hand": frozenset({""}),
    **dict.fromkeys(("schema", "partitions", "store_id", "secret"), frozenset(JUNK)),
}
"""Which junk an argument of this name may be, because it says something. All else has to
fail, or be refused: `op` of a hold that is placed, for one, is part of the hold's id.
"""
PACKED = {"hold ids", "lines", "scope counts"}
"""Arguments of many parts, whose parts count. (Of guards, most are of partitions not touched.)"""
READ = {
    **dict.fromkeys(("a level", "location", "sku", "hold_id..."), frozenset(JUNK)),
    **dict.fromkeys(("after_ms", "count"), WHOLE),
    "after_id": frozenset(JUNK),
}
"""The same for what is only read: what is not there is answered, too."""
ANY_KEY = {("expire_holds", "where to look"): "every level and partition has such an index"}
"""Keys of writers that may be others, because no argument says which they are."""
SHORT = "looked at only where units are short"
WORSE = "looked at only where a level becomes low or runs out"
UNTOUCHED = {
    ("check_commands", "any key of the store"): "only its name is looked at",
    ("read_levels", "due"): "looked at only where units are held",
    ("read_levels", "level"): "a string is handed on as it is",
    ("adjust_stock: to look", "idempotency record"): "a look is not remembered",
    ("repair_level: to look", "idempotency record"): "a look is not remembered",
    ("find_open_holds", "hold..."): "it finds what can be read",
    ("verify_holds", "hold"): "that is what it tells of",
    ("verify_levels", "level"): "that is what it tells of",
    ("read_level_holds", "level"): "a string is handed on as it is",
    ("adjust_stock", "due"): SHORT,
    ("adjust_stock: to look", "due"): SHORT,
    ("delete_levels", "due"): SHORT,
    ("import_stock", "due"): SHORT,
    ("record_sale", "due"): SHORT,
    ("set_policy", "due"): "no units are asked for",
    ("set_stock", "due"): SHORT,
    ("transfer_stock", "due"): SHORT,
    ("read_basket", "due"): "looked at only where units are held",
    ("read_basket", "level"): "a string is handed on as it is",
    **{
        (name, "inactive"): WORSE
        for name in (
            *("adjust_stock", "adjust_stock: to look", "delete_levels", "import_stock"),
            *("repair_level", "repair_level: to look", "set_policy", "set_stock"),
            "transfer_stock",
        )
    },
}
"""Keys that may be of another type, because the call has nothing to do with them."""


def writes(db: redis.Redis) -> int:
    """How many changes the server has counted: one taken back is one, too."""
    return int(db.info("persistence")["rdb_changes_since_last_save"])


def assert_consistent(db: redis.Redis, script: str) -> None:
    """The journals say what is stored, and no index names what is not."""
    if script == "trim_streams" or "restore" in script:
        # They do not begin at the beginning any more, or not yet.
        return
    assert_journal_folds_to_state(db)
    holds = {key.partition(":hold:")[2]: key for key in db.scan_iter("inv:*:hold:*", count=1000)}
    for n in range(PARTITIONS):
        members = db.zrange(f"inv:{{{n}}}:refs", 0, -1)
        assert {member.rpartition("\0")[2] for member in members} <= set(holds)


class Trial:
    """Runs calls that are not as they should be, and finds those that break the law."""

    def __init__(self, db: redis.Redis, call: Captured) -> None:
        self.db, self.call = db, call
        self.broken: list[str] = []
        self.runs = 0
        put_back(db, call.world)
        self.before, self.counted = state(db), writes(db)

    def run(self, what: str, call: Captured, *, may_be_taken: bool) -> None:
        """Runs a call. It has to leave everything as it was, unless it may be taken: then the
        journals have to say what it did.
        """
        self.runs += 1
        word, message = call.run(self.db)
        counted = writes(self.db)
        is_taken, has_written = word in TAKEN_WORDS, counted > self.counted
        self.counted = counted
        if has_written and (not is_taken or not may_be_taken):
            self.broken.append(f"{what}: wrote, and answered {word} {message}")
        elif is_taken and not may_be_taken:
            self.broken.append(f"{what}: was taken")
        elif has_written and is_taken:
            try:
                assert_consistent(self.db, self.call.script)
            except AssertionError as error:
                self.broken.append(f"{what}: the journals say otherwise: {error}")
        if has_written:
            self.restore()

    def restore(self) -> None:
        put_back(self.db, self.call.world)
        self.counted = writes(self.db)

    def end(self) -> None:
        assert self.runs
        assert state(self.db) == self.before
        assert not self.broken, f"{len(self.broken)} of {self.runs}\n" + "\n".join(self.broken)


def names(call: Captured, kind: str) -> list[str]:
    """What each of KEYS or ARGV is called."""
    made: list[str] = []
    for item in items(call.script, kind):
        if item.name == "the scope":
            made += scope_of(call, ("KEYS", "ARGV").index(kind), named=True)
        elif item.is_rest:
            made += [item.name] * len(call.given[item.name])
        else:
            made.append(item.name)
    if made and made[0].startswith("a level: "):
        each = made[0].removeprefix("a level: ").split(", ")
        made = each * (len(made) // len(each))
    return made


def touched(db: redis.Redis, call: Captured) -> dict[str, str]:
    """Every key that the call names or changes, each with what it is called."""
    put_back(db, call.world)
    before = state(db)
    call.run(db)
    after = state(db)
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    put_back(db, call.world)
    return dict.fromkeys(sorted(changed), "") | dict(
        zip(call.keys, names(call, "KEYS"), strict=True)
    )


PUT = {
    "list": put_wrong_type,
    "hash": lambda db, key: (db.delete(key), db.hset(key, "not", "yours")),
    "string": lambda db, key: db.set(key, "not yours"),
    "zset": lambda db, key: (db.delete(key), db.zadd(key, {"not yours": 0})),
}
KINDS = {"ended": "list", **dict.fromkeys(("meta", "locations"), "hash")}
KINDS |= dict.fromkeys(("journal", "alerts"), "stream")
KINDS |= dict.fromkeys(("due", "refs", "skus", "low"), "zset") | {"inactive": "set"}
"""The type of a key by its name behind the partition; all others are strings."""


@every_call
def test_a_key_of_a_wrong_type_leaves_everything_as_it_was(
    calls: dict[str, Captured], db: redis.Redis, name: str
) -> None:
    call = calls[name]
    trial, untouched = Trial(db, call), set()
    for key, called in touched(db, call).items():
        right = KINDS.get(key.split(":")[2], "string")
        for kind, put in PUT.items():
            if kind == right and kind != "string":
                continue
            trial.restore()
            put(db, key)
            before = state(db)
            word, _ = call.run(db)
            trial.runs += 1
            is_taken = word in TAKEN_WORDS
            if is_taken and (name, called) in UNTOUCHED and state(db)[key] == before[key]:
                untouched.add((name, called))
            elif is_taken or state(db) != before:
                trial.broken.append(f"a {kind} at {key} ({called}): {word}")
    trial.restore()
    trial.end()
    assert untouched == {entry for entry in UNTOUCHED if entry[0] == name}


@every_call
def test_a_junk_argument_leaves_everything_as_it_was(
    calls: dict[str, Captured], db: redis.Redis, name: str
) -> None:
    call = calls[name]
    trial = Trial(db, call)
    for at, called in enumerate(names(call, "ARGV")):
        taken = TAKEN.get(called, frozenset())
        if is_reader(call.script):
            taken = READ.get(called, taken)
        if call.script == "place_hold" and called == "op":
            taken = frozenset()
        for junk in ODD_TEXT if called in TEXTS else JUNK:
            if junk != call.arguments[at]:
                what = f"{called} = {junk!r}"
                trial.run(what, call.with_argument(at, junk), may_be_taken=junk in taken)
    if names(call, "ARGV"):
        trial.end()


@every_call
def test_junk_within_an_argument_breaks_no_promise(
    calls: dict[str, Captured], db: redis.Redis, name: str
) -> None:
    call = calls[name]
    trial = Trial(db, call)
    for at, called in enumerate(names(call, "ARGV")):
        parts = re.split(r"([ ,:=])", call.arguments[at])
        for n in range(0, len(parts) if called in PACKED else 0, 2):
            for junk in ("", "x", "-1", "1"):
                packed = "".join([*parts[:n], junk, *parts[n + 1 :]])
                trial.run(
                    f"{called} = {packed!r}", call.with_argument(at, packed), may_be_taken=True
                )
    assert trial.runs == 0 or PACKED & set(names(call, "ARGV"))
    assert not trial.broken, "\n".join(trial.broken)


@every_call
def test_another_key_leaves_everything_as_it_was(
    calls: dict[str, Captured], db: redis.Redis, name: str
) -> None:
    call = calls[name]
    others = [*call.world, *touched(db, call), "", "x", "inv:{3}:other", "inv:{3}:key:x"]
    trial = Trial(db, call)
    for at, called in enumerate(names(call, "KEYS")):
        # A reader of what is not there says that it is not there.
        may_be_taken = is_reader(call.script) or (call.script, called) in ANY_KEY
        for other in dict.fromkeys(others):
            if other != call.keys[at]:
                what = f"{other} as {called}"
                trial.run(what, call.with_key(at, other), may_be_taken=may_be_taken)
    trial.end()
