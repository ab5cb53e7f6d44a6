"""The verbs on stock, in the model. `first_versions` are what the journal gave to new levels."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from inventory_server.domain.model import CountLine, Level, Line
from tests.proof.books import Books
from tests.proof.words import Place, Refusal, Result, Units, sum_up


class StockVerbs(Books):
    """What changes counts and policies."""

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
            last = self._change(named)
            for place in named:
                del self.levels[place]
            return last

        return self._once("DeleteStockLevels", key, named, named, act, needs=named)

    def set_policy(self, place: Place, **policy: int) -> Level:
        """Changes thresholds, which is a movement too."""
        self.levels[place] = self.levels[place]._replace(**policy)
        return self._move(place)
