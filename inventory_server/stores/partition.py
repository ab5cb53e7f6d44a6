"""What a server knows of a partition, and sends with each change of it."""

from __future__ import annotations

from typing import Final

from inventory_server.domain.limits import MAX_TOTAL

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
