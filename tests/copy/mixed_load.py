"""Changes of every kind, as many as the drainers can follow, and no more than are wanted."""

from __future__ import annotations

import asyncio
from random import Random

import redis
from inventory.v1 import stock_change_reason_pb2 as reason_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.line_pb2 import Line

from tests.copy.serving import PARTITIONS
from tests.proof.load import HOT, LOCATIONS, NOT_NOW, Asking, Load, chances

PLENTY = tuple(f"COLD{n}" for n in range(6))
"""Of these there is enough for every call; there are few, so that the copy coalesces them."""


class MixedLoad(Load):
    """The callers of `Load`, who also change many levels at once, and make and delete some.

    It counts movements, as the journals have them.
    """

    CALLERS = 16
    AHEAD = 4_000
    """So many movements may wait for the copy; then the callers wait too."""
    AN_OUTAGE = 30
    """Movements that are made while DynamoDB is away."""

    def __init__(self, addresses: list[str], db: redis.Redis) -> None:
        super().__init__(addresses, timeout_s=3)
        self._db = db
        self.quota: float = 0
        """So many movements may be made by now; a call may go past that."""
        self.is_urged = False
        """Whether changes are made all the same."""
        self.movements = self._copied = 0

    async def run_on(self) -> None:
        """Calls until stopped."""
        watching = asyncio.create_task(self._watch())
        rests = [Random(self.random.random()) for _ in range(self.CALLERS)]
        await asyncio.gather(*[self._call(chance) for chance in rests])
        await watching

    async def until(self, movements: float) -> None:
        """Waits until so many were made."""
        while self.movements < movements:
            await self.pause(0.01)
            assert not self.stopping.is_set()

    async def _call(self, chance: Random) -> None:
        while not self.stopping.is_set():
            waiting = self.movements - self._copied
            is_enough = self.movements >= self.quota or waiting > self.AHEAD
            if (is_enough and not self.is_urged) or not self.targets:
                await self.pause(0.02)
                continue
            asking = await chance.choices(*_ACTIONS)[0](self, chance)
            if asking is not None and asking.refusal in NOT_NOW:
                await self.pause(0.02)

    async def _watch(self) -> None:
        while not self.stopping.is_set():
            try:
                self.look()
            except redis.RedisError:
                # It has been killed, and comes again.
                self._db.connection_pool.disconnect()
            await self.pause(0.02)

    def look(self) -> None:
        """Reads how many movements there are, and how many of them Redis knows to be copied."""
        metas = [f"inv:{{{n}}}:meta" for n in range(PARTITIONS)]
        found = [self._db.hmget(meta, "seq", "copied") for meta in metas]
        self.movements = sum(int(seq or 0) for seq, _ in found)
        self._copied = sum(int(copied or 0) for _, copied in found)

    def _line(self, chance: Random) -> Line:
        sku = chance.choice(HOT if chance.random() < 0.15 else PLENTY)
        return Line(sku=sku, location=chance.choice(LOCATIONS), quantity=chance.randint(1, 3))

    async def _adjust_all(self, chance: Random) -> Asking:
        """A delivery: something of everything, everywhere."""
        lines = [
            stock_pb.AdjustStockLine(sku=sku, location=location, delta=chance.randint(1, 5))
            for sku in PLENTY
            for location in LOCATIONS
        ]
        return await self.ask("AdjustStock", _adjust(lines))

    async def _adjust_one(self, chance: Random) -> Asking:
        line = self._line(chance)
        delta = chance.choice((-2, 3, 5))
        return await self.ask(
            "AdjustStock",
            _adjust([stock_pb.AdjustStockLine(sku=line.sku, location=line.location, delta=delta)]),
        )

    async def _make_and_delete(self, chance: Random) -> Asking:
        """A level comes, and goes; often another caller's."""
        sku, location = f"GONE{chance.randint(0, 3)}", chance.choice(LOCATIONS)
        made = stock_pb.SetStockRequest(
            lines=[stock_pb.SetStockLine(sku=sku, location=location, on_hand=0)],
            reason=reason_pb.STOCK_CHANGE_REASON_COUNT,
        )
        asking = await self.ask("SetStock", made)
        if asking.answer is None or chance.random() < 0.2:
            return asking
        gone = [stock_pb.DeleteStockLevelsLine(sku=sku, location=location)]
        return await self.ask("DeleteStockLevels", stock_pb.DeleteStockLevelsRequest(lines=gone))

    async def _transfer_plenty(self, chance: Random) -> Asking:
        source, target = chance.sample(LOCATIONS, 2)
        line = stock_pb.TransferStockLine(sku=chance.choice(PLENTY), quantity=chance.randint(1, 4))
        request = stock_pb.TransferStockRequest(
            lines=[line], from_location=source, to_location=target
        )
        return await self.ask("TransferStock", request)


def _adjust(lines: list[stock_pb.AdjustStockLine]) -> stock_pb.AdjustStockRequest:
    receipt = reason_pb.STOCK_CHANGE_REASON_RECEIPT
    return stock_pb.AdjustStockRequest(lines=lines, reason=receipt)


_ACTIONS = chances(
    (Load._place, 26),
    (Load._confirm, 14),
    (Load._release, 8),
    (Load._extend, 4),
    (Load._set, 1),
    (Load._set_policy, 3),
    (Load._sell, 6),
    (Load._repeat, 3),
    (MixedLoad._transfer_plenty, 5),
    (MixedLoad._adjust_one, 5),
    (MixedLoad._adjust_all, 3),
    (MixedLoad._make_and_delete, 3),
)
