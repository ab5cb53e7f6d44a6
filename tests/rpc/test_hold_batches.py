"""Batches of holds: every item on its own, in order, under its own key."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.domain.limits import MAX_BATCH_ITEMS, MAX_BATCH_LINES
from tests.calls import key, level_of, line, place, refused, set_stock
from tests.eventually import eventually_async

NOW = 1_800_000_000_000


def place_item(*lines, key: str = "", **more) -> pb.BatchPlaceHoldsItem:
    request = pb.PlaceHoldRequest(lines=lines or [line()], **more)
    return pb.BatchPlaceHoldsItem(idempotency_key=key, request=request)


def confirm_item(hold_id: str, key: str = "", **more) -> pb.BatchConfirmHoldsItem:
    request = pb.ConfirmHoldRequest(hold_id=hold_id, **more)
    return pb.BatchConfirmHoldsItem(idempotency_key=key, request=request)


def release_item(hold_id: str, key: str = "", **more) -> pb.BatchReleaseHoldsItem:
    request = pb.ReleaseHoldRequest(hold_id=hold_id, **more)
    return pb.BatchReleaseHoldsItem(idempotency_key=key, request=request)


async def place_all(holds, *items, metadata=()) -> pb.BatchPlaceHoldsResponse:
    return await holds.BatchPlaceHolds(pb.BatchPlaceHoldsRequest(items=items), metadata=metadata)


def outcomes(response) -> list[str]:
    return [
        result.error.reason or pb.HoldState.Name(result.response.hold.state)[11:]
        for result in response.results
    ]


async def test_items_are_answered_in_their_order_and_a_bad_one_spoils_no_other(
    stock, holds
) -> None:
    await set_stock(stock, 5, "A")
    response = await place_all(
        holds,
        place_item(line("A", 2), key="one"),
        place_item(line("A", 9), key="two"),
        place_item(line("GONE"), key="three"),
        place_item(line("A", 0), key="four"),
        place_item(line("A", 1), key="bad key"),
        place_item(line("A", 3), key="one"),
        place_item(line("A", 3), key="five"),
    )
    assert outcomes(response) == [
        "HELD", "INSUFFICIENT_STOCK", "STOCK_LEVEL_NOT_FOUND", "INVALID_REQUEST",
        "INVALID_REQUEST", "IDEMPOTENCY_KEY_REUSED", "HELD",
    ]  # fmt: skip
    error = response.results[1].error
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert (error.metadata["requested"], error.metadata["available"]) == ("9", "3")
    assert "9" in error.message
    assert response.results[5].error.metadata["idempotency_key"] == "one"
    assert (await level_of(stock, "A")).held == 5


async def test_an_item_has_the_same_key_space_as_the_single_call(stock, holds) -> None:
    await set_stock(stock, 10)
    single = await place(holds, metadata=key("k"))
    response = await place_all(holds, place_item(key="k"), place_item(key="other"))
    first, other = response.results
    assert (first.response, first.replayed) == (single, True)
    assert not other.replayed
    again = place(holds, metadata=key("other"))
    assert await again == other.response
    hold_id = single.hold.hold_id
    confirmed = await holds.ConfirmHold(
        pb.ConfirmHoldRequest(hold_id=hold_id), metadata=key("confirm")
    )
    batch = await holds.BatchConfirmHolds(
        pb.BatchConfirmHoldsRequest(items=[confirm_item(hold_id, "confirm")])
    )
    assert (batch.results[0].response, batch.results[0].replayed) == (confirmed, True)


async def test_items_without_a_key_are_repeated_under_the_calls_own(stock, holds) -> None:
    await set_stock(stock, 10)
    items = [place_item(), place_item(), place_item(key="own")]
    first = await place_all(holds, *items, metadata=key("batch"))
    again = await place_all(holds, *items, metadata=key("batch"))
    assert [result.response for result in again.results] == [r.response for r in first.results]
    assert all(result.replayed for result in again.results)
    assert (await level_of(stock)).held == 3
    # No caller's own key is any of these.
    await place(holds, metadata=key("batch"))
    assert (await level_of(stock)).held == 4
    reused = await place_all(holds, place_item(line(quantity=2)), metadata=key("batch"))
    assert outcomes(reused) == ["IDEMPOTENCY_KEY_REUSED"]
    assert reused.results[0].error.metadata["idempotency_key"] == "batch"
    unnamed = await place_all(holds, place_item(), place_item())
    assert len({result.response.hold.hold_id for result in unnamed.results}) == 2


async def test_a_batch_confirms_and_releases_whole_holds_and_parts(stock, holds) -> None:
    await set_stock(stock, 100)
    placed = await place_all(holds, *[place_item(line(quantity=4)) for _ in range(6)])
    ids = [result.response.hold.hold_id for result in placed.results]
    confirmed = await holds.BatchConfirmHolds(
        pb.BatchConfirmHoldsRequest(
            items=[
                confirm_item(ids[0]),
                confirm_item(ids[1], lines=[line(quantity=1)]),
                confirm_item(ids[2], lines=[line(quantity=1)], keep_rest=True),
                confirm_item(ids[3], lines=[line(quantity=5)]),
                confirm_item("3-" + "a" * 20),
                confirm_item(ids[0]),
                confirm_item(""),
            ]
        )
    )
    assert outcomes(confirmed) == [
        "CONFIRMED", "CONFIRMED", "HELD", "QUANTITY_EXCEEDS_HELD", "HOLD_NOT_FOUND", "CONFIRMED",
        "INVALID_REQUEST",
    ]  # fmt: skip
    assert [result.replayed for result in confirmed.results][:6] == [False] * 5 + [True]
    released = await holds.BatchReleaseHolds(
        pb.BatchReleaseHoldsRequest(
            items=[
                release_item(ids[2]),
                release_item(ids[3], lines=[line(quantity=1)]),
                release_item(ids[0]),
            ]
        )
    )
    assert outcomes(released) == ["CONFIRMED", "HELD", "HOLD_ALREADY_CONFIRMED"]
    level = await level_of(stock)
    assert (level.on_hand, level.held) == (100 - 4 - 1 - 1, 3 + 4 + 4)


async def test_items_with_due_holds_in_their_way_go_through(stock, holds, server) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 5)
    late = await place(holds, line(quantity=5), ttl_s=1)
    server.store.now_ms = str(NOW + 1000)
    response = await place_all(
        holds, place_item(line(quantity=3)), place_item(line(quantity=9), allow_partial=True)
    )
    assert outcomes(response) == ["HELD", "HELD"]
    assert [s.shortage for s in response.results[1].response.shortages] == [7]
    again = pb.BatchConfirmHoldsRequest(
        items=[confirm_item(late.hold.hold_id, rehold_if_expired=True)]
    )
    assert outcomes(await holds.BatchConfirmHolds(again)) == ["HOLD_EXPIRED"]
    await set_stock(stock, 10)
    (result,) = (await holds.BatchConfirmHolds(again)).results
    assert result.response.reheld


async def test_the_last_units_go_to_the_first_items(stock, holds) -> None:
    await set_stock(stock, 5)
    response = await place_all(holds, *[place_item() for _ in range(MAX_BATCH_ITEMS)])
    assert outcomes(response) == ["HELD"] * 5 + ["INSUFFICIENT_STOCK"] * (MAX_BATCH_ITEMS - 5)


@pytest.mark.parametrize("verb", ["Place", "Confirm", "Release"])
async def test_a_batch_has_limits_as_a_whole(holds, verb) -> None:
    run = getattr(holds, f"Batch{verb}Holds")
    item = getattr(pb, f"Batch{verb}HoldsItem")
    request = getattr(pb, f"Batch{verb}HoldsRequest")
    many = getattr(pb, f"{verb}HoldRequest")(lines=[line()] * 100)
    for items in (
        [],
        [item()] * (MAX_BATCH_ITEMS + 1),
        [item(request=many)] * (MAX_BATCH_LINES // 100) + [item(request={"lines": [line()]})],
    ):
        refusal = await refused(run(request(items=items)))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_REQUEST",
        )
        assert refusal.facts["field"] == "items"
    at_the_edge = await run(request(items=[item(request=many)] * (MAX_BATCH_LINES // 100)))
    assert len(at_the_edge.results) == MAX_BATCH_LINES // 100


async def test_a_batch_without_a_store_says_so_item_by_item(
    stock, holds, server, monkeypatch
) -> None:
    await set_stock(stock, 5)
    monkeypatch.setattr(server.store._connection, "is_ready", False)
    monkeypatch.setattr(server.store, "_connect_wait_s", 0.01)
    server.store._connection._ready.clear()
    response = await place_all(holds, place_item(), place_item(line("A", 0)))
    assert outcomes(response) == ["STORE_UNAVAILABLE", "INVALID_REQUEST"]
    server.store._connection._ready.set()


async def test_a_caller_that_leaves_stops_none_of_its_items(stock, holds, server, db) -> None:
    await set_stock(stock, 1000)
    items = [place_item(key=f"k{n}", ttl=Duration(seconds=60)) for n in range(100)]
    db.client_pause(60_000, all=False)
    call = holds.BatchPlaceHolds(pb.BatchPlaceHoldsRequest(items=items), timeout=30)

    async def is_on_its_way() -> bool:
        return db.info("clients")["blocked_clients"] > 0

    await eventually_async(is_on_its_way)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    db.client_unpause()

    async def all_are_held() -> bool:
        return (await level_of(stock)).held == 100

    await eventually_async(all_are_held)
    again = await place_all(holds, *items)
    assert outcomes(again) == ["HELD"] * 100
    assert (await level_of(stock)).held == 100


async def test_a_batch_of_big_holds_is_refused_before_anything_is_done(stock, holds) -> None:
    skus = [f"S{n}" for n in range(100)]
    lines = [stock_pb.SetStockLine(sku=sku, location="online", on_hand=1000) for sku in skus]
    await stock.SetStock(stock_pb.SetStockRequest(lines=lines, reason=1))
    ids = [
        (await place(holds, *[line(sku) for sku in skus])).hold.hold_id
        for _ in range(MAX_BATCH_LINES // 100 + 1)
    ]
    many = pb.BatchConfirmHoldsRequest(items=[confirm_item(hold_id) for hold_id in ids])
    refusal = await refused(holds.BatchConfirmHolds(many))
    assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", "items")
    assert (await level_of(stock, "S0")).held == len(ids)
    del many.items[-1]
    assert set(outcomes(await holds.BatchConfirmHolds(many))) == {"CONFIRMED"}


async def test_the_trailer_says_whether_every_item_was_a_replay(stock, holds) -> None:
    await set_stock(stock, 10)
    for keys, replayed in ((("a", "b"), "false"), (("a", "b"), "true"), (("a", "c"), "false")):
        items = [place_item(key=name) for name in keys]
        call = holds.BatchPlaceHolds(pb.BatchPlaceHoldsRequest(items=items))
        await call
        assert dict(await call.trailing_metadata())["idempotent-replayed"] == replayed


async def test_a_key_in_quotes_is_the_key(stock, holds) -> None:
    await set_stock(stock, 10)
    single = await place(holds, metadata=key('"k"'))
    (result,) = (await place_all(holds, place_item(key='"k"'))).results
    assert result.response == single
