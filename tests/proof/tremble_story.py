"""A level that goes up and down about its points, by every verb that can move it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from inventory_server.domain.model import (
    ConfirmRequest,
    CountLine,
    ImportRow,
    Line,
    Policy,
    ReleaseRequest,
)
from tests.proof.hold_story import HoldStory
from tests.proof.telling import LOCATIONS, Way, places, references
from tests.proof.words import Place, available, units_of

TAKING = ("transfer", "hold", "sale", "policy", "import", "count", "adjust")


class TrembleStory(HoldStory):
    """Moves that are likely to cross a threshold. What is below 0 takes units, or keeps them."""

    @rule(
        place=places, reorder=st.integers(1, 3), above=st.integers(0, 2), reference=references,
        moves=st.lists(
            st.tuples(
                st.sampled_from(["transfer", "hold", *TAKING]),
                st.sampled_from([-1, -2, -3, -5, 1, 2, 4]),
            ),
            min_size=1, max_size=4,
        ),
    )  # fmt: skip
    def tremble(
        self, place: Place, reorder: int, above: int, reference: str,
        moves: list[tuple[str, int]],
    ) -> None:  # fmt: skip
        """Begins right above the rearm point."""
        self.move_count(place, 0, reference)
        rearm = reorder + above
        default = Policy(reorder, rearm, above, 0)
        self.set_policies(Way(), {place: Policy(reorder, rearm, 0, 0), (place[0], ""): default})
        self.move_count(place, rearm + 1 - available(self.model.levels[place]), reference)
        for verb, delta in moves:
            getattr(self, f"move_{verb}")(place, delta, reference)

    def move_count(self, place: Place, delta: int, reference: str) -> None:
        on_hand = self.on_hand(place) + delta
        line = CountLine(place[1], place[0], max(0, on_hand), None)
        self.set_counts(Way(), [line], reference, force=True)

    def move_import(self, place: Place, delta: int, reference: str) -> None:
        row = ImportRow(1, place[1], place[0], max(0, self.on_hand(place) + delta))
        self.import_chunk(Way(), "SET", reference, [row])

    def move_adjust(self, place: Place, delta: int, reference: str) -> None:
        self.adjust_by(Way(), [Line(place[1], place[0], delta)], reference)

    def move_policy(self, place: Place, delta: int, reference: str) -> None:
        level = self.model.levels.get(place)
        kept = max(0, (level.safety_stock if level else 0) - delta)
        self.set_policies(Way(), {place: Policy(safety_stock=kept)})

    def move_sale(self, place: Place, delta: int, reference: str) -> None:
        self.sell(Way(), [Line(place[1], place[0], abs(delta))], reference)

    def move_transfer(self, place: Place, delta: int, reference: str) -> None:
        """Few units come to a level that was made anew, with its location's default policy."""
        location, sku = place
        other = LOCATIONS[LOCATIONS.index(location) - 1]
        if delta > 0:
            self.move_count((other, sku), delta, reference)
        if delta in (1, 2):
            self.empty_and_delete(Way(), {place})
        source, target = (location, other) if delta < 0 else (other, location)
        self.transfer_units(Way(), [(sku, abs(delta))], source, target, reference)

    def move_hold(self, place: Place, delta: int, reference: str) -> None:
        """Takes units for a while; gives back what the last hold has, or has it paid too late."""
        if delta < 0:
            line = Line(place[1], place[0], -delta)
            self.place_hold(Way(), [line], None, reference, partial=False)
            return
        on_level = [hold for hold in self.model.holds.values() if place in units_of(hold)]
        if on_level and delta == 1:
            self.release_hold(Way(), ReleaseRequest(on_level[-1].hold_id))
        elif on_level:
            self.go_near(0, on_level[-1].hold_id)
            request = ConfirmRequest(on_level[-1].hold_id, (), False, True)
            self.confirm_hold(Way(), request)

    def on_hand(self, place: Place) -> int:
        level = self.model.levels.get(place)
        return level.on_hand if level else 0
