"""ListMovements: the audit trail, newest first."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import movement_pb2
from inventory.v1 import stock_service_pb2 as pb

from inventory_server.domain.model import MovementFilter
from inventory_server.servicers.paging import make_page_token
from tests.calls import COUNT, key, line, place, refused, set_stock

NOW = 1_800_000_000_000


def at(time_ms: int) -> Timestamp:
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 10**6)


async def listed(stock, page_size: int = 0, **query) -> list[movement_pb2.Movement]:
    """Every movement of a walk."""
    found, token = [], ""
    while True:
        request = pb.ListMovementsRequest(page_size=page_size, page_token=token, **query)
        page = await stock.ListMovements(request)
        found += page.movements
        token = page.next_page_token
        if not token:
            return found


def kinds(movements) -> list[str]:
    return [
        movement_pb2.MovementKind.Name(m.kind).removeprefix("MOVEMENT_KIND_") for m in movements
    ]


@pytest.fixture
async def story(stock, holds, server) -> str:
    """One second after another: counts, a hold that is confirmed in part, a transfer."""

    def tick() -> None:
        server.store.now_ms = str(int(server.store.now_ms or NOW - 1000) + 1000)

    tick()
    await set_stock(stock, 10, "A", reference="count-1", note="all of it")
    tick()
    await set_stock(stock, 10, "B", "store:DELHI")
    tick()
    lines = [line("A", 3), line("B", 2, "store:DELHI")]
    metadata = (*key("h"), ("x-actor", "till-1"))
    hold_id = (await place(holds, *lines, reference="order-1", metadata=metadata)).hold.hold_id
    tick()
    await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id, lines=[line("A", 1)]))
    tick()
    await stock.TransferStock(
        pb.TransferStockRequest(
            lines=[pb.TransferStockLine(sku="A", quantity=1)],
            from_location="online",
            to_location="store:DELHI",
            reference="move-1",
        )
    )
    return hold_id


@pytest.mark.parametrize("page_size", [0, 1, 2, 1000])
async def test_movements_come_newest_first_from_all_places(stock, story, page_size) -> None:
    found = await listed(stock, page_size)
    # Of one time, the later partition first: store:DELHI is 7, online is 3.
    assert kinds(found) == [
        "TRANSFER_IN", "TRANSFER_OUT", "RELEASE", "RELEASE", "CONFIRM", "HOLD", "HOLD", "SET",
        "SET",
    ]  # fmt: skip
    times = [movement.time.ToMilliseconds() for movement in found]
    assert times == sorted(times, reverse=True)
    assert len({movement.movement_id for movement in found}) == 9


async def test_a_movement_says_what_who_why_and_what_became_of_it(stock, story) -> None:
    *_, hold, first = await listed(stock, location="online")
    assert kinds([hold, first]) == ["HOLD", "SET"]
    assert (hold.actor, hold.reference, hold.hold_id) == ("till-1", "order-1", story)
    assert (hold.on_hand_delta, hold.held_delta) == (0, 3)
    assert (hold.level.on_hand, hold.level.held, hold.level.available) == (10, 3, 7)
    assert (first.reason, first.note, first.reference) == (COUNT, "all of it", "count-1")
    assert (first.actor, first.on_hand_delta, first.level.on_hand) == ("anonymous", 10, 10)
    assert first.time.ToMilliseconds() == NOW


async def test_movements_are_filtered(stock, story) -> None:
    of_level = await listed(stock, sku="B", location="store:DELHI")
    assert kinds(of_level) == ["RELEASE", "HOLD", "SET"]
    assert kinds(await listed(stock, hold_id=story)) == [
        "RELEASE", "RELEASE", "CONFIRM", "HOLD", "HOLD",
    ]  # fmt: skip
    assert kinds(await listed(stock, reference="move-1")) == ["TRANSFER_IN", "TRANSFER_OUT"]
    assert kinds(await listed(stock, actor="till-1")) == ["HOLD", "HOLD"]
    assert kinds(await listed(stock, actor="anonymous", reference="order-1")) == [
        "RELEASE", "RELEASE", "CONFIRM",
    ]  # fmt: skip
    assert await listed(stock, actor="nobody") == []
    assert await listed(stock, hold_id="3-" + "a" * 20) == []


@pytest.mark.parametrize(
    ("from_s", "to_s", "wanted"),
    [
        (0, None, 9), (1, None, 8), (4, None, 2), (5, None, 0), (None, 0, 0), (None, 1, 1),
        (None, 3, 4), (2, 4, 5), (1.5, 2.001, 2), (None, 99, 9),
    ],
)  # fmt: skip
async def test_movements_are_found_by_time(stock, story, from_s, to_s, wanted) -> None:
    query = {}
    if from_s is not None:
        query["from_time"] = at(NOW + int(from_s * 1000))
    if to_s is not None:
        query["to_time"] = at(NOW + int(to_s * 1000))
    assert len(await listed(stock, **query)) == wanted
    assert len(await listed(stock, 1, **query)) == wanted


async def test_a_page_looks_at_a_bounded_number_of_movements(stock, monkeypatch) -> None:
    monkeypatch.setattr("inventory_server.operations.movements.MAX_PAGE_SCAN", 5)
    for n in range(12):
        await set_stock(stock, n, reference="first" if n == 0 else "")
    request = pb.ListMovementsRequest(reference="first")
    pages = 0
    while True:
        page = await stock.ListMovements(request)
        pages += 1
        if page.movements:
            break
        request.page_token = page.next_page_token
    assert (pages, page.movements[0].level.on_hand) == (3, 0)


async def test_what_comes_during_a_walk_does_not_disturb_it(stock, story) -> None:
    page = await stock.ListMovements(pb.ListMovementsRequest(page_size=4))
    await set_stock(stock, 99, "Z")
    rest = pb.ListMovementsRequest(page_size=100, page_token=page.next_page_token)
    assert len((await stock.ListMovements(rest)).movements) == 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sku": "A"}, "location"),
        ({"sku": "A b", "location": "online"}, "sku"),
        ({"location": "shop"}, "location"),
        ({"hold_id": "h" * 65}, "hold_id"),
        ({"reference": "r" * 129}, "reference"),
        ({"actor": "a" * 129}, "actor"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "1.!"}, "page_token"),
        ({"from_time": Timestamp(seconds=2**60)}, "from_time"),
        ({"to_time": Timestamp(nanos=-1)}, "to_time"),
    ],
)
async def test_a_wrong_query_is_refused(stock, query, field) -> None:
    refusal = await refused(stock.ListMovements(pb.ListMovementsRequest(**query)))
    assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", field)


async def test_the_order_holds_over_pages_while_things_change(stock, server) -> None:
    for n, location in enumerate(("online", "online", "store:DELHI", "online")):
        server.store.now_ms = str(NOW + n * 1000)
        await set_stock(stock, n, f"S{n}", location)
    request = pb.ListMovementsRequest(page_size=1)
    pages = [await stock.ListMovements(request)]
    server.store.now_ms = str(NOW + 9000)
    await set_stock(stock, 9, "LATER", "store:DELHI")
    while pages[-1].next_page_token:
        request.page_token = pages[-1].next_page_token
        pages.append(await stock.ListMovements(request))
    assert [m.sku for page in pages for m in page.movements] == ["S3", "S2", "S1", "S0"]


async def test_an_actor_that_calls_itself_anonymous_is_anonymous(stock) -> None:
    line_ = pb.SetStockLine(sku="A", location="online", on_hand=1)
    await stock.SetStock(
        pb.SetStockRequest(lines=[line_], reason=COUNT), metadata=(("x-actor", "anonymous"),)
    )
    assert len(await listed(stock, actor="anonymous")) == 1


async def test_a_time_between_two_milliseconds_is_after_the_first(stock, server) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 1)
    between = Timestamp(seconds=NOW // 1000, nanos=500_000)
    assert await listed(stock, from_time=between) == []
    assert len(await listed(stock, to_time=between)) == 1


@pytest.mark.parametrize("last", ["x", "3", "3:", "3:4,", "3:4,5", "-1:4", "3:4 "])
async def test_a_forged_token_is_refused(stock, last) -> None:
    query = ("ListMovements", *map(repr, MovementFilter()))
    request = pb.ListMovementsRequest(page_token=make_page_token(last, *query))
    refusal = await refused(stock.ListMovements(request))
    assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", "page_token")
