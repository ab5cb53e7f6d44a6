"""Reconcile: a store that went back in time gets back what its durable copy has of it.

Each partition's lost movements are made once more, in their order and as they were,
up to the last that was copied. The epoch is a new one, so that servers and
subscribers see that time was lost. Until the end Redis is marked, and no server uses
it; what broke off is gone on with.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from inventory_server.domain.copy import CopiedStore, JournalEntry, PartitionCopy
from inventory_server.domain.model import Level
from inventory_server.operations.cut_holds import Cut, CutHolds, reaches_elsewhere
from inventory_server.operations.partition_drain import PartitionDrain
from inventory_server.operations.reconcile_checks import ReconcileRefusedError, check
from inventory_server.operations.restore_repairs import repaired
from inventory_server.operations.restored_partition import CopyDamagedError
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_records import FIELDS
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.keys import partition_of
from inventory_server.stores.reconcile_store import Begun, DoesNotFollowError, ReconcileStore
from inventory_server.stores.records import pack_level

ACTOR: Final = "reconcile"


class Reconciled(NamedTuple):
    """What came of it. Times are those of the first and last movement, in ms; 0 without any."""

    store: CopiedStore
    movements: int
    partitions: int
    """Of how many partitions they are."""
    repairs: int
    oldest_ms: int
    newest_ms: int


@dataclass(slots=True)
class _Replayed:
    """A partition after its movements came back."""

    seq: int
    copied: int | None
    """Up to which seq it is in the copy; None where that is what the partition says itself."""
    movements: int = 0
    oldest_ms: int = 0
    newest_ms: int = 0


class Reconcile:
    """Gives one store back what it lost."""

    TIMEOUT_S: Final = 10.0
    WAIT_S: Final = PartitionDrain.TIMEOUT_S
    """What a drainer has read before, it has written after this, or never will."""
    PARTITIONS_AT_ONCE: Final = 4
    TOLD_EVERY: Final = 10_000
    """Movements."""

    def __init__(
        self, target: ReconcileStore, source: CopySource, reader: CopyReader, leases: CopyLeases,
        copied: CopiedStore, *, tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`tell` is given a sentence now and then."""
        self._target = target
        self._source = source
        self._reader = reader
        self._leases = leases
        self._copied = copied
        self._numbers = range(copied.partitions)
        self._tell = tell
        self._cut_ids: set[str] = set()
        self._loop = asyncio.get_running_loop()

    async def run(self, *, accepts_loss: bool = False) -> Reconciled:
        """Reconciles. Raises ReconcileRefusedError, and then nothing was changed;
        CopyDamagedError, after which no server uses the store;
        StoreUnavailable and CatalogThrottled, after which it can be gone on with.
        """
        copied = self._copied
        copies = await self._leases.partitions(self._numbers, self._soon())
        is_begun = await self._target.begun()
        if is_begun is None:
            raise ReconcileRefusedError(
                "this Redis has no store that could get anything back: into an empty one,"
                " inventory-server restore makes it anew"
            )
        if not is_begun:
            await check(self._source, self._reader, copied, copies, accepts_loss=accepts_loss)
        begun = await self._target.begin(copied.store_id)
        if begun is None:
            raise ReconcileRefusedError(f"this Redis is not of the store {copied.store_id}")
        copies = await self._wait_for_drainers(begun, copies)
        replayed = await self._replay_all(begun, copies)
        places = [*[one.place for one in begun], *[there.watermark.place for there in copies]]
        epoch = 1 + max([copied.epoch, *[place.epoch for place in places]])
        repairs = await self._repair(copies, replayed, epoch)
        store = copied._replace(epoch=epoch)
        await self._leases.register(store, self._soon())
        await self._target.finish(store.store_id, epoch, [one.copied for one in replayed])
        moved = [one for one in replayed if one.movements]
        return Reconciled(
            store,
            sum(one.movements for one in moved),
            len(moved),
            repairs,
            min([one.oldest_ms for one in moved], default=0),
            max([one.newest_ms for one in moved], default=0),
        )

    async def _wait_for_drainers(
        self, begun: Sequence[Begun], before: Sequence[PartitionCopy]
    ) -> list[PartitionCopy]:
        """What a server still writes to the copy, it has read before the store was marked. What
        was copied of a partition that is behind comes from another Redis.
        """
        if any(there.owner for there in before):
            self._tell("waiting until what servers have read before is in the copy")
            await asyncio.sleep(self.WAIT_S)
        after = await self._leases.partitions(self._numbers, self._soon())
        for here, was, there in zip(begun, before, after, strict=True):
            if here.place < was.watermark.place < there.watermark.place:
                raise ReconcileRefusedError(
                    f"partition {there.number} was copied further meanwhile, by"
                    f" {there.owner or 'a server'}: is another Redis of this store in use? Give"
                    " that one, or stop that server, and run this again"
                )
        return after

    # Movements

    async def _replay_all(
        self, begun: Sequence[Begun], copies: Sequence[PartitionCopy]
    ) -> list[_Replayed]:
        at_once = asyncio.Semaphore(self.PARTITIONS_AT_ONCE)

        async def replay(number: int) -> _Replayed:
            async with at_once:
                return await self._replay(begun[number], copies[number])

        return list(await asyncio.gather(*[replay(number) for number in self._numbers]))

    async def _replay(self, begun: Begun, there: PartitionCopy) -> _Replayed:
        """Makes the movements of a partition once more that it does not have."""
        mark, seq = there.watermark.place, begun.place.seq
        done = _Replayed(begun.seq, mark.seq)
        if mark.epoch < begun.place.epoch:
            # Nothing of this epoch was copied yet.
            done.copied = None
            return done
        waiting: list[JournalEntry] = []
        async for entry in self._reader.movements(
            self._copied.store_id, begun.place.epoch, there.number, seq
        ):
            if entry.seq != seq + 1:
                raise CopyDamagedError(f"partition {there.number} has two movements {entry.seq}")
            seq = entry.seq
            self._note(done, entry)
            if seq > begun.seq:
                waiting.append(entry)
            if len(waiting) == ReconcileStore.A_WRITE:
                await self._make(there.number, waiting)
                waiting = []
        await self._make(there.number, waiting)
        if seq < mark.seq:
            raise CopyDamagedError(
                f"partition {there.number} was copied up to {mark.seq}, and its movement"
                f" {seq + 1} is not there"
            )
        if done.movements:
            done.copied, done.seq = seq, max(seq, begun.seq)
        return done

    async def _make(self, number: int, entries: Sequence[JournalEntry]) -> None:
        for at in range(0, len(entries), ReconcileStore.A_WRITE):
            try:
                await self._target.replay(number, entries[at : at + ReconcileStore.A_WRITE])
            except DoesNotFollowError as error:
                raise CopyDamagedError(str(error)) from error

    def _note(self, done: _Replayed, entry: JournalEntry) -> None:
        done.movements += 1
        done.oldest_ms = done.oldest_ms or entry.at_ms
        done.newest_ms = entry.at_ms
        if hold_id := reaches_elsewhere(entry):
            self._cut_ids.add(hold_id)
        if done.movements % self.TOLD_EVERY == 0:
            self._tell(f"partition {entry.partition}: {done.movements} movements")

    # Repairs

    async def _repair(
        self, copies: Sequence[PartitionCopy], replayed: Sequence[_Replayed], epoch: int
    ) -> int:
        """Makes levels fit the holds that came back in a part of their partitions."""
        copied = [one.seq if one.copied is None else one.copied for one in replayed]
        only_here = await self._only_here(copied) if self._cut_ids else {}
        cuts = await CutHolds(
            self._target, self._reader, self._copied.store_id, copied=copied,
            resynced_at=[there.resynced_at for there in copies], only_here=only_here,
        ).find(self._cut_ids)  # fmt: skip
        by_partition: dict[int, list[Cut]] = defaultdict(list)
        for cut in cuts:
            by_partition[partition_of(cut.location, len(replayed))].append(cut)
        now_ms = await self._source.now_ms()
        for number, own in by_partition.items():
            seq = replayed[number].seq
            entries = [entry async for entry in self._repairs(own, number, seq, epoch, now_ms)]
            await self._make(number, entries)
        return len(cuts)

    async def _only_here(self, copied: Sequence[int]) -> dict[str, list[JournalEntry]]:
        """The holds' movements that Redis has and the copy does not."""
        found: dict[str, list[JournalEntry]] = defaultdict(list)
        for number in self._numbers:
            seq = copied[number]
            while True:
                _, entries = await self._source.read(number, seq + 1, PartitionDrain.BATCH)
                for entry in entries:
                    if entry.fields["hold_id"] in self._cut_ids:
                        found[entry.fields["hold_id"]].append(entry)
                if not entries:
                    break
                seq = entries[-1].seq
        return found

    async def _repairs(
        self, cuts: Iterable[Cut], number: int, seq: int, epoch: int, now_ms: int
    ) -> AsyncIterator[JournalEntry]:
        levels: dict[tuple[str, str], Level] = {}
        for n, cut in enumerate(cuts, 1):
            place = (cut.location, cut.sku)
            level = levels.get(place) or await self._target.level(*place)
            # One that is not there was made after what is copied of its partition.
            level = level or Level(cut.sku, cut.location, 0, 0, seq + n - 1)
            level = levels[place] = repaired(level, cut.on_hand_delta, cut.held_delta)
            fields = dict.fromkeys(FIELDS, "") | {
                "id": f"{ACTOR}-{epoch}.{n}", "kind": "REPAIR", "at_ms": str(now_ms),
                "actor": ACTOR, "location": cut.location, "sku": cut.sku,
                "delta": f"{cut.on_hand_delta} {cut.held_delta}", "level": pack_level(level),
                "hold_id": cut.hold_id,
            }  # fmt: skip
            yield JournalEntry(epoch, number, seq + n, fields)

    def _soon(self) -> float:
        return self._loop.time() + self.TIMEOUT_S
