"""Agents who place and end holds, and write down what they were told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from inventory_client import AsyncInventoryClient, InventoryError

DONE, NOT_DONE, PERHAPS = "done", "not done", "perhaps done"
SKUS = ("SKU1", "SKU2", "SKU3")
VERBS = ("CONFIRM", "RELEASE", "")


@dataclass
class Told:
    """What an agent was told of one hold, by verb: HOLD, then how it was ended."""

    reference: str
    hold_id: str = ""
    outcomes: dict[str, str] = field(default_factory=dict)


class Agents:
    """`count` of them, who make `holds` holds together over one client."""

    def __init__(self, client: AsyncInventoryClient, *, count: int, holds: int) -> None:
        self._client = client
        self._count = count
        self._left = holds
        self._random = Random(11)
        self.told: list[Told] = []
        self.errors: Counter[str] = Counter()
        self.settled = 0
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._work())

    async def until(self, told: int) -> None:
        """Waits until so many holds are over, or all are."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.told) >= told or self._left <= 0)

    @property
    def is_over(self) -> bool:
        return self._left <= 0

    async def _work(self) -> None:
        while self._left > 0:
            self._left -= 1
            told = Told(f"order-{self._left}")
            await self._sell(told)
            async with self._changed:
                self.told.append(told)
                self._changed.notify_all()

    async def _sell(self, told: Told) -> None:
        line = (self._random.choice(SKUS), "online", 1)

        async def place(**options: Any) -> None:
            answer = await self._client.place_hold(
                [line], ttl=3600, reference=told.reference, **options
            )
            told.hold_id = answer.hold.hold_id

        told.outcomes["HOLD"] = await self._ask(place)
        verb = self._random.choice(VERBS)
        if not told.hold_id or not verb:
            return

        async def end(**options: Any) -> None:
            if verb == "CONFIRM":
                await self._client.confirm_hold(told.hold_id, **options)
            else:
                await self._client.release_hold(told.hold_id, **options)

        told.outcomes[verb] = await self._ask(end)

    async def _ask(self, call: Callable[..., Awaitable[None]]) -> str:
        """Makes a call, every tenth with a deadline that is too short for most things."""
        is_hasty = self._random.random() < 0.1
        try:
            await call(**({"timeout": self._random.uniform(0.001, 0.02)} if is_hasty else {}))
        except InventoryError as error:
            self.errors[type(error).__name__] += 1
            if not error.maybe_applied:
                return NOT_DONE
            if self._random.random() < 0.5:
                return PERHAPS
            return await self._settle(call, error)
        return DONE

    async def _settle(self, call: Callable[..., Awaitable[None]], error: InventoryError) -> str:
        """The same request with the error's key settles what is unknown."""
        try:
            await call(idempotency_key=error.idempotency_key)
        except InventoryError as again:
            self.errors[f"again {type(again).__name__}"] += 1
            return PERHAPS
        self.settled += 1
        return DONE
