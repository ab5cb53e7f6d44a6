"""Whatever stands in a key's place, a script changes everything or nothing.

Redis takes nothing back: a command that fails in the middle of a script leaves
what was written before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import grpc
import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.domain.model import Origin
from inventory_server.server import Server
from inventory_server.stores.keys import partition_of
from inventory_server.stores.script_errors import ScriptError
from tests.calls import COUNT, key, line, place, refused, set_stock
from tests.scripts.database import dump, put_wrong_type

NOW = 1_800_000_000_000
PLACES = ("online", "store:DELHI")
"""Of two partitions, the first one being home."""


class World(NamedTuple):
    """A server at a set time, with levels A (all held), B (free) and E (empty) at two places."""

    server: Server
    stock: Any
    holds: Any
    db: redis.Redis
    hold_id: str

    def key(self, role: str) -> str:
        """The key that a script meets in this role, `role` or `role at place`."""
        names, store = self.server.store.keys, self.server.store
        kind, _, place_name = role.partition(" at ")
        home = names.partition(place_name or "online")
        origin = Origin("", "", "k", False, 0.0)
        method, _, sku = kind.partition(" ")
        if method in ("record", "chunk", "progress"):
            whole = store.operation_id("ImportStock", origin)
            chunk = store.operation_id("ImportStock", origin, "\0001")
            imported = partition_of(whole, names.partitions)
            return {
                "record": names.record(home, store.operation_id(sku, origin)),
                "chunk": names.record(imported, chunk),
                "progress": names.record(imported, whole),
            }[method]
        made = {
            "level": lambda: names.level(place_name, sku),
            "level_due": lambda: names.level_due(place_name, sku),
            "low": lambda: names.low(place_name),
            "skus": lambda: names.skus(place_name),
            "journal": lambda: names.journal(home),
            "alerts": lambda: names.alerts(home),
            "meta": lambda: names.meta(home),
            "locations": lambda: names.locations(home),
            "inactive": lambda: names.inactive(home),
            "due": lambda: names.due(home),
            "ended": lambda: names.ended(home),
            "refs": lambda: names.refs(home),
            "hold": lambda: names.hold(self.hold_id),
            "new_hold": lambda: names.hold(f"{home}-{store.operation_id('PlaceHold', origin)}"),
        }
        return made[method]()


@pytest.fixture
async def world(server: Server, stock: Any, holds: Any, db: redis.Redis) -> Any:
    server.store.now_ms = str(NOW)
    for place_name in PLACES:
        await set_stock(stock, 5, sku="A", location=place_name)
        await set_stock(stock, 5, sku="B", location=place_name)
        await set_stock(stock, 0, sku="E", location=place_name)
    lines = [line("A", 5, place_name) for place_name in PLACES]
    placed = await place(holds, *lines, ttl_s=10, reference="order-1")
    yield World(server, stock, holds, db, placed.hold.hold_id)
    # What was broken on purpose is not compared with its journal.
    db.flushall()


async def place_hold(world: World) -> Any:
    lines = [line("B", 5, place_name) for place_name in PLACES]
    return await place(world.holds, *lines, reference="order-2", metadata=key("k"))


async def confirm_hold(world: World) -> Any:
    return await world.holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=world.hold_id))


async def release_hold(world: World) -> Any:
    return await world.holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=world.hold_id))


async def confirm_a_part(world: World) -> Any:
    request = hold_pb.ConfirmHoldRequest(hold_id=world.hold_id, lines=[line("A", 2)])
    return await world.holds.ConfirmHold(request)


async def confirm_a_part_and_keep_the_rest(world: World) -> Any:
    lines = [line("A", 2, place_name) for place_name in PLACES]
    request = hold_pb.ConfirmHoldRequest(hold_id=world.hold_id, lines=lines, keep_rest=True)
    return await world.holds.ConfirmHold(request)


async def release_a_part(world: World) -> Any:
    lines = [line("A", 2, place_name) for place_name in PLACES]
    request = hold_pb.ReleaseHoldRequest(hold_id=world.hold_id, lines=lines)
    return await world.holds.ReleaseHold(request)


async def extend_hold(world: World) -> Any:
    request = hold_pb.ExtendHoldRequest(hold_id=world.hold_id, ttl=Duration(seconds=100))
    return await world.holds.ExtendHold(request)


async def expire_holds(world: World) -> Any:
    world.server.store.now_ms = str(NOW + 10_000)
    return await world.holds.GetHold(hold_pb.GetHoldRequest(hold_id=world.hold_id))


async def rehold_hold(world: World) -> Any:
    request = hold_pb.ConfirmHoldRequest(hold_id=world.hold_id, rehold_if_expired=True)
    return await world.holds.ConfirmHold(request)


async def set_stock_of_new_levels(world: World) -> Any:
    lines = [stock_pb.SetStockLine(sku="C", location=name, on_hand=0) for name in PLACES]
    request = stock_pb.SetStockRequest(lines=lines, reason=COUNT)
    return await world.stock.SetStock(request, metadata=key("k"))


async def adjust_stock(world: World) -> Any:
    lines = [stock_pb.AdjustStockLine(sku="B", location=name, delta=-5) for name in PLACES]
    request = stock_pb.AdjustStockRequest(lines=lines, reason=COUNT)
    return await world.stock.AdjustStock(request, metadata=key("k"))


async def record_sale(world: World) -> Any:
    lines = [line("B", 5, place_name) for place_name in PLACES]
    request = stock_pb.RecordSaleRequest(lines=lines)
    return await world.stock.RecordSale(request, metadata=key("k"))


async def transfer_stock(world: World) -> Any:
    lines = [stock_pb.TransferStockLine(sku="B", quantity=5)]
    request = stock_pb.TransferStockRequest(
        lines=lines, from_location="online", to_location="store:DELHI"
    )
    return await world.stock.TransferStock(request, metadata=key("k"))


async def delete_levels(world: World) -> Any:
    lines = [stock_pb.DeleteStockLevelsLine(sku="E", location=name) for name in PLACES]
    request = stock_pb.DeleteStockLevelsRequest(lines=lines)
    return await world.stock.DeleteStockLevels(request, metadata=key("k"))


async def import_stock(world: World) -> Any:
    rows = [stock_pb.ImportRow(sku="C", location=name, quantity=0) for name in PLACES]
    chunk = stock_pb.ImportStockRequest(first_row=1, rows=rows, mode=stock_pb.IMPORT_MODE_SET)
    return [answer async for answer in world.stock.ImportStock(iter([chunk]), metadata=key("k"))]


async def get_stock(world: World) -> Any:
    return await world.stock.GetStock(stock_pb.GetStockRequest(sku="A"))


async def list_levels(world: World) -> Any:
    return await world.stock.ListStockLevels(stock_pb.ListStockLevelsRequest(location="online"))


async def get_hold(world: World) -> Any:
    return await world.holds.GetHold(hold_pb.GetHoldRequest(hold_id=world.hold_id))


async def list_holds_of_a_reference(world: World) -> Any:
    found = await world.holds.ListHolds(hold_pb.ListHoldsRequest(reference="order-1"))
    assert [hold.hold_id for hold in found.holds] == [world.hold_id]
    return found


async def list_holds_of_a_level(world: World) -> Any:
    request = hold_pb.ListHoldsRequest(sku="A", location="store:DELHI")
    found = await world.holds.ListHolds(request)
    assert [hold.hold_id for hold in found.holds] == [world.hold_id]
    return found


def at_both(*roles: str) -> list[str]:
    return [f"{role} at {place_name}" for role in roles for place_name in PLACES]


async def take_back(world: World) -> None:
    """Lets the hold expire."""
    world.server.store.now_ms = str(NOW + 10_000)
    await get_hold(world)


Verb = Callable[[World], Awaitable[Any]]
BEFORE: dict[Verb, Verb] = {rehold_hold: take_back}
"""What has to happen before a verb can do its work."""
OF_LINES = at_both("level A", "level_due A", "low", "journal", "alerts", "meta")
OF_SALES = at_both("level B", "low", "journal", "alerts", "meta", "inactive")
TOUCHED: dict[Verb, list[str]] = {
    place_hold: [
        "new_hold", "due", "refs",
        *at_both("level B", "level_due B", "low", "journal", "alerts", "meta", "inactive"),
    ],
    confirm_hold: ["hold", "due", "ended", *OF_LINES],
    confirm_a_part: ["hold", "due", "ended", *OF_LINES],
    confirm_a_part_and_keep_the_rest: ["hold", "due", "ended", *OF_LINES],
    release_hold: ["hold", "due", "ended", *OF_LINES],
    release_a_part: ["hold", "due", "ended", *OF_LINES],
    extend_hold: ["hold", "due", "journal", "meta", *at_both("level A", "level_due A", "low")],
    expire_holds: ["hold", "due", "ended", *OF_LINES],
    rehold_hold: ["hold", *OF_LINES, *at_both("inactive")],
    set_stock_of_new_levels: [
        "record SetStock",
        *at_both("level C", "low", "skus", "locations", "journal", "meta", "inactive"),
    ],
    adjust_stock: ["record AdjustStock", *OF_SALES],
    record_sale: ["record RecordSale", *OF_SALES],
    transfer_stock: [
        "record TransferStock", "inactive at online",
        *at_both("level B", "low", "skus", "locations", "journal", "meta"),
    ],
    delete_levels: [
        "record DeleteStockLevels",
        *at_both("level E", "low", "skus", "locations", "journal", "meta"),
    ],
    import_stock: [
        "chunk", "progress",
        *at_both("level C", "low", "skus", "locations", "journal", "meta", "inactive"),
    ],
    get_stock: at_both("level A", "level_due A", "locations"),
    list_levels: ["skus at online", "level A at online"],
    get_hold: ["hold"],
    list_holds_of_a_reference: ["refs", "hold"],
    list_holds_of_a_level: ["level_due A at store:DELHI", "hold"],
}  # fmt: skip
"""Every key that a verb meets here, and would fail on: levels become OUT, and C is new."""


def put_wrong(world: World, role: str) -> None:
    """Puts a list in the key's place, and a string in that of the only key that is a list."""
    if role == "ended":
        world.db.set(world.key(role), "not yours")
    else:
        put_wrong_type(world.db, world.key(role))


def cases() -> list[Any]:
    """Every verb with every key that it meets."""
    return [
        pytest.param(verb, role, id=f"{verb.__name__}: {role}")
        for verb, roles in TOUCHED.items()
        for role in roles
    ]


@pytest.mark.parametrize("verb", TOUCHED, ids=lambda verb: verb.__name__)
async def test_the_verb_goes_through_where_nothing_is_wrong(world: World, verb: Verb) -> None:
    if verb in BEFORE:
        await BEFORE[verb](world)
    assert await verb(world)


@pytest.mark.parametrize(("verb", "role"), cases())
async def test_a_key_of_a_wrong_type_leaves_everything_as_it_was(
    world: World, verb: Verb, role: str
) -> None:
    if verb in BEFORE:
        await BEFORE[verb](world)
    put_wrong(world, role)
    before = dump(world.db)
    refusal = await refused(verb(world))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert refusal.status.message == "internal error"
    assert set(refusal.facts) == {"request_id"}
    assert dump(world.db) == before


GIVES_BACK: list[Verb] = [
    *(confirm_hold, confirm_a_part, release_hold, release_a_part, expire_holds),
]


@pytest.mark.parametrize("verb", GIVES_BACK, ids=lambda verb: verb.__name__)
@pytest.mark.parametrize("place_name", PLACES)
async def test_the_set_of_inactive_products_is_asked_before_a_level_is_judged_anew(
    world: World, verb: Verb, place_name: str
) -> None:
    # The level fell below its reorder point while its product was inactive: it stayed OK.
    await set_stock(world.stock, 100, sku="A", location=place_name)
    policy = stock_pb.SetStockPolicyLine(sku="A", location=place_name, reorder_point=50)
    await world.stock.SetStockPolicy(stock_pb.SetStockPolicyRequest(lines=[policy]))
    world.db.sadd(world.key(f"inactive at {place_name}"), "A")
    await set_stock(world.stock, 5, sku="A", location=place_name)
    assert world.db.get(world.key(f"level A at {place_name}")).endswith(" OK")
    put_wrong(world, f"inactive at {place_name}")
    before = dump(world.db)
    assert (await refused(verb(world))).reason == "INTERNAL"
    assert dump(world.db) == before


@pytest.mark.parametrize("role", ["due", "refs", "ended", "hold"])
async def test_a_hold_whose_time_is_over_goes_whole_or_not_at_all(world: World, role: str) -> None:
    await release_hold(world)
    world.server.store.now_ms = str(NOW + world.server.settings.retention_s * 1000)
    put_wrong(world, role)
    before = dump(world.db)
    if role == "due":
        with pytest.raises(ScriptError):
            await world.server.sweeper.sweep()
    else:
        assert await world.server.sweeper.sweep() == 0
    assert dump(world.db) == before


async def test_a_journal_that_is_ahead_of_its_seq_leaves_everything_as_it_was(
    world: World,
) -> None:
    # The second partition's journal: the first one's would fail at the first write.
    world.db.xadd(world.key("journal at store:DELHI"), {"id": "x"}, id="1000000-0")
    before = dump(world.db)
    await refused(place_hold(world))
    assert dump(world.db) == before
