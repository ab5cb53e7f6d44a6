"""The same key: the same answer, and never twice the change."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from tests.calls import COUNT, key, level_of, line, place, refused, set_stock


async def twice(method, request) -> None:
    """Sends a request twice under one key, and expects one answer."""
    first = method(request, metadata=key("k1"))
    answer = (await first).SerializeToString()
    assert dict(await first.trailing_metadata())["idempotent-replayed"] == "false"
    again = method(request, metadata=(("x-idempotency-key", "k1"),))
    assert (await again).SerializeToString() == answer
    assert dict(await again.trailing_metadata())["idempotent-replayed"] == "true"


async def test_place_hold_is_replayed_as_it_was(stock, holds) -> None:
    await set_stock(stock, 10)
    request = hold_pb.PlaceHoldRequest(lines=[line(quantity=2)], reference="r", note="n")
    await twice(holds.PlaceHold, request)
    assert (await level_of(stock)).held == 2
    hold_id = (await holds.PlaceHold(request, metadata=key("k1"))).hold.hold_id
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id))
    replay = await holds.PlaceHold(request, metadata=key("k1"))
    assert replay.hold.state == hold_pb.HOLD_STATE_HELD, "a replay tells what happened then"


@pytest.mark.parametrize("verb", ["ConfirmHold", "ReleaseHold", "ExtendHold"])
async def test_a_verb_on_a_hold_is_replayed(stock, holds, verb) -> None:
    await set_stock(stock, 10)
    hold_id = (await place(holds)).hold.hold_id
    more = {"ttl": Duration(seconds=500)} if verb == "ExtendHold" else {}
    await twice(getattr(holds, verb), getattr(hold_pb, verb + "Request")(hold_id=hold_id, **more))


async def test_a_replayed_extend_is_the_old_answer_after_a_later_end(stock, holds) -> None:
    await set_stock(stock, 10)
    hold_id = (await place(holds)).hold.hold_id
    request = hold_pb.ExtendHoldRequest(hold_id=hold_id, ttl=Duration(seconds=900))
    first = await holds.ExtendHold(request, metadata=key("e"))
    await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=hold_id), metadata=key("r"))
    again = await holds.ExtendHold(request, metadata=key("e"))
    assert again.SerializeToString() == first.SerializeToString()


async def test_verbs_on_stock_are_replayed(stock) -> None:
    await set_stock(stock, 100, sku="A")
    await twice(
        stock.SetStock,
        stock_pb.SetStockRequest(
            lines=[stock_pb.SetStockLine(sku="A", location="online", on_hand=50)], reason=COUNT
        ),
    )
    adjust = stock_pb.AdjustStockLine(sku="A", location="online", delta=-5)
    await twice(stock.AdjustStock, stock_pb.AdjustStockRequest(lines=[adjust], reason=COUNT))
    await twice(stock.RecordSale, stock_pb.RecordSaleRequest(lines=[line("A", 3)], reference="r"))
    level = await level_of(stock, "A")
    assert (level.on_hand, level.version) == (42, 4)


async def test_a_changed_request_under_the_same_key_is_refused(stock, holds) -> None:
    await set_stock(stock, 10)
    await place(holds, line(quantity=2), metadata=key("k"))
    changed = [
        {"ttl_s": 10}, {"reference": "x"}, {"note": "x"},
    ]  # fmt: skip
    for more in changed:
        refusal = await refused(place(holds, line(quantity=2), metadata=key("k"), **more))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "IDEMPOTENCY_KEY_REUSED",
        )
    refusal = await refused(place(holds, line(quantity=3), metadata=key("k")))
    assert refusal.facts == {"idempotency_key": "k"}
    assert (await level_of(stock)).held == 2


async def test_lines_in_another_order_are_the_same_request(stock, holds) -> None:
    await set_stock(stock, 10, sku="A")
    await set_stock(stock, 10, sku="B")
    first = await place(holds, line("A"), line("B", 2), metadata=key("k"))
    again = await place(holds, line("B", 1), line("A"), line("B", 1), metadata=key("k"))
    assert first == again


async def test_a_refusal_is_judged_anew(stock, holds) -> None:
    await set_stock(stock, 1)
    await refused(place(holds, line(quantity=2), metadata=key("k")))
    await set_stock(stock, 2)
    assert (await place(holds, line(quantity=2), metadata=key("k"))).hold.lines[0].held == 2


async def test_keys_are_scoped_by_method(stock, holds) -> None:
    await set_stock(stock, 10)
    hold_id = (await place(holds, metadata=key("order-1"))).hold.hold_id
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id), metadata=key("order-1"))


async def test_the_key_of_a_call_without_one_is_told(stock, holds) -> None:
    await set_stock(stock, 10)
    call = holds.PlaceHold(hold_pb.PlaceHoldRequest(lines=[line()]))
    minted = dict(await call.initial_metadata())["idempotency-key"]
    first = await call
    assert await place(holds, metadata=key(minted)) == first


@pytest.mark.parametrize("good", ["a", "k" * 255, "!~", '"quoted"'])
async def test_keys_of_every_allowed_form(stock, holds, good) -> None:
    await set_stock(stock, 10)
    first = await place(holds, metadata=key(good))
    assert await place(holds, metadata=key(good.strip('"'))) == first


@pytest.mark.parametrize("bad", ["", "k" * 256, "with space", '""'])
async def test_keys_of_a_wrong_form(stock, holds, bad) -> None:
    refusal = await refused(place(holds, metadata=key(bad)))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
    )
    assert refusal.facts == {"field": "idempotency-key"}


async def test_two_different_keys_are_refused(holds) -> None:
    both = (("idempotency-key", "a"), ("x-idempotency-key", "b"))
    assert (await refused(place(holds, metadata=both))).reason == "INVALID_REQUEST"


async def test_a_hold_remembers_a_bounded_number_of_later_keys(stock, holds, db) -> None:
    await set_stock(stock, 10)
    hold_id = (await place(holds)).hold.hold_id
    for n in range(40):
        request = hold_pb.ExtendHoldRequest(hold_id=hold_id, ttl=Duration(seconds=300 + n))
        await holds.ExtendHold(request, metadata=key(f"e{n}"))
    _, kept, _ = db.get(f"inv:{{{hold_id.split('-')[0]}}}:hold:{hold_id}").split("\n", 2)
    assert kept.count(";") == 31
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id))
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id))
