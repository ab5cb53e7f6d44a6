"""What had to happen: the model, led along the journals."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from math import inf
from typing import Any

from inventory_server.domain.model import CountLine, Level, Line, Policy, PolicyLine
from inventory_server.stores.keys import partition_of
from inventory_server.stores.records import parse_hold, parse_level
from tests.proof.alerts import Alert
from tests.proof.books import policy_of
from tests.proof.journals import PARTITIONS, Sent
from tests.proof.load import Asking
from tests.proof.model import Model
from tests.proof.operations import Findings, Operation
from tests.proof.words import Answer, Place, Refusal, Result, available, is_due


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
    "SetStockPolicy": {"POLICY"},
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
        self.due_alerts: dict[tuple[int, int], Sent] = {}
        """The alerts that had to come, by the partition and seq of their movements."""
        self._open: dict[Place, dict[str, None]] = defaultdict(dict)
        self._acts: dict[str, Callable[[Operation, Any], Result]] = {
            "PlaceHold": self._place_again, "ConfirmHold": self._confirm_again,
            "ReleaseHold": self._release_again, "ExtendHold": self._extend_again,
            "AdjustStock": self._adjust_again, "SetStock": self._set_again,
            "RecordSale": self._sell_again, "TransferStock": self._transfer_again,
            "SetStockPolicy": self._set_policies_again, "": self._expire_again,
        }  # fmt: skip

    def follow(self, operation: Operation) -> None:
        """One operation, after all that came before it."""
        self._read(operation)
        if not {movement.kind for movement in operation.movements} <= KINDS[operation.verb]:
            self.seen.add("not a movement of this verb:", operation)
        told = len(self.alerts)
        result = self._acts[operation.verb](operation, operation.request)
        self._expect_alerts(operation, self.alerts[told:])
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
                if not place[1]:
                    # A location's default has no counts, and no version.
                    before = level._replace(version=level.version - 1)
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
            # Nobody is told of the alert state.
            self.history.add(place, level._replace(alert_state=""), operation)
            if not place[1]:
                self.defaults[place[0]] = policy_of(level)
                continue
            self.levels[place] = level
            self.history.add(("available", *place), available(level), operation)
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

    def _expect_alerts(self, operation: Operation, alerts: Iterable[Alert]) -> None:
        """Each stands under the movement that caused it."""
        caused = {(m.place, m.kind): m for m in operation.movements}
        for alert in alerts:
            movement = caused.get(((alert.location, alert.sku), alert.by.cause))
            if movement is None:
                self.seen.add("a movement is missing:", alert, operation)
                continue
            due = Sent(movement.seq, f"{movement.op}.{movement.number}", alert)
            self.due_alerts[movement.partition, movement.seq] = due

    def expire_level(self, place: Place, now_ms: int) -> int:
        """As the model's, by an index of the holds that are open."""
        return self._expire_all([self.holds[hold_id] for hold_id in self._open[place]], now_ms)

    def _place_again(self, operation: Operation, request: Any) -> Result:
        lines = lines_of(request.lines)
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
            since, until = operation.first_sent, operation.first_answered
            if not self.history.was_any((location, sku), has_nothing, since, until):
                self.seen.add("gave nothing, and had something:", location, sku, operation)

    def _confirm_again(self, operation: Operation, request: Any) -> Result:
        result = self.confirm(
            operation.op, request.hold_id, operation.at_ms, lines_of(request.lines),
            request.keep_rest, request.rehold_if_expired,
        )  # fmt: skip
        is_reheld = operation.movements[0].kind == "REHOLD"
        if isinstance(result, Answer) and result.reheld != is_reheld:
            self.seen.add("taken again, or not, against the rules:", operation)
        return result

    def _release_again(self, operation: Operation, request: Any) -> Result:
        return self.release(operation.op, request.hold_id, operation.at_ms, lines_of(request.lines))

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
        return self.adjust(operation.op, lines, operation.at_ms, request.reference)

    def _set_again(self, operation: Operation, request: Any) -> Result:
        lines = [CountLine(x.sku, x.location, x.on_hand, None) for x in request.lines]
        return self.set(
            operation.op, lines, operation.at_ms, request.reference, force=request.force,
            first_versions={place: level.version for place, level in operation.levels.items()},
        )  # fmt: skip

    def _sell_again(self, operation: Operation, request: Any) -> Result:
        lines = lines_of(request.lines)
        return self.sell(operation.op, lines, operation.at_ms, request.reference)

    def _transfer_again(self, operation: Operation, request: Any) -> Result:
        source, target = request.from_location, request.to_location
        deltas = [Line(line.sku, source, -line.quantity) for line in request.lines]
        deltas += [Line(line.sku, target, line.quantity) for line in request.lines]
        return self.transfer(operation.op, deltas, operation.at_ms, request.reference)

    def _set_policies_again(self, operation: Operation, request: Any) -> Result:
        return self.set_policies(operation.op, policies_of(request.lines), operation.at_ms)


def lines_of(lines: Iterable[Any]) -> list[Line]:
    """Lines of a request or an answer."""
    return [Line(line.sku, line.location, line.quantity) for line in lines]


def policies_of(lines: Iterable[Any]) -> list[PolicyLine]:
    """The policies that a request asks for; what is not set stays."""
    return [
        PolicyLine(line.sku, line.location, Policy(*[
            getattr(line, name) if line.HasField(name) else None for name in Policy._fields
        ]))
        for line in lines
    ]  # fmt: skip


def has_nothing(level: Level) -> bool:
    """Whether a hold can take none of it."""
    return available(level) + level.backorder_limit <= 0
