"""Holds that a reconcile has cut: a change of them came back in one partition, not in another.

Partitions are copied up to different moments. A hold's state at home decides, as it
does in a restore: what its movements did to a level of another partition is compared
with what that state says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from inventory_server.domain.copy import JournalEntry, Place
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_records import placed_at
from inventory_server.stores.keys import partition_of
from inventory_server.stores.reconcile_store import ReconcileStore
from inventory_server.stores.records import parse_hold

HOLDS_AT_ONCE: Final = 8
LevelName = tuple[str, str]
"""Location and SKU."""
Units = tuple[int, int]
"""On hand, and held."""
_NEVER: Final = Place(1 << 60)
"""Past every place that a copy may lack."""


class Cut(NamedTuple):
    """What a level lacks, or has too much of, for a hold that is at home elsewhere."""

    location: str
    sku: str
    hold_id: str
    on_hand_delta: int
    held_delta: int


def reaches_elsewhere(entry: JournalEntry) -> str:
    """The hold of this movement, where it has lines in more than one partition; else empty."""
    hold_id = entry.fields["hold_id"]
    home = hold_id.partition("-")[0]
    if not hold_id or home != str(entry.partition):
        return hold_id
    if not entry.fields["record"]:
        # Another movement of the same change has it.
        return ""
    lines = entry.fields["record"].split("\n", 3)[2]
    return hold_id if any(not line.startswith(f"{home} ") for line in lines.split(",")) else ""


class CutHolds:
    """Finds them among holds of which movements came back."""

    def __init__(
        self, target: ReconcileStore, reader: CopyReader, store_id: str, *,
        copied: Sequence[int], resynced_at: Sequence[Place],
        only_here: Mapping[str, Sequence[JournalEntry]],
    ) -> None:  # fmt: skip
        """`copied`: up to which seq each partition is in the copy; `only_here`: movements of
        holds past that, which Redis has.
        """
        self._target = target
        self._reader = reader
        self._store_id = store_id
        self._copied = copied
        self._resynced_at = resynced_at
        self._only_here = only_here

    async def find(self, hold_ids: Iterable[str]) -> list[Cut]:
        """What has to be done to levels so that they fit these holds."""
        ids, found = sorted(hold_ids), []
        for at in range(0, len(ids), HOLDS_AT_ONCE):
            asked = [self._of_hold(hold_id) for hold_id in ids[at : at + HOLDS_AT_ONCE]]
            found += [cut for cuts in await asyncio.gather(*asked) for cut in cuts]
        return found

    async def _of_hold(self, hold_id: str) -> list[Cut]:
        home = int(hold_id.partition("-")[0])
        movements = await self._movements(hold_id)
        known = await self._known(hold_id, [one for one in movements if one.partition == home])
        placed = placed_at(known[1]) if known is not None else {}
        # What the hold's lines should have come to: units that went, and units that are held.
        wanted: dict[LevelName, Units] = {}
        for line in parse_hold(hold_id, known[1], known[0]).lines if known is not None else ():
            wanted[line.location, line.sku] = (-line.confirmed, line.held)
        done = _done(movements)
        cuts = []
        for location, sku in sorted({*wanted, *done}):
            number = partition_of(location, len(self._copied))
            # Where movements may be missing for good, their sum says nothing.
            if number == home or placed.get(number, _NEVER) <= self._resynced_at[number]:
                continue
            on_hand, held = wanted.get((location, sku), (0, 0))
            on_hand_done, held_done = done.get((location, sku), (0, 0))
            if (on_hand, held) != (on_hand_done, held_done):
                deltas = (on_hand - on_hand_done, held - held_done)
                cuts.append(Cut(location, sku, hold_id, *deltas))
        return cuts

    async def _known(self, hold_id: str, at_home: Sequence[JournalEntry]) -> tuple[str, str] | None:
        """The hold's state and record; None where its home never got it.

        The home's movements say it also where it has been removed since, because it ended.
        """
        for entry in reversed(at_home):
            if entry.fields["hold"]:
                return entry.fields["hold"], entry.fields["record"]
        return await self._target.hold(hold_id)

    async def _movements(self, hold_id: str) -> list[JournalEntry]:
        """All that the store has of a hold, by partition and seq."""
        found: dict[tuple[int, int], JournalEntry] = {}
        for entry in await self._reader.history_of_hold(self._store_id, hold_id):
            before = found.get((entry.partition, entry.seq))
            is_here = entry.seq <= self._copied[entry.partition]
            # Of two epochs that have a seq, the later one counts.
            if is_here and (before is None or before.epoch < entry.epoch):
                found[entry.partition, entry.seq] = entry
        for entry in self._only_here.get(hold_id, ()):
            found[entry.partition, entry.seq] = entry
        return [found[place] for place in sorted(found)]


def _done(movements: Iterable[JournalEntry]) -> dict[LevelName, Units]:
    """What movements have come to, of each level."""
    done: dict[LevelName, Units] = {}
    for entry in movements:
        if entry.fields["location"]:
            on_hand, held = map(int, entry.fields["delta"].split(" "))
            place = (entry.fields["location"], entry.fields["sku"])
            before = done.get(place, (0, 0))
            done[place] = (before[0] + on_hand, before[1] + held)
    return done
