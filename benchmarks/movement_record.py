"""What a recording endpoint keeps of the movements that it was given: which, and how late."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any


class MovementRecord:
    """Counts each movement once, and when it was acknowledged first.

    A lag goes from the movement's `at_ms`, by Redis's clock, to its acknowledgement, by this
    process's: on one machine that is one clock.
    """

    def __init__(self) -> None:
        self._seqs: dict[int, Counter[int]] = {}
        self._known: set[tuple[str, str]] = set()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.begin()

    def begin(self) -> None:
        """From here on lags and requests are kept; what is known stays known."""
        self._lags_ms: list[float] = []
        self._again = 0
        self.requests: Counter[str] = Counter()
        self.throttled = 0
        """Items that were sent back."""

    def acknowledge(self, item: Mapping[str, Mapping[str, str]]) -> None:
        """A movement is durable now."""
        key = (item["journal"]["S"], item["place"]["S"])
        if key in self._known:
            self._again += 1
            return
        self._known.add(key)
        self._lags_ms.append(time.time() * 1000 - int(item["at_ms"]["S"]))
        partition = int(key[0].split("/")[2])
        self._seqs.setdefault(partition, Counter())[int(key[1].partition(":")[0])] += 1
        for wanted, waiting in self._waiting:
            if len(self._known) >= wanted and not waiting.done():
                waiting.set_result(None)

    async def until(self, movements: int) -> None:
        """Waits until so many movements are known."""
        if len(self._known) < movements:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append((movements, waiting))
            await waiting
            self._waiting = [one for one in self._waiting if not one[1].done()]

    def told(self) -> dict[str, Any]:
        """All of it; `last_seqs` has the partitions whose seqs are there from 1 on, each once."""
        return {
            "movements": len(self._known),
            "again": self._again,
            "lags_ms": [round(lag_ms, 1) for lag_ms in self._lags_ms],
            "requests": dict(self.requests),
            "throttled": self.throttled,
            "last_seqs": {
                partition: len(seqs)
                for partition, seqs in self._seqs.items()
                if max(seqs) == len(seqs) == seqs.total()
            },
        }
