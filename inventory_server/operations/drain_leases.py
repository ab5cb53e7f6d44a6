"""Which partitions this server drains: one server a partition, another one when it dies.

A drainer counts on, in an item of its own. Whoever sees a count stand still for
a whole term takes that drainer's partitions; nobody's clock is compared with
another's. A drainer that could not count on for nearly a term has stopped writing
before, and past that its watermarks are refused, because the partition's term is
another one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Sequence
from typing import Final

from inventory_server.domain.copy import PartitionCopy
from inventory_server.stores.copy_leases import CopyLeases

log = logging.getLogger(__name__)


class DrainLeases:
    """The partitions that this server drains. Raises COPY_ERRORS."""

    BEAT_S: Final = 2.0
    TERM_S: Final = 10.0
    """So long a count stands still before its drainer is taken for dead."""
    MARGIN_S: Final = 4.0
    """A request that was sent may still arrive so much later."""
    TIMEOUT_S: Final = 3.0

    def __init__(self, leases: CopyLeases, partitions: int) -> None:
        self._leases = leases
        self._numbers = range(partitions)
        self._loop = asyncio.get_running_loop()
        self._beat = 0
        self._beaten_at = 0.0
        self._seen: dict[str, tuple[int, float]] = {}
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.owned: dict[int, PartitionCopy] = {}
        """The partitions, as the copy had them when they were taken."""

    @property
    def valid_until(self) -> float:
        """Until then, in the loop's time, nobody else has a partition of this server."""
        return self._beaten_at + self.TERM_S - self.MARGIN_S if self._beaten_at else 0.0

    async def keep(self) -> None:
        """Shows that this server lives, and takes the partitions that nobody drains."""
        began, deadline = self._loop.time(), self._loop.time() + self.TIMEOUT_S
        self._beat += 1
        await self._leases.beat(self.name, self._beat, deadline)
        found = await self._leases.partitions(self._numbers, deadline)
        for partition in found:
            mine = self.owned.get(partition.number)
            if mine is not None and (partition.owner, partition.term) != (self.name, mine.term):
                self.drop(partition.number, partition.owner)
            elif mine is None and partition.owner == self.name:
                # It was taken, and the answer did not come.
                self.owned[partition.number] = partition
        # Only now is it known that they are still this server's.
        self._beaten_at = began
        dead = await self._dead({p.owner for p in found} - {"", self.name}, deadline)
        free = [p for p in found if p.owner == "" or p.owner in dead]
        if free:
            await self._take(free, deadline)

    def drop(self, number: int, owner: str = "") -> None:
        """Forgets a partition that has another drainer."""
        if self.owned.pop(number, None) is not None:
            log.warning("partition %d is drained by %s now", number, owner or "another server")

    async def leave(self) -> None:
        """Gives all partitions back, so that another server need not wait for them."""
        deadline = self._loop.time() + self.TIMEOUT_S
        owned, self.owned = self.owned, {}
        await asyncio.gather(
            *[self._leases.leave(p.number, p.term, deadline) for p in owned.values()]
        )

    async def _take(self, free: Sequence[PartitionCopy], deadline: float) -> None:
        takes = [self._leases.take(p.number, self.name, p.term, deadline) for p in free]
        ended = await asyncio.gather(*takes, return_exceptions=True)
        taken = [p.number for p, is_taken in zip(free, ended, strict=True) if is_taken is True]
        # Its last drainer may have moved on since it was read.
        for partition in await self._leases.partitions(taken, deadline) if taken else ():
            if partition.owner == self.name:
                self.owned[partition.number] = partition
        mine = [p for p in free if p.number in self.owned]
        if mine:
            after = ", ".join(sorted({p.owner for p in mine if p.owner}))
            numbers = ", ".join(str(p.number) for p in mine)
            log.info("draining partitions %s%s", numbers, f", after {after}" if after else "")
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def _dead(self, drainers: set[str], deadline: float) -> set[str]:
        """Those of these drainers whose count stood still for a term."""
        beats = await self._leases.beats(drainers, deadline) if drainers else {}
        now = self._loop.time()
        seen, self._seen = self._seen, {}
        for name, beat in beats.items():
            before = seen.get(name)
            self._seen[name] = before if before and before[0] == beat else (beat, now)
        return {name for name, (_, since) in self._seen.items() if now - since >= self.TERM_S}
