"""So many changes a second, of levels that cross their points again and again."""

from __future__ import annotations

import asyncio
from math import inf
from random import Random
from time import perf_counter
from typing import Any

from inventory.v1 import stock_change_reason_pb2 as reason_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.line_pb2 import Line

from tests.proof.load import COLD, HOT, LOCATIONS, NOT_NOW, READS, Asking, Load, chances


class SteadyLoad(Load):
    """The callers of `Load` at a steady rate, who set policies too."""

    CHANGES_A_SECOND = 500
    CALLERS = 60
    MOST_LATE_S = 0.1
    """What is later than this is not made up for: there are no bursts after a fault."""

    def __init__(self, addresses: list[str], *, seed: int = 1, timeout_s: float = 3) -> None:
        super().__init__(addresses, seed=seed, timeout_s=timeout_s)
        self.short_ttl_share = 0.3
        self.changes = 0
        """How many were answered, each counted once."""
        self._due_at, self._ends_at = 0.0, inf

    async def run_steadily(self, changes: int) -> None:
        """Calls until so many changes more were made."""
        self._ends_at, self._due_at = self.changes + changes, perf_counter()

        async def one(chance: Random) -> None:
            while not self.is_over:
                await self._turn()
                asking = await chance.choices(*_ACTIONS)[0](self, chance)
                if asking is None or not is_change(asking):
                    self._due_at -= 1 / self.CHANGES_A_SECOND
                if asking is not None and asking.refusal in NOT_NOW:
                    await self.pause(0.02)

        await asyncio.gather(*[one(Random(self.random.random())) for _ in range(self.CALLERS)])

    @property
    def is_over(self) -> bool:
        """Whether all changes were made."""
        return self.changes >= self._ends_at

    async def until(self, changes: int) -> None:
        """Waits until so many changes were made, or all."""
        while self.changes < changes and not self.is_over:
            await self.pause(0.005)

    async def _turn(self) -> None:
        """Waits until the next change is due."""
        now = perf_counter()
        self._due_at = max(self._due_at + 1 / self.CHANGES_A_SECOND, now - self.MOST_LATE_S)
        if self._due_at > now:
            await self.pause(self._due_at - now)

    def _keep(self, asking: Asking) -> None:
        super()._keep(asking)
        self.changes += is_change(asking)

    def _line(self, chance: Random) -> Line:
        is_hot = chance.random() < 0.7
        return Line(
            sku=chance.choice(HOT if is_hot else COLD),
            location=chance.choice(LOCATIONS),
            quantity=chance.randint(1, 3),
        )

    async def _recount(self, chance: Random) -> Asking:
        """Two of those that most is asked for are found to be plenty, or few, or none."""
        location = chance.choice(LOCATIONS)
        lines = [
            stock_pb.SetStockLine(sku=sku, location=location, on_hand=chance.randint(0, 15))
            for sku in chance.sample(HOT, 2)
        ]
        request = stock_pb.SetStockRequest(
            lines=lines, reason=reason_pb.STOCK_CHANGE_REASON_COUNT, force=True
        )
        return await self.ask("SetStock", request)

    async def _set_policy(self, chance: Random) -> Asking:
        """Other points for a level, or now and then for those that will be made."""
        reorder_point = chance.randint(0, 8)
        points: dict[str, Any] = {
            "reorder_point": reorder_point,
            "rearm_point": reorder_point + chance.randint(0, 4),
        }
        sku = chance.choice((*HOT, *HOT, ""))
        if sku:
            points["safety_stock"] = chance.choice((0, 0, 1, 2))
        line = stock_pb.SetStockPolicyLine(sku=sku, location=chance.choice(LOCATIONS), **points)
        return await self.ask("SetStockPolicy", stock_pb.SetStockPolicyRequest(lines=[line]))


_ACTIONS = chances(
    (SteadyLoad._place, 32),
    (SteadyLoad._confirm, 16),
    (SteadyLoad._release, 10),
    (SteadyLoad._extend, 4),
    (SteadyLoad._adjust, 10),
    (SteadyLoad._recount, 20),
    (SteadyLoad._sell, 8),
    (SteadyLoad._transfer, 4),
    (SteadyLoad._set_policy, 8),
    (SteadyLoad._repeat, 3),
)


def is_change(asking: Asking) -> bool:
    """Whether it was this asking that changed something."""
    return asking.answer is not None and not asking.replayed and asking.verb not in READS
