"""Any order of calls at any time: the service answers, and keeps, what the model says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inventory_server.domain.errors import (
    HoldEnded,
    HoldExpired,
    InventoryError,
    LinesRefused,
    StockLevelNotFound,
)
from inventory_server.domain.model import (
    Change,
    ConfirmRequest,
    CountLine,
    HoldChange,
    HoldLine,
    Line,
    Origin,
    PlaceRequest,
    Policy,
    PolicyLine,
    ReleaseRequest,
)
from inventory_server.domain.rules import sum_lines
from inventory_server.operations.availability import AvailabilityOperations
from inventory_server.operations.expiry import Expiry, Sweeper
from inventory_server.operations.holds import HoldOperations
from inventory_server.operations.stock import StockOperations
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.keys import partition_of
from inventory_server.stores.records import parse_hold
from inventory_server.stores.stock_store import StockStore
from tests.fold import assert_journal_folds_to_state, stored_holds, stored_levels
from tests.proof.model import Answer, Model, Place, Refusal, Result, available, units_of
from tests.scripts.direct import NOW, PARTITIONS, open_store

EXAMPLES = int(os.environ.get("INVENTORY_MODEL_EXAMPLES", "70"))
"""How many stories are told."""
STEPS = 30
"""Calls and clock steps a story."""

SKUS = ("A", "B")
LOCATIONS = ("online", "store:D", "store:LEH")
"""Two of one partition, and one of another."""
JOURNALS = 4
"""None of their partitions has a higher number."""
PLACES: list[Place] = [("online", "A"), ("online", "B"), ("store:D", "A"), ("store:LEH", "A")]
"""Where most happens; transfers make the others."""
ACTOR = "till-1"
DEFAULT_TTL_MS = 4_000
MAX_LIFE_MS = 12_000
RETENTION_MS = 30_000
"""Of ended holds. The keys of verbs on stock live by Redis's own clock, and outlive a story."""

places = st.sampled_from(PLACES)
quantities = st.integers(1, 4)
counts = st.integers(0, 6)
ttls = st.sampled_from([None, 1_000, 2_000, 8_000])
references = st.sampled_from(["", "order-1"])
few_booleans = st.sampled_from([False, False, False, True])
keys = st.sampled_from([None, None, None, ("", "k1"), ("", "k1"), ("shop", "k1")])
"""(caller, key); None is a key that nobody used."""
moments = st.sampled_from([None] * 10 + [-1, 0, 0, 1])
"""When, in ms from the deadline that matters; None is at once."""
lines_of = st.lists(
    st.builds(lambda place, n: Line(place[1], place[0], n), places, quantities),
    min_size=1, max_size=3,
)  # fmt: skip
numbers = st.integers(0, 4)
"""Which hold, the last one first."""
parts = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 1, 2, -1])), min_size=1, max_size=2
)
"""Of a hold: (which line, how many fewer than it holds)."""


Key = tuple[str, str]


class Way(NamedTuple):
    """How a call is made: under which key, when, and whether it is sent again at once."""

    key: Key | None = None
    when: int | None = None
    again: bool = False


ways = st.builds(Way, keys, moments, few_booleans)


class Call(NamedTuple):
    """A call, on the service and on the model: the model hears what the service answered."""

    verb: str
    run: Callable[[Origin], Awaitable[Change | HoldChange]]
    expect: Callable[[Any, Change | HoldChange | None], Result]


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


def answered(change: Change | HoldChange) -> Answer:
    """An answer in the words of the model."""
    if isinstance(change, Change):
        return Answer(change.levels, replayed=change.replayed)
    return Answer(change.levels, change.hold, change.shortages, change.reheld, change.replayed)


def made(change: Change | HoldChange | None) -> dict[Place, int]:
    """The versions that a call gave."""
    return {(level.location, level.sku): level.version for level in change.levels} if change else {}


def has_holds(story: Story) -> bool:
    return bool(story.model.holds or story.gone)


class Story(RuleBasedStateMachine):
    """Tells the service and the model the same, and compares them after every step."""

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

    async def open(self) -> None:
        self.store = open_store(self.db, with_shebang=True)
        holds = HoldStore(self.store, retention_ms=RETENTION_MS, max_hold_life_ms=MAX_LIFE_MS)
        stock = StockStore(self.store, retention_ms=86_400_000)
        expiry = Expiry(holds, self.store.keys)
        self.on_holds = HoldOperations(holds, expiry, default_ttl_ms=DEFAULT_TTL_MS)
        self.fresh = count()
        self.on_stock = StockOperations(stock, expiry)
        self.activity = ActivityStore(self.store)
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
        origin = Origin(key[0], ACTOR, key[1], False, self.deadline())
        change: Change | HoldChange | None = None
        result: Result
        try:
            change = self.runner.run(call.run(origin))
            result = answered(change)
        except InventoryError as error:
            result = told(error)
        expected = call.expect(key, change)
        assert result == expected, call.verb
        self.note(call.verb, result, change)
        return self.tell(Way(key), call) if way.again else result

    def note(self, verb: str, result: Result, change: Change | HoldChange | None) -> None:
        if isinstance(result, Refusal) or change is None:
            return
        if change.cursor:
            assert (change.cursor in self.cursors) == result.replayed, "a change has its own cursor"
            self.cursors.add(change.cursor)
        if verb in ("place", "sell") and not result.replayed:
            for level in result.levels:
                assert available(level) >= -level.backorder_limit, "a unit was promised twice"

    # Stock

    @initialize(
        on_hand=st.lists(counts, min_size=len(PLACES) - 1, max_size=len(PLACES)),
        policies=st.dictionaries(places, st.tuples(counts, counts), max_size=3),
        held=st.lists(st.tuples(lines_of, ttls), min_size=1, max_size=3),
    )
    def begin(self, on_hand: list[int], policies: Any, held: Any) -> None:
        lines = [CountLine(p[1], p[0], n, None) for p, n in zip(PLACES, on_hand, strict=False)]
        self.set_counts(Way(), lines, force=False, validate_only=False)
        for place, (safety, backorder) in policies.items():
            self.set_policy(place, safety, backorder, reorder=1, rearm=3)
        for key, (lines_to_hold, ttl_ms) in zip([("", "k1"), None, None], held, strict=False):
            self.place_hold(Way(key), lines_to_hold, ttl_ms, "order-1", partial=True)

    def set_counts(
        self, way: Way, lines: list[CountLine], *, force: bool, validate_only: bool
    ) -> None:
        self.tell(way, Call(
            "validated set" if validate_only else "set",
            lambda origin: self.on_stock.set(
                lines, reason="COUNT", note="", reference="", force=force,
                validate_only=validate_only, origin=origin,
            ),
            lambda key, change: self.model.set(
                key, lines, self.now, force=force, validate_only=validate_only,
                first_versions=made(change),
            ),
        ))  # fmt: skip

    @rule(
        way=ways,
        lines=st.dictionaries(
            places, st.tuples(counts, st.sampled_from([None] * 6 + [0, 3])),
            min_size=1, max_size=2,
        ),
        force=st.booleans(), validate_only=few_booleans,
    )  # fmt: skip
    def set_some(
        self, way: Way, lines: dict[Place, tuple[int, int | None]], force: bool, validate_only: bool
    ) -> None:
        count_lines = [CountLine(p[1], p[0], n, expected) for p, (n, expected) in lines.items()]
        self.set_counts(way, count_lines, force=force, validate_only=validate_only)

    @rule(
        way=ways, lines=lines_of, signs=st.lists(st.sampled_from([-1, -1, 1]), min_size=3),
        validate_only=few_booleans,
    )  # fmt: skip
    def adjust(self, way: Way, lines: list[Line], signs: list[int], validate_only: bool) -> None:
        deltas = [
            line._replace(quantity=line.quantity * sign)
            for line, sign in zip(lines, signs, strict=False)
        ]
        self.tell(way, Call(
            "validated adjust" if validate_only else "adjust",
            lambda origin: self.on_stock.adjust(
                deltas, reason="LOSS", note="", reference="", validate_only=validate_only,
                origin=origin,
            ),
            lambda key, _: self.model.adjust(key, deltas, self.now, validate_only=validate_only),
        ))  # fmt: skip

    @rule(way=ways, lines=lines_of, reference=references)
    def sell(self, way: Way, lines: Sequence[Line], reference: str) -> None:
        self.tell(way, Call(
            "sell",
            lambda origin: self.on_stock.sell(lines, reference=reference, origin=origin),
            lambda key, _: self.model.sell(key, lines, self.now, reference),
        ))  # fmt: skip

    @rule(
        way=ways, reference=references, places=st.permutations(LOCATIONS),
        moved=st.lists(st.tuples(st.sampled_from(SKUS), quantities), min_size=1, max_size=2),
    )  # fmt: skip
    def transfer(
        self, way: Way, reference: str, places: list[str], moved: list[tuple[str, int]]
    ) -> None:
        source, target, _ = places
        deltas = [Line(sku, source, -n) for sku, n in moved]
        deltas += [Line(sku, target, n) for sku, n in moved]
        self.tell(way, Call(
            "transfer",
            lambda origin: self.on_stock.transfer(
                moved, from_location=source, to_location=target, reference=reference,
                origin=origin,
            ),
            lambda key, change: self.model.transfer(
                key, deltas, self.now, reference, first_versions=made(change)
            ),
        ))  # fmt: skip

    @rule(way=ways, named=st.sets(places, min_size=1, max_size=2), emptied=st.booleans())
    def delete(self, way: Way, named: set[Place], emptied: bool) -> None:
        if emptied:
            lines = [CountLine(sku, location, 0, None) for location, sku in named]
            self.set_counts(Way(), lines, force=False, validate_only=False)
        lines_to_go = [Line(sku, location, 0) for location, sku in named]
        self.tell(way, Call(
            "delete",
            lambda origin: self.on_stock.delete(lines_to_go, origin=origin),
            lambda key, _: self.model.delete(key, named, self.now),
        ))  # fmt: skip

    @rule(place=places, safety=counts, backorder=counts, reorder=counts, rearm=counts)
    def set_policy(
        self, place: Place, safety: int, backorder: int, reorder: int, rearm: int
    ) -> None:
        if place not in self.model.levels:
            return
        level = self.model.set_policy(
            place, safety_stock=safety, backorder_limit=backorder, reorder_point=reorder,
            rearm_point=max(reorder, rearm),
        )  # fmt: skip
        policy = Policy(level.reorder_point, level.rearm_point, safety, backorder)
        line = PolicyLine(place[1], place[0], policy)
        origin = Origin("", ACTOR, f"policy {next(self.fresh)}", False, self.deadline())
        change = self.runner.run(self.on_stock.set_policies([line], origin=origin))
        assert change.levels == (level,)

    @rule(place=places, is_active=st.booleans(), on_hand=counts, lines=lines_of)
    def set_active(
        self, place: Place, is_active: bool, on_hand: int, lines: Sequence[Line]
    ) -> None:
        """A product becomes inactive or active; then it is counted, and somebody wants it."""
        location, sku = place
        self.runner.run(self.activity.set_active({sku: is_active}, self.deadline()))
        (self.model.inactive.discard if is_active else self.model.inactive.add)(sku)
        counted = [CountLine(sku, location, on_hand, None)]
        self.set_counts(Way(), counted, force=False, validate_only=False)
        self.sell(Way(), [Line(sku, location, 1), *lines], "")

    # Holds

    def place_hold(
        self, way: Way, lines: list[Line], ttl_ms: int | None, reference: str, *, partial: bool
    ) -> Result:
        request = PlaceRequest(lines, ttl_ms, reference, "a note", partial)
        return self.tell(way, Call(
            "place partial" if partial else "place",
            lambda origin: self.on_holds.place(request, origin),
            lambda key, change: self.model.place(
                key, lines, self.now, change.hold.hold_id if change else "", ttl_ms,
                (reference, "a note"), partial, ACTOR,
            ),
        ))  # fmt: skip

    @rule(
        way=ways, lines=lines_of, ttl_ms=ttls, reference=references,
        partial=st.booleans(), check=st.booleans(),
    )  # fmt: skip
    def place(
        self, way: Way, lines: list[Line], ttl_ms: int | None, reference: str, partial: bool,
        check: bool,
    ) -> None:  # fmt: skip
        """What CheckAvailability says of a basket is what PlaceHold then does."""
        self.go_near(way.when)
        if not check:
            self.place_hold(way._replace(when=None), lines, ttl_ms, reference, partial=partial)
            return
        answers = self.runner.run(self.availability.check(lines, self.deadline()))
        verdict = {
            (line.location, line.sku): (line.level, line.earliest_expire_time_ms, line.shortage)
            for line in answers
        }
        assert verdict == self.model.check(lines, self.now)
        result = self.place_hold(Way(), lines, ttl_ms, reference, partial=False)
        assert {line.sku for line in answers if not line.active} <= self.model.inactive
        is_available = all(line.is_available for line in answers)
        assert isinstance(result, Answer) == is_available

    def nth_hold(self, nth: int) -> str:
        """The id of a hold: open ones come first, then ended ones, then one that is gone."""
        holds = self.model.holds
        known = [*self.gone[-1:], *sorted(holds, key=lambda id_: holds[id_].state == "HELD")]
        return known[-1 - nth % len(known)]

    def part_of(self, hold_id: str, part: list[tuple[int, int]]) -> tuple[Line, ...]:
        """Lines of this hold, or of any where it is gone."""
        hold = self.model.holds.get(hold_id)
        lines = hold.lines if hold else (HoldLine("A", "online", 1, 1, 0, 0, 0),)
        named = [(lines[number % len(lines)], fewer) for number, fewer in part]
        units = [(line, max(1, line.held - fewer)) for line, fewer in named]
        return sum_lines([Line(line.sku, line.location, n) for line, n in units])

    @precondition(has_holds)
    @rule(
        nth=numbers, way=ways, what=st.sampled_from(["all", "part", "rehold"]), part=parts,
        keep_rest=st.booleans(), lost=few_booleans,
    )  # fmt: skip
    def confirm(
        self, nth: int, way: Way, what: str, part: Any, keep_rest: bool, lost: bool
    ) -> None:
        hold_id, rehold = self.nth_hold(nth), what == "rehold"
        hold = self.model.holds.get(hold_id)
        if rehold and keep_rest and hold:
            # Somebody else may have been quicker.
            self.go_near(0, hold_id)
            self.sell(Way(), self.part_of(hold_id, part), "")
        elif lost and hold:
            # The units are held, but a count found none.
            counts = [CountLine(hold.lines[0].sku, hold.lines[0].location, 0, None)]
            self.set_counts(Way(), counts, force=True, validate_only=False)
        lines = self.part_of(hold_id, part) if what == "part" else ()
        request = ConfirmRequest(hold_id, lines, keep_rest, rehold)
        self.tell(way, Call(
            f"confirm {what}",
            lambda origin: self.on_holds.confirm(request, origin),
            lambda key, _: self.model.confirm(
                key, hold_id, self.now, lines, keep_rest, rehold
            ),
        ), hold_id)  # fmt: skip

    @precondition(has_holds)
    @rule(nth=numbers, way=ways, what=st.sampled_from(["all", "part"]), part=parts)
    def release(self, nth: int, way: Way, what: str, part: Any) -> None:
        hold_id = self.nth_hold(nth)
        lines = self.part_of(hold_id, part) if what == "part" else ()
        self.tell(way, Call(
            f"release {what}",
            lambda origin: self.on_holds.release(ReleaseRequest(hold_id, lines), origin),
            lambda key, _: self.model.release(key, hold_id, self.now, lines),
        ), hold_id)  # fmt: skip

    @precondition(has_holds)
    @rule(nth=numbers, way=ways, ttl_ms=st.sampled_from([1_000, 3_000, 20_000]))
    def extend(self, nth: int, way: Way, ttl_ms: int) -> None:
        hold_id = self.nth_hold(nth)
        self.tell(way, Call(
            "extend",
            lambda origin: self.on_holds.extend(hold_id, ttl_ms, origin),
            lambda key, _: self.model.extend(key, hold_id, self.now, ttl_ms),
        ), hold_id)  # fmt: skip

    # The same again, reads, and time

    @rule(back=st.integers(1, 8))
    def call_again(self, back: int) -> None:
        """The same request with the same key, now."""
        key, call = self.told[-min(back, len(self.told))]
        self.tell(Way(key), call)

    @precondition(has_holds)
    @rule(nth=numbers, when=moments)
    def read_hold(self, nth: int, when: int | None) -> None:
        hold_id = self.nth_hold(nth)
        self.go_near(when, hold_id)
        try:
            found: Any = self.runner.run(self.on_holds.get(hold_id, self.deadline()))
        except InventoryError as error:
            found = told(error)
        assert found == self.model.get(hold_id, self.now)

    @rule(sku=st.sampled_from(SKUS), when=moments)
    def read_stock(self, sku: str, when: int | None) -> None:
        self.go_near(when)
        read = self.on_stock.batch_get([sku], LOCATIONS, self.deadline())
        found = self.runner.run(read)[sku]
        self.model.check([Line(sku, location, 1) for location in LOCATIONS], self.now)
        there = [self.model.levels.get((location, sku)) for location in LOCATIONS]
        assert found == tuple(level for level in there if level)

    @rule(ms=st.sampled_from([1, 999, 2_500]))
    def wait(self, ms: int) -> None:
        self.go_to(self.now + ms)

    @rule(nth=numbers, ms=st.sampled_from([None] * 6 + [-1, 0, "all"]))
    def sweep(self, nth: int, ms: int | str | None) -> None:
        """Expires what is due and removes what is over: now, or as the retention time of a
        hold ends, or when the time of all has come.
        """
        hold = self.model.holds.get(self.nth_hold(nth)) if has_holds(self) else None
        if ms == "all":
            self.go_to(self.now + MAX_LIFE_MS + RETENTION_MS)
        elif hold and hold.resolve_time_ms and isinstance(ms, int):
            self.go_to(hold.resolve_time_ms + RETENTION_MS + ms)
        assert self.runner.run(self.sweeper.sweep()) == self.model.sweep(self.now)
        for hold_id in set(self.model.holds) - set(stored_holds(self.db)):
            assert self.model.is_over(hold_id, self.now), "a hold was removed early"
            self.model.remove(hold_id)
            self.gone.append(hold_id)
        ended = [hold_id for hold_id, hold in self.model.holds.items() if hold.state != "HELD"]
        is_over = [self.model.is_over(hold_id, self.now) for hold_id in ended]
        assert not ended or not all(is_over), "a hold stays though its time is over"
        assert not (ms == "all" and self.model.holds), "a hold stays for ever"

    # After every step

    @invariant()
    def the_store_holds_what_the_model_says(self) -> None:
        levels = {
            (partition_of(location, PARTITIONS), location, sku): level._asdict()
            for (location, sku), level in self.model.levels.items()
        }
        found = stored_levels(self.db)
        assert {
            (n, location, sku): {"sku": sku, "location": location} | level
            for (n, location, sku), level in found.items()
        } == levels
        stored = stored_holds(self.db).items()
        holds = {id_: parse_hold(id_, record, state) for id_, (state, record) in stored}
        assert holds == self.model.holds

    @invariant()
    def held_is_what_open_holds_hold(self) -> None:
        for place, level in self.model.levels.items():
            open_units = [units_of(hold).get(place, 0) for hold in self.model.holds.values()]
            assert level.held == sum(open_units) >= 0

    @invariant()
    def the_journal_says_the_same(self) -> None:
        assert_journal_folds_to_state(self.db, JOURNALS)


STORIES = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
    derandomize=False, suppress_health_check=list(HealthCheck),
)  # fmt: skip


def test_whatever_is_called_and_whenever_the_service_does_what_the_model_does(
    db: redis.Redis,
) -> None:
    run_state_machine_as_test(lambda: Story(db), settings=STORIES)
