"""One class a reason, each with the facts that the server told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import inventory_client
import pytest
from inventory.v1.error_reason_pb2 import ErrorReason
from inventory_client import (
    AsyncInventoryClient,
    BatchPlaceHoldsItem,
    BelowHeld,
    HoldAlreadyConfirmed,
    HoldAlreadyReleased,
    HoldNotFound,
    IdempotencyKeyReused,
    InsufficientStock,
    InvalidRequest,
    Line,
    OnHandMismatch,
    PlaceHoldRequest,
    QuantityExceedsHeld,
    SetStockLine,
    StockLevelNotFound,
    errors,
    item_error,
)
from inventory_client.errors import BY_REASON
from inventory_client.refused_lines import Violation, lines_of

from inventory_server.servicers.status import RETRY_AFTER_MS

Errors = type[inventory_client.InventoryError]


def every_class(base: Errors = inventory_client.InventoryError) -> Iterator[Errors]:
    for child in base.__subclasses__():
        yield child
        yield from every_class(child)


def test_every_reason_has_one_class_named_after_it() -> None:
    named = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118
    assert set(BY_REASON) == named - {"UNSPECIFIED"}
    for reason, kind in BY_REASON.items():
        assert kind.__name__ == reason.title().replace("_", "")
    assert len(BY_REASON) == len([kind for kind in every_class() if kind.reason])


def test_every_class_can_be_imported_from_the_package() -> None:
    for kind in every_class():
        assert getattr(inventory_client, kind.__name__) is kind
        assert kind.__name__ in inventory_client.__all__


def test_the_tree_at_the_top_of_the_errors_is_the_tree() -> None:
    def drawn(kind: Errors, indent: str) -> Iterator[str]:
        children = kind.__subclasses__()
        for child in children:
            is_last = child is children[-1]
            yield indent + ("└── " if is_last else "├── ") + child.__name__
            yield from drawn(child, indent + ("    " if is_last else "│   "))

    told = (errors.__doc__ or "").partition("InventoryError\n")[2].splitlines()
    found = list(drawn(inventory_client.InventoryError, ""))
    assert sorted(line.lstrip("├└─│ ") for line in told if line) == sorted(
        line.lstrip("├└─│ ") for line in found
    )


def test_what_the_server_says_a_retry_can_help_is_retried_or_left_to_the_caller() -> None:
    asked = {kind.reason for kind in RETRY_AFTER_MS}
    retried = {reason for reason, kind in BY_REASON.items() if kind.retryable}
    # A full store and a busy level stay so for longer than a call can wait.
    assert asked - retried == {"STORE_FULL", "LEVEL_BUSY"}
    assert retried <= asked


async def test_a_short_line_tells_its_numbers(client: AsyncInventoryClient) -> None:
    await client.set_stock([("A", "online", 5), ("B/1", "store:S", 1)])
    with pytest.raises(InsufficientStock) as raised:
        await client.place_hold([("A", "online", 7), ("B/1", "store:S", 3)])
    first, second = raised.value.lines
    assert (first.sku, first.location) == ("A", "online")
    assert (first.requested, first.available, first.sellable, first.shortage) == (7, 5, 5, 2)
    assert (second.sku, second.location, second.available) == ("B/1", "store:S", 1)
    assert raised.value.short_lines == 2
    assert raised.value.failure.request_id
    assert str(raised.value).startswith("INSUFFICIENT_STOCK: not enough stock: online/A")
    assert not raised.value.maybe_applied


async def test_more_short_lines_than_fit_are_counted(client: AsyncInventoryClient) -> None:
    lines = [(f"SKU-{'x' * 50}-{n}", "online", 1) for n in range(100)]
    await client.set_stock(lines)
    with pytest.raises(InsufficientStock) as raised:
        await client.place_hold([(sku, location, 2) for sku, location, _ in lines])
    assert raised.value.short_lines == 100
    assert 1 < len(raised.value.lines) < 100


async def test_other_refusals_tell_theirs(client: AsyncInventoryClient) -> None:
    await client.set_stock([("A", "online", 5)])
    held = await client.place_hold([("A", "online", 3)])
    with pytest.raises(BelowHeld) as below:
        await client.set_stock([("A", "online", 1)])
    assert (below.value.lines[0].requested, below.value.lines[0].held) == (1, 3)
    with pytest.raises(OnHandMismatch) as mismatch:
        await client.set_stock(
            [SetStockLine(sku="A", location="online", on_hand=9, expected_on_hand=7)]
        )
    assert (mismatch.value.lines[0].expected, mismatch.value.lines[0].on_hand) == (7, 5)
    with pytest.raises(QuantityExceedsHeld) as exceeds:
        await client.confirm_hold(held.hold.hold_id, lines=[("A", "online", 4)])
    assert (exceeds.value.lines[0].requested, exceeds.value.lines[0].held) == (4, 3)


async def test_what_is_not_there_is_named(client: AsyncInventoryClient) -> None:
    with pytest.raises(StockLevelNotFound) as level:
        await client.adjust_stock([("A/1", "online", 5)], reason="RECEIPT")
    assert level.value.levels == [("A/1", "online")]
    with pytest.raises(HoldNotFound):
        await client.get_hold("3-aaaaaaaaaaaaaaaaaaaa")
    with pytest.raises(InvalidRequest) as invalid:
        await client.place_hold([("A", "nowhere", 1)])
    assert list(invalid.value.fields) == ["lines[0].location"]


async def test_an_ended_hold_tells_when_it_ended(client: AsyncInventoryClient) -> None:
    await client.set_stock([("A", "online", 5)])
    sold = (await client.place_hold([("A", "online", 1)])).hold.hold_id
    freed = (await client.place_hold([("A", "online", 1)])).hold.hold_id
    await client.confirm_hold(sold)
    await client.release_hold(freed)
    with pytest.raises(HoldAlreadyConfirmed) as confirmed:
        await client.release_hold(sold)
    assert confirmed.value.hold_id == sold
    assert confirmed.value.end_time is not None
    assert abs((confirmed.value.end_time - datetime.now(UTC)).total_seconds()) < 60
    with pytest.raises(HoldAlreadyReleased):
        await client.confirm_hold(freed)


async def test_a_key_of_another_request_is_refused(client: AsyncInventoryClient) -> None:
    await client.set_stock([("A", "online", 5)])
    await client.place_hold([("A", "online", 1)], idempotency_key="k1")
    with pytest.raises(IdempotencyKeyReused) as raised:
        await client.place_hold([("A", "online", 2)], idempotency_key="k1")
    assert raised.value.facts == {"idempotency_key": "k1"}


async def test_an_item_of_a_batch_has_the_same_errors(client: AsyncInventoryClient) -> None:
    await client.set_stock([("A", "online", 5)])
    requests = [
        PlaceHoldRequest(lines=[Line(sku="A", location="online", quantity=n)]) for n in (2, 9)
    ]
    answer = await client.batch_place_holds(
        [BatchPlaceHoldsItem(request=request) for request in requests]
    )
    held, refused = answer.results
    assert held.response.hold.hold_id
    error = item_error(refused.error)
    assert isinstance(error, InsufficientStock)
    assert error.lines[0].available == 3


def test_a_hold_that_is_named_is_no_line() -> None:
    named = (Violation("holds/3-abc", "expired"), Violation("store:GOA/A", "available 2"))
    assert lines_of(named[:1], {}) == ()
    assert [(line.sku, line.location, line.available) for line in lines_of(named, {})] == [
        ("A", "store:GOA", 2)
    ]
