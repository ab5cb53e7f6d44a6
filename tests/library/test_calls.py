"""Every RPC has a method, with a deadline; every change has one key, kept over all attempts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from grpc import StatusCode
from inventory.v1 import (
    alert_service_pb2,
    availability_service_pb2,
    catalog_service_pb2,
    hold_service_pb2,
    stock_service_pb2,
)
from inventory_client import (
    AsyncInventoryClient,
    BatchPlaceHoldsItem,
    ClientClosed,
    DeadlineExceeded,
    InventoryError,
    NeverConnected,
    PlaceHoldRequest,
    Product,
    RetryPolicy,
    UnknownReason,
    item_error,
)

from tests.eventually import eventually_async
from tests.library.scripted import SILENT, Said, ScriptedServer

MODULES = (
    *(stock_service_pb2, hold_service_pb2, availability_service_pb2),
    *(alert_service_pb2, catalog_service_pb2),
)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
LINE = ("SKU1", "online", 1)
ARGUMENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "get_stock": (("SKU1",), {}),
    "batch_get_stock": ((["SKU1"],), {}),
    "list_stock_levels": (("online",), {}),
    "set_stock": (([LINE],), {}),
    "adjust_stock": (([LINE],), {"reason": "RECEIPT"}),
    "record_sale": (([LINE],), {}),
    "transfer_stock": (([("SKU1", 1)],), {"from_location": "online", "to_location": "store:S"}),
    "set_stock_policy": (([],), {}),
    "delete_stock_levels": (([("SKU1", "online")],), {}),
    "import_stock": (([stock_service_pb2.ImportRow()],), {"mode": "SET"}),
    "place_hold": (([LINE],), {}),
    "get_hold": (("h",), {}),
    "list_holds": ((), {"reference": "r"}),
    "confirm_hold": (("h",), {}),
    "release_hold": (("h",), {}),
    "extend_hold": (("h",), {"ttl": 5}),
    "batch_place_holds": (([],), {}),
    "batch_confirm_holds": (([],), {}),
    "batch_release_holds": (([],), {}),
    "check_availability": (([LINE],), {}),
    "get_product": (("SKU1",), {}),
    "batch_get_products": ((["SKU1"],), {}),
    "get_product_by_barcode": (("1",), {}),
    "search_products": (("tea",), {}),
    "upsert_product": ((Product(sku="SKU1"),), {}),
    "delete_product": (("SKU1",), {}),
    "import_products": (([{"sku": "SKU1"}],), {}),
}
"""What each method is called with; those that are not here need nothing."""

TRANSIENT = [
    Said(StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
    Said(StatusCode.UNAVAILABLE, "DRAINING"),
    Said(StatusCode.UNAVAILABLE, "CATALOG_THROTTLED"),
    Said(StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN"),
    Said(StatusCode.UNAVAILABLE),
    Said(StatusCode.CANCELLED),
    Said(StatusCode.UNAVAILABLE, "A_REASON_OF_TOMORROW"),
]


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


async def use(client: AsyncInventoryClient, name: str, **more: Any) -> None:
    """Calls a method and takes the first thing that it answers."""
    positional, named = ARGUMENTS.get(name, ((), {}))
    answer = getattr(client, name)(*positional, **named, **more)
    if isinstance(answer, AsyncIterable):
        async for _ in answer:
            break
    else:
        await answer


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_every_rpc_has_a_method_that_sends_it(
    method: MethodDescriptor, told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    is_watch = method.name.startswith("Watch")
    scripted.script.extend([Said(StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"), b""])
    await use(told, snake(method.name), **({"heartbeats": True} if is_watch else {}))
    assert {call.method for call in scripted.seen} == {
        f"/{method.containing_service.full_name}/{method.name}"
    }
    assert len(scripted.seen) == 2, "asked once more"
    keys = {call.key for call in scripted.seen}
    assert len(keys) == 1, "one key for all attempts"
    changes = method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
    assert (None not in keys) is changes
    if not is_watch:
        assert all(0 < (call.remaining_s or 0) <= 5.5 for call in scripted.seen)


async def test_keys_differ_from_call_to_call_and_may_be_given(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    for key in ("", "", "order-17"):
        await told.place_hold([LINE], idempotency_key=key)
    made, other, given = [call.key for call in scripted.seen]
    assert made != other
    assert given == "order-17"


async def test_the_actor_and_other_metadata_go_with_every_call(scripted: ScriptedServer) -> None:
    async with AsyncInventoryClient(
        scripted.address, actor="till-4", metadata=[("x-request-id", "r1")]
    ) as client:
        await client.get_stock("SKU1")
        await client.place_hold([LINE])
    for call in scripted.seen:
        assert call.metadata["x-actor"] == "till-4"
        assert call.metadata["x-request-id"] == "r1"


@pytest.mark.parametrize("said", TRANSIENT, ids=lambda said: said.reason or "no reason")
async def test_what_can_be_mended_is_sent_again(
    said: Said, told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    scripted.script.extend([said] * 3)
    await told.place_hold([LINE])
    await told.get_stock("SKU1")
    assert len(scripted.seen) == 5


@pytest.mark.parametrize(
    ("said", "may_be_applied"),
    [
        (Said(StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK"), False),
        (Said(StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), False),
        (Said(StatusCode.UNAVAILABLE, "STORE_REWOUND"), False),
        (Said(StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL"), False),
        (Said(StatusCode.ABORTED, "ETAG_MISMATCH"), False),
        (Said(StatusCode.INTERNAL, "INTERNAL"), True),
        (Said(StatusCode.FAILED_PRECONDITION, "A_REASON_OF_TOMORROW"), True),
        (Said(StatusCode.PERMISSION_DENIED), True),
    ],
    ids=lambda said: getattr(said, "reason", None),
)
async def test_what_cannot_be_mended_is_raised_at_once_with_the_truth(
    said: Said, may_be_applied: bool, told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    scripted.script.append(said)
    with pytest.raises(InventoryError) as raised:
        await told.place_hold([LINE], idempotency_key="k1")
    assert raised.value.maybe_applied is may_be_applied
    assert raised.value.idempotency_key == "k1"
    assert (raised.value.attempts, len(scripted.seen)) == (1, 1)
    scripted.script.append(said)
    with pytest.raises(InventoryError) as raised:
        await told.get_stock("SKU1")
    assert not raised.value.maybe_applied


async def test_after_one_lost_answer_no_refusal_is_certain_any_more(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    scripted.script.extend(
        [
            Said(StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN"),
            Said(StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK"),
        ]
    )
    with pytest.raises(InventoryError) as raised:
        await told.place_hold([LINE])
    assert raised.value.failure.reason == "INSUFFICIENT_STOCK"
    assert raised.value.maybe_applied
    assert raised.value.idempotency_key in str(raised.value)


async def test_an_unknown_reason_is_an_error_with_all_its_facts(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    facts = (("colour", "blue"),)
    scripted.script.append(Said(StatusCode.NOT_FOUND, "A_REASON_OF_TOMORROW", facts=facts))
    with pytest.raises(UnknownReason) as raised:
        await told.get_stock("SKU1")
    assert raised.value.failure.reason == "A_REASON_OF_TOMORROW"
    assert raised.value.facts == {"colour": "blue"}
    assert raised.value.code is StatusCode.NOT_FOUND


async def test_the_pause_that_the_server_asks_for_is_kept(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    scripted.script.append(Said(StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", pause_s=0.4))
    await told.get_stock("SKU1")
    first, second = scripted.seen
    assert second.at_s - first.at_s >= 0.4


async def test_a_pause_past_the_deadline_is_not_waited_for(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    loop = asyncio.get_running_loop()
    scripted.script.append(Said(StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", pause_s=0.9))
    begun = loop.time()
    with pytest.raises(InventoryError):
        await told.get_stock("SKU1", timeout=0.5)
    assert loop.time() - begun < 0.5


async def test_a_silent_attempt_is_given_up_and_made_again(scripted: ScriptedServer) -> None:
    scripted.script.append(SILENT)
    async with AsyncInventoryClient(scripted.address, timeout=5, attempt_timeout=0.2) as client:
        await client.place_hold([LINE])
    assert len({call.key for call in scripted.seen}) == 1
    assert len(scripted.seen) == 2


async def test_the_deadline_ends_all_attempts(scripted: ScriptedServer) -> None:
    scripted.script.extend([SILENT] * 50)
    loop = asyncio.get_running_loop()
    async with AsyncInventoryClient(scripted.address, attempt_timeout=0.1) as client:
        begun = loop.time()
        with pytest.raises(DeadlineExceeded) as raised:
            await client.place_hold([LINE], timeout=0.6)
        assert loop.time() - begun < 5, "far below the client's own timeout"
    assert raised.value.maybe_applied
    assert raised.value.attempts > 1
    assert len(scripted.seen) <= raised.value.attempts


async def test_without_a_server_nothing_was_applied() -> None:
    async with AsyncInventoryClient("127.0.0.1:1", timeout=0.3) as client:
        with pytest.raises(NeverConnected) as raised:
            await client.place_hold([LINE])
    assert not raised.value.maybe_applied


async def test_retries_can_be_turned_off(scripted: ScriptedServer) -> None:
    scripted.script.append(Said(StatusCode.UNAVAILABLE, "DRAINING"))
    policy = RetryPolicy(max_attempts=1)
    async with AsyncInventoryClient(scripted.address, retry=policy) as client:
        with pytest.raises(InventoryError):
            await client.get_stock("SKU1")
    assert len(scripted.seen) == 1


async def test_a_batch_is_asked_again_while_an_item_can_get_further(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    def answer(*reasons: str) -> bytes:
        return hold_service_pb2.BatchPlaceHoldsResponse(
            results=[
                {"error": {"code": 14, "reason": reason}} if reason else {"response": {}}
                for reason in reasons
            ]
        ).SerializeToString()

    items = [BatchPlaceHoldsItem(request=PlaceHoldRequest())] * 2
    scripted.script.extend([answer("", "STORE_UNAVAILABLE"), answer("", "INSUFFICIENT_STOCK")])
    response = await told.batch_place_holds(items)
    assert response.results[1].error.reason == "INSUFFICIENT_STOCK"
    assert len(scripted.seen) == 2
    # What was done of a batch makes it uncertain, whatever comes after it.
    scripted.script.extend(
        [answer("", "STORE_UNAVAILABLE"), Said(StatusCode.NOT_FOUND, "HOLD_NOT_FOUND")]
    )
    with pytest.raises(InventoryError) as raised:
        await told.batch_place_holds(items)
    assert raised.value.maybe_applied


@pytest.mark.parametrize("first", ["an item", "the whole call"])
async def test_an_item_that_was_perhaps_done_is_not_refused_for_certain(
    first: str, told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    def answer(reason: str) -> bytes:
        return hold_service_pb2.BatchPlaceHoldsResponse(
            results=[{"error": {"code": 9, "reason": reason}}]
        ).SerializeToString()

    lost = answer("OUTCOME_UNKNOWN") if first == "an item" else Said(StatusCode.UNAVAILABLE)
    scripted.script.extend([lost, answer("INSUFFICIENT_STOCK"), answer("INSUFFICIENT_STOCK")])
    items = [BatchPlaceHoldsItem(request=PlaceHoldRequest())]
    for certain in (False, True):
        (result,) = (await told.batch_place_holds(items)).results
        error = item_error(result.error)
        assert error.maybe_applied is not certain
        assert error.failure.reason == ("INSUFFICIENT_STOCK" if certain else "OUTCOME_UNKNOWN")


async def test_a_call_that_is_cancelled_is_cancelled_at_the_server(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    scripted.script.append(SILENT)
    call = asyncio.create_task(told.place_hold([LINE]))

    async def has_come() -> bool:
        return scripted.open_calls == 1

    async def is_gone() -> bool:
        return scripted.open_calls == 0

    await eventually_async(has_come)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually_async(is_gone)


async def test_closing_ends_what_is_under_way_with_an_error(
    told: AsyncInventoryClient, scripted: ScriptedServer
) -> None:
    scripted.script.append(SILENT)
    call = asyncio.create_task(told.place_hold([LINE]))

    async def has_come() -> bool:
        return scripted.open_calls == 1

    await eventually_async(has_come)
    await told.close()
    with pytest.raises(ClientClosed) as raised:
        await call
    assert raised.value.maybe_applied
    with pytest.raises(ClientClosed) as raised:
        await told.place_hold([LINE])
    assert not raised.value.maybe_applied
