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
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from inventory_server.domain.model import Level
from tests.fold import assert_journal_folds_to_state
from tests.proof.books import policy_of
from tests.proof.journals import Store, read_store
from tests.proof.load import READS, Asking
from tests.proof.messages import is_well_told, told_hold, told_level
from tests.proof.operations import Findings, Ids, Operation, attribute, group, in_order, merge
from tests.proof.replay import History, Replay, lines_of, policies_of
from tests.proof.stock_verbs import is_rearm_low, merged
from tests.proof.words import sum_up


def witness(askings: Sequence[Asking], store: Store, *, clock_jumps: bool = False) -> Findings:
    """Holds what was told against what happened; answers all that does not agree.

    Where the clock jumps, a hold may be past its deadline, and then before it again.
    """
    seen, ids = Findings(clock_jumps=clock_jumps), Ids(store.secret)
    operations = group(store, seen)
    changes = [asking for asking in askings if asking.verb not in READS]
    attribute(changes, operations, ids, seen)
    replay = Replay(seen)
    for operation in merge(operations, seen):
        replay.follow(operation)
    answers = _Answers(store, operations, ids, seen)
    for asking in changes:
        if asking.answer is not None:
            answers.check(asking)
    check_alerts(store, replay, seen)
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


def agrees(told: Any, level: Level) -> bool:
    """Whether a caller was told this level."""
    return is_well_told(told) and told_level(told, level.alert_state) == level


def check_alerts(store: Store, replay: Replay, seen: Findings) -> None:
    """The streams have all alerts that the rules ask for, each once and in order, and no other."""
    due = dict(replay.due_alerts)
    for n, stream in store.alerts.items():
        last = 0
        for sent in stream:
            if sent.seq <= last:
                seen.add("an alert is there twice, or out of order:", n, sent)
                continue
            last, wanted = sent.seq, due.pop((n, sent.seq), None)
            if wanted is None:
                seen.add("an alert that nothing caused:", n, sent)
            elif sent != wanted:
                seen.add("another alert had to come of it:", wanted, sent)
            seen.alerts[sent.alert.kind, sent.alert.by.cause] += 1
    for missing in due.items():
        seen.add("an alert is missing:", *missing)


class _Answers:
    """Each answer is an operation's, at the place that its cursor says, and all of it is true."""

    def __init__(
        self, store: Store, operations: dict[str, Operation], ids: Ids, seen: Findings
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
        told = [] if asking.verb == "ExtendHold" else list(asking.answer.levels)
        levels = [level for level in operation.levels.values() if level.sku]
        if len(told) != len(levels) or not all(map(agrees, told, levels)):
            self._seen.add("told other levels than the journal has:", operation, asking)
        if asking.verb == "SetStockPolicy":
            defaults = [policy_of(level) for level in operation.levels.values() if not level.sku]
            if [policy_of(default) for default in asking.answer.defaults] != defaults:
                self._seen.add("told other defaults than the journal has:", operation, asking)
        if operation.hold is not None and told_hold(asking.answer.hold) != operation.hold:
            self._seen.add("told another hold than the journal has:", operation, asking)
        if asking.verb == "PlaceHold":
            both = (asking.request.lines, asking.answer.hold.lines)
            asked, given = [sum_up(lines_of(lines)) for lines in both]
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
    for queue in in_order(operations).values():
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
        is_true = history.was((told.location, told.sku), told_level(told), asking)
        if not is_true or not is_well_told(told):
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
    elif reason == "REARM_BELOW_REORDER":
        _check_rearm_refusal(asking, replay.history, seen)
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


def _check_rearm_refusal(asking: Asking, history: History, seen: Findings) -> None:
    """The level, or default, had a policy of which these points would come."""
    facts = asking.facts
    place = (facts["location"], facts["sku"])
    points = (int(facts["reorder_point"]), int(facts["rearm_point"]))
    wanted = {(x.location, x.sku): x.policy for x in policies_of(asking.request.lines)}[place]

    def comes_to_it(level: Level) -> bool:
        return is_rearm_low(merged(policy_of(level), wanted)) == points

    if not history.was_any(place, comes_to_it, asking.sent_at, asking.answered_at):
        seen.add("refused for points that would not have come:", asking)


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
    counts["alerts"] = sum(map(len, store.alerts.values()))
    seen.refusals.update(a.refusal for a in changes if a.refusal and not a.is_unknown)
