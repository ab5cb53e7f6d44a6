"""Restore: a store in an empty Redis, as far as its durable copy has come.

Each partition is restored up to the last movement that was copied of it. Open
holds come back with their ids and deadlines, ended ones as long as they are kept;
the epoch is a new one, so that servers and subscribers see that time was lost.
Until the end Redis is marked, and no server uses it; what broke off begins anew.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from inventory_server.domain.copy import CopiedStore, PartitionCopy
from inventory_server.domain.model import Level
from inventory_server.operations.drain_leases import DrainLeases
from inventory_server.operations.restore_repairs import find_repairs
from inventory_server.operations.restored_partition import (
    LeftOut,
    RestoredPartition,
    ended_ms,
    read_partition,
)
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.records import parse_level
from inventory_server.stores.restore_store import Repair, RestoreStore


class RestoreRefusedError(Exception):
    """There is nothing to restore from, or nothing may be restored; the sentence says why."""


class Reached(NamedTuple):
    """Up to where a partition came back: its last movement, made at `at_ms`, and how many of
    these stood past the watermark; and what was on its way and is lost.
    """

    number: int
    seq: int
    at_ms: int
    past_mark: int
    left_out: LeftOut


class Restored(NamedTuple):
    """What came of it. `reached`: of the partitions that have movements, or had."""

    store: CopiedStore
    levels: int
    open_holds: int
    ended_holds: int
    repairs: int
    reached: Sequence[Reached]
    repaired_holds: Sequence[str]
    """The holds whose changes were in the copy of one partition, and not of another."""


class Restore:
    """Makes one store."""

    TIMEOUT_S: Final = 10.0

    def __init__(
        self, target: RestoreStore, reader: CopyReader, leases: CopyLeases, copied: CopiedStore,
        *, retention_ms: int, tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`tell` is given a sentence now and then."""
        self._target = target
        self._reader = reader
        self._leases = leases
        self._copied = copied
        self._retention_ms = retention_ms
        self._tell = tell
        self._loop = asyncio.get_running_loop()

    async def run(self, *, accepts_incomplete: bool = False) -> Restored:
        """Restores. Raises RestoreRefusedError and CopyDamagedError, before anything is
        written; StoreUnavailable and CatalogThrottled, after which it can be begun anew.
        """
        is_half = await self._target.is_half_restored()
        if not is_half and not await self._target.is_empty():
            raise RestoreRefusedError("this Redis is not empty: give an empty one")
        numbers = range(self._copied.partitions)
        await self._wait_for_drainers(numbers)
        copies = await self._leases.partitions(numbers, self._soon())
        lacking = sum(there.lacking for there in copies)
        if lacking and not accepts_incomplete:
            raise RestoreRefusedError(
                f"the copy is not complete: it lacks {lacking} movements; what it has may be old"
                " (inventory-server resync makes up for them, while the store is there;"
                " --accept-incomplete restores it all the same)"
            )
        now_ms = await self._target.now_ms()
        partitions = await self._read(copies)
        for partition in partitions.values():
            partition.forget_holds(now_ms, self._retention_ms)
        repairs = await find_repairs(self._reader, self._copied.store_id, partitions)
        epoch = 1 + max([self._copied.epoch, *[there.watermark.place.epoch for there in copies]])
        store = self._copied._replace(epoch=epoch)
        await self._leases.register(store, self._soon())
        if is_half:
            self._tell("removing what a restore left that broke off")
            await self._target.clear()
        return await self._write(store, partitions, repairs, now_ms)

    async def _wait_for_drainers(self, numbers: Sequence[int]) -> None:
        """Nobody may go on copying from a store that is gone."""
        owners = {there.owner for there in await self._leases.partitions(numbers, self._soon())}
        before = await self._leases.beats(owners - {""}, self._soon())
        if not before:
            return
        self._tell("waiting whether a server still copies")
        await asyncio.sleep(DrainLeases.TERM_S)
        after = await self._leases.beats(before, self._soon())
        alive = sorted(name for name in before if after[name] != before[name])
        if alive:
            raise RestoreRefusedError(f"a server still runs: stop it first ({', '.join(alive)})")

    async def _read(self, copies: Sequence[PartitionCopy]) -> dict[int, RestoredPartition]:
        found = {}
        for there in copies:
            found[there.number] = await read_partition(self._reader, self._copied.store_id, there)
            self._tell(f"read partition {there.number + 1} of {len(copies)}")
        return found

    async def _write(
        self, store: CopiedStore, partitions: Mapping[int, RestoredPartition],
        repairs: Mapping[int, Sequence[Repair]], now_ms: int,
    ) -> Restored:  # fmt: skip
        await self._target.begin()
        levels, holds = 0, [0, 0]
        places = []
        for number, partition in sorted(partitions.items()):
            own = repairs[number]
            levels += await self._write_levels(partition, own)
            states = sorted(
                partition.holds.values(), key=lambda hold: (ended_ms(hold), hold.hold_id)
            )
            await self._target.put_holds(number, states)
            for state in states:
                holds[state.is_open] += 1
            await self._target.put_repairs(
                number, partition.seq + 1, own, op=f"restore-{store.epoch}", at_ms=now_ms
            )
            places.append((partition.seq, partition.seq + len(own)))
            self._tell(f"wrote partition {number + 1} of {len(partitions)}")
        await self._target.finish(store, places)
        made = [repair for of_partition in repairs.values() for repair in of_partition]
        reached = [
            Reached(one.number, one.seq, one.at_ms, one.past_mark, one.left_out)
            for one in partitions.values()
            if one.seq or one.left_out.copied
        ]
        repaired_holds = sorted({repair.hold_id for repair in made} - {""})
        return Restored(
            store, levels, holds[True], holds[False], len(made), reached, repaired_holds
        )

    async def _write_levels(self, partition: RestoredPartition, repairs: Sequence[Repair]) -> int:
        by_location: dict[str, dict[str, Level]] = defaultdict(dict)
        policies: dict[str, str] = {}
        for (location, sku), state in partition.levels.items():
            levels = by_location[location]
            if state.packed and sku:
                levels[sku] = parse_level(sku, location, state.packed)
            elif state.packed:
                policies[location] = state.packed.removeprefix("0 0 0").removesuffix(" OK")
        for repair in repairs:
            by_location[repair.level.location][repair.level.sku] = repair.level
        for location, levels in sorted(by_location.items()):
            await self._target.put_levels(
                location, policies.get(location, ""), list(levels.values())
            )
        return sum(map(len, by_location.values()))

    def _soon(self) -> float:
        return self._loop.time() + self.TIMEOUT_S
