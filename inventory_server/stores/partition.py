"""What a server knows of a partition, and sends with each change of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from inventory_server.domain.limits import MAX_TOTAL

log = logging.getLogger(__name__)

NEVER_SEEN: Final = MAX_TOTAL
"""A seq that no journal reaches."""


class Partition:
    """A partition: its epoch, and the highest seq that this server has seen."""

    __slots__ = ("epoch", "number", "rewound", "seq")

    def __init__(self, number: int, epoch: str, seq: int) -> None:
        self.number = number
        self.epoch = epoch
        self.seq = seq
        self.rewound = False

    def go_back(self) -> None:
        """It has lost changes: from now on no change of it goes through, until an epoch begins."""
        # No seq is as high: others may write on there, this server does not any more.
        self.rewound, self.seq = True, NEVER_SEEN

    def meet(self, own_store_id: str, epoch: str, seq: str, store_id: str) -> bool:
        """Learns that it is elsewhere now than this server has seen it.

        Takes over a newer epoch of its store; False where it really went back.
        """
        if store_id == own_store_id and seq and int(epoch or 0) > int(self.epoch):
            self.epoch, self.seq, self.rewound = epoch, int(seq), False
            return True
        if not self.rewound:
            now = f"{store_id or '-'} {epoch or '-'}:{seq or '-'}"
            seen = f"{own_store_id} {self.epoch}:{self.seq}"
            log.error(
                "the store went back: partition %d is at %s, was at %s", self.number, now, seen
            )
            self.go_back()
        return False


def meet_all(
    partitions: Sequence[Partition], own_store_id: str, seen: Sequence[int], facts: Sequence[str]
) -> int:
    """Compares all with what `read_places` says, asked for after these seqs were seen.

    Answers how many newer epochs were taken over.
    """
    taken = 0
    places = zip(*[iter(facts)] * 5, strict=True)
    for partition, at_least, (epoch, seq, store_id, *_) in zip(
        partitions, seen, places, strict=True
    ):
        is_same = (store_id, epoch) == (own_store_id, partition.epoch)
        if not is_same or int(seq or 0) < at_least:
            taken += partition.meet(own_store_id, epoch, seq, store_id)
    return taken
