"""Replies lost between server and Redis: nothing twice, and every caller gets the truth."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from inventory.v1 import hold_service_pb2 as pb

from inventory_server.server import Server
from inventory_server.settings import Settings
from tests.calls import Refusal, key, level_of, line, place, refused, set_stock
from tests.eventually import eventually_async
from tests.faults.proxy import ReplyProxy
from tests.fold import assert_journal_folds_to_state


@pytest.fixture
async def proxy(redis_socket: str) -> AsyncIterator[ReplyProxy]:
    async with ReplyProxy(redis_socket) as running:
        yield running


@pytest.fixture
async def server(settings: Settings, proxy: ReplyProxy, db) -> AsyncIterator[Server]:
    """A server that reaches Redis through the proxy, and gives up on silence soon."""
    url = f"redis://127.0.0.1:{proxy.port}"
    running = Server(replace(settings, redis_url=url, stall_timeout_s=0.3, store_timeout_s=3.0))
    await running.start()
    yield running
    proxy.swallowing = proxy.refusing = False
    await running.stop()
    assert_journal_folds_to_state(db)


async def outcome(call) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error).reason or error.code().name
    return "OK"


async def lose_one_round_of_replies(proxy: ReplyProxy) -> None:
    """Swallows until something was swallowed, then cuts; the next connection is whole."""

    async def swallowed() -> bool:
        return proxy.swallowed_bytes > 0

    await eventually_async(swallowed)
    proxy.swallowing = False
    proxy.cut()


async def test_a_lost_reply_is_settled_by_asking_again(proxy, stock, holds, db) -> None:
    await set_stock(stock, 100)
    proxy.swallowing = True
    calls = [
        asyncio.ensure_future(outcome(place(holds, metadata=key(f"k{n}"), timeout=5)))
        for n in range(40)
    ]
    await lose_one_round_of_replies(proxy)
    assert Counter(await asyncio.gather(*calls)) == {"OK": 40}
    assert (await level_of(stock)).held == 40
    movements = Counter(entry["kind"] for _, entry in db.xrange("inv:{3}:journal"))
    assert movements == {"SET": 1, "HOLD": 40}


async def test_what_cannot_be_settled_is_unknown_and_says_its_key(proxy, stock, holds) -> None:
    await set_stock(stock, 100)
    proxy.swallowing = True
    started = time.monotonic()
    refusals = await asyncio.gather(
        *[refused(place(holds, metadata=key(f"k{n}"), timeout=1.5)) for n in range(20)]
    )
    assert time.monotonic() - started < 1.5, "answered within the callers' deadline"
    for n, refusal in enumerate(refusals):
        assert refusal.code == grpc.StatusCode.UNAVAILABLE
        assert refusal.reason == "OUTCOME_UNKNOWN"
        assert refusal.facts == {"idempotency_key": f"k{n}"}
        assert refusal.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
    proxy.swallowing = False
    proxy.cut()

    async def settled() -> list[str]:
        again = [outcome(place(holds, metadata=key(f"k{n}"), timeout=5)) for n in range(20)]
        results = await asyncio.gather(*again)
        assert set(results) == {"OK"}, results
        return results

    await eventually_async(settled)
    assert (await level_of(stock)).held == 20


async def test_a_minted_key_is_told_and_settles_too(proxy, stock, holds) -> None:
    await set_stock(stock, 100)
    proxy.swallowing = True
    call = holds.PlaceHold(pb.PlaceHoldRequest(lines=[line()]), timeout=1)
    minted = dict(await call.initial_metadata())["idempotency-key"]
    assert (await refused(call)).facts == {"idempotency_key": minted}
    proxy.swallowing = False
    proxy.cut()

    async def placed() -> bool:
        return bool((await place(holds, metadata=key(minted))).hold.hold_id)

    await eventually_async(placed)
    assert (await level_of(stock)).held == 1


async def test_an_unreachable_store_is_certain_not_to_have_applied(proxy, stock, holds) -> None:
    await set_stock(stock, 100)
    proxy.refusing = True
    proxy.cut()
    results = await asyncio.gather(*[outcome(place(holds, timeout=1)) for _ in range(20)])
    assert set(results) == {"STORE_UNAVAILABLE"}
    proxy.refusing = False

    async def back() -> bool:
        return (await level_of(stock)).held == 0

    assert await eventually_async(back)


async def test_under_repeated_losses_nothing_is_applied_twice(proxy, stock, holds, db) -> None:
    await set_stock(stock, 10_000)
    truths: dict[str, str] = {}

    async def caller(n: int) -> None:
        for round_ in range(6):
            name = f"c{n}-{round_}"
            metadata = key(name)
            result = await outcome(place(holds, metadata=metadata, timeout=2))
            while result in ("OUTCOME_UNKNOWN", "STORE_UNAVAILABLE", "DEADLINE_EXCEEDED"):
                result = await outcome(place(holds, metadata=metadata, timeout=2))
            truths[name] = result

    async def disturb() -> None:
        for _ in range(6):
            proxy.swallowed_bytes, proxy.swallowing = 0, True
            await lose_one_round_of_replies(proxy)

    callers = asyncio.gather(*[caller(n) for n in range(30)])
    await asyncio.wait([asyncio.ensure_future(disturb()), callers], return_when="FIRST_COMPLETED")
    proxy.swallowing = False
    proxy.cut()
    await callers
    assert Counter(truths.values()) == {"OK": 180}
    held = Counter(e["hold_id"] for _, e in db.xrange("inv:{3}:journal") if e["kind"] == "HOLD")
    assert len(held) == 180
    assert set(held.values()) == {1}
    assert (await level_of(stock)).held == 180


async def test_a_caller_that_goes_away_does_not_stop_what_was_sent(proxy, stock, holds, db) -> None:
    await set_stock(stock, 100)
    proxy.swallowing = True
    calls = [
        holds.PlaceHold(pb.PlaceHoldRequest(lines=[line()]), metadata=key(f"k{n}"), timeout=5)
        for n in range(10)
    ]

    async def all_applied() -> bool:
        return db.get("inv:{3}:level:online:SKU1") == "100 10 11"

    await eventually_async(all_applied)
    for call in calls:
        call.cancel()
    proxy.swallowing = False
    proxy.cut()

    async def replayed() -> bool:
        again = holds.PlaceHold(pb.PlaceHoldRequest(lines=[line()]), metadata=key("k3"), timeout=5)
        await again
        return dict(await again.trailing_metadata())["idempotent-replayed"] == "true"

    assert await eventually_async(replayed)
    assert (await level_of(stock)).held == 10
