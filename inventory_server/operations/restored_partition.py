"""What the copy has of a partition: its levels and holds after its last movement there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inventory_server.domain.copy import (
    HoldState,
    JournalEntry,
    LevelState,
    PartitionCopy,
    Place,
)
from inventory_server.operations.partition_drain import PartitionDrain
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_records import hold_state, level_state


class CopyDamagedError(Exception):
    """The copy lacks what it says that it has; the sentence says what."""


class LeftOut(NamedTuple):
    """Movements of a partition that were on their way into the copy, and are lost: all from
    `first_seq` to `last_seq`, which was made at `last_ms`, and perhaps more. Of these the copy
    has some, but not all before them, so that what they led to is not known.
    """

    first_seq: int = 0
    last_seq: int = 0
    last_ms: int = 0
    copied: int = 0
    """How many of them the copy has."""


@dataclass(slots=True)
class RestoredPartition:
    """A partition as it was after its movement `seq`, made at `at_ms`."""

    number: int
    epoch: int
    seq: int
    at_ms: int
    levels: dict[tuple[str, str], LevelState] = field(default_factory=dict)
    """By location and SKU; without a SKU, a location's default policy. Deleted ones too."""
    holds: dict[str, HoldState] = field(default_factory=dict)
    resynced_at: Place = field(default_factory=Place)
    """Up to there the copy may lack movements, though no state."""
    past_mark: int = 0
    """So many movements are past its watermark, and came back too."""
    left_out: LeftOut = field(default_factory=LeftOut)

    def take(self, entry: JournalEntry) -> None:
        """Goes on by a movement."""
        level, hold = level_state(entry), hold_state(entry)
        if level is not None:
            known = self.levels.get((level.location, level.sku))
            if known is None or (known.epoch, known.rank) < (level.epoch, level.rank):
                self.levels[level.location, level.sku] = level
        if hold is not None:
            before = self.holds.get(hold.hold_id)
            if before is None or (before.epoch, before.seq) < (hold.epoch, hold.seq):
                self.holds[hold.hold_id] = hold
        self.seq, self.at_ms = entry.seq, entry.at_ms

    def forget_holds(self, now_ms: int, retention_ms: int) -> None:
        """Leaves out the holds that a store would not keep any more."""
        gone = [
            id_ for id_, hold in self.holds.items() if now_ms >= _kept_until(hold, retention_ms)
        ]
        for hold_id in gone:
            del self.holds[hold_id]


def _kept_until(hold: HoldState, retention_ms: int) -> int:
    """An open one that nobody expired for so long has ended: its end is not kept any more."""
    return hold.last_ms + retention_ms if hold.is_open else ended_ms(hold) + retention_ms


def ended_ms(hold: HoldState) -> int:
    """When a hold ended; the deadline of an open one."""
    _, deadline, *more = hold.state.split(" ")
    return int(more[0]) if more and more[0] != "-" else int(deadline)


async def read_partition(
    reader: CopyReader, store_id: str, copied: PartitionCopy
) -> RestoredPartition:
    """Reads a partition: its states, and then every movement after those.

    All movements of a batch were there before the first state of it: so the last
    movement without a gap before it is at, or past, every state.
    """
    mark = copied.watermark
    found = RestoredPartition(copied.number, mark.place.epoch, mark.folded.seq, mark.at_ms)
    found.resynced_at = copied.resynced_at
    async for levels in reader.levels(store_id, copied.number):
        found.levels |= {(level.location, level.sku): level for level in levels}
    async for holds in reader.holds(store_id, copied.number):
        found.holds |= {hold.hold_id: hold for hold in holds}
    epoch, number = mark.folded.epoch, copied.number
    async for entry in reader.movements(store_id, epoch, number, mark.folded.seq):
        found.take(entry)
    if found.seq < mark.place.seq:
        raise CopyDamagedError(
            f"partition {copied.number} was copied up to {mark.place.seq}, and its movement"
            f" {found.seq + 1} is not there"
        )
    found.past_mark = found.seq - mark.place.seq
    # A drainer writes one batch past the watermark, its items in any order.
    last = mark.place.seq + PartitionDrain.BATCH
    beyond = await reader.movements_past_a_gap(store_id, epoch, number, found.seq + 1, last)
    found.left_out = _left_out(found.seq, beyond)
    return found


def _left_out(seq: int, beyond: Sequence[JournalEntry]) -> LeftOut:
    if not beyond:
        return LeftOut()
    last = max(beyond, key=lambda entry: entry.seq)
    return LeftOut(seq + 1, last.seq, last.at_ms, len({entry.seq for entry in beyond}))
