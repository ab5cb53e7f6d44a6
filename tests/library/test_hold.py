"""A hold for the length of a block: sold by a confirm, given back by everything else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from grpc import StatusCode
from inventory.v1.hold_service_pb2 import ConfirmHoldResponse, HoldState, PlaceHoldResponse
from inventory_client import (
    AsyncInventoryClient,
    HoldExpired,
    InsufficientStock,
    InventoryError,
    StoreFull,
)

from inventory_server.settings import Settings
from tests.eventually import eventually_async
from tests.library.scripted import SILENT, Said, ScriptedServer

LINES = [("A", "online", 2)]


@pytest.fixture
async def client(client: AsyncInventoryClient) -> AsyncInventoryClient:
    await client.set_stock([("A", "online", 10)])
    return client


async def counts(client: AsyncInventoryClient) -> tuple[int, int]:
    level = (await client.get_stock("A")).levels[0]
    return level.on_hand, level.held


async def test_a_confirm_sells_and_the_end_of_the_block_changes_nothing(client) -> None:
    async with client.hold(LINES, ttl=60, reference="order-1") as hold:
        assert await counts(client) == (10, 2)
        assert hold.is_held
        assert hold.hold.reference == "order-1"
        assert hold.placed.levels[0].held == 2
        await hold.confirm()
        assert not hold.is_held
    assert await counts(client) == (8, 0)


async def test_an_exception_releases_and_goes_on(client) -> None:
    with pytest.raises(ZeroDivisionError):
        async with client.hold(LINES):
            raise ZeroDivisionError
    assert await counts(client) == (10, 0)


async def test_left_without_a_confirm_it_is_released(client) -> None:
    async with client.hold(LINES) as hold:
        pass
    assert await counts(client) == (10, 0)
    assert hold.hold.state == HoldState.HOLD_STATE_RELEASED


async def test_a_block_that_is_cancelled_releases(client) -> None:
    entered = asyncio.Event()

    async def pay() -> None:
        async with client.hold(LINES):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(pay())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await counts(client) == (10, 0)


async def test_what_is_not_there_is_refused_at_the_door(client) -> None:
    with pytest.raises(InsufficientStock):
        async with client.hold([("A", "online", 11)]):
            pytest.fail("the block was entered")


async def test_a_part_is_sold_and_the_rest_released(client) -> None:
    async with client.hold([("A", "online", 5)]) as hold:
        await hold.confirm(lines=[("A", "online", 2)], keep_rest=True)
        assert await counts(client) == (8, 3)
        await hold.release(lines=[("A", "online", 1)])
        assert hold.is_held
    assert await counts(client) == (8, 0)


async def test_a_whole_block_can_be_repeated_under_its_key(client) -> None:
    for _ in range(3):
        async with client.hold(LINES, idempotency_key="order-17") as hold:
            await hold.confirm()
    assert await counts(client) == (8, 0)


async def test_somebody_else_may_have_ended_it(client) -> None:
    async with client.hold(LINES) as hold:
        await client.confirm_hold(hold.hold_id)
    assert await counts(client) == (8, 0)
    async with client.hold(LINES) as hold:
        await client.release_hold(hold.hold_id)


async def test_it_is_kept_alive_past_its_ttl(client) -> None:
    async with client.hold(LINES, ttl=1, keep_alive=True) as hold:
        first = hold.expire_time

        async def has_lived_on() -> bool:
            return (hold.expire_time - first).total_seconds() > 1

        await eventually_async(has_lived_on)
        assert hold.lost is None
        await hold.confirm()
    assert await counts(client) == (8, 0)
    assert not [task for task in asyncio.all_tasks() if "_keep_alive" in repr(task.get_coro())]


async def test_without_it_a_hold_expires_and_the_confirm_says_so(client) -> None:
    async with client.hold(LINES, ttl=1) as hold:

        async def is_back() -> bool:
            return await counts(client) == (10, 0)

        await eventually_async(is_back)
        with pytest.raises(HoldExpired):
            await hold.confirm()
        await hold.confirm(rehold_if_expired=True)
    assert await counts(client) == (8, 0)


class TestOneLife:
    """A hold cannot outlive the longest life that the server gives it."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, max_ttl_s=2, max_hold_life_s=2)

    async def test_what_cannot_be_kept_alive_is_lost_and_says_so(self, client) -> None:
        async with client.hold(LINES, ttl=1, keep_alive=True) as hold:

            async def is_lost() -> bool:
                return isinstance(hold.lost, HoldExpired)

            await eventually_async(is_lost)
        assert await counts(client) == (10, 0)


HELD = PlaceHoldResponse(hold={"hold_id": "h1", "state": "HOLD_STATE_HELD"}).SerializeToString()
SOLD = ConfirmHoldResponse(
    hold={"hold_id": "h1", "state": "HOLD_STATE_CONFIRMED"}
).SerializeToString()
UNKNOWN = Said(StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN")


def verbs(scripted: ScriptedServer) -> list[str]:
    return [call.method.rpartition("/")[2] for call in scripted.seen]


async def test_what_was_perhaps_sold_is_not_released(told, scripted: ScriptedServer) -> None:
    scripted.script.extend([HELD, *[UNKNOWN] * 30])
    with pytest.raises(InventoryError) as raised:
        async with told.hold(LINES) as hold:
            await hold.confirm(timeout=0.3)
    assert raised.value.maybe_applied
    assert set(verbs(scripted)) == {"PlaceHold", "ConfirmHold"}


async def test_what_was_perhaps_sold_while_it_was_cancelled_is_not_released(
    told, scripted: ScriptedServer
) -> None:
    scripted.script.extend([HELD, SILENT])

    async def pay() -> None:
        async with told.hold(LINES) as hold:
            await hold.confirm()

    task = asyncio.create_task(pay())

    async def is_confirming() -> bool:
        return verbs(scripted)[-1:] == ["ConfirmHold"]

    await eventually_async(is_confirming)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert verbs(scripted) == ["PlaceHold", "ConfirmHold"]


async def test_what_was_certainly_not_sold_is_released(told, scripted: ScriptedServer) -> None:
    scripted.script.extend([HELD, Said(StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")])
    with pytest.raises(StoreFull):
        async with told.hold(LINES) as hold:
            await hold.confirm()
    assert verbs(scripted) == ["PlaceHold", "ConfirmHold", "ReleaseHold"]


async def test_a_release_that_fails_does_not_hide_why_the_block_was_left(
    told, scripted: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    failed = Said(StatusCode.UNAVAILABLE, "STORE_REWOUND")
    scripted.script.extend([HELD, failed])
    with pytest.raises(ZeroDivisionError):
        async with told.hold(LINES):
            raise ZeroDivisionError
    assert "h1 could not be released" in caplog.text
    scripted.script.extend([HELD, failed])
    with pytest.raises(InventoryError):
        async with told.hold(LINES):
            pass


async def test_a_lost_answer_of_the_confirm_is_settled_under_one_key(
    told, scripted: ScriptedServer
) -> None:
    scripted.script.extend([HELD, UNKNOWN, SOLD])
    async with told.hold(LINES) as hold:
        await hold.confirm()
    assert verbs(scripted) == ["PlaceHold", "ConfirmHold", "ConfirmHold"]
    assert scripted.seen[1].key == scripted.seen[2].key
