"""Many callers at once, and a recording of what each asked and was told.

Every call is recorded with its key, its request, when it was sent and when it
was answered by this process's clock, and its answer or refusal. An item of a
batch is recorded as the single call that it stands for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from math import inf
from random import Random
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_change_reason_pb2 as reason_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.line_pb2 import Line
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from tests.calls import Refusal, key

LOCATIONS = ("online", "store:DELHI", "store:GOA", "store:PUNE")
HOT = tuple(f"HOT{n}" for n in range(5))
COLD = tuple(f"COLD{n}" for n in range(60))
HOT_UNITS, COLD_UNITS = 15, 1_000_000
TREMBLING = 5
"""So many of the cold ones are given reorder points close to what they have."""

READS = ("GetStock", "GetHold")
UNKNOWN = frozenset({"OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED"})
"""What says nothing of whether the change was made; without a reason it is gRPC's own word."""
NOT_NOW = UNKNOWN | {"STORE_UNAVAILABLE", "DRAINING"}
"""What is worth asking again."""

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(slots=True)
class Asking:
    """One call, or one item of a batch: what was asked, and what came of it."""

    verb: str
    key: str
    request: Any
    sent_at: float
    answered_at: float = inf
    answer: Any = None
    replayed: bool = False
    refusal: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def is_unknown(self) -> bool:
        """Whether nobody could say what became of it."""
        return self.answer is None and self.refusal in UNKNOWN


class Target:
    """A channel to a server."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        self.stock = StockServiceStub(self.channel)
        self.holds = HoldServiceStub(self.channel)

    def method(self, verb: str) -> Any:
        return getattr(self.holds, verb, None) or getattr(self.stock, verb)


class Load:
    """Callers with their own chances, who share one memory of open holds.

    Servers may come and go while they run.
    """

    def __init__(
        self, addresses: list[str], *, seed: int = 1, channels: int = 2, timeout_s: float = 10
    ) -> None:
        self.askings: list[Asking] = []
        self.targets: list[Target] = []
        self._channels = channels
        self._opened: list[Target] = []
        for address in addresses:
            self.add(address)
        self.random = Random(seed)
        self.timeout_s = timeout_s
        self.short_ttl_share = 0.1
        self.stopping = asyncio.Event()
        self._serial = 0
        self._open: list[hold_pb.Hold] = []
        self._recent: deque[Asking] = deque(maxlen=400)

    async def close(self) -> None:
        for target in self._opened:
            await target.channel.close()

    def new_key(self) -> str:
        self._serial += 1
        return f"k{self._serial}"

    def add(self, address: str) -> None:
        """Asks this server too."""
        new = [Target(address) for _ in range(self._channels)]
        self.targets = self.targets + new
        self._opened += new

    def drop(self, address: str) -> None:
        """Asks this server no more."""
        self.targets = [target for target in self.targets if target.address != address]

    # Asking

    async def ask(self, verb: str, request: Any, name: str = "") -> Asking:
        """One call; keeps what came of it."""
        asking = Asking(verb, name or self.new_key(), request, perf_counter())
        method = self.random.choice(self.targets).method(verb)
        call = method(request, metadata=key(asking.key), timeout=self.timeout_s)
        try:
            asking.answer = await call
        except grpc.aio.AioRpcError as error:
            asking.answered_at = perf_counter()
            refusal = Refusal(error)
            asking.refusal, asking.facts = refusal.reason or refusal.code.name, refusal.facts
        else:
            asking.answered_at = perf_counter()
            if verb not in READS:
                trailers = dict(await call.trailing_metadata())
                asking.replayed = trailers["idempotent-replayed"] == "true"
        self._keep(asking)
        return asking

    async def ask_batch(self, verb: str, requests: list[tuple[Any, str]]) -> list[Asking]:
        """One call with many items; each is kept as the single call that it stands for."""
        batch, item, method = _BATCHES[verb]
        message = batch(items=[item(idempotency_key=name, request=r) for r, name in requests])
        sent_at = perf_counter()
        askings = [Asking(verb, name, request, sent_at) for request, name in requests]
        call = self.random.choice(self.targets).method(method)
        try:
            results = (await call(message, timeout=self.timeout_s)).results
        except grpc.aio.AioRpcError as error:
            refusal, results = Refusal(error), [None] * len(askings)
            reason = refusal.reason or refusal.code.name
        answered_at = perf_counter()
        for asking, result in zip(askings, results, strict=True):
            asking.answered_at = answered_at
            if result is None:
                asking.refusal = reason
            elif result.HasField("response"):
                asking.answer, asking.replayed = result.response, result.replayed
            else:
                asking.refusal, asking.facts = result.error.reason, dict(result.error.metadata)
            self._keep(asking)
        return askings

    def _keep(self, asking: Asking) -> None:
        self.askings.append(asking)
        if asking.verb in READS:
            return
        if self.random.random() < 0.1:
            self._recent.append(asking)
        if asking.verb != "PlaceHold" or asking.answer is None or asking.replayed:
            return
        # Half of the short ones are left to expire.
        if asking.request.ttl.seconds > 1 or self.random.random() < 0.5:
            self._open.append(asking.answer.hold)

    @staticmethod
    def now() -> float:
        """The clock of the recording."""
        return perf_counter()

    async def pause(self, seconds: float) -> None:
        """Lets others go on for a moment, unless the load is to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()

    # The run

    async def stock_up(self, cold: tuple[str, ...] = COLD) -> None:
        """Makes every level, with its location's default policy."""
        defaults = [
            _policy("", at, reorder_point=2 + n, rearm_point=4 + n, safety_stock=n % 2)
            for n, at in enumerate(LOCATIONS)
        ]
        await self.change("SetStockPolicy", stock_pb.SetStockPolicyRequest(lines=defaults))
        for location in LOCATIONS:
            lines = [_count(sku, location, HOT_UNITS) for sku in HOT]
            lines += [_count(sku, location, COLD_UNITS) for sku in cold]
            await self.change("SetStock", _set_request(lines))

    async def change(self, verb: str, request: Any) -> None:
        """Asks for what has to be there before the load begins."""
        asking = await self.ask(verb, request)
        assert asking.answer is not None, asking

    async def run(
        self, operations: float = inf, *, callers: int = 200, batch_callers: int = 0
    ) -> None:
        """Calls until so many are recorded, or `stopping` is set."""
        ends = len(self.askings) + operations
        rests = [Random(self.random.random()) for _ in range(callers + batch_callers)]

        async def one(chance: Random, acts: tuple[list[Any], list[int]]) -> None:
            while len(self.askings) < ends and not self.stopping.is_set():
                action = chance.choices(*acts)[0]
                asking = await action(self, chance)
                if asking is not None and asking.refusal in NOT_NOW:
                    await self.pause(0.02)

        await asyncio.gather(
            *[one(chance, _ACTIONS) for chance in rests[:callers]],
            *[one(chance, _BATCH_ACTIONS) for chance in rests[callers:]],
        )

    async def hoard(self, batches: int) -> None:
        """Places holds that wait for their end."""
        await asyncio.gather(*[self._batch_place(self.random) for _ in range(batches)])

    @contextlib.asynccontextmanager
    async def running(self, callers: int = 100, batch_callers: int = 2) -> AsyncIterator[None]:
        """The load, for as long as the block lasts."""
        self.stopping.clear()
        run = asyncio.create_task(self.run(callers=callers, batch_callers=batch_callers))
        try:
            yield
        finally:
            self.stopping.set()
            await run

    async def until_more(self, count: int, wanted: Callable[[Asking], bool] | None = None) -> None:
        """Waits until so many more askings have been kept that are wanted; fails after a while."""
        at, found = len(self.askings), 0
        async with asyncio.timeout(30):
            while found < count:
                await self.pause(0.005)
                new, at = self.askings[at:], len(self.askings)
                found += len(new) if wanted is None else sum(map(wanted, new))

    def unanswered(self) -> list[Asking]:
        """One asking of each key of which nobody could say what became of it."""
        ends: dict[tuple[str, str], Asking] = {}
        settled = {(a.verb, a.key) for a in self.askings if a.answer is not None}
        for asking in self.askings:
            name = (asking.verb, asking.key)
            if asking.is_unknown and asking.verb not in READS and name not in settled:
                ends.setdefault(name, asking)
        return list(ends.values())

    async def settle(self) -> int:
        """Repeats what was not answered, each under its key, until it is; answers how many."""
        self.stopping.clear()
        waiting = self.unanswered()
        count = len(waiting)

        async def one() -> None:
            while waiting:
                asking = waiting.pop()
                while (
                    again := await self.ask(asking.verb, asking.request, asking.key)
                ).refusal in NOT_NOW:
                    await self.pause(0.02)
                assert again.refusal not in ("INTERNAL", "STORE_FULL"), again

        async with asyncio.timeout(30):
            await asyncio.gather(*[one() for _ in range(50)])
        return count

    # What callers do

    def _line(self, chance: Random) -> Line:
        is_hot = chance.random() < 0.25
        return Line(
            sku=chance.choice(HOT if is_hot else COLD),
            location=chance.choice(LOCATIONS),
            quantity=chance.randint(1, 3),
        )

    def _place_request(self, chance: Random) -> hold_pb.PlaceHoldRequest:
        lines = [self._line(chance) for _ in range(chance.choice((1, 1, 2, 3)))]
        ttl_s = 1 if chance.random() < self.short_ttl_share else 900
        reference = f"order-{chance.randint(1, 99)}" if chance.random() < 0.05 else ""
        return hold_pb.PlaceHoldRequest(
            lines=lines,
            ttl=Duration(seconds=ttl_s),
            reference=reference,
            allow_partial=chance.random() < 0.15,
        )

    def _hold(self, chance: Random) -> hold_pb.Hold | None:
        """A hold to do something with; most of them are done with after that."""
        if not self._open:
            return None
        at = chance.randrange(len(self._open))
        if chance.random() < 0.2:
            return self._open[at]
        self._open[at], self._open[-1] = self._open[-1], self._open[at]
        return self._open.pop()

    def _part(self, chance: Random, hold: hold_pb.Hold) -> list[Line]:
        line = chance.choice(hold.lines)
        units = chance.randint(1, line.quantity)
        return [Line(sku=line.sku, location=line.location, quantity=units)]

    def _end_request(self, chance: Random, verb: str) -> Any:
        hold = self._hold(chance)
        if hold is None:
            return None
        lines = self._part(chance, hold) if chance.random() < 0.2 else []
        if verb == "ReleaseHold":
            return hold_pb.ReleaseHoldRequest(hold_id=hold.hold_id, lines=lines)
        return hold_pb.ConfirmHoldRequest(
            hold_id=hold.hold_id,
            lines=lines,
            keep_rest=bool(lines) and chance.random() < 0.5,
            rehold_if_expired=not lines and chance.random() < 0.2,
        )

    async def _place(self, chance: Random) -> Asking:
        return await self.ask("PlaceHold", self._place_request(chance))

    async def _confirm(self, chance: Random) -> Asking:
        request = self._end_request(chance, "ConfirmHold")
        return await (self.ask("ConfirmHold", request) if request else self._place(chance))

    async def _release(self, chance: Random) -> Asking:
        request = self._end_request(chance, "ReleaseHold")
        return await (self.ask("ReleaseHold", request) if request else self._place(chance))

    async def _extend(self, chance: Random) -> Asking:
        hold = self._hold(chance)
        if hold is None:
            return await self._place(chance)
        self._open.append(hold)
        ttl = Duration(seconds=chance.choice((2, 1800)))
        return await self.ask(
            "ExtendHold", hold_pb.ExtendHoldRequest(hold_id=hold.hold_id, ttl=ttl)
        )

    async def _adjust(self, chance: Random) -> Asking:
        sku, location = chance.choice(HOT + COLD[:10]), chance.choice(LOCATIONS)
        lines = [
            stock_pb.AdjustStockLine(sku=sku, location=location, delta=chance.choice((-2, 3, 5)))
        ]
        if chance.random() < 0.3:
            other = chance.choice(LOCATIONS)
            lines.append(stock_pb.AdjustStockLine(sku=sku, location=other, delta=1))
        request = stock_pb.AdjustStockRequest(
            lines=lines, reason=reason_pb.STOCK_CHANGE_REASON_RECEIPT, reference=_document(chance)
        )
        return await self.ask("AdjustStock", request)

    async def _set(self, chance: Random) -> Asking:
        line = _count(chance.choice(HOT), chance.choice(LOCATIONS), chance.randint(5, 25))
        request = _set_request([line], force=chance.random() < 0.5, reference=_document(chance))
        return await self.ask("SetStock", request)

    async def _set_policy(self, chance: Random) -> Asking:
        sku, location = chance.choice(HOT), chance.choice(LOCATIONS)
        points = {
            "reorder_point": chance.randint(0, 6), "rearm_point": chance.randint(2, 9),
            "safety_stock": chance.randint(0, 3), "backorder_limit": chance.choice((0, 0, 0, 2)),
        }  # fmt: skip
        named = chance.sample(sorted(points), chance.randint(1, 3))
        lines = [_policy(sku, location, **{name: points[name] for name in named})]
        if chance.random() < 0.2:
            lines.append(_policy("", location, reorder_point=chance.randint(0, 6)))
        return await self.ask("SetStockPolicy", stock_pb.SetStockPolicyRequest(lines=lines))

    async def _make_tremble(self, chance: Random) -> Asking:
        """A cold level has plenty, but is low if a little less is available than now."""
        request = stock_pb.GetStockRequest(sku=chance.choice(COLD[:TREMBLING]))
        asking = await self.ask("GetStock", request)
        if asking.answer is None:
            return asking
        lines = []
        for level in asking.answer.stock.levels:
            reorder = level.available + chance.randint(-4, 2)
            rearm = reorder + chance.randint(0, 3)
            lines.append(
                _policy(level.sku, level.location, reorder_point=reorder, rearm_point=rearm)
            )
        return await self.ask("SetStockPolicy", stock_pb.SetStockPolicyRequest(lines=lines))

    async def _sell(self, chance: Random) -> Asking:
        lines = [self._line(chance) for _ in range(chance.choice((1, 2)))]
        request = stock_pb.RecordSaleRequest(lines=lines, reference=_document(chance))
        return await self.ask("RecordSale", request)

    async def _transfer(self, chance: Random) -> Asking:
        source, target = chance.sample(LOCATIONS, 2)
        line = stock_pb.TransferStockLine(
            sku=chance.choice(HOT + COLD[:20]), quantity=chance.randint(1, 4)
        )
        request = stock_pb.TransferStockRequest(
            lines=[line], from_location=source, to_location=target, reference=_document(chance)
        )
        return await self.ask("TransferStock", request)

    async def _repeat(self, chance: Random) -> Asking | None:
        """Asks again under a key that was used: of a call that was answered, or of one that
        another asks at this moment.
        """
        if self._recent and chance.random() < 0.5:
            old = chance.choice(self._recent)
            return await self.ask(old.verb, old.request, old.key)
        request, name = self._place_request(chance), self.new_key()
        await asyncio.gather(*[self.ask("PlaceHold", request, name) for _ in range(3)])
        return None

    async def _read(self, chance: Random) -> Asking:
        if chance.random() < 0.5 and self._open:
            hold_id = chance.choice(self._open).hold_id
            return await self.ask("GetHold", hold_pb.GetHoldRequest(hold_id=hold_id))
        request = stock_pb.GetStockRequest(sku=chance.choice(HOT + COLD[:10]))
        return await self.ask("GetStock", request)

    async def _batch_place(self, chance: Random) -> Asking:
        items = [(self._place_request(chance), self.new_key()) for _ in range(BATCH_ITEMS)]
        items += [(old.request, old.key) for old in self._again(chance, "PlaceHold")]
        return (await self.ask_batch("PlaceHold", items))[-1]

    async def _batch_confirm(self, chance: Random) -> Asking:
        return await self._batch_end(chance, "ConfirmHold")

    async def _batch_release(self, chance: Random) -> Asking:
        return await self._batch_end(chance, "ReleaseHold")

    async def _batch_end(self, chance: Random, verb: str) -> Asking:
        wanted = [self._end_request(chance, verb) for _ in range(BATCH_ITEMS)]
        items = [(request, self.new_key()) for request in wanted if request is not None]
        items += [(old.request, old.key) for old in self._again(chance, verb)]
        if not items:
            return await self._place(chance)
        return (await self.ask_batch(verb, items))[-1]

    def _again(self, chance: Random, verb: str) -> list[Asking]:
        """One or two that were asked before."""
        found = [old for old in list(self._recent)[-50:] if old.verb == verb]
        return chance.sample(found, min(2, len(found)))


BATCH_ITEMS = 60
_BATCHES: dict[str, tuple[Any, Any, str]] = {
    "PlaceHold": (
        hold_pb.BatchPlaceHoldsRequest, hold_pb.BatchPlaceHoldsItem, "BatchPlaceHolds",
    ),
    "ConfirmHold": (
        hold_pb.BatchConfirmHoldsRequest, hold_pb.BatchConfirmHoldsItem, "BatchConfirmHolds",
    ),
    "ReleaseHold": (
        hold_pb.BatchReleaseHoldsRequest, hold_pb.BatchReleaseHoldsItem, "BatchReleaseHolds",
    ),
}  # fmt: skip

Action = Callable[[Any, Random], Awaitable[Asking | None]]


def chances(*pairs: tuple[Action, int]) -> tuple[list[Action], list[int]]:
    return [action for action, _ in pairs], [weight for _, weight in pairs]


_ACTIONS = chances(
    (Load._place, 30),
    (Load._confirm, 17),
    (Load._release, 9),
    (Load._extend, 5),
    (Load._adjust, 9),
    (Load._set, 1),
    (Load._set_policy, 2),
    (Load._make_tremble, 6),
    (Load._sell, 7),
    (Load._transfer, 5),
    (Load._repeat, 5),
    (Load._read, 8),
)
_BATCH_ACTIONS = chances((Load._batch_place, 5), (Load._batch_confirm, 3), (Load._batch_release, 2))


def _count(sku: str, location: str, on_hand: int) -> stock_pb.SetStockLine:
    return stock_pb.SetStockLine(sku=sku, location=location, on_hand=on_hand)


def _policy(sku: str, location: str, **points: int) -> stock_pb.SetStockPolicyLine:
    return stock_pb.SetStockPolicyLine(sku=sku, location=location, **points)


def _document(chance: Random) -> str:
    """What a change is for, now and then."""
    return f"document-{chance.randint(1, 99)}" if chance.random() < 0.2 else ""


def _set_request(lines: list[stock_pb.SetStockLine], **more: Any) -> stock_pb.SetStockRequest:
    reason = reason_pb.STOCK_CHANGE_REASON_COUNT
    return stock_pb.SetStockRequest(lines=lines, reason=reason, **more)


def outcomes(askings: list[Asking]) -> Counter[str]:
    """How often each came of them."""
    return Counter("OK" if a.answer is not None else a.refusal for a in askings)
