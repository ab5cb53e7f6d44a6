"""ListHolds: of a reference, open and ended; of a level, open ones, soonest deadline first."""

from __future__ import annotations

import pytest
from inventory.v1 import hold_service_pb2 as pb

from tests.calls import key, line, place, refused, set_stock

NOW = 1_800_000_000_000


async def listed(holds, page_size: int = 0, **query) -> list[pb.Hold]:
    """Every hold of a walk."""
    found, token = [], ""
    while True:
        request = pb.ListHoldsRequest(page_size=page_size, page_token=token, **query)
        page = await holds.ListHolds(request)
        found += page.holds
        token = page.next_page_token
        if not token:
            return found


@pytest.fixture
async def ids(stock, holds, server) -> list[str]:
    """Twelve holds of one reference at two places; each third confirmed, each third released."""
    server.store.now_ms = str(NOW)
    for location in ("online", "store:DELHI"):
        await set_stock(stock, 100, location=location)
    made = []
    for n in range(12):
        placed = await place(
            holds,
            line(location=("online", "store:DELHI")[n % 2]),
            ttl_s=100 - n,
            reference="order-1",
            metadata=(*key(f"k{n}"), ("x-actor", f"till-{n % 2}")),
        )
        made.append(placed.hold.hold_id)
    for n, hold_id in enumerate(made):
        if n % 3 == 1:
            await holds.ConfirmHold(pb.ConfirmHoldRequest(hold_id=hold_id))
        elif n % 3 == 2:
            await holds.ReleaseHold(pb.ReleaseHoldRequest(hold_id=hold_id))
    await place(holds, reference="order-10")
    return made


@pytest.mark.parametrize("page_size", [0, 1, 5, 12, 1000])
async def test_a_reference_has_all_its_holds_once(holds, ids, page_size) -> None:
    found = await listed(holds, page_size, reference="order-1")
    assert sorted(hold.hold_id for hold in found) == sorted(ids)
    assert {hold.reference for hold in found} == {"order-1"}
    assert await listed(holds, reference="order") == []


async def test_holds_are_filtered_by_state_and_actor(holds, ids) -> None:
    for state, wanted in (("HELD", ids[::3]), ("CONFIRMED", ids[1::3]), ("RELEASED", ids[2::3])):
        found = await listed(holds, 2, reference="order-1", state=f"HOLD_STATE_{state}")
        assert sorted(hold.hold_id for hold in found) == sorted(wanted)
    found = await listed(holds, reference="order-1", actor="till-1", state="HOLD_STATE_HELD")
    assert sorted(hold.hold_id for hold in found) == sorted([ids[3], ids[9]])
    assert await listed(holds, reference="order-1", actor="anonymous") == []
    assert len(await listed(holds, reference="order-10", actor="anonymous")) == 1


@pytest.mark.parametrize("page_size", [0, 1, 2, 1000])
async def test_a_level_has_its_open_holds_soonest_deadline_first(
    holds, ids, page_size, server
) -> None:
    found = await listed(holds, page_size, sku="SKU1", location="store:DELHI")
    assert [hold.hold_id for hold in found] == [ids[9], ids[3]]
    online = await listed(holds, page_size, sku="SKU1", location="online")
    times = [hold.expire_time.ToMilliseconds() for hold in online]
    assert len(online) == 3
    assert times == sorted(times)
    by_actor = await listed(holds, page_size, sku="SKU1", location="online", actor="anonymous")
    assert [hold.reference for hold in by_actor] == ["order-10"]


@pytest.mark.parametrize("page_size", [3, 50, 100, 1000])
@pytest.mark.parametrize("deadlines", [1, 7, 250])
async def test_whatever_their_deadlines_holds_are_seen_once_each_and_in_order(
    stock, holds, server, page_size, deadlines
) -> None:
    server.store.now_ms = str(NOW)
    await set_stock(stock, 1000)
    items = [
        pb.BatchPlaceHoldsItem(request={"lines": [line()], "ttl": {"seconds": 60 + n % deadlines}})
        for n in range(250)
    ]
    placed = await holds.BatchPlaceHolds(pb.BatchPlaceHoldsRequest(items=items))
    made = [result.response.hold.hold_id for result in placed.results]
    found = await listed(holds, page_size, sku="SKU1", location="online")
    assert sorted(hold.hold_id for hold in found) == sorted(made)
    times = [hold.expire_time.ToMilliseconds() for hold in found]
    assert times == sorted(times)


async def test_a_page_of_big_holds_is_short_and_can_be_received(stock, holds, monkeypatch) -> None:
    monkeypatch.setattr("inventory_server.operations.holds.MAX_PAGE_LINES", 10)
    monkeypatch.setattr("inventory_server.operations.holds.HOLDS_A_SCRIPT", 2)
    for n in range(4):
        await set_stock(stock, 100, f"S{n}")
    lines = [line(f"S{n}") for n in range(4)]
    for _ in range(9):
        await place(holds, *lines, reference="r")
    for query in ({"reference": "r"}, {"sku": "S1", "location": "online"}):
        page = await holds.ListHolds(pb.ListHoldsRequest(page_size=1000, **query))
        assert 3 <= len(page.holds) <= 4
        assert len(await listed(holds, 1000, **query)) == 9


async def test_what_is_past_its_deadline_is_not_open(holds, ids, server) -> None:
    server.store.now_ms = str(NOW + 100_000)
    assert await listed(holds, sku="SKU1", location="store:DELHI") == []
    found = await listed(holds, reference="order-1", state="HOLD_STATE_EXPIRED")
    assert sorted(hold.hold_id for hold in found) == sorted(ids[::3])


async def test_a_hold_with_nothing_left_of_a_level_is_not_listed_there(stock, holds) -> None:
    await set_stock(stock, 10, "A")
    await set_stock(stock, 10, "B")
    hold_id = (await place(holds, line("A", 2), line("B", 2))).hold.hold_id
    await holds.ReleaseHold(pb.ReleaseHoldRequest(hold_id=hold_id, lines=[line("A", 2)]))
    assert await listed(holds, sku="A", location="online") == []
    assert [hold.hold_id for hold in await listed(holds, sku="B", location="online")] == [hold_id]


async def test_removed_holds_are_listed_no_more(holds, ids, server) -> None:
    server.store.now_ms = str(NOW + 86_400_000 + 400_000)
    await server.sweeper.sweep()
    server.store.now_ms = str(NOW + 2 * 86_400_000 + 400_000)
    await server.sweeper.sweep()
    assert await listed(holds, reference="order-1") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "reference"),
        ({"reference": "r", "sku": "A", "location": "online"}, "reference"),
        ({"reference": "r" * 129}, "reference"),
        ({"sku": "A"}, "location"),
        ({"location": "online"}, "sku"),
        ({"reference": "r", "state": 99}, "state"),
        ({"reference": "r", "actor": "a" * 129}, "actor"),
        ({"reference": "r", "page_size": -1}, "page_size"),
        ({"reference": "r", "page_token": "1.x"}, "page_token"),
    ],
)
async def test_a_wrong_query_is_refused(holds, query, field) -> None:
    refusal = await refused(holds.ListHolds(pb.ListHoldsRequest(**query)))
    assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", field)


async def test_a_token_belongs_to_its_query(holds, ids) -> None:
    page = await holds.ListHolds(pb.ListHoldsRequest(reference="order-1", page_size=1))
    other = pb.ListHoldsRequest(reference="order-10", page_token=page.next_page_token)
    assert (await refused(holds.ListHolds(other))).facts["field"] == "page_token"
