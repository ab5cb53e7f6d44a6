"""How the durable copy stands, as Redis and DynamoDB say themselves."""

from __future__ import annotations

from typing import NamedTuple

from inventory_server.domain.stream import Place
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.stream_store import StreamStore


class PartitionStatus(NamedTuple):
    """A partition: where its journal is, where its copy is, and how late that is."""

    number: int
    epoch: str
    seq: int
    journal_entries: int
    copied_epoch: int
    copied_seq: int
    lag_ms: int
    """The age of the oldest movement that is not copied; 0 where all are."""
    not_copied: int
    """Movements that histories lack for good."""
    lacking: int
    """Of those, for how many levels and holds may be missing or old."""
    drainer: str

    @property
    def is_behind_copy(self) -> bool:
        """Whether the store has gone back to before its copy."""
        return (int(self.epoch or 0), self.seq) < (self.copied_epoch, self.copied_seq)

    @property
    def is_complete(self) -> bool:
        """Whether all that the store has is in the copy, or comes into it."""
        return not self.lacking and not self.is_behind_copy


class CopyStatus:
    """Asks both."""

    def __init__(self, source: CopySource, streams: StreamStore, leases: CopyLeases) -> None:
        self._source = source
        self._streams = streams
        self._leases = leases

    async def read(self, deadline: float) -> list[PartitionStatus]:
        """Every partition. Raises StoreUnavailable and CatalogThrottled."""
        places = await self._source.places()
        copied = await self._leases.partitions(range(len(places)), deadline)
        now_ms = await self._source.now_ms()
        found = []
        for there, place in zip(copied, places, strict=True):
            number, mark = there.number, there.watermark
            entries = await self._streams.length(number)
            lag_ms = await self._lag_ms(number, mark.place.seq, place, now_ms)
            found.append(
                PartitionStatus(
                    number, place.epoch, place.seq, entries, *mark.place, lag_ms,
                    mark.not_copied, there.lacking, there.owner,
                )
            )  # fmt: skip
        return found

    async def _lag_ms(self, number: int, copied_seq: int, place: Place, now_ms: int) -> int:
        if copied_seq >= place.seq:
            return 0
        _, entries = await self._source.read(number, copied_seq + 1, 1)
        return max(0, now_ms - entries[0].at_ms) if entries else 0
