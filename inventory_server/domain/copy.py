"""The durable copy: what it keeps of a store, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

LAG_BOUNDS_MS: Final = (
    *(50, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000),
    *(10_000, 30_000, 60_000, 300_000, 3_600_000, inf),
)


class JournalEntry(NamedTuple):
    """A movement as its journal has it. `fields`: all its texts by name, nothing taken apart."""

    epoch: int
    partition: int
    seq: int
    fields: Mapping[str, str]

    @property
    def at_ms(self) -> int:
        """When it was made, by the store's clock."""
        return int(self.fields["at_ms"])


class LevelState(NamedTuple):
    """A level as a movement left it; `packed` is empty where it was deleted.

    Without a SKU it is the default policy of the location. Of two states the one with the
    greater (epoch, rank) is the newer; a rank is a level's version, or a seq where it has none.
    """

    partition: int
    location: str
    sku: str
    packed: str
    epoch: int
    rank: int


class Place(NamedTuple):
    """A place in the journals of a partition, through all its epochs."""

    epoch: int = 0
    seq: int = 0


class HoldState(NamedTuple):
    """A hold as a movement left it: its state, and the record that nothing changes.

    Of two states the one with the greater (epoch, seq) is the newer.
    """

    hold_id: str
    state: str
    record: str
    epoch: int
    seq: int

    @property
    def is_open(self) -> bool:
        """Whether units of it are held."""
        return self.state.startswith("HELD ")

    @property
    def last_ms(self) -> int:
        """Its deadline, or when it ended where that was later: rises with each state."""
        _, deadline, *more = self.state.split(" ")
        return max(int(deadline), int(more[0]) if more and more[0] != "-" else 0)

    def as_removed(self, epoch: int, seq: int) -> HoldState:
        """What stands for a hold that its store has removed: it ended so long ago that no
        restore keeps it. How it ended is not known any more.
        """
        deadline_ms = self.state.split(" ")[1]
        return self._replace(state=f"RELEASED {deadline_ms} 0", epoch=epoch, seq=seq)


class Watermark(NamedTuple):
    """Up to which movement a partition is in the copy, that one included.

    `folded` is the same for what follows from movements: levels, holds, histories. `not_copied`
    counts movements that were trimmed before they were copied: levels and holds may be missing or
    old until a resync, histories for good.
    """

    place: Place = Place()
    at_ms: int = 0
    movement_id: str = ""
    folded: Place = Place()
    not_copied: int = 0


class PartitionCopy(NamedTuple):
    """A partition in the copy: who drains it, for which term, and how far it has come."""

    number: int
    owner: str = ""
    term: int = 0
    watermark: Watermark = Watermark()
    resynced: int = 0
    """Of the movements that were not copied, how many a resync has made up for."""
    resynced_at: Place = Place()
    """The last of those is not past this place."""

    @property
    def lacking(self) -> int:
        """Movements for want of which levels and holds may be missing or old."""
        return self.watermark.not_copied - self.resynced


class CopiedStore(NamedTuple):
    """The store that a copy is of."""

    store_id: str
    secret: str
    partitions: int
    schema: str
    epoch: int


class CopyReport(NamedTuple):
    """What a drainer has done since it was started, and how late it is."""

    lags: tuple[int, ...] = ()
    """How many movements became durable within each of LAG_BOUNDS_MS of their making."""
    lag_sum_ms: int = 0
    waiting_ms: int = 0
    """How long the oldest movement that is not copied has been waiting; 0 where all are."""
    not_copied: int = 0
    """Movements that were trimmed before they were copied."""
