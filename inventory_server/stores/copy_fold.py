"""What follows from movements: the last states of levels and holds, and where a level's are.

It is gathered for a while before it is written, so that a level that changes a
thousand times a second costs the copy a few writes, and a hold that ends soon
after it was placed costs one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from inventory_server.domain.copy import HoldState, JournalEntry, LevelState, Place
from inventory_server.stores.copy_records import (
    SEQS_A_SPAN,
    Moment,
    hold_state,
    level_state,
)


class FoldedLevel(NamedTuple):
    """A level's last state, and the rank of the one before all that was folded."""

    state: LevelState
    rank_before: int


class Span(NamedTuple):
    """Movements of a level."""

    location: str
    sku: str
    moments: Sequence[Moment]


class CopyFold:
    """The movements of one partition, in their order, and what follows from them."""

    def __init__(self) -> None:
        self.count = 0
        self.place = Place()
        self.levels: dict[tuple[str, str], FoldedLevel] = {}
        self.holds: dict[str, HoldState] = {}
        self._moments: dict[tuple[str, str], list[Moment]] = {}

    def add(self, entry: JournalEntry) -> None:
        """Takes the next movement in."""
        fields = entry.fields
        self.count += 1
        self.place = Place(entry.epoch, entry.seq)
        of_level = (fields["location"], fields["sku"])
        if fields["location"]:
            moment = Moment(entry.epoch, entry.partition, entry.seq, entry.at_ms)
            self._moments.setdefault(of_level, []).append(moment)
        if (level := level_state(entry)) is not None:
            known = self.levels.get(of_level)
            before = known.rank_before if known is not None else level.rank - 1
            self.levels[of_level] = FoldedLevel(level, before)
        if (hold := hold_state(entry)) is not None:
            self.holds[hold.hold_id] = hold

    def put(self, levels: Iterable[LevelState], holds: Iterable[HoldState]) -> None:
        """Takes states in that stand for themselves, whatever led to them."""
        for level in levels:
            self.levels[level.location, level.sku] = FoldedLevel(level, 0)
        self.holds |= {hold.hold_id: hold for hold in holds}

    def spans(self) -> Iterator[Span]:
        """Where the movements of each level stand."""
        for (location, sku), moments in self._moments.items():
            for at in range(0, len(moments), SEQS_A_SPAN):
                yield Span(location, sku, moments[at : at + SEQS_A_SPAN])
