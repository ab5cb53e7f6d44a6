"""Telling the service and the model the same: the words of a story, and how a call is made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from inventory_server.domain.errors import (
    HoldEnded,
    HoldExpired,
    InventoryError,
    LinesRefused,
    StockLevelNotFound,
)
from inventory_server.domain.model import Change, HoldChange, ImportResult, Line, Origin, Policy
from inventory_server.operations.availability import AvailabilityOperations
from inventory_server.operations.expiry import Expiry, Sweeper
from inventory_server.operations.holds import HoldOperations
from inventory_server.operations.imports import ImportOperations
from inventory_server.operations.stock import StockOperations
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.keys import partition_of
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.stock_store import StockStore
from tests.proof.model import Model
from tests.proof.words import Answer, Place, Refusal, Result, available
from tests.scripts.direct import NOW, PARTITIONS, open_store

SKUS = ("A", "B")
LOCATIONS = ("online", "store:D", "store:LEH")
"""Two of one partition, and one of another."""
JOURNALS = 4
"""None of their partitions has a higher number."""
PLACES: list[Place] = [("online", "A"), ("online", "B"), ("store:D", "A"), ("store:LEH", "A")]
"""Where most happens; transfers and imports make the others."""
DEFAULT_TTL_MS = 4_000
MAX_LIFE_MS = 12_000
RETENTION_MS = 30_000
"""Of ended holds. The keys of verbs on stock live by Redis's own clock, and outlive a story."""

places = st.sampled_from(PLACES)
everywhere = st.tuples(st.sampled_from(LOCATIONS), st.sampled_from(SKUS))
defaults = st.tuples(st.sampled_from(LOCATIONS), st.just(""))
"""The names of locations' default policies."""
quantities = st.integers(1, 4)
counts = st.sampled_from([5, 0, 1, 2, 3, 4, 6, 7, 9])
ttls = st.sampled_from([None, 1_000, 2_000, 8_000])
references = st.sampled_from(["", "order-1"])
few_booleans = st.sampled_from([False, False, False, True])
keys = st.sampled_from([None] * 9 + [("", "k1"), ("", "k1"), ("shop", "k1")])
"""(caller, key); None is a key that nobody used."""
moments = st.sampled_from([None] * 20 + [-1, 0, 0, 1])
"""When, in ms from the deadline that matters; None is at once."""
lines_of = st.lists(
    st.builds(lambda place, n: Line(place[1], place[0], n), places, quantities),
    min_size=1, max_size=3,
)  # fmt: skip


def policy(
    reorder: int | None, above: int | None, safety: int | None, backorder: int | None
) -> Policy:
    rearm = None if above is None else max(0, (reorder or 0) + above)
    return Policy(reorder, rearm, safety, backorder)


policies = st.builds(
    policy, st.sampled_from([None, 0, 1, 2, 3, 5]), st.sampled_from([None, 0, 1, 2, 2, 3, -1]),
    st.sampled_from([None, None, 0, 0, 1, 2, 5]), st.sampled_from([None, None, 0, 2, 5]),
)  # fmt: skip
"""Mostly with a rearm point above the reorder point: between the two a level may tremble."""
numbers = st.integers(0, 4)
"""Which hold, the last one first."""
parts = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 1, 2, -1])), min_size=1, max_size=2
)
"""Of a hold: (which line, how many fewer than it holds)."""


Key = tuple[str, str]


class Way(NamedTuple):
    """How a call is made: under which key, when, whether it is sent again at once, by whom."""

    key: Key | None = None
    when: int | None = None
    again: bool = False
    actor: str = "till-1"


ways = st.builds(Way, keys, moments, few_booleans, st.sampled_from(["till-1", "web", ""]))

Changed = Change | HoldChange | ImportResult


class Asked(NamedTuple):
    """What the model hears of a call: its key, who calls, and what the service answered."""

    key: Key
    actor: str
    change: Any = None

    @property
    def first_versions(self) -> dict[Place, int]:
        """The versions that the call gave, of which the model takes those of new levels."""
        levels = self.change.levels if self.change else ()
        return {(level.location, level.sku): level.version for level in levels}


class Call(NamedTuple):
    """A call, on the service and on the model."""

    verb: str
    run: Callable[[Origin], Awaitable[Changed]]
    expect: Callable[[Asked], Result]


def told(error: InventoryError) -> Refusal:
    """A refusal in the words of the model."""
    if isinstance(error, HoldExpired):
        return Refusal(error.reason, told(error.short).lines if error.short else (), error.time_ms)
    if isinstance(error, HoldEnded):
        return Refusal(error.reason, (), error.time_ms)
    if isinstance(error, StockLevelNotFound):
        return Refusal(error.reason, error.levels)
    if isinstance(error, LinesRefused):
        numbers = [[line[name] for name in error.numbers] for line in error.lines]
        names = [(line["location"], line["sku"]) for line in error.lines]
        lines = tuple((*name, *facts) for name, facts in zip(names, numbers, strict=True))
        return Refusal(error.reason, lines)
    return Refusal(error.reason)


def answered(change: Changed) -> Answer:
    """An answer in the words of the model."""
    if isinstance(change, Change):
        return Answer(change.levels, replayed=change.replayed)
    if isinstance(change, ImportResult):
        rows = [(row.row_number, row.reason) for row in change.refused_rows]
        return Answer(replayed=change.replayed, refused_rows=tuple(rows))
    return Answer(change.levels, change.hold, change.shortages, change.reheld, change.replayed)


class Telling(RuleBasedStateMachine):
    """Tells both the same, and compares what they answer."""

    def __init__(self, db: redis.Redis) -> None:
        super().__init__()
        self.db, self.now, self.numbers = db, NOW, count(1)
        self.told: list[tuple[Key, Call]] = []
        self.cursors: set[str] = set()
        self.gone: list[str] = []
        self.runner = asyncio.Runner()
        self.model = Model(
            partition_of=lambda location: partition_of(location, PARTITIONS),
            default_ttl_ms=DEFAULT_TTL_MS, max_hold_life_ms=MAX_LIFE_MS, retention_ms=RETENTION_MS,
        )  # fmt: skip
        db.flushall()
        self.runner.run(self.open())

    async def open_store(self) -> RedisStore:
        return open_store(self.db, with_shebang=True)

    async def open(self) -> None:
        self.store = await self.open_store()
        holds = HoldStore(self.store, retention_ms=RETENTION_MS, max_hold_life_ms=MAX_LIFE_MS)
        stock = StockStore(self.store, retention_ms=86_400_000)
        expiry = Expiry(holds, self.store.keys)
        self.on_holds = HoldOperations(holds, expiry, default_ttl_ms=DEFAULT_TTL_MS)
        self.on_stock = StockOperations(stock, expiry)
        self.activity = ActivityStore(self.store)
        self.on_imports = ImportOperations(stock, expiry)
        self.availability = AvailabilityOperations(stock, expiry)
        self.sweeper = Sweeper(holds, self.store.keys)

    def teardown(self) -> None:
        self.runner.close()

    # Telling both

    def deadline(self) -> float:
        return self.runner.get_loop().time() + 60

    def go_to(self, now: int) -> None:
        self.now = max(self.now, now)
        self.store.now_ms = str(self.now)

    def go_near(self, ms: int | None, hold_id: str = "") -> None:
        """Goes to so many ms from the deadline of this hold, or from the soonest to come."""
        holds = self.model.holds.values()
        times = [hold.expire_time_ms for hold in holds if hold_id in ("", hold.hold_id)]
        to_come = [time for time in times if time >= self.now]
        if ms is not None and to_come:
            self.go_to(min(to_come) + ms)

    def tell(self, way: Way, call: Call, hold_id: str = "") -> Result:
        """Calls both, at some time and under some key; they must answer alike."""
        self.go_near(way.when, hold_id)
        key = way.key or ("", f"new-{next(self.numbers)}")
        self.told.append((key, call))
        origin = Origin(key[0], way.actor, key[1], False, self.deadline())
        change: Changed | None = None
        result: Result
        try:
            change = self.runner.run(call.run(origin))
            result = answered(change)
        except InventoryError as error:
            result = told(error)
        expected = call.expect(Asked(key, way.actor, change))
        assert result == expected, call.verb
        self.note(call.verb, result, change)
        return self.tell(Way(key), call) if way.again else result

    def note(self, verb: str, result: Result, change: Changed | None) -> None:
        if isinstance(result, Refusal) or change is None:
            return
        if change.cursor and not isinstance(change, ImportResult):
            assert (change.cursor in self.cursors) == result.replayed, "a change has its own cursor"
            self.cursors.add(change.cursor)
        if verb in ("place", "sell") and not result.replayed:
            for level in result.levels:
                assert available(level) >= -level.backorder_limit, "a unit was promised twice"
