"""The server and its Redis killed under load: what was acknowledged is there, nothing is twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from itertools import count
from typing import Any

import grpc
from inventory.v1 import hold_service_pb2 as pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from tests.calls import key, line, place, set_stock
from tests.fold import assert_journal_folds_to_state
from tests.serving import Running

DEATHS = 10
CALLERS = 32
SKUS = ("SKU1", "SKU2")
PLACES = ("online", "store:DELHI")
ON_HAND = 1_000_000


class Ledger:
    """What the callers were told, and what they asked without an answer."""

    def __init__(self) -> None:
        self.state_of: dict[str, str] = {}
        self.key_of: dict[str, str] = {}
        self.unanswered: list[tuple[str, str]] = []
        self.codes: set[grpc.StatusCode] = set()
        self.keys = (f"k{n}" for n in count())

    async def ask(self, holds: Any, verb: str, name: str) -> str:
        """One verb under the key, or on the hold, `name`; keeps what came of it."""
        try:
            hold = (await VERBS[verb](holds, name)).hold
        except grpc.aio.AioRpcError as error:
            self.unanswered.append((verb, name))
            self.codes.add(error.code())
            raise
        self.state_of[hold.hold_id] = pb.HoldState.Name(hold.state)
        if verb == "place":
            assert self.key_of.setdefault(hold.hold_id, name) == name
        return str(hold.hold_id)

    async def call_until_refused(self, holds: Any) -> None:
        """Places, and confirms a third of it and releases another."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            for name in self.keys:
                hold_id = await self.ask(holds, "place", name)
                verb = ("leave", "confirm", "release")[int(name[1:]) % 3]
                if verb in VERBS:
                    await self.ask(holds, verb, hold_id)

    async def settle(self, holds: Any) -> None:
        """Asks again for all that was not answered."""
        unanswered, self.unanswered = self.unanswered, []
        for verb, name in unanswered:
            await self.ask(holds, verb, name)


VERBS: dict[str, Any] = {
    "place": lambda holds, name: place(holds, *LINES, metadata=key(name), timeout=5),
    "confirm": lambda holds, name: holds.ConfirmHold(
        pb.ConfirmHoldRequest(hold_id=name), metadata=key(f"c-{name}"), timeout=5
    ),
    "release": lambda holds, name: holds.ReleaseHold(
        pb.ReleaseHoldRequest(hold_id=name), metadata=key(f"r-{name}"), timeout=5
    ),
}
LINES = [line(sku=sku, location=location) for sku in SKUS for location in PLACES]


async def assert_holds_are_as_told(ledger: Ledger, holds: Any, since: int = 0) -> None:
    """Every hold that was told of, from so many on, is as it was told."""
    for hold_id, told in list(ledger.state_of.items())[since:]:
        found = await holds.GetHold(pb.GetHoldRequest(hold_id=hold_id), timeout=5)
        assert pb.HoldState.Name(found.hold.state) == told


async def assert_no_unit_more_is_gone(ledger: Ledger, stock: Any) -> None:
    """No unit more is held or sold than was told of."""
    states = Counter(ledger.state_of.values())
    for sku in SKUS:
        answer = await stock.GetStock(stock_pb.GetStockRequest(sku=sku), timeout=5)
        for level in answer.stock.levels:
            assert level.held == states["HOLD_STATE_HELD"]
            assert level.on_hand == ON_HAND - states["HOLD_STATE_CONFIRMED"]


async def test_ten_deaths_under_load_lose_nothing_and_double_nothing(start: Any) -> None:
    ledger = Ledger()
    server: Running = start("--no-sweeper")
    for death in range(DEATHS):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stock, holds = StockServiceStub(channel), HoldServiceStub(channel)
            for sku in SKUS if death == 0 else ():
                for location in PLACES:
                    await set_stock(stock, ON_HAND, sku, location)
            told = len(ledger.state_of)
            callers = [
                asyncio.create_task(ledger.call_until_refused(holds)) for _ in range(CALLERS)
            ]
            # Each death comes at another point of the load.
            while len(ledger.state_of) < told + 20 + 37 * death:
                done, _ = await asyncio.wait(callers, timeout=0.005)
                assert not done, [task.result() for task in done]
            await asyncio.to_thread(server.kill_with_redis, redis_first=death % 2 == 0)
            await asyncio.gather(*callers)
        assert ledger.codes == {grpc.StatusCode.UNAVAILABLE}
        assert ledger.unanswered, "the death came while calls were in flight"
        server = start("--no-sweeper")
        with contextlib.closing(server.redis()) as db:
            assert_journal_folds_to_state(db)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stock, holds = StockServiceStub(channel), HoldServiceStub(channel)
            await ledger.settle(holds)
            await assert_no_unit_more_is_gone(ledger, stock)
            await assert_holds_are_as_told(ledger, holds, 0 if death == DEATHS - 1 else told)
    assert len(set(ledger.key_of.values())) == len(ledger.key_of) == len(ledger.state_of)
