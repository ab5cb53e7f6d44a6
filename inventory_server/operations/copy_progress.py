"""How far the durable copy has come, and how late it is: kept in memory, for logs and metrics."""

from __future__ import annotations

import logging
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

from inventory_server.domain.copy import LAG_BOUNDS_MS, CopyReport

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PartitionProgress:
    """A partition that this server drains. Seqs of its journal; times by the store's clock."""

    journal_seq: int = 0
    copied_seq: int = 0
    waiting_since_ms: int = 0
    """When the oldest movement was made that is not copied; 0 where all are."""
    not_copied: int = 0
    rewound: str = ""
    """Why nothing is copied any more; empty while all is well."""


@dataclass(slots=True)
class CopyProgress:
    """All partitions that this server drains, and how long movements took to become durable."""

    LATE_MS: Final = 30_000
    """Past this, the copy's lag is told in the log."""

    partitions: dict[int, PartitionProgress] = field(default_factory=dict)
    lags: list[int] = field(default_factory=lambda: [0] * len(LAG_BOUNDS_MS))
    """How many movements became durable within each of LAG_BOUNDS_MS."""
    lag_sum_ms: int = 0
    _is_late: bool = False

    def of(self, partition: int) -> PartitionProgress:
        """A partition's progress."""
        return self.partitions.setdefault(partition, PartitionProgress())

    def copied(self, lag_ms: int) -> None:
        """A movement became durable so long after it was made."""
        self.lags[bisect_left(LAG_BOUNDS_MS, lag_ms)] += 1
        self.lag_sum_ms += lag_ms

    def lag_ms(self, now_ms: int) -> int:
        """How long the oldest movement that is not copied has been waiting."""
        waiting = [p.waiting_since_ms for p in self.partitions.values() if p.waiting_since_ms]
        return max(0, now_ms - min(waiting)) if waiting else 0

    def quantile_ms(self, share: float) -> float:
        """Within which of LAG_BOUNDS_MS this share of all movements became durable."""
        wanted, found = share * sum(self.lags), 0
        for bound, count in zip(LAG_BOUNDS_MS, self.lags, strict=True):
            found += count
            if found and found >= wanted:
                return bound
        return 0.0

    def tell(self, now_ms: int) -> CopyReport:
        """Answers how it stands; logs when the copy becomes late, and when it is no longer."""
        lag_ms = self.lag_ms(now_ms)
        if lag_ms > self.LATE_MS and not self._is_late:
            log.warning("the durable copy is %.0f s late", lag_ms / 1000)
        elif lag_ms <= self.LATE_MS and self._is_late:
            log.info("the durable copy is no longer late: %.1f s", lag_ms / 1000)
        self._is_late = lag_ms > self.LATE_MS
        not_copied = sum(p.not_copied for p in self.partitions.values())
        return CopyReport(tuple(self.lags), self.lag_sum_ms, lag_ms, not_copied)
