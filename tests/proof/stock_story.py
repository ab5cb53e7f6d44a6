"""What happens to stock in a story."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from inventory_server.domain.model import CountLine, ImportRow, Line, Policy, PolicyLine
from tests.fold import stored_levels
from tests.proof.telling import (
    LOCATIONS,
    PLACES,
    Asked,
    Call,
    Telling,
    Way,
    counts,
    defaults,
    everywhere,
    few_booleans,
    lines_of,
    places,
    policies,
    quantities,
    references,
    ttls,
    ways,
)
from tests.proof.words import Answer, Place, Result


class StockStory(Telling):
    """The verbs on stock."""

    @initialize(
        on_hand=st.lists(counts, min_size=len(PLACES) - 1, max_size=len(PLACES)),
        first=st.dictionaries(places | defaults, policies, max_size=4),
        held=st.lists(st.tuples(lines_of, ttls), min_size=1, max_size=3),
    )
    def begin(self, on_hand: list[int], first: dict[Place, Policy], held: Any) -> None:
        """Some policies are there before the levels, some holds after them."""
        for place in [place for place in first if not place[1]]:
            self.set_policies(Way(), {place: first[place]})
        lines = [CountLine(p[1], p[0], n, None) for p, n in zip(PLACES, on_hand, strict=False)]
        self.set_counts(Way(), lines)
        for place in [place for place in first if place[1]]:
            self.set_policies(Way(), {place: first[place]})
        for key, (lines_to_hold, ttl_ms) in zip([("", "k1"), None, None], held, strict=False):
            self.place_hold(Way(key), lines_to_hold, ttl_ms, "order-1", partial=True)

    def set_counts(
        self, way: Way, lines: list[CountLine], reference: str = "", *, force: bool = False,
        validate_only: bool = False,
    ) -> None:  # fmt: skip
        self.tell(way, Call(
            "validated set" if validate_only else "set",
            lambda origin: self.on_stock.set(
                lines, reason="COUNT", note="", reference=reference, force=force,
                validate_only=validate_only, origin=origin,
            ),
            lambda asked: self.model.set(
                asked.key, lines, self.now, reference, asked.actor, force, validate_only,
                asked.first_versions,
            ),
        ))  # fmt: skip

    @rule(
        way=ways,
        lines=st.dictionaries(
            places, st.tuples(counts, st.sampled_from([None] * 6 + [0, 3])),
            min_size=1, max_size=2,
        ),
        reference=references, force=st.booleans(), validate_only=few_booleans,
    )  # fmt: skip
    def set_some(
        self, way: Way, lines: dict[Place, tuple[int, int | None]], reference: str, force: bool,
        validate_only: bool,
    ) -> None:  # fmt: skip
        count_lines = [CountLine(p[1], p[0], n, expected) for p, (n, expected) in lines.items()]
        self.set_counts(way, count_lines, reference, force=force, validate_only=validate_only)

    def adjust_by(
        self, way: Way, deltas: list[Line], reference: str = "", *, validate_only: bool = False
    ) -> None:
        self.tell(way, Call(
            "validated adjust" if validate_only else "adjust",
            lambda origin: self.on_stock.adjust(
                deltas, reason="LOSS", note="", reference=reference, validate_only=validate_only,
                origin=origin,
            ),
            lambda asked: self.model.adjust(
                asked.key, deltas, self.now, reference, asked.actor, validate_only
            ),
        ))  # fmt: skip

    @rule(
        way=ways, lines=lines_of, signs=st.lists(st.sampled_from([1, -1]), min_size=3),
        reference=references, validate_only=few_booleans,
    )  # fmt: skip
    def adjust(
        self, way: Way, lines: list[Line], signs: list[int], reference: str, validate_only: bool
    ) -> None:
        deltas = [
            line._replace(quantity=line.quantity * sign)
            for line, sign in zip(lines, signs, strict=False)
        ]
        self.adjust_by(way, deltas, reference, validate_only=validate_only)

    @rule(way=ways, lines=lines_of, reference=references)
    def sell(self, way: Way, lines: Sequence[Line], reference: str) -> None:
        self.tell(way, Call(
            "sell",
            lambda origin: self.on_stock.sell(lines, reference=reference, origin=origin),
            lambda asked: self.model.sell(asked.key, lines, self.now, reference, asked.actor),
        ))  # fmt: skip

    def transfer_units(
        self, way: Way, moved: list[tuple[str, int]], source: str, target: str, reference: str
    ) -> None:
        deltas = [Line(sku, source, -n) for sku, n in moved]
        deltas += [Line(sku, target, n) for sku, n in moved]
        self.tell(way, Call(
            "transfer",
            lambda origin: self.on_stock.transfer(
                moved, from_location=source, to_location=target, reference=reference,
                origin=origin,
            ),
            lambda asked: self.model.transfer(
                asked.key, deltas, self.now, reference, asked.actor, asked.first_versions
            ),
        ))  # fmt: skip

    @rule(
        way=ways, reference=references, source=places, to=st.integers(1, 2),
        quantity=quantities, other=few_booleans, anew=few_booleans, default=policies,
    )  # fmt: skip
    def transfer(
        self, way: Way, reference: str, source: Place, to: int, quantity: int, other: bool,
        anew: bool, default: Policy,
    ) -> None:  # fmt: skip
        """Units go to another location, now and then to a level that has to be made there."""
        location, sku = source
        target = LOCATIONS[(LOCATIONS.index(location) + to) % len(LOCATIONS)]
        if anew:
            self.set_policies(Way(), {(target, ""): default})
            self.empty_and_delete(Way(), {(target, sku)})
        moved = [(sku, quantity)] + [("B", 1)] * other
        self.transfer_units(way, moved, location, target, reference)

    @rule(way=ways, named=st.sets(everywhere, min_size=1, max_size=2), emptied=st.booleans())
    def delete(self, way: Way, named: set[Place], emptied: bool) -> None:
        if emptied:
            self.empty_and_delete(way, named)
        else:
            self.delete_levels(way, named)

    def empty_and_delete(self, way: Way, named: set[Place]) -> None:
        there = [place for place in named if place in self.model.levels]
        if there:
            self.set_counts(Way(), [CountLine(sku, location, 0, None) for location, sku in there])
            self.delete_levels(way, set(there))

    def delete_levels(self, way: Way, named: set[Place]) -> None:
        lines = [Line(sku, location, 0) for location, sku in named]
        self.tell(way, Call(
            "delete",
            lambda origin: self.on_stock.delete(lines, origin=origin),
            lambda asked: self.model.delete(asked.key, named, self.now, asked.actor),
        ))  # fmt: skip

    def set_policies(self, way: Way, named: dict[Place, Policy]) -> None:
        lines = [PolicyLine(sku, location, policy) for (location, sku), policy in named.items()]
        self.tell(way, Call(
            "set policies",
            lambda origin: self.on_stock.set_policies(lines, origin=origin),
            lambda asked: self.model.set_policies(asked.key, lines, self.now, asked.actor),
        ))  # fmt: skip

    @rule(way=ways, named=st.dictionaries(places | defaults, policies, min_size=1, max_size=3))
    def set_some_policies(self, way: Way, named: dict[Place, Policy]) -> None:
        self.set_policies(way, named)

    @rule(sku=st.sampled_from(sorted({sku for _, sku in PLACES})), is_inactive=few_booleans)
    def set_active(self, sku: str, is_inactive: bool) -> None:
        """A product becomes inactive; or more often, active."""
        self.runner.run(self.activity.set_active({sku: not is_inactive}, self.deadline()))
        (self.model.inactive.add if is_inactive else self.model.inactive.discard)(sku)

    @rule(
        way=ways, mode=st.sampled_from(["SET", "ADD"]), reference=references,
        lines=st.lists(
            st.tuples(everywhere, counts, st.one_of(st.just(Policy()), policies)),
            min_size=1, max_size=4,
        ),
    )  # fmt: skip
    def import_rows(
        self, way: Way, mode: str, reference: str, lines: list[tuple[Place, int, Policy]]
    ) -> None:
        rows = [ImportRow(n, p[1], p[0], *line) for n, (p, *line) in enumerate(lines, 1)]
        self.import_chunk(way, mode, reference, rows)

    def import_chunk(self, way: Way, mode: str, reference: str, rows: list[ImportRow]) -> None:
        def expect(asked: Asked) -> Result:
            # The answer tells of no levels; the store is looked at instead.
            stored = {
                place[1:]: level["version"] for place, level in stored_levels(self.db).items()
            }
            result = self.model.import_rows(
                asked.key, rows, self.now, mode, reference, asked.actor, stored
            )
            return result._replace(levels=()) if isinstance(result, Answer) else result

        self.tell(way, Call(
            "import",
            lambda origin: self.on_imports.take_chunk(
                rows, mode=mode, reference=reference, origin=origin
            ),
            expect,
        ))  # fmt: skip
