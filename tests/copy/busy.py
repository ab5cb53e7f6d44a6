"""Callers that change everything at once, in threads, and what they were told."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Semaphore
from typing import Any, NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from tests.calls import COUNT, key, line
from tests.eventually import eventually
from tests.serving import Running

PLACES = ("online", "store:DELHI", "store:SURAT")
"""Of three partitions one each: 2, 0 and 1. "online" is home to a hold that has a line there."""
SKUS = tuple(f"SKU{n}" for n in range(1, 7))
REFUSED = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND}
"""What becomes of a verb on a hold that has ended meanwhile."""


class Told(NamedTuple):
    """A change that was acknowledged."""

    verb: str
    key: str
    request: Any
    answer: Any


class Busy:
    """The callers of one server."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.told: list[Told] = []
        self.codes: set[grpc.StatusCode] = set()
        """How the calls ended that were not answered."""
        self._turns = Semaphore(0)
        self._is_over = Event()

    def let(self, changes: int) -> None:
        """Lets the callers make so many more changes."""
        for _ in range(changes):
            self._turns.release()

    def let_and_wait(self, changes: int) -> None:
        """The same, and waits until about all of them are made."""
        wanted = len(self.told) + changes * 3 // 5
        self.let(changes)
        eventually(lambda: len(self.told) >= wanted, timeout_s=600)

    @contextmanager
    def calling(self, callers: int) -> Iterator[None]:
        """So many callers, until the end of the block."""
        with ThreadPoolExecutor(callers) as pool:
            running = [pool.submit(self._call, seed) for seed in range(callers)]
            try:
                yield
            finally:
                self._is_over.set()
                self.let(callers)
        for one in running:
            one.result()

    def say(self, verb: str, name: str, request: Any) -> Any:
        """One change under a key; keeps what it was told."""
        service = self.server.stock if hasattr(self.server.stock, verb) else self.server.holds
        answer = getattr(service, verb)(request, metadata=key(name), timeout=10)
        self.told.append(Told(verb, name, request, answer))
        return answer

    def place(self, name: str, *lines: Any, ttl_s: int = 600) -> Any:
        """Places a hold, by default of three units at each of two places."""
        both = lines or (line(quantity=3), line(quantity=3, location="store:SURAT"))
        request = hold_pb.PlaceHoldRequest(lines=both, ttl=Duration(seconds=ttl_s))
        return self.say("PlaceHold", name, request).hold

    def set_stock(self, on_hand: int, sku: str, location: str, **more: Any) -> Any:
        lines = [stock_pb.SetStockLine(sku=sku, location=location, on_hand=on_hand)]
        request = stock_pb.SetStockRequest(lines=lines, reason=COUNT, **more)
        return self.say("SetStock", f"set-{len(self.told)}-{sku}-{location}", request)

    def _call(self, seed: int) -> None:
        chance, open_holds, n = random.Random(seed), [], 0
        while self._turns.acquire() and not self._is_over.is_set():
            n += 1
            try:
                chance.choice(VERBS)(self, chance, f"{seed}-{n}", open_holds)
            except grpc.RpcError as error:
                if error.code() not in REFUSED:
                    self.codes.add(error.code())
                    return


Verb = Callable[[Busy, random.Random, str, list[Any]], None]


def _place(busy: Busy, chance: random.Random, name: str, open_holds: list[Any]) -> None:
    lines = [
        line(chance.choice(SKUS), chance.randint(2, 4), location)
        for location in chance.sample(PLACES, chance.randint(1, 3))
    ]
    # Some expire in the middle of it.
    open_holds.append(busy.place(name, *lines, ttl_s=chance.choice((1, 600, 600, 600))))


def _end(busy: Busy, chance: random.Random, name: str, open_holds: list[Any]) -> None:
    """Confirms, releases or extends one of the last holds, or a part of it."""
    if not open_holds:
        return
    hold = open_holds.pop(chance.randrange(len(open_holds)))
    part = [line(hold.lines[0].sku, 1, hold.lines[0].location)]
    verb, more = chance.choice(
        (
            ("ConfirmHold", {}), ("ReleaseHold", {}),
            ("ExtendHold", {"ttl": Duration(seconds=900)}),
            ("ConfirmHold", {"lines": part, "keep_rest": True}), ("ReleaseHold", {"lines": part}),
            ("ConfirmHold", {"lines": part}),
        )
    )  # fmt: skip
    busy.say(verb, name, getattr(hold_pb, f"{verb}Request")(hold_id=hold.hold_id, **more))
    if verb == "ExtendHold" or "keep_rest" in more:
        open_holds.append(hold)


def _set(busy: Busy, chance: random.Random, name: str, _: list[Any]) -> None:
    lines = [
        stock_pb.SetStockLine(sku=sku, location=location, on_hand=chance.randint(10**5, 10**6))
        for sku, location in {(chance.choice(SKUS), chance.choice(PLACES)) for _ in range(3)}
    ]
    busy.say("SetStock", name, stock_pb.SetStockRequest(lines=lines, reason=COUNT))


def _set_policy(busy: Busy, chance: random.Random, name: str, _: list[Any]) -> None:
    """Of a level, or the default of a location."""
    where = {"location": chance.choice(PLACES), "sku": chance.choice((*SKUS, "", ""))}
    some = {"safety_stock": chance.randint(0, 9), "reorder_point": chance.choice((0, 10**7))}
    lines = [stock_pb.SetStockPolicyLine(**where, **some)]
    busy.say("SetStockPolicy", name, stock_pb.SetStockPolicyRequest(lines=lines))


def _make(busy: Busy, _: random.Random, name: str, open_holds: list[Any]) -> None:
    """A level that is new, and perhaps gone again at the next of these."""
    at = PLACES[len(open_holds) % len(PLACES)]
    busy.set_stock(0, f"NEW{name}", at)
    if len(open_holds) % 2:
        lines = [stock_pb.DeleteStockLevelsLine(sku=f"NEW{name}", location=at)]
        request = stock_pb.DeleteStockLevelsRequest(lines=lines)
        busy.say("DeleteStockLevels", name, request)


VERBS: tuple[Verb, ...] = (_place, _place, _place, _end, _end, _end, _set, _set_policy, _make)
