"""The rules of the service as a small model: what each verb does, or why it is refused.

It is written from the rules alone and shares no code with the scripts, so that
the two can disagree. It has no clock and no I/O: each verb is told the time in
ms and the key of its call, and answers an Answer or a Refusal. What is refused
leaves no trace, but for holds that were due: those have expired by then.

It forgets no key before its hold is removed. The service forgets those of stock
by its own clock, and remembers the last 32 verbs of a hold.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

from inventory_server.domain.model import CountLine, Hold, HoldLine, Level, Line, Shortage

Place = tuple[str, str]
"""A level's name: location and SKU, which is also the order of lines."""
Units = dict[Place, int]
Lines = tuple[tuple[str | int, ...], ...]
"""Refused lines: location, SKU, and the numbers that were compared."""


class Answer(NamedTuple):
    """What changed: the levels as they became, and for a verb on a hold the hold."""

    levels: tuple[Level, ...] = ()
    hold: Hold | None = None
    shortages: tuple[Shortage, ...] = ()
    reheld: bool = False
    replayed: bool = False


class Refusal(NamedTuple):
    """Why nothing was done."""

    reason: str
    lines: Lines = ()
    time_ms: int | None = None


Result = Answer | Refusal


def sum_up(lines: Iterable[Line]) -> Units:
    """The units of each level, in the order of lines."""
    units: Units = {}
    for sku, location, quantity in lines:
        units[location, sku] = units.get((location, sku), 0) + quantity
    return dict(sorted(units.items()))


def units_of(hold: Hold, way: str = "held") -> Units:
    """How many of a hold's units are held, or went this way."""
    return {(line.location, line.sku): n for line in hold.lines if (n := getattr(line, way))}


def part(hold: Hold, at_ms: int, **ways: Units) -> Hold:
    """The hold once these of its units were confirmed, released or expired."""
    lines = []
    for line in hold.lines:
        new = {way: units.get((line.location, line.sku), 0) for way, units in ways.items()}
        told = {way: getattr(line, way) + units for way, units in new.items()}
        lines.append(line._replace(held=line.held - sum(new.values()), **told))
    hold = hold._replace(lines=tuple(lines))
    if units_of(hold):
        return hold
    ends = [way.upper() for way in ("confirmed", "expired") if units_of(hold, way)]
    return hold._replace(state=[*ends, "RELEASED"][0], resolve_time_ms=at_ms)


def is_due(hold: Hold, now_ms: int) -> bool:
    """Whether a hold's deadline has come while it holds units."""
    return hold.state == "HELD" and now_ms >= hold.expire_time_ms


def available(level: Level) -> int:
    """What is neither held nor kept back."""
    return level.on_hand - level.held - level.safety_stock


class Model:
    """Levels and holds, open to look at. `partition_of` is of a location; keys count in one."""

    def __init__(
        self, *, partition_of: Callable[[str], Hashable] = str, default_ttl_ms: int = 300_000,
        max_hold_life_ms: int = 86_400_000, retention_ms: int = 86_400_000,
    ) -> None:  # fmt: skip
        self.levels: dict[Place, Level] = {}
        self.holds: dict[str, Hold] = {}
        self.versions: dict[Place, int] = {}
        self.inactive: set[str] = set()
        self._answers: dict[Hashable, tuple[Hashable, Answer]] = {}
        self._ends: dict[str, tuple[str, Sequence[object], Answer]] = {}
        self._partition_of, self._default_ttl_ms = partition_of, default_ttl_ms
        self._max_life_ms, self._retention_ms = max_hold_life_ms, retention_ms

    # The verbs on holds

    def place(
        self, key: Hashable, lines: Iterable[Line], now_ms: int, hold_id: str,
        ttl_ms: int | None = None, texts: tuple[str, str] = ("", ""), partial: bool = False,
        actor: str = "",
    ) -> Result:  # fmt: skip
        """Holds every line or none; `partial`: as much of each as there is, if any."""
        asked = sum_up(lines)

        def act() -> Result:
            if inactive := self._inactive(asked):
                return inactive
            short = self._short(asked, now_ms)
            given = {p: min(n, max(0, self._room(p))) for p, n in asked.items()}
            given = {p: n for p, n in given.items() if n}
            if short and not (partial and given):
                return Refusal("INSUFFICIENT_STOCK", short)
            levels = tuple([self._move(p, held=n) for p, n in given.items()])
            held = tuple([HoldLine(sku, at, n, n, 0, 0, 0) for (at, sku), n in given.items()])
            deadline = now_ms + (ttl_ms or self._default_ttl_ms)
            hold = Hold(hold_id, "HELD", held, now_ms, deadline, None, *texts, actor)
            self.holds[hold_id] = hold
            lacks = [(p, n, given.get(p, 0)) for p, n in asked.items() if n > given.get(p, 0)]
            return Answer(levels, hold, tuple([Shortage(p[1], p[0], n, m) for p, n, m in lacks]))

        content = (asked, ttl_ms, texts, partial)
        return self._once("PlaceHold", key, asked, content, act, needs=asked)

    def confirm(
        self, key: Hashable, hold_id: str, now_ms: int, lines: Iterable[Line] = (),
        keep_rest: bool = False, rehold_if_expired: bool = False,
    ) -> Result:  # fmt: skip
        """Sells what is held, or these units of it; the rest is released, or kept."""
        asked = sum_up(lines)

        def act(hold: Hold) -> Result:
            held = units_of(hold)
            sold = asked or held
            levels = {p: self.levels[p] for p in sold if p in held}
            short = tuple([
                (*p, sold[p], available(level), max(0, level.on_hand + level.backorder_limit))
                for p, level in levels.items()
                if level.on_hand - sold[p] < -level.backorder_limit
            ])  # fmt: skip
            if exceeds := self._exceeds(sold, held):
                return exceeds
            if short:
                return Refusal("INSUFFICIENT_STOCK", short)
            rest = {p: n - sold.get(p, 0) for p, n in held.items() if not keep_rest}
            return self._end(hold, now_ms, confirmed=sold, released=rest)

        content = (asked, keep_rest, rehold_if_expired)
        return self._on_hold("ConfirmHold", key, hold_id, content, now_ms, act)

    def release(
        self, key: Hashable, hold_id: str, now_ms: int, lines: Iterable[Line] = ()
    ) -> Result:
        """Gives back what is held, or these units of it; the rest stays held."""
        asked = sum_up(lines)

        def act(hold: Hold) -> Result:
            back = asked or units_of(hold)
            return self._exceeds(back, units_of(hold)) or self._end(hold, now_ms, released=back)

        return self._on_hold("ReleaseHold", key, hold_id, (asked,), now_ms, act)

    def extend(self, key: Hashable, hold_id: str, now_ms: int, ttl_ms: int) -> Result:
        """Moves the deadline to now + ttl: never earlier, never past the longest life."""

        def act(hold: Hold) -> Result:
            deadline = min(now_ms + ttl_ms, hold.create_time_ms + self._max_life_ms)
            deadline = max(deadline, hold.expire_time_ms)
            self.holds[hold_id] = hold._replace(expire_time_ms=deadline)
            return Answer(hold=self.holds[hold_id])

        return self._on_hold("ExtendHold", key, hold_id, (ttl_ms,), now_ms, act)

    # The verbs on stock. `first_versions` are what the journal gave to levels that are made.

    def set(
        self, key: Hashable, lines: Iterable[CountLine], now_ms: int, texts: Hashable = (),
        force: bool = False, validate_only: bool = False, first_versions: Units | None = None,
    ) -> Result:  # fmt: skip
        """Sets counts, which makes levels; `force`: below what is held too."""
        ordered = sorted(lines, key=lambda line: (line.location, line.sku))
        counts = {(line.location, line.sku): line.on_hand for line in ordered}

        def act() -> Result:
            there = {p: level.on_hand if (level := self.levels.get(p)) else 0 for p in counts}
            other = [
                (*p, line.expected_on_hand, there[p])
                for p, line in zip(counts, ordered, strict=True)
                if line.expected_on_hand is not None and line.expected_on_hand != there[p]
            ]
            if other:
                return Refusal("ON_HAND_MISMATCH", tuple(other))
            if not force and (below := self._below_held(counts, now_ms)):
                return below
            deltas = {p: n - there[p] for p, n in counts.items()}
            return self._change(deltas, validate_only, first_versions)

        content = (tuple(ordered), texts, force)
        return self._once("SetStock", key, counts, content, act, is_kept=not validate_only)

    def adjust(
        self, key: Hashable, lines: Iterable[Line], now_ms: int, texts: Hashable = (),
        validate_only: bool = False,
    ) -> Result:  # fmt: skip
        """Changes counts; what is held is never taken away."""
        deltas = sum_up(lines)

        def act() -> Result:
            counts = {p: self.levels[p].on_hand + n for p, n in deltas.items() if n < 0}
            return self._below_held(counts, now_ms) or self._change(deltas, validate_only)

        return self._once(
            "AdjustStock", key, deltas, (deltas, texts), act, deltas, is_kept=not validate_only
        )

    def sell(
        self, key: Hashable, lines: Iterable[Line], now_ms: int, reference: str = ""
    ) -> Result:
        """Sells what no hold kept, by the rule that holds are placed by."""
        asked = sum_up(lines)

        def act() -> Result:
            if inactive := self._inactive(asked):
                return inactive
            short = self._short(asked, now_ms)
            deltas = {p: -n for p, n in asked.items()}
            return Refusal("INSUFFICIENT_STOCK", short) if short else self._change(deltas)

        return self._once("RecordSale", key, asked, (asked, reference), act, needs=asked)

    def transfer(
        self, key: Hashable, deltas: Iterable[Line], now_ms: int, reference: str = "",
        first_versions: Units | None = None,
    ) -> Result:  # fmt: skip
        """Moves units, from where deltas are below 0; backorder never applies."""
        moved = sum_up(deltas)
        leaving = {p: -n for p, n in moved.items() if n < 0}

        def act() -> Result:
            short = self._short(leaving, now_ms, with_backorder=False)
            change = not short and self._change(moved, first_versions=first_versions)
            return change or Refusal("INSUFFICIENT_STOCK", short)

        return self._once("TransferStock", key, moved, (moved, reference), act, needs=leaving)

    def delete(self, key: Hashable, places: Iterable[Place], now_ms: int) -> Result:
        """Deletes levels with nothing on hand and nothing held."""
        named = dict.fromkeys(sorted(places), 0)

        def used(place: Place) -> tuple[int, ...] | None:
            counts = (self.levels[place].on_hand, self.levels[place].held)
            return counts if any(counts) else None

        def act() -> Result:
            if in_use := self._settled(named, used, now_ms):
                return Refusal("LEVEL_IN_USE", in_use)
            # A level that goes is not judged anew: it is told as it was.
            states = [self.levels[place].alert_state for place in named]
            last = zip(self._change(named).levels, states, strict=True)
            for place in named:
                del self.levels[place]
            return Answer(tuple([level._replace(alert_state=state) for level, state in last]))

        return self._once("DeleteStockLevels", key, named, named, act, needs=named)

    def set_policy(self, place: Place, **policy: int) -> Level:
        """Changes thresholds, which is a movement too."""
        self.levels[place] = self.levels[place]._replace(**policy)
        return self._move(place)

    # Reads, and what time does

    def get(self, hold_id: str, now_ms: int) -> Hold | Refusal:
        """The hold as it is. Where it is due, all that is due on its first level expires."""
        hold = self.holds.get(hold_id)
        if hold and is_due(hold, now_ms):
            self.expire_level(min(units_of(hold)), now_ms)
        return self.holds.get(hold_id) or Refusal("HOLD_NOT_FOUND")

    def check(
        self, lines: Iterable[Line], now_ms: int
    ) -> dict[Place, tuple[Level | None, int | None, int]]:
        """Each level, its holds' earliest deadline, and what is short for a basket. What is
        due on these levels expires first.
        """
        asked = sum_up(lines)
        for place in asked:
            self.expire_level(place, now_ms)
        verdict = {}
        for place, units in asked.items():
            level = self.levels.get(place)
            times = [hold.expire_time_ms for hold in self.holds.values() if place in units_of(hold)]
            lack = units - max(0, self._room(place)) if level else units
            verdict[place] = (level, min(times, default=None), max(0, lack))
        return verdict

    def expire(self, hold: Hold) -> Answer:
        """Takes all that a hold holds back, as of its deadline."""
        return self._end(hold, hold.expire_time_ms, expired=units_of(hold))

    def expire_level(self, place: Place, now_ms: int) -> int:
        """Expires every hold that is due on the level; answers how many."""
        on_level = [hold for hold in self.holds.values() if place in units_of(hold)]
        return len([self.expire(hold) for hold in on_level if is_due(hold, now_ms)])

    def sweep(self, now_ms: int) -> int:
        """Expires every hold that is due; answers how many."""
        due = [hold for hold in self.holds.values() if is_due(hold, now_ms)]
        return len([self.expire(hold) for hold in due])

    def is_over(self, hold_id: str, now_ms: int) -> bool:
        """Whether a hold ended so long ago that it need not be kept."""
        ended_ms = self.holds[hold_id].resolve_time_ms
        return ended_ms is not None and now_ms >= ended_ms + self._retention_ms

    def remove(self, hold_id: str) -> None:
        """Forgets a hold, and with it the keys of its calls."""
        del self.holds[hold_id]
        self._ends.pop(hold_id, None)
        for key, (_, answer) in list(self._answers.items()):
            if answer.hold and answer.hold.hold_id == hold_id:
                del self._answers[key]

    # What the verbs share

    def _move(self, place: Place, on_hand: int = 0, held: int = 0) -> Level:
        """One movement: counts change, the version rises, the alert state follows."""
        old = self.levels[place]
        level = old._replace(
            on_hand=old.on_hand + on_hand, held=old.held + held, version=old.version + 1
        )
        units = available(level)
        if units <= 0:
            level = level._replace(alert_state="OUT")
        elif units <= level.reorder_point and level.alert_state == "OK":
            level = level._replace(alert_state="LOW")
        elif units > level.rearm_point:
            level = level._replace(alert_state="OK")
        if place[1] in self.inactive and level.alert_state != "OK":
            level = level._replace(alert_state=old.alert_state)
        self.levels[place], self.versions[place] = level, level.version
        return level

    def _change(
        self, deltas: Units, validate_only: bool = False, first_versions: Units | None = None
    ) -> Answer:
        """A movement of on_hand for each level, or what it would be; makes missing levels."""
        before = dict(self.levels), dict(self.versions)
        for place in deltas.keys() - self.levels.keys():
            last = self.versions.get(place, 0)
            first = (first_versions or {}).get(place, last + 1)
            assert first > last, f"a version of {place} was given twice: {first}"
            self.levels[place] = Level(place[1], place[0], 0, 0, first - 1)
        answer = Answer(tuple([self._move(place, n) for place, n in deltas.items()]))
        if validate_only:
            self.levels, self.versions = before
        return answer

    def _end(self, hold: Hold, at_ms: int, **ways: Units) -> Answer:
        """Units of a hold go their ways: each way is a movement of its own."""
        moved = {}
        for place in units_of(hold):
            for way, units in ways.items():
                if n := units.get(place, 0):
                    sold = n if way == "confirmed" else 0
                    moved[place] = self._move(place, on_hand=-sold, held=-n)
        self.holds[hold.hold_id] = part(hold, at_ms, **ways)
        return Answer(tuple(moved.values()), self.holds[hold.hold_id])

    def _rehold(self, hold_id: str, now_ms: int) -> Result:
        """Takes the units of an expired hold again, by PlaceHold's rule, and sells them."""
        hold = self.holds[hold_id]
        if inactive := self._inactive(sorted({**units_of(hold), **units_of(hold, "expired")})):
            return Refusal("HOLD_EXPIRED", inactive.lines, hold.expire_time_ms)
        for place in units_of(self.holds[hold_id]):
            self.expire_level(place, now_ms)
        hold = self.holds[hold_id]
        taken = units_of(hold, "expired")
        if short := self._short(taken, now_ms):
            return Refusal("HOLD_EXPIRED", short, hold.expire_time_ms)
        levels = tuple([self._move(place, on_hand=-n) for place, n in taken.items()])
        back = {place: -n for place, n in taken.items()}
        self.holds[hold_id] = part(hold, now_ms, confirmed=taken, expired=back)
        return Answer(levels, self.holds[hold_id], reheld=True)

    def _room(self, place: Place, with_backorder: bool = True) -> int:
        """How far available is above the lowest that it may be."""
        level = self.levels.get(place, Level(place[1], place[0], 0, 0, 0))
        return available(level) + (level.backorder_limit if with_backorder else 0)

    def _inactive(self, places: Iterable[Place]) -> Refusal | None:
        lines = tuple([place for place in places if place[1] in self.inactive])
        return Refusal("PRODUCT_INACTIVE", lines) if lines else None

    def _exceeds(self, asked: Units, held: Units) -> Refusal | None:
        lines = tuple([(*p, n, held.get(p, 0)) for p, n in asked.items() if n > held.get(p, 0)])
        return Refusal("QUANTITY_EXCEEDS_HELD", lines) if lines else None

    def _short(self, asked: Units, now_ms: int, with_backorder: bool = True) -> Lines:
        """The lines that want more than there is room for."""

        def lacks(place: Place) -> tuple[int, ...] | None:
            room = self._room(place, with_backorder)
            facts = (asked[place], self._room(place, with_backorder=False), max(0, room))
            return facts if asked[place] > room else None

        return self._settled(asked, lacks, now_ms)

    def _below_held(self, counts: Units, now_ms: int) -> Refusal | None:
        def below(place: Place) -> tuple[int, ...] | None:
            held = self.levels[place].held if place in self.levels else 0
            return (counts[place], held) if counts[place] < held else None

        lines = self._settled(counts, below, now_ms)
        return Refusal("BELOW_HELD", lines) if lines else None

    def _settled(
        self, places: Iterable[Place], breaks: Callable[[Place], tuple[int, ...] | None],
        now_ms: int,
    ) -> Lines:  # fmt: skip
        """The lines that break a rule, once no due hold stands in their way. A verb that
        goes through leaves holds that are due to others.
        """
        while True:
            lines = {place: facts for place in places if (facts := breaks(place))}
            if not sum([self.expire_level(place, now_ms) for place in lines]):
                return tuple([(*place, *facts) for place, facts in lines.items()])

    def _once(
        self, method: str, key: Hashable, places: Units, content: object,
        act: Callable[[], Result], needs: Iterable[Place] = (), is_kept: bool = True,
    ) -> Result:  # fmt: skip
        """Acts once a key, where the levels that it needs are there; keys count a method,
        and in the partition of the first line.
        """

        def act_if_found() -> Result:
            missing = tuple([place for place in needs if place not in self.levels])
            return Refusal("STOCK_LEVEL_NOT_FOUND", missing) if missing else act()

        name = (method, self._partition_of(min(places)[0]), key)
        return self._keyed(name, content, act_if_found) if is_kept else act_if_found()

    def _keyed(self, name: Hashable, content: object, act: Callable[[], Result]) -> Result:
        if name in self._answers:
            known, answer = self._answers[name]
            same = known == content
            return answer._replace(replayed=True) if same else Refusal("IDEMPOTENCY_KEY_REUSED")
        result = act()
        if isinstance(result, Answer) and not result.replayed:
            self._answers[name] = (content, result)
        return result

    def _on_hold(
        self, method: str, key: Hashable, hold_id: str, content: tuple[object, ...], now_ms: int,
        act: Callable[[Hold], Result],
    ) -> Result:  # fmt: skip
        """Acts on an open hold, once a key within the hold. Ending it again is no error."""

        def act_or_repeat() -> Result:
            hold = self.holds[hold_id]
            if is_due(hold, now_ms):
                hold = part(hold, hold.expire_time_ms, expired=units_of(hold))
            if hold.state == "HELD":
                result = act(hold)
            elif (end := self._ends.get(hold_id)) and _ends_alike(method, content, *end):
                return end[2]._replace(replayed=True)
            elif hold.state == "EXPIRED" and method == "ConfirmHold" and content[2]:
                result = self._rehold(hold_id, now_ms)
            else:
                return _ended(hold)
            if isinstance(result, Answer) and result.hold and result.hold.state != "HELD":
                self._ends[hold_id] = (method, content, result)
            return result

        if hold_id not in self.holds:
            return Refusal("HOLD_NOT_FOUND")
        return self._keyed((method, hold_id, key), content, act_or_repeat)


def _ends_alike(
    method: str, content: tuple[object, ...], old: str, old_content: Sequence[object], end: Answer
) -> bool:
    """Whether a verb asks for the end that the hold had: the same of all, or of these lines."""
    if method != old or content[0]:
        return method == old and content == old_content
    is_released = end.hold is not None and end.hold.state == "RELEASED"
    return not old_content[0] or is_released


def _ended(hold: Hold) -> Refusal:
    if hold.state == "EXPIRED":
        return Refusal("HOLD_EXPIRED", (), hold.expire_time_ms)
    return Refusal(f"HOLD_ALREADY_{hold.state}", (), hold.resolve_time_ms)
