"""What happens to stock in a story."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from inventory_server.domain.model import CountLine, Line, Origin, Policy, PolicyLine
from tests.proof.telling import (
    ACTOR,
    LOCATIONS,
    PLACES,
    SKUS,
    Call,
    Telling,
    Way,
    counts,
    few_booleans,
    lines_of,
    made,
    places,
    quantities,
    references,
    ttls,
    ways,
)
from tests.proof.words import Place


class StockStory(Telling):
    """The verbs on stock."""

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
