"""Whether a store can get back what it lost; looked at before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from inventory_server.domain import stream
from inventory_server.domain.copy import CopiedStore, PartitionCopy, Place
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource

_ANEW = "empty this Redis, once what it has is kept elsewhere, and run inventory-server restore"


class ReconcileRefusedError(Exception):
    """Nothing was lost, or it cannot be given back; the sentence says why."""


async def check(
    source: CopySource, reader: CopyReader, copied: CopiedStore, copies: Sequence[PartitionCopy],
    *, accepts_loss: bool,
) -> None:  # fmt: skip
    """Raises ReconcileRefusedError."""
    if source.partitions != len(copies):
        raise ReconcileRefusedError(
            f"this Redis has {source.partitions} partitions, the copy {len(copies)}"
        )
    places = await source.places()
    for there, place in zip(copies, places, strict=True):
        if place.store_id != copied.store_id:
            raise ReconcileRefusedError(
                f"the copy is of the store {copied.store_id}, this Redis has"
                f" {place.store_id or 'none'}"
            )
        _check_epoch(there, place)
        await _check_fork(source, reader, copied.store_id, there, place)
    behind = False
    for there, place in zip(copies, places, strict=True):
        behind = behind or await _is_behind(source, reader, copied.store_id, there, place)
    if not behind and not accepts_loss:
        raise ReconcileRefusedError(
            "this store is not behind its copy: there is nothing to give back. Where servers"
            " refuse changes all the same, they have seen some that were not copied; those are"
            " lost, and --accept-loss has the servers go on without them"
        )


async def _is_behind(
    source: CopySource, reader: CopyReader, store_id: str, there: PartitionCopy, place: stream.Place
) -> bool:
    """Whether the copy has movements that the store does not have, past its watermark too."""
    number, mark = there.number, there.watermark.place
    if Place(int(place.epoch or 0), place.seq) < mark:
        return True
    if mark.epoch != int(place.epoch or 0):
        return False
    async for entry in reader.movements(store_id, mark.epoch, number, place.seq):
        # Meanwhile it may have been made, where servers run.
        (now,) = await source.places([number])
        return now.seq < entry.seq
    return False


def _check_epoch(there: PartitionCopy, place: stream.Place) -> None:
    """Of an epoch before the copy's it is not known where the next one began."""
    mark = there.watermark.place
    if mark.epoch > int(place.epoch or 0):
        raise ReconcileRefusedError(
            f"partition {there.number} is of epoch {place.epoch or '-'}, the copy of {mark.epoch}:"
            f" since then a restore or reconcile went on from another state; {_ANEW}"
        )


async def _check_fork(
    source: CopySource, reader: CopyReader, store_id: str, there: PartitionCopy, place: stream.Place
) -> None:
    """The last movement that both have must be one and the same."""
    number, mark = there.number, there.watermark.place
    seq = min(mark.seq, place.seq)
    if mark.epoch != int(place.epoch or 0) or seq < place.kept_from:
        return
    _, entries = await source.read(number, seq, 1)
    here = {entry.fields["id"] for entry in entries if entry.seq == seq}
    copied = set()
    async for entry in reader.movements(store_id, mark.epoch, number, seq - 1):
        if entry.seq > seq:
            break
        copied.add(entry.fields["id"])
    if here and copied and here != copied:
        raise ReconcileRefusedError(
            f"partition {number} went on by itself after it was put back: its movement {seq} is"
            f" {', '.join(here)}, in the copy it is {', '.join(sorted(copied))}; {_ANEW}"
        )
