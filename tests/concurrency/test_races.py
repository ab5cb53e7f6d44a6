"""Many at once: exactly as many win as there are units, keys and ends."""

from __future__ import annotations

import asyncio
from collections import Counter

import grpc
from inventory.v1 import hold_service_pb2 as pb

from tests.calls import key, level_of, line, place, set_stock


async def reason_of(call) -> str:
    """OK, or the reason of the refusal."""
    from tests.calls import Refusal

    try:
        await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error).reason
    return "OK"


async def test_two_hundred_callers_and_five_units(server, stock, holds) -> None:
    await set_stock(stock, 5)
    results = Counter(await asyncio.gather(*[reason_of(place(holds)) for _ in range(200)]))
    assert results == {"OK": 5, "INSUFFICIENT_STOCK": 195}
    level = await level_of(stock)
    assert (level.on_hand, level.held, level.available) == (5, 5, 0)


async def test_fifty_callers_with_one_key(stock, holds) -> None:
    await set_stock(stock, 50)

    async def once() -> tuple[bytes, str]:
        call = holds.PlaceHold(pb.PlaceHoldRequest(lines=[line()]), metadata=key("same"))
        answer = (await call).SerializeToString()
        return answer, dict(await call.trailing_metadata())["idempotent-replayed"]

    results = await asyncio.gather(*[once() for _ in range(50)])
    assert len({answer for answer, _ in results}) == 1
    assert Counter(replayed for _, replayed in results) == {"false": 1, "true": 49}
    assert (await level_of(stock)).held == 1


async def test_confirm_release_and_expiry_race_and_one_wins(server, stock, holds, db) -> None:
    now = 1_800_000_000_000
    server.store.now_ms = str(now)
    await set_stock(stock, 60)
    placed = [await place(holds, ttl_s=1, metadata=key(f"h{n}")) for n in range(60)]

    async def expire() -> str:
        server.store.now_ms = str(now + 1000)
        await level_of(stock)
        return "expired"

    for one in placed:
        server.store.now_ms = str(now + 999)
        hold_id = one.hold.hold_id
        confirm = reason_of(holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=hold_id)))
        release = reason_of(holds.ReleaseHold(pb.ReleaseHoldRequest(hold_id=hold_id)))
        results = await asyncio.gather(confirm, release, expire())
        state = (await holds.GetHold(pb.GetHoldRequest(hold_id=hold_id))).hold.state
        wins = {pb.HOLD_STATE_CONFIRMED: 0, pb.HOLD_STATE_RELEASED: 1, pb.HOLD_STATE_EXPIRED: 2}
        winner = wins[state]
        for n in (0, 1):
            assert (results[n] == "OK") == (n == winner), (results, state)
    ends = Counter(
        entry["hold_id"]
        for _, entry in db.xrange("inv:{3}:journal")
        if entry["kind"] in ("CONFIRM", "RELEASE", "EXPIRE")
    )
    assert set(ends.values()) == {1}
    assert len(ends) == 60


async def test_crossing_holds_of_two_levels_never_promise_a_unit_twice(stock, holds) -> None:
    for sku in "AB":
        await set_stock(stock, 20, sku=sku)
    baskets = [[line("A"), line("B")], [line("B"), line("A")]] * 30
    results = Counter(
        await asyncio.gather(*[reason_of(place(holds, *basket)) for basket in baskets])
    )
    assert results == {"OK": 20, "INSUFFICIENT_STOCK": 40}
    for sku in "AB":
        assert (await level_of(stock, sku)).held == 20
