"""The verbs on holds, in the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from inventory_server.domain.model import Hold, HoldLine, Line, Shortage
from tests.proof.alerts import By
from tests.proof.books import Books
from tests.proof.words import (
    Answer,
    Refusal,
    Result,
    available,
    home_of,
    is_due,
    part,
    sum_up,
    units_of,
)


class HoldVerbs(Books):
    """PlaceHold and what may become of a hold."""

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
            by = By("HOLD", now_ms, actor, texts[0], hold_id)
            levels = tuple([self._move(p, by, held=n) for p, n in given.items()])
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
        keep_rest: bool = False, rehold_if_expired: bool = False, actor: str = "",
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
            by = self._on(hold, now_ms, actor)
            return self._end(hold, now_ms, by, confirmed=sold, released=rest)

        content = (asked, keep_rest, rehold_if_expired)
        return self._on_hold("ConfirmHold", key, hold_id, content, now_ms, act, actor)

    def release(
        self, key: Hashable, hold_id: str, now_ms: int, lines: Iterable[Line] = (),
        actor: str = "",
    ) -> Result:  # fmt: skip
        """Gives back what is held, or these units of it; the rest stays held."""
        asked = sum_up(lines)

        def act(hold: Hold) -> Result:
            back = asked or units_of(hold)
            by = self._on(hold, now_ms, actor)
            exceeds = self._exceeds(back, units_of(hold))
            return exceeds or self._end(hold, now_ms, by, released=back)

        return self._on_hold("ReleaseHold", key, hold_id, (asked,), now_ms, act)

    def extend(self, key: Hashable, hold_id: str, now_ms: int, ttl_ms: int) -> Result:
        """Moves the deadline to now + ttl: never earlier, never past the longest life."""

        def act(hold: Hold) -> Result:
            deadline = min(now_ms + ttl_ms, hold.create_time_ms + self._max_life_ms)
            deadline = max(deadline, hold.expire_time_ms)
            self.holds[hold_id] = hold._replace(expire_time_ms=deadline)
            return Answer(hold=self.holds[hold_id])

        return self._on_hold("ExtendHold", key, hold_id, (ttl_ms,), now_ms, act)

    def get(self, hold_id: str, now_ms: int) -> Hold | Refusal:
        """The hold as it is. Where it is due, all that is due on its first level expires."""
        hold = self.holds.get(hold_id)
        if hold and is_due(hold, now_ms):
            self.expire_level(min(units_of(hold)), now_ms)
        return self.holds.get(hold_id) or Refusal("HOLD_NOT_FOUND")

    def sweep(self, now_ms: int) -> int:
        """Expires every hold that is due, a partition after the other; answers how many."""
        homes: dict[int, list[Hold]] = {}
        for hold in self.holds.values():
            homes.setdefault(home_of(hold), []).append(hold)
        return sum([self._expire_all(homes[home], now_ms) for home in sorted(homes)])

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

    def _rehold(self, hold_id: str, now_ms: int, actor: str) -> Result:
        """Takes the units of an expired hold again, by PlaceHold's rule, and sells them; within
        its retention time, whether or not it is still there after that.
        """
        hold = self.holds[hold_id]
        if now_ms >= hold.expire_time_ms + self._retention_ms:
            return Refusal("HOLD_NOT_FOUND")
        if inactive := self._inactive(sorted({**units_of(hold), **units_of(hold, "expired")})):
            return Refusal("HOLD_EXPIRED", inactive.lines, hold.expire_time_ms)
        for place in units_of(self.holds[hold_id]):
            self.expire_level(place, now_ms)
        hold = self.holds[hold_id]
        taken = units_of(hold, "expired")
        if short := self._short(taken, now_ms):
            return Refusal("HOLD_EXPIRED", short, hold.expire_time_ms)
        by = self._on(hold, now_ms, actor)._replace(cause="REHOLD")
        levels = tuple([self._move(place, by, on_hand=-n) for place, n in taken.items()])
        back = {place: -n for place, n in taken.items()}
        self.holds[hold_id] = part(hold, now_ms, confirmed=taken, expired=back)
        return Answer(levels, self.holds[hold_id], reheld=True)

    def _on_hold(
        self, method: str, key: Hashable, hold_id: str, content: tuple[object, ...], now_ms: int,
        act: Callable[[Hold], Result], actor: str = "",
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
                result = self._rehold(hold_id, now_ms, actor)
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
