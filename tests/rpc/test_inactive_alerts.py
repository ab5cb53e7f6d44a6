"""Nobody is told that an inactive product runs out; when it is active again, it is judged anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import redis
from inventory.v1 import alert_service_pb2 as alert_pb
from inventory.v1 import audit_service_pb2 as audit_pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.alert_service_pb2_grpc import AlertServiceStub
from inventory.v1.audit_service_pb2_grpc import AuditServiceStub

from inventory_server.server import Server
from inventory_server.stores.activity_store import ActivityStore
from tests.calls import COUNT, line, place, set_stock
from tests.fold import stored_levels

NOW = 1_800_000_000_000
SKU, HERE, THERE = "SKU1", "online", "store:DELHI"


class World(NamedTuple):
    """A server at a set time."""

    server: Server
    stock: Any
    holds: Any
    db: redis.Redis

    async def set_active(self, is_active: bool) -> None:
        deadline = asyncio.get_running_loop().time() + 10
        await ActivityStore(self.server.store).set_active({SKU: is_active}, deadline)

    def alerts(self) -> list[tuple[str, str, str]]:
        """Every alert so far: its kind, the movement that caused it, and where."""
        return [
            (alert["kind"], alert["cause"], alert["location"])
            for n in range(self.server.store.keys.partitions)
            for _, alert in self.db.xrange(self.server.store.keys.alerts(n))
        ]

    def state(self, location: str = HERE) -> str:
        found = stored_levels(self.db)
        return found[self.server.store.keys.partition(location), location, SKU]["alert_state"]

    async def set_policy(self, location: str = HERE, sku: str = SKU, **points: int) -> None:
        of = stock_pb.SetStockPolicyLine(sku=sku, location=location, **points)
        await self.stock.SetStockPolicy(stock_pb.SetStockPolicyRequest(lines=[of]))

    async def adjust(self, delta: int) -> None:
        of = stock_pb.AdjustStockLine(sku=SKU, location=HERE, delta=delta)
        await self.stock.AdjustStock(stock_pb.AdjustStockRequest(lines=[of], reason=COUNT))

    async def transfer(self, quantity: int) -> None:
        moved = [stock_pb.TransferStockLine(sku=SKU, quantity=quantity)]
        await self.stock.TransferStock(
            stock_pb.TransferStockRequest(lines=moved, from_location=HERE, to_location=THERE)
        )

    async def take_in(self, quantity: int, location: str = HERE, **points: int) -> None:
        row = stock_pb.ImportRow(sku=SKU, location=location, quantity=quantity, **points)
        chunk = stock_pb.ImportStockRequest(first_row=1, rows=[row], mode=stock_pb.IMPORT_MODE_SET)
        answers = [answer async for answer in self.stock.ImportStock(iter([chunk]))]
        assert not answers[0].refused_rows


@pytest.fixture
async def world(server: Server, stock: Any, holds: Any, db: redis.Redis) -> World:
    """Twenty units, of which a hold that ends soon has two; low at 5."""
    server.store.now_ms = str(NOW)
    made = World(server, stock, holds, db)
    await set_stock(stock, 20)
    await made.set_policy(reorder_point=5)
    await place(holds, line(quantity=2), ttl_s=10, reference="held")
    return made


Change = Callable[[World], Awaitable[Any]]


async def hold_of(world: World) -> str:
    found = await world.holds.ListHolds(hold_pb.ListHoldsRequest(reference="held"))
    return found.holds[0].hold_id


async def confirm(world: World) -> None:
    request = hold_pb.ConfirmHoldRequest(hold_id=await hold_of(world))
    await world.holds.ConfirmHold(request)


async def confirm_one(world: World) -> None:
    request = hold_pb.ConfirmHoldRequest(hold_id=await hold_of(world), lines=[line()])
    await world.holds.ConfirmHold(request)


async def release(world: World) -> None:
    await world.holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=await hold_of(world)))


async def expire(world: World) -> None:
    world.server.store.now_ms = str(NOW + 10_000)
    assert await world.server.sweeper.sweep() == 1


WORSE: dict[str, tuple[Change, str, tuple[str, str, str]]] = {
    "adjusted to LOW": (lambda w: w.adjust(-13), HERE, ("LOW", "ADJUST", HERE)),
    "adjusted to OUT": (lambda w: w.adjust(-18), HERE, ("OUT", "ADJUST", HERE)),
    "counted": (lambda w: set_stock(w.stock, 3), HERE, ("LOW", "SET", HERE)),
    "made without units": (
        lambda w: set_stock(w.stock, 0, location=THERE), THERE, ("OUT", "SET", THERE),
    ),
    "moved away": (lambda w: w.transfer(18), HERE, ("OUT", "TRANSFER_OUT", HERE)),
    "imported": (lambda w: w.take_in(4), HERE, ("LOW", "IMPORT", HERE)),
    "imported with a policy": (
        lambda w: w.take_in(20, reorder_point=18), HERE, ("LOW", "IMPORT", HERE),
    ),
    "imported without units": (
        lambda w: w.take_in(0, THERE), THERE, ("OUT", "IMPORT", THERE),
    ),
    "a higher reorder point": (
        lambda w: w.set_policy(reorder_point=18), HERE, ("LOW", "POLICY", HERE),
    ),
    "more safety stock": (
        lambda w: w.set_policy(safety_stock=18), HERE, ("OUT", "POLICY", HERE),
    ),
}  # fmt: skip
"""A change, the level that gets worse by it, and the alert that follows."""


@pytest.mark.parametrize("name", WORSE)
@pytest.mark.parametrize("is_active", [True, False])
async def test_a_level_gets_worse_without_a_word_while_its_product_is_inactive(
    world: World, name: str, is_active: bool
) -> None:
    change, location, alert = WORSE[name]
    await world.set_active(is_active)
    await change(world)
    assert world.alerts() == ([alert] if is_active else [])
    assert world.state(location) == (alert[0] if is_active else "OK")
    low = world.db.zrange(world.server.store.keys.low(location), 0, -1)
    assert low == ([SKU] if is_active else [])


async def test_a_level_that_is_made_where_units_arrive_is_as_quiet(world: World) -> None:
    await world.set_policy(THERE, "", reorder_point=50)
    await world.set_active(False)
    await world.transfer(1)
    assert (world.state(THERE), world.alerts()) == ("OK", [])


NEXT: dict[str, tuple[Change, str]] = {
    "adjust": (lambda w: w.adjust(1), "ADJUST"),
    "set": (lambda w: set_stock(w.stock, 6), "SET"),
    "import": (lambda w: w.take_in(6), "IMPORT"),
    "policy": (lambda w: w.set_policy(reorder_point=7), "POLICY"),
    "transfer": (lambda w: w.transfer(1), "TRANSFER_OUT"),
    "confirm": (confirm, "CONFIRM"),
    "confirm a part": (confirm_one, "CONFIRM"),
    "release": (release, "RELEASE"),
    "expire": (expire, "EXPIRE"),
}
"""A change after which the level is still low, and the kind of movement that it is."""


@pytest.mark.parametrize("name", NEXT)
@pytest.mark.parametrize("is_active", [True, False])
async def test_the_next_change_judges_it_anew_if_it_is_active_by_then(
    world: World, name: str, is_active: bool
) -> None:
    change, cause = NEXT[name]
    await world.set_active(False)
    await world.adjust(-15)
    await world.set_active(is_active)
    assert (world.state(), world.alerts()) == ("OK", []), "being active again is no change"
    await change(world)
    assert world.alerts() == ([("LOW", cause, HERE)] if is_active else [])
    assert world.state() == ("LOW" if is_active else "OK")


@pytest.mark.parametrize("verb", ["hold", "sale"])
async def test_it_is_judged_when_it_is_held_or_sold_again(world: World, verb: str) -> None:
    await world.set_active(False)
    await world.adjust(-15)
    await world.set_active(True)
    if verb == "hold":
        await place(world.holds)
    else:
        await world.stock.RecordSale(stock_pb.RecordSaleRequest(lines=[line()]))
    assert world.alerts() == [("LOW", verb.upper(), HERE)]


async def test_of_a_level_that_was_low_nothing_worse_is_told_and_its_recovery_is(
    world: World,
) -> None:
    await world.adjust(-14)
    await world.set_active(False)
    await set_stock(world.stock, 2)
    assert world.state() == "LOW", "it is out, and stays low"
    await set_stock(world.stock, 50)
    assert world.state() == "OK"
    await set_stock(world.stock, 2)
    assert world.state() == "OK"
    assert world.alerts() == [("LOW", "ADJUST", HERE), ("RECOVERED", "SET", HERE)]


async def test_a_low_level_of_an_inactive_product_recovers_when_it_is_deleted(
    world: World,
) -> None:
    await set_stock(world.stock, 0, location=THERE)
    await world.set_active(False)
    gone = stock_pb.DeleteStockLevelsLine(sku=SKU, location=THERE)
    await world.stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=[gone]))
    assert world.alerts() == [("OUT", "SET", THERE), ("RECOVERED", "DELETE", THERE)]


async def test_several_holds_that_expire_at_once_are_as_quiet(world: World) -> None:
    for _ in range(3):
        await place(world.holds, line(quantity=2), ttl_s=10)
    await world.set_active(False)
    await set_stock(world.stock, 8)
    world.server.store.now_ms = str(NOW + 10_000)
    await world.server.sweeper.sweep()
    # Out, then low, then above its reorder point: it never was anything but OK.
    assert (world.state(), world.alerts()) == ("OK", [])


async def test_lines_of_one_change_are_judged_each_for_itself(world: World) -> None:
    lines = [
        stock_pb.SetStockLine(sku=sku, location=at, on_hand=0)
        for at in (THERE, "store:2", "store:3") for sku in ("A", SKU, "Z")
    ]  # fmt: skip
    await world.set_active(False)
    await world.stock.SetStock(stock_pb.SetStockRequest(lines=lines, reason=COUNT))
    told = sorted(location for _, _, location in world.alerts())
    assert told == sorted([THERE, "store:2", "store:3"] * 2)
    assert {world.state(at) for at in (THERE, "store:2", "store:3")} == {"OK"}


async def test_what_would_become_of_it_is_told_as_it_would(world: World) -> None:
    await world.set_active(False)
    of = stock_pb.SetStockLine(sku=SKU, location=HERE, on_hand=2)
    request = stock_pb.SetStockRequest(lines=[of], reason=COUNT, validate_only=True)
    levels = (await world.stock.SetStock(request)).levels
    request.validate_only = False
    assert list((await world.stock.SetStock(request)).levels) == list(levels)


async def test_low_stock_is_listed_when_it_is_active_and_judged(world: World, channel: Any) -> None:
    alerts = AlertServiceStub(channel)

    async def listed() -> list[str]:
        answer = await alerts.ListLowStock(alert_pb.ListLowStockRequest())
        return [level.sku for level in answer.levels]

    await world.set_active(False)
    await set_stock(world.stock, 2)
    assert await listed() == []
    await world.set_active(True)
    await world.adjust(1)
    assert await listed() == [SKU]


async def test_the_check_of_the_store_finds_nothing_wrong_with_that(
    world: World, channel: Any
) -> None:
    audit = AuditServiceStub(channel)

    async def discrepancies() -> int:
        parts = [part async for part in audit.VerifyInvariants(audit_pb.VerifyInvariantsRequest())]
        return int(parts[-1].summary.discrepancies)

    repair = audit_pb.RepairLevelRequest(sku=SKU, location=HERE)
    await world.set_active(False)
    await set_stock(world.stock, 2)
    await set_stock(world.stock, 0, location=THERE)
    assert await discrepancies() == 0
    assert not (await audit.RepairLevel(repair)).repairs
    await world.set_active(True)
    assert await discrepancies() == 0
    # Who will not wait for the next change has it judged like this.
    assert list((await audit.RepairLevel(repair)).repairs) == ["alert_state was OK"]
    assert world.alerts() == [("OUT", "REPAIR", HERE)]
