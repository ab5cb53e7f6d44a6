"""The verbs on stock, in the model. `first_versions` are what the journal gave to new levels."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from inventory_server.domain.model import CountLine, ImportRow, Level, Line, Policy, PolicyLine
from tests.proof.alerts import By
from tests.proof.books import NO_POLICY, Books, policy_of
from tests.proof.words import Answer, Place, Refusal, Result, Units, sum_up


class StockVerbs(Books):
    """What changes counts and policies."""

    def set(
        self, key: Hashable, lines: Iterable[CountLine], now_ms: int, reference: str = "",
        actor: str = "", force: bool = False, validate_only: bool = False,
        first_versions: Units | None = None,
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
            by = By("SET", now_ms, actor, reference)
            return self._change(deltas, by, validate_only, first_versions)

        content = (tuple(ordered), reference, force)
        return self._once("SetStock", key, counts, content, act, is_kept=not validate_only)

    def adjust(
        self, key: Hashable, lines: Iterable[Line], now_ms: int, reference: str = "",
        actor: str = "", validate_only: bool = False,
    ) -> Result:  # fmt: skip
        """Changes counts; what is held is never taken away."""
        deltas = sum_up(lines)

        def act() -> Result:
            counts = {p: self.levels[p].on_hand + n for p, n in deltas.items() if n < 0}
            by = By("ADJUST", now_ms, actor, reference)
            return self._below_held(counts, now_ms) or self._change(deltas, by, validate_only)

        return self._once(
            "AdjustStock", key, deltas, (deltas, reference), act, deltas,
            is_kept=not validate_only,
        )  # fmt: skip

    def sell(
        self, key: Hashable, lines: Iterable[Line], now_ms: int, reference: str = "",
        actor: str = "",
    ) -> Result:  # fmt: skip
        """Sells what no hold kept, by the rule that holds are placed by."""
        asked = sum_up(lines)

        def act() -> Result:
            if inactive := self._inactive(asked):
                return inactive
            short = self._short(asked, now_ms)
            deltas = {p: -n for p, n in asked.items()}
            by = By("SALE", now_ms, actor, reference)
            return Refusal("INSUFFICIENT_STOCK", short) if short else self._change(deltas, by)

        return self._once("RecordSale", key, asked, (asked, reference), act, needs=asked)

    def transfer(
        self, key: Hashable, deltas: Iterable[Line], now_ms: int, reference: str = "",
        actor: str = "", first_versions: Units | None = None,
    ) -> Result:  # fmt: skip
        """Moves units, from where deltas are below 0; backorder never applies. Makes levels
        where they go.
        """
        moved = sum_up(deltas)
        leaving = {p: -n for p, n in moved.items() if n < 0}

        def act() -> Result:
            if short := self._short(leaving, now_ms, with_backorder=False):
                return Refusal("INSUFFICIENT_STOCK", short)
            levels, firsts = [], first_versions or {}
            for place, n in moved.items():
                cause = "TRANSFER_OUT" if place in leaving else "TRANSFER_IN"
                by = By(cause, now_ms, actor, reference)
                levels.append(self._move(place, by, n, first_version=firsts.get(place, 0)))
            return Answer(tuple(levels))

        return self._once("TransferStock", key, moved, (moved, reference), act, needs=leaving)

    def delete(
        self, key: Hashable, places: Iterable[Place], now_ms: int, actor: str = ""
    ) -> Result:
        """Deletes levels with nothing on hand and nothing held."""
        named = dict.fromkeys(sorted(places), 0)

        def used(place: Place) -> tuple[int, ...] | None:
            counts = (self.levels[place].on_hand, self.levels[place].held)
            return counts if any(counts) else None

        def act() -> Result:
            if in_use := self._settled(named, used, now_ms):
                return Refusal("LEVEL_IN_USE", in_use)
            by = By("DELETE", now_ms, actor)
            return Answer(tuple([self._drop(place, by) for place in named]))

        return self._once("DeleteStockLevels", key, named, named, act, needs=named)

    def set_policies(
        self, key: Hashable, lines: Iterable[PolicyLine], now_ms: int, actor: str = ""
    ) -> Result:
        """Sets policies of levels, and without a SKU the default of a location: that changes no
        level that is there. Each is a movement.
        """
        named = {(x.location, x.sku): x.policy for x in sorted(lines, key=lambda x: (x[1], x[0]))}

        def policy_now(place: Place) -> dict[str, int]:
            level = self.levels.get(place)
            if level is None:
                return self.defaults.get(place[0], NO_POLICY)
            return policy_of(level)

        def act() -> Result:
            new = {place: merged(policy_now(place), asked) for place, asked in named.items()}
            if low := {p: bad for p, policy in new.items() if (bad := is_rearm_low(policy))}:
                return Refusal("REARM_BELOW_REORDER", tuple([(*p, *bad) for p, bad in low.items()]))
            by, levels = By("POLICY", now_ms, actor), []
            for (location, sku), policy in new.items():
                if sku:
                    levels.append(self._move((location, sku), by, **policy))
                else:
                    self.defaults[location] = policy
                    levels.append(Level("", location, 0, 0, 0, **policy))
            return Answer(tuple(levels))

        needs = [place for place in named if place[1]]
        return self._once("SetStockPolicy", key, dict.fromkeys(named, 0), named, act, needs)

    def import_rows(
        self, key: Hashable, rows: Sequence[ImportRow], now_ms: int, mode: str = "SET",
        reference: str = "", actor: str = "", first_versions: Units | None = None,
    ) -> Result:  # fmt: skip
        """Takes in the good rows, and says which stayed out: all rows of a level, as one. Of them
        the last one counts, or their sum (ADD), and the last policy.
        """
        counts, policies = counts_of(rows, mode)

        def policy_at(place: Place) -> dict[str, int]:
            level = self.levels.get(place) or self._blank(place, 0)
            return merged(policy_of(level), policies.get(place, Policy()))

        def below(place: Place) -> tuple[int, ...] | None:
            held = self.levels[place].held if mode == "SET" and place in self.levels else 0
            return (held,) if counts[place] < held else None

        def act() -> Result:
            bad = {p: "REARM_BELOW_REORDER" for p in counts if is_rearm_low(policy_at(p))}
            short = self._settled([place for place in counts if place not in bad], below, now_ms)
            bad |= {(location, sku): "BELOW_HELD" for location, sku, _ in short}
            by, firsts, levels = By("IMPORT", now_ms, actor, reference), first_versions or {}, []
            for place in [place for place in counts if place not in bad]:
                there = self.levels[place].on_hand if place in self.levels else 0
                delta = counts[place] if mode == "ADD" else counts[place] - there
                levels.append(self._move(
                    place, by, delta, first_version=firsts.get(place, 0), **policy_at(place)
                ))  # fmt: skip
            places = [(row.row_number, (row.location, row.sku)) for row in rows]
            refused = [(number, bad[place]) for number, place in places if place in bad]
            return Answer(tuple(levels), refused_rows=tuple(refused))

        return self._keyed(("ImportStock", key), (tuple(rows), mode, reference), act)


def merged(policy: dict[str, int], asked: Policy) -> dict[str, int]:
    """The policy that comes of one that is there and of what is asked: what is not set stays,
    but a rearm point that is the reorder point goes with it.
    """
    new = policy | {name: n for name, n in asked._asdict().items() if n is not None}
    if asked.rearm_point is None and policy["rearm_point"] == policy["reorder_point"]:
        new["rearm_point"] = new["reorder_point"]
    return new


def is_rearm_low(policy: dict[str, int]) -> tuple[int, int] | None:
    """Both points, where a level would have recovered before it was low."""
    reorder, rearm = policy["reorder_point"], policy["rearm_point"]
    return (reorder, rearm) if rearm < reorder else None


def counts_of(rows: Sequence[ImportRow], mode: str) -> tuple[Units, dict[Place, Policy]]:
    """What the rows of an import come to, in the order of lines."""
    counts: Units = {}
    policies: dict[Place, Policy] = {}
    for row in rows:
        place = (row.location, row.sku)
        counts[place] = row.quantity + (counts.get(place, 0) if mode == "ADD" else 0)
        if row.policy != Policy():
            policies[place] = row.policy
    return dict(sorted(counts.items())), policies
