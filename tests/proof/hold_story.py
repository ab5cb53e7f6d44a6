"""What happens to holds in a story."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from inventory_server.domain.model import (
    ConfirmRequest,
    CountLine,
    HoldLine,
    Line,
    PlaceRequest,
    ReleaseRequest,
)
from inventory_server.domain.rules import sum_lines
from tests.proof.stock_story import StockStory
from tests.proof.telling import (
    RETENTION_MS,
    Call,
    Telling,
    Way,
    few_booleans,
    lines_of,
    numbers,
    parts,
    references,
    ttls,
    ways,
)
from tests.proof.words import Answer, Refusal, Result


def has_holds(story: Telling) -> bool:
    return bool(story.model.holds or story.gone)


class HoldStory(StockStory):
    """The verbs on holds."""

    def place_hold(
        self, way: Way, lines: list[Line], ttl_ms: int | None, reference: str, *, partial: bool
    ) -> Result:
        request = PlaceRequest(lines, ttl_ms, reference, "a note", partial)
        return self.tell(way, Call(
            "place partial" if partial else "place",
            lambda origin: self.on_holds.place(request, origin),
            lambda asked: self.model.place(
                asked.key, lines, self.now, asked.change.hold.hold_id if asked.change else "",
                ttl_ms, (reference, "a note"), partial, asked.actor,
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
        if rehold and hold:
            self.go_near(0, hold_id)
            if lost:
                # The last moment for that, or the first one after it.
                self.go_to(hold.expire_time_ms + RETENTION_MS - 1 + keep_rest)
            elif keep_rest:
                # Somebody else may have been quicker.
                self.sell(Way(), self.part_of(hold_id, part), "")
        elif lost and hold:
            # The units are held, but a count found none.
            counts = [CountLine(hold.lines[0].sku, hold.lines[0].location, 0, None)]
            self.set_counts(Way(), counts, force=True)
        lines = self.part_of(hold_id, part) if what == "part" else ()
        self.confirm_hold(way, ConfirmRequest(hold_id, lines, keep_rest, rehold))

    def confirm_hold(self, way: Way, request: ConfirmRequest) -> Result:
        return self.tell(way, Call(
            "confirm",
            lambda origin: self.on_holds.confirm(request, origin),
            lambda asked: self.model.confirm(
                asked.key, request.hold_id, self.now, request.lines, request.keep_rest,
                request.rehold_if_expired, asked.actor,
            ),
        ), request.hold_id)  # fmt: skip

    @precondition(has_holds)
    @rule(nth=numbers, way=ways, what=st.sampled_from(["all", "part"]), part=parts)
    def release(self, nth: int, way: Way, what: str, part: Any) -> None:
        hold_id = self.nth_hold(nth)
        lines = self.part_of(hold_id, part) if what == "part" else ()
        self.release_hold(way, ReleaseRequest(hold_id, lines))

    def release_hold(self, way: Way, request: ReleaseRequest) -> Result:
        return self.tell(way, Call(
            "release",
            lambda origin: self.on_holds.release(request, origin),
            lambda asked: self.model.release(
                asked.key, request.hold_id, self.now, request.lines, asked.actor
            ),
        ), request.hold_id)  # fmt: skip

    @rule(
        way=ways, lines=lines_of, reference=references,
        end=st.sampled_from(["paid late", "cancelled", "paid"]), part=parts,
    )  # fmt: skip
    def order(self, way: Way, lines: list[Line], reference: str, end: str, part: Any) -> None:
        """An order from its beginning to its end, with nothing between."""
        result = self.place_hold(Way(), lines, None, reference, partial=True)
        if isinstance(result, Refusal) or result.hold is None:
            return
        hold_id = result.hold.hold_id
        if end == "cancelled":
            self.release_hold(way, ReleaseRequest(hold_id))
        elif end == "paid":
            self.confirm_hold(way, ConfirmRequest(hold_id, self.part_of(hold_id, part)))
        else:
            self.go_near(0, hold_id)
            self.confirm_hold(way, ConfirmRequest(hold_id, (), False, True))

    @precondition(has_holds)
    @rule(nth=numbers, way=ways, ttl_ms=st.sampled_from([1_000, 3_000, 20_000]))
    def extend(self, nth: int, way: Way, ttl_ms: int) -> None:
        hold_id = self.nth_hold(nth)
        self.tell(way, Call(
            "extend",
            lambda origin: self.on_holds.extend(hold_id, ttl_ms, origin),
            lambda asked: self.model.extend(asked.key, hold_id, self.now, ttl_ms),
        ), hold_id)  # fmt: skip
