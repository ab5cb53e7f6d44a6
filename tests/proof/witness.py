"""The journals as witness: what callers were told, against what really happened.

The journals are replayed through the model, in an order that agrees with every
partition's, and each recorded answer and refusal is held against that. Pure
but for `read_store`, and linear but for sorting and a few bisections.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from binascii import a2b_base64
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

from inventory_server.domain.model import CountLine, Hold, Level, Line
from inventory_server.stores.keys import partition_of
from inventory_server.stores.operation_id import operation_id
from inventory_server.stores.records import parse_hold, parse_level
from tests.fold import assert_journal_folds_to_state
from tests.proof.load import READS, Asking
from tests.proof.messages import told_hold
from tests.proof.model import Model
from tests.proof.words import Answer, Place, Refusal, Result, is_due

PAGE = 10_000
PARTITIONS = 16


class Movement(NamedTuple):
    """An entry of a journal."""

    partition: int
    seq: int
    op: str
    number: int
    kind: str
    at_ms: int
    actor: str
    place: Place
    on_hand_delta: int
    held_delta: int
    level: str
    hold_id: str
    hold: str
    record: str


class Store(NamedTuple):
    """What the witness reads: the journals by partition, and who the store is."""

    journals: dict[int, list[Movement]]
    store_id: str
    epoch: str
    secret: bytes


def movement_of(partition: int, entry_id: str, entry: dict[str, str]) -> Movement:
    """A movement from an entry as Redis has it."""
    op, _, number = entry["id"].rpartition(".")
    on_hand, _, held = entry["delta"].partition(" ")
    return Movement(
        partition, int(entry_id.partition("-")[0]), op, int(number), entry["kind"],
        int(entry["at_ms"]), entry["actor"], (entry["location"], entry["sku"]), int(on_hand),
        int(held), entry["level"], entry["hold_id"], entry["hold"], entry["record"],
    )  # fmt: skip


def read_store(db: Any) -> Store:
    """All journals, from a client that decodes replies."""
    journals: dict[int, list[Movement]] = {}
    for n in range(PARTITIONS):
        journal: list[Movement] = []
        while page := db.xrange(
            f"inv:{{{n}}}:journal", f"({journal[-1].seq}-0" if journal else "-", "+", PAGE
        ):
            journal += [movement_of(n, entry_id, entry) for entry_id, entry in page]
        journals[n] = journal
    store_id, epoch, secret = db.hmget("inv:{0}:meta", "store_id", "epoch", "secret")
    return Store(journals, store_id, epoch, bytes.fromhex(secret))


@dataclass(slots=True, eq=False)
class Operation:
    """One run of a script: its movements, who asked for it, and when callers knew of it."""

    op: str
    verb: str = ""
    request: Any = None
    movements: list[Movement] = field(default_factory=list)
    reach: dict[int, int] = field(default_factory=dict)
    """How far it goes in each journal."""
    first_sent: float = -inf
    first_answered: float = inf
    levels: dict[Place, Level] = field(default_factory=dict)
    hold: Hold | None = None
    """What the journal says that they became."""
    answer: bytes = b""
    fresh_answers: int = 0

    @property
    def at_ms(self) -> int:
        return self.movements[0].at_ms

    @property
    def hold_id(self) -> str:
        return self.movements[0].hold_id

    def __str__(self) -> str:
        return f"{self.verb or 'expiry'} {self.op} {self.reach} {self.movements}"


@dataclass(slots=True)
class Findings:
    """What the witness saw."""

    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    clock_jumps: bool = False

    def add(self, what: str, *about: object) -> None:
        self.violations.append(" ".join([what, *map(str, about)])[:600])

    def summary(self) -> str:
        """One line to quote."""
        counts = ", ".join(f"{name}: {count:,}" for name, count in self.counts.items())
        refusals = ", ".join(f"{name} {count:,}" for name, count in sorted(self.refusals.items()))
        return f"{counts}; refused: {refusals or 'none'}; violations: {len(self.violations)}"


def witness(askings: Sequence[Asking], store: Store, *, clock_jumps: bool = False) -> Findings:
    """Holds what was told against what happened; answers all that does not agree.

    Where the clock jumps, a hold may be past its deadline, and then before it again.
    """
    seen, ids = Findings(clock_jumps=clock_jumps), _Ids(store.secret)
    operations = _group(store, seen)
    changes = [asking for asking in askings if asking.verb not in READS]
    _attribute(changes, operations, ids, seen)
    replay = Replay(seen)
    for operation in _merge(operations, seen):
        replay.follow(operation)
    answers = _Answers(store, operations, ids, seen)
    for asking in changes:
        if asking.answer is not None:
            answers.check(asking)
    _check_real_time(operations.values(), seen)
    replay.check_misses()
    for asking in askings:
        if asking.verb in READS:
            _check_read(asking, replay.history, seen)
        elif asking.refusal and not asking.is_unknown:
            _check_refusal(asking, operations.get(ids.of(asking)), replay, seen)
    _count(askings, changes, operations, store, seen)
    return seen


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Everything here is kept to the end, so looking for garbage is a third of the work."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def assert_told_as_it_happened(askings: Sequence[Asking], db: Any, **more: int) -> Findings:
    """The witness has nothing to say, and the journals fold to what the store holds. Nothing may
    change the store meanwhile. The counts, and `more`, are written out to be quoted.
    """
    with without_collections():
        seen = witness(askings, read_store(db), clock_jumps="jumps_by_an_hour" in more)
    told = "".join(f"{name.replace('_', ' ')}: {count:,}, " for name, count in more.items())
    sys.stdout.write(f"{told}{seen.summary()}\n")
    assert not seen.violations, "\n".join(seen.violations[:10])
    assert_journal_folds_to_state(db)
    return seen


# What happened


class _Ids:
    """The operation that each asking would be."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: dict[tuple[str, str], str] = {}

    def of(self, asking: Asking) -> str:
        name = (asking.verb, asking.key)
        if name not in self._known:
            self._known[name] = operation_id(self._secret, asking.verb, "", asking.key)
        return self._known[name]


def _group(store: Store, seen: Findings) -> dict[str, Operation]:
    """Operations by id; each stands in a journal once, in one piece."""
    operations: dict[str, Operation] = {}
    for n, journal in store.journals.items():
        last = ""
        for place, movement in enumerate(journal, 1):
            if movement.seq != place:
                seen.add("a gap or a turn in a journal:", place, movement)
            operation = operations.get(movement.op)
            if operation is None:
                operation = operations[movement.op] = Operation(movement.op)
            elif n in operation.reach and movement.op != last:
                seen.add("applied twice:", movement)
            operation.movements.append(movement)
            operation.reach[n] = movement.seq
            last = movement.op
    for operation in operations.values():
        moves = operation.movements
        if len(operation.reach) > 1:
            moves.sort(key=lambda movement: movement.number)
        first = moves[0].number
        if first > 1 or [m.number for m in moves] != list(range(first, first + len(moves))):
            seen.add("a part is there twice, or missing:", operation)
        if len({m.at_ms for m in moves}) > 1:
            seen.add("not at one time:", operation)
    return operations


def _attribute(
    changes: Sequence[Asking], operations: dict[str, Operation], ids: _Ids, seen: Findings
) -> None:
    """Who asked for each operation, and when; nothing happened that nobody asked for."""
    for asking in changes:
        operation = operations.get(ids.of(asking))
        if operation is not None:
            if not operation.verb or asking.sent_at < operation.first_sent:
                operation.first_sent = asking.sent_at
            operation.verb, operation.request = asking.verb, asking.request
    for operation in operations.values():
        by_sweeper = {(m.kind, m.actor) for m in operation.movements} == {("EXPIRE", "sweeper")}
        is_expiry = by_sweeper and operation.op == f"expire-{operation.hold_id}"
        if not operation.verb and not is_expiry:
            seen.add("nobody asked for:", operation)


def _in_order(operations: Iterable[Operation]) -> dict[int, list[Operation]]:
    """Each partition's operations, in the order of its journal."""
    queues: dict[int, list[Operation]] = defaultdict(list)
    for operation in operations:
        for n in operation.reach:
            queues[n].append(operation)
    for n, queue in queues.items():
        queue.sort(key=lambda operation: operation.reach[n])
    return queues


def _merge(operations: dict[str, Operation], seen: Findings) -> list[Operation]:
    """One order that agrees with the order in every journal."""
    queues = _in_order(operations.values())
    heads, waits = dict.fromkeys(queues, 0), {o.op: len(o.reach) for o in operations.values()}
    ordered: list[Operation] = []
    arriving = list(queues)
    while arriving:
        n = arriving.pop()
        if heads[n] == len(queues[n]):
            continue
        operation = queues[n][heads[n]]
        waits[operation.op] -= 1
        if waits[operation.op] == 0:
            ordered.append(operation)
            for reached in operation.reach:
                heads[reached] += 1
                arriving.append(reached)
    if len(ordered) < len(operations):
        stuck = {queues[n][at].op: n for n, at in heads.items() if at < len(queues[n])}
        seen.add("the journals contradict one another about the order of:", stuck)
    return ordered


# What had to happen


class History:
    """The states of each thing, and when each may have been the present one."""

    def __init__(self) -> None:
        self._steps: dict[Hashable, list[tuple[Any, Operation]]] = defaultdict(list)
        self._spans: dict[Hashable, tuple[dict[Any, list[int]], list[float], list[float]]] = {}

    def add(self, thing: Hashable, state: Any, operation: Operation) -> None:
        self._steps[thing].append((state, operation))

    def was(self, thing: Hashable, state: Any, asking: Asking) -> bool:
        """Whether the thing may have been so at some moment while this was asked."""
        window = self._window(thing, asking.sent_at, asking.answered_at)
        found = self._spans[thing][0].get(state, [])
        at = bisect_left(found, window.start)
        return at < len(found) and found[at] in window

    def was_any(
        self, thing: Hashable, wanted: Callable[[Any], bool], since: float, until: float
    ) -> bool:
        """The same for a state of which only something is known."""
        window, steps = self._window(thing, since, until), self._steps[thing]
        return any(wanted(steps[number][0]) for number in window)

    def _window(self, thing: Hashable, since: float, until: float) -> range:
        """The numbers of the states that may have been there in this time."""
        _, begins, ends = self._spans.get(thing) or self._span(thing)
        return range(bisect_left(ends, since), bisect_right(begins, until))

    def _span(self, thing: Hashable) -> tuple[dict[Any, list[int]], list[float], list[float]]:
        """A state is there at the earliest when all up to it were asked for, and at the latest
        until one that came after it was answered.
        """
        steps = self._steps.get(thing, [])
        numbers: dict[Any, list[int]] = defaultdict(list)
        begins, ends = [], []
        latest, earliest = -inf, inf
        for number, (state, operation) in enumerate(steps):
            numbers[state].append(number)
            latest = max(latest, operation.first_sent)
            begins.append(latest)
        for _, operation in reversed(steps):
            ends.append(earliest)
            earliest = min(earliest, operation.first_answered)
        ends.reverse()
        self._spans[thing] = (numbers, begins, ends)
        return self._spans[thing]


KINDS = {
    "PlaceHold": {"HOLD"},
    "ConfirmHold": {"CONFIRM", "RELEASE", "REHOLD"},
    "ReleaseHold": {"RELEASE"},
    "ExtendHold": {"EXTEND"},
    "AdjustStock": {"ADJUST"},
    "SetStock": {"SET"},
    "RecordSale": {"SALE"},
    "TransferStock": {"TRANSFER_OUT", "TRANSFER_IN"},
    "": {"EXPIRE"},
}


class Replay(Model):
    """The model, led along the operations; each is held against what the model makes of it."""

    def __init__(self, seen: Findings) -> None:
        super().__init__()
        self.seen = seen
        self.history = History()
        self.ended_by: dict[str, Operation] = {}
        self.gave_nothing: list[tuple[Place, Operation]] = []
        self._open: dict[Place, dict[str, None]] = defaultdict(dict)
        self._acts: dict[str, Callable[[Operation, Any], Result]] = {
            "PlaceHold": self._place_again, "ConfirmHold": self._confirm_again,
            "ReleaseHold": self._release_again, "ExtendHold": self._extend_again,
            "AdjustStock": self._adjust_again, "SetStock": self._set_again,
            "RecordSale": self._sell_again, "TransferStock": self._transfer_again,
            "": self._expire_again,
        }  # fmt: skip

    def follow(self, operation: Operation) -> None:
        """One operation, after all that came before it."""
        self._read(operation)
        if not {movement.kind for movement in operation.movements} <= KINDS[operation.verb]:
            self.seen.add("not a movement of this verb:", operation)
        result = self._acts[operation.verb](operation, operation.request)
        if isinstance(result, Refusal):
            self.seen.add("against the rules:", result, operation)
        elif result.replayed:
            self.seen.add("done again, though it was done:", operation)
        elif list(result.levels) != list(operation.levels.values()):
            self.seen.add("other levels had to come of it:", result.levels, operation)
        elif result.hold != operation.hold:
            self.seen.add("another hold had to come of it:", result.hold, operation)
        self._take_over(operation)

    def _read(self, operation: Operation) -> None:
        """What the journal says; each level follows from what it was."""
        for movement in operation.movements:
            place = movement.place
            if movement.level:
                level = parse_level(place[1], place[0], movement.level)
                before = operation.levels.get(place) or self.levels.get(place)
                if before is None:
                    before = Level(place[1], place[0], 0, 0, movement.seq - 1)
                if (level.on_hand, level.held, level.version) != (
                    before.on_hand + movement.on_hand_delta,
                    before.held + movement.held_delta,
                    before.version + 1,
                ):
                    self.seen.add("a level does not follow from what it was:", before, movement)
                operation.levels[place] = level
            if movement.hold:
                if operation.hold or movement.partition != int(movement.hold_id.partition("-")[0]):
                    self.seen.add("a hold is told of twice, or not at home:", operation)
                operation.hold = parse_hold(movement.hold_id, movement.record, movement.hold)

    def _take_over(self, operation: Operation) -> None:
        """Goes on from what the journal says, so that one fault is not many."""
        for place, level in operation.levels.items():
            self.levels[place] = level
            self.history.add(place, level, operation)
            units = level.on_hand - level.held - level.safety_stock
            self.history.add(("available", *place), units, operation)
        hold = operation.hold
        if hold is None:
            return
        self.holds[hold.hold_id] = hold
        self.history.add(hold.hold_id, hold, operation)
        if hold.state != "HELD":
            self.ended_by.setdefault(hold.hold_id, operation)
        for line in hold.lines:
            holders = self._open[line.location, line.sku]
            if line.held:
                holders[hold.hold_id] = None
            else:
                holders.pop(hold.hold_id, None)

    def expire_level(self, place: Place, now_ms: int) -> int:
        """As the model's, by an index of the holds that are open."""
        return self._expire_all([self.holds[hold_id] for hold_id in self._open[place]], now_ms)

    def _place_again(self, operation: Operation, request: Any) -> Result:
        lines = _lines(request.lines)
        home = partition_of(min(line.location for line in lines), PARTITIONS)
        hold_id = f"{home}-{operation.op}"
        ttl_ms = request.ttl.ToMilliseconds()
        texts = (request.reference, request.note)
        # A level that gave nothing to a part leaves no trace in its journal, so the order of
        # the journals does not tell when it was looked at.
        reached = [x for x in lines if partition_of(x.location, PARTITIONS) in operation.reach]
        if request.allow_partial:
            missed = [(x.location, x.sku) for x in lines if x not in reached]
            self.gave_nothing += [(place, operation) for place in missed]
            lines = reached
        return self.place(
            operation.op, lines, operation.at_ms, hold_id, ttl_ms, texts, request.allow_partial
        )

    def check_misses(self) -> None:
        """What gave nothing to a part of a hold had nothing, at some moment while it was asked."""
        for (location, sku), operation in self.gave_nothing:
            thing = ("available", location, sku)
            since, until = operation.first_sent, operation.first_answered
            if not self.history.was_any(thing, lambda units: units <= 0, since, until):
                self.seen.add("gave nothing, and had something:", location, sku, operation)

    def _confirm_again(self, operation: Operation, request: Any) -> Result:
        result = self.confirm(
            operation.op, request.hold_id, operation.at_ms, _lines(request.lines),
            request.keep_rest, request.rehold_if_expired,
        )  # fmt: skip
        is_reheld = operation.movements[0].kind == "REHOLD"
        if isinstance(result, Answer) and result.reheld != is_reheld:
            self.seen.add("taken again, or not, against the rules:", operation)
        return result

    def _release_again(self, operation: Operation, request: Any) -> Result:
        return self.release(operation.op, request.hold_id, operation.at_ms, _lines(request.lines))

    def _extend_again(self, operation: Operation, request: Any) -> Result:
        ttl_ms = request.ttl.ToMilliseconds()
        return self.extend(operation.op, request.hold_id, operation.at_ms, ttl_ms)

    def _expire_again(self, operation: Operation, request: Any) -> Result:
        hold = self.holds.get(operation.hold_id)
        if hold is None or not is_due(hold, operation.at_ms):
            return Refusal("NOT_DUE")
        return self.expire(hold, operation.at_ms)

    def _adjust_again(self, operation: Operation, request: Any) -> Result:
        lines = [Line(line.sku, line.location, line.delta) for line in request.lines]
        return self.adjust(operation.op, lines, operation.at_ms)

    def _set_again(self, operation: Operation, request: Any) -> Result:
        lines = [CountLine(x.sku, x.location, x.on_hand, None) for x in request.lines]
        return self.set(
            operation.op, lines, operation.at_ms, force=request.force,
            first_versions={place: level.version for place, level in operation.levels.items()},
        )  # fmt: skip

    def _sell_again(self, operation: Operation, request: Any) -> Result:
        return self.sell(operation.op, _lines(request.lines), operation.at_ms)

    def _transfer_again(self, operation: Operation, request: Any) -> Result:
        source, target = request.from_location, request.to_location
        deltas = [Line(line.sku, source, -line.quantity) for line in request.lines]
        deltas += [Line(line.sku, target, line.quantity) for line in request.lines]
        return self.transfer(operation.op, deltas, operation.at_ms)


def _lines(lines: Iterable[Any]) -> list[Line]:
    return [Line(line.sku, line.location, line.quantity) for line in lines]


def _units(lines: Iterable[Any]) -> dict[Place, int]:
    units: dict[Place, int] = defaultdict(int)
    for line in lines:
        units[line.location, line.sku] += line.quantity
    return units


# What callers were told


def agrees(told: Any, level: Level) -> bool:
    """Whether a caller was told this level."""
    units = level.on_hand - level.held - level.safety_stock
    return (told.location, told.sku, told.on_hand, told.held, told.version, told.available) == (
        level.location, level.sku, level.on_hand, level.held, level.version, units,
    )  # fmt: skip


class _Answers:
    """Each answer is an operation's, at the place that its cursor says, and all of it is true."""

    def __init__(
        self, store: Store, operations: dict[str, Operation], ids: _Ids, seen: Findings
    ) -> None:
        self._store, self._operations, self._ids, self._seen = store, operations, ids, seen
        self._at = {place: o for o in operations.values() for place in o.reach.items()}

    def check(self, asking: Asking) -> None:
        answer, seen = asking.answer, self._seen
        operation = self._find(answer.cursor)
        if operation is None:
            seen.add("acknowledged, and not in the journal:", asking)
            return
        own = self._operations.get(self._ids.of(asking))
        if own is not operation and (own or not self._is_same_end(asking, operation)):
            seen.add("answered with another's change:", operation, asking)
            return
        operation.first_answered = min(operation.first_answered, asking.answered_at)
        if not asking.replayed:
            operation.fresh_answers += 1
            if operation.fresh_answers > 1:
                seen.add("said twice to be done just now:", asking)
        packed = answer.SerializeToString(deterministic=True)
        if operation.answer and packed != operation.answer:
            seen.add("a repeated answer differs from the first:", operation, asking)
        elif not operation.answer:
            operation.answer = packed
            self._check_content(asking, operation)

    def _check_content(self, asking: Asking, operation: Operation) -> None:
        told = () if asking.verb == "ExtendHold" else asking.answer.levels
        levels = list(operation.levels.values())
        if len(told) != len(levels) or not all(map(agrees, told, levels)):
            self._seen.add("told other levels than the journal has:", operation, asking)
        if operation.hold is not None and told_hold(asking.answer.hold) != operation.hold:
            self._seen.add("told another hold than the journal has:", operation, asking)
        if asking.verb == "PlaceHold":
            asked, given = _units(asking.request.lines), _units(asking.answer.hold.lines)
            lacks = [(*p, n, given.get(p, 0)) for p, n in asked.items() if n > given.get(p, 0)]
            told = [(x.location, x.sku, x.requested, x.held) for x in asking.answer.shortages]
            if sorted(told) != sorted(lacks):
                self._seen.add("told other shortages than there were:", lacks, asking)

    def _find(self, cursor: str) -> Operation | None:
        """The operation that ends where the cursor points to, in every journal."""
        version, _, packed = cursor.partition(".")
        *where, places = a2b_base64(packed).decode().split(" ")
        if (version, where) != ("1", [self._store.store_id, self._store.epoch, "journal"]):
            return None
        reach = {int(n): int(seq) for n, _, seq in (p.partition(":") for p in places.split(","))}
        operation = self._at.get(next(iter(reach.items())))
        return operation if operation is not None and operation.reach == reach else None

    def _is_same_end(self, asking: Asking, operation: Operation) -> bool:
        """Ending a hold again in the same way is answered as the first time."""
        return (
            asking.replayed
            and asking.verb in ("ConfirmHold", "ReleaseHold")
            and asking.verb == operation.verb
            and operation.hold is not None
            and asking.request.hold_id == operation.hold.hold_id
            and operation.hold.state != "HELD"
        )


def _check_real_time(operations: Iterable[Operation], seen: Findings) -> None:
    """What was answered before something else was sent stands before it in every journal."""
    for queue in _in_order(operations).values():
        latest = queue[0]
        for operation in queue:
            if operation.first_answered < latest.first_sent:
                seen.add("answered before this was sent, and after it:", operation, latest)
            if operation.first_sent > latest.first_sent:
                latest = operation


def _check_read(asking: Asking, history: History, seen: Findings) -> None:
    """A read is of a state that was there while it was asked for."""
    if asking.answer is None:
        if asking.refusal in UNDESERVED:
            seen.add("nobody deserves this:", asking)
        return
    if asking.verb == "GetHold":
        hold = told_hold(asking.answer.hold)
        if not history.was(hold.hold_id, hold, asking):
            seen.add("read a hold that was not so then:", asking)
        return
    for told in asking.answer.stock.levels:
        units = told.on_hand - told.held
        level = Level(told.sku, told.location, told.on_hand, told.held, told.version)
        # The callers here know no policies, so that the alert state is OK or OUT.
        level = level._replace(alert_state="OK" if units > 0 else "OUT")
        if not history.was((told.location, told.sku), level, asking):
            seen.add("read a level that was not so then:", told, asking)


_ENDS = {"HOLD_ALREADY_CONFIRMED": "CONFIRMED", "HOLD_ALREADY_RELEASED": "RELEASED"}
NOT_APPLIED = ("STORE_UNAVAILABLE", "DRAINING", "STORE_FULL")
UNDESERVED = ("INTERNAL", "HOLD_NOT_FOUND", "STOCK_LEVEL_NOT_FOUND", "STORE_REWOUND")


def _check_refusal(
    asking: Asking, operation: Operation | None, replay: Replay, seen: Findings
) -> None:
    """A refusal had its reason while it was asked, and was no refusal of what was done."""
    facts, reason = asking.facts, asking.refusal
    was_done = operation is not None and operation.first_answered < asking.sent_at
    if was_done and reason not in NOT_APPLIED:
        seen.add("refused, though it was done and answered:", asking)
    if reason in UNDESERVED:
        seen.add("nobody deserves this:", asking)
    elif reason == "INSUFFICIENT_STOCK":
        thing = ("available", facts["location"], facts["sku"])
        if not replay.history.was(thing, int(facts["available"]), asking):
            seen.add("so much was not available then:", asking)
        if int(facts["requested"]) <= int(facts["sellable"]):
            seen.add("refused for want of what was there:", asking)
    elif reason in _ENDS or reason == "HOLD_EXPIRED":
        hold = replay.holds.get(asking.request.hold_id)
        ended_by = replay.ended_by.get(asking.request.hold_id)
        if hold is None:
            seen.add("the end of a hold that was never placed:", asking)
        elif reason == "HOLD_EXPIRED" and seen.clock_jumps:
            pass  # it was so by the clock of that moment
        elif ended_by is not None and ended_by.first_sent > asking.answered_at:
            seen.add("the hold had not ended then:", asking)
        elif hold.state not in (_ENDS.get(reason, hold.state), "HELD"):
            seen.add("the hold ended otherwise:", hold, asking)


def _count(
    askings: Sequence[Asking],
    changes: Sequence[Asking],
    operations: dict[str, Operation],
    store: Store,
    seen: Findings,
) -> None:
    counts = seen.counts
    counts["operations asked for"] = len(changes)
    counts["acknowledged"] = sum(a.answer is not None for a in changes)
    counts["of them replays"] = sum(a.replayed for a in changes)
    counts["without an answer"] = sum(a.is_unknown for a in changes)
    counts["reads"] = len(askings) - len(changes)
    counts["changes in the journals"] = len(operations)
    counts["expiries"] = sum(not operation.verb for operation in operations.values())
    counts["movements"] = sum(map(len, store.journals.values()))
    seen.refusals.update(a.refusal for a in changes if a.refusal and not a.is_unknown)
