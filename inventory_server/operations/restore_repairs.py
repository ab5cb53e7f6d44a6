"""Levels that do not fit the holds where partitions were copied up to different moments.

A hold's state is in the copy of its home. Where a hold has lines in other
partitions, a change of it may be copied there and not at home, or at home and not
there. The hold's state at home decides: what its movements did to a level of
another partition is compared with what that state says. A hold that its home did not come
to know was never placed: what it did elsewhere is taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from inventory_server.domain.copy import HoldState, JournalEntry
from inventory_server.domain.model import HoldLine, Level
from inventory_server.operations.restored_partition import RestoredPartition
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_records import placed_at
from inventory_server.stores.keys import partition_of
from inventory_server.stores.records import parse_hold, parse_level
from inventory_server.stores.restore_store import Repair

LevelName = tuple[str, str]
"""Location and SKU."""
LOOKED_BACK_MS: Final = 600_000
"""So far one partition may be copied behind another, and holds that it never knew are found."""
CLOCK_MARGIN_MS: Final = 60_000
"""How far the store's clock may be set back meanwhile."""


class _Wrong(NamedTuple):
    """What a hold's line in another partition lacks, or has too much of."""

    hold_id: str
    on_hand_delta: int
    held_delta: int


async def find_repairs(
    reader: CopyReader, store_id: str, partitions: Mapping[int, RestoredPartition]
) -> dict[int, list[Repair]]:
    """What has to be done to levels, one thing after another, by partition."""
    wrong: dict[LevelName, list[_Wrong]] = defaultdict(list)
    held: dict[LevelName, int] = defaultdict(int)
    for partition in partitions.values():
        for state in partition.holds.values():
            lines = parse_hold(state.hold_id, state.record, state.state).lines
            for line in lines:
                held[line.location, line.sku] += line.held
            away = [
                line
                for line in lines
                if partition_of(line.location, len(partitions)) != partition.number
            ]
            if away:
                for name, found in await _compare(reader, store_id, state, away, partitions):
                    wrong[name].append(found)
    for name, found in await _never_placed(reader, store_id, partitions):
        wrong[name].append(found)
    return {
        number: _repairs(partition, wrong, held, len(partitions))
        for number, partition in partitions.items()
    }


async def _compare(
    reader: CopyReader, store_id: str, state: HoldState, away: Sequence[HoldLine],
    partitions: Mapping[int, RestoredPartition],
) -> list[tuple[LevelName, _Wrong]]:  # fmt: skip
    """Compares a hold's lines in other partitions with what was done to their levels.

    Where movements of the hold may be missing for good, their sum says nothing, and its line is
    left out: the level came from Redis whole.
    """
    placed = placed_at(state.record)
    done = _sums(await _history(reader, store_id, state.hold_id, partitions))
    found = []
    for line in away:
        number = partition_of(line.location, len(partitions))
        if placed[number] <= partitions[number].resynced_at:
            continue
        on_hand, held = done[line.location, line.sku]
        wrong = _Wrong(state.hold_id, -line.confirmed - on_hand, line.held - held)
        if wrong[1:] != (0, 0):
            found.append(((line.location, line.sku), wrong))
    return found


async def _never_placed(
    reader: CopyReader, store_id: str, partitions: Mapping[int, RestoredPartition]
) -> list[tuple[LevelName, _Wrong]]:
    """What was done, in other partitions, by holds of which nothing is copied at home."""
    times = [partition.at_ms for partition in partitions.values() if partition.seq]
    if not times:
        return []
    since_ms = max(min(times), max(times) - LOOKED_BACK_MS) - CLOCK_MARGIN_MS
    unknown: dict[str, None] = {}
    for partition in partitions.values():
        async for entries in reader.movements_back(
            store_id, partition.epoch, partition.number, partition.seq
        ):
            for entry in entries:
                hold_id = entry.fields["hold_id"]
                if hold_id and hold_id not in partitions[_home_of(hold_id)].holds:
                    unknown[hold_id] = None
            if max(entry.at_ms for entry in entries) < since_ms:
                break
    found = []
    for hold_id in unknown:
        history = await _history(reader, store_id, hold_id, partitions)
        # One that was at home there ended long ago, and is not kept any more.
        if all(entry.partition != _home_of(hold_id) for entry in history):
            for name, (on_hand, held) in _sums(history).items():
                if (on_hand, held) != (0, 0):
                    found.append((name, _Wrong(hold_id, -on_hand, -held)))
    return found


async def _history(
    reader: CopyReader, store_id: str, hold_id: str, partitions: Mapping[int, RestoredPartition]
) -> list[JournalEntry]:
    """A hold's movements that are restored, or were by an earlier restore."""
    return [
        entry
        for entry in await reader.history_of_hold(store_id, hold_id)
        if entry.seq <= partitions[entry.partition].seq
        and not await reader.is_superseded(store_id, entry, partitions[entry.partition].epoch)
    ]


def _sums(history: Sequence[JournalEntry]) -> dict[LevelName, list[int]]:
    """What they did to each level: on_hand and held."""
    done: dict[LevelName, list[int]] = defaultdict(lambda: [0, 0])
    for entry in history:
        for at, delta in enumerate(entry.fields["delta"].split(" ")):
            done[entry.fields["location"], entry.fields["sku"]][at] += int(delta)
    return done


def _home_of(hold_id: str) -> int:
    return int(hold_id.partition("-")[0])


def _repairs(
    partition: RestoredPartition, wrong: Mapping[LevelName, Sequence[_Wrong]],
    held: Mapping[LevelName, int], partitions: int,
) -> list[Repair]:  # fmt: skip
    repairs: list[Repair] = []
    names = {name for name, level in partition.levels.items() if level.packed and name[1]}
    here = {
        name for name in {*wrong, *held} if partition_of(name[0], partitions) == partition.number
    }
    for location, sku in sorted(names | here):
        known = partition.levels.get((location, sku))
        wanted, own = held.get((location, sku), 0), list(wrong.get((location, sku), ()))
        if known is not None and known.packed:
            level = parse_level(sku, location, known.packed)
        elif wanted or own:
            # It was made, or made again, after what is copied of its partition.
            level = Level(sku, location, 0, 0, partition.seq + len(repairs))
        else:
            continue
        # A hold that its home does not know any more holds nothing.
        own.append(_Wrong("", 0, wanted - level.held - sum(one.held_delta for one in own)))
        for hold_id, on_hand_delta, held_delta in own:
            if on_hand_delta or held_delta:
                level = repaired(level, on_hand_delta, held_delta)
                repairs.append(Repair(level, on_hand_delta, held_delta, hold_id))
    return repairs


def repaired(level: Level, on_hand_delta: int, held_delta: int) -> Level:
    """The level after a repair.

    Its alert state stays what was said last, but where it has recovered.
    """
    changed = level._replace(
        on_hand=level.on_hand + on_hand_delta,
        held=level.held + held_delta,
        version=level.version + 1,
    )
    return (
        changed._replace(alert_state="OK") if changed.available > changed.rearm_point else changed
    )
