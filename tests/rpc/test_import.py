"""Imports: good rows together, bad rows reported, resumable under one key."""

from __future__ import annotations

import re
from base64 import b64decode

import grpc
import pytest
from inventory.v1 import stock_service_pb2 as pb

from tests.calls import key, level_of, line, place, refused

SET, ADD = pb.IMPORT_MODE_SET, pb.IMPORT_MODE_ADD


def chunk(*rows: tuple[str, str, int], first_row: int = 1, mode=SET) -> pb.ImportStockRequest:
    return pb.ImportStockRequest(
        mode=mode,
        first_row=first_row,
        rows=[pb.ImportRow(sku=s, location=w, quantity=q) for s, w, q in rows],
    )


async def test_a_chunk_of_bad_rows_alone_has_a_cursor_too(stock, db) -> None:
    answer = await stock.ImportStock(iter([chunk(("A B", "online", 1))])).read()
    assert (answer.accepted_rows, len(answer.refused_rows)) == (0, 1)
    store_id, epoch, _, places = b64decode(answer.cursor[2:]).decode().split(" ")
    assert (store_id, epoch) == (db.hget("inv:{0}:meta", "store_id"), "1")
    assert re.fullmatch(r"\d+:\d+", places)


async def send(stock, *chunks: pb.ImportStockRequest, metadata=()) -> list[pb.ImportStockResponse]:
    return [answer async for answer in stock.ImportStock(iter(chunks), metadata=metadata)]


async def collect(stock, *chunks: pb.ImportStockRequest, metadata=()) -> None:
    await send(stock, *chunks, metadata=metadata)


async def test_good_rows_go_in_and_bad_rows_are_reported(stock) -> None:
    rows = [
        ("A", "online", 5), ("", "online", 1), ("B", "nowhere", 1), ("C", "store:X", -1),
        ("D", "store:X", 2**31), ("E", "store:X", 0),
    ]  # fmt: skip
    (answer,) = await send(stock, chunk(*rows, first_row=10))
    assert (answer.accepted_rows, answer.next_row) == (2, 16)
    assert [(row.row_number, row.field, row.reason) for row in answer.refused_rows] == [
        (11, "sku", "INVALID_REQUEST"),
        (12, "location", "INVALID_REQUEST"),
        (13, "quantity", "INVALID_REQUEST"),
        (14, "quantity", "INVALID_REQUEST"),
    ]
    assert (await level_of(stock, "A")).on_hand == 5
    assert (await level_of(stock, "E", "store:X")).on_hand == 0


async def test_set_takes_the_last_row_and_add_the_sum(stock) -> None:
    rows = [("A", "online", 5), ("A", "online", 3)]
    await send(stock, chunk(*rows))
    assert (await level_of(stock, "A")).on_hand == 3
    await send(stock, chunk(*rows, mode=ADD), metadata=key("k"))
    assert (await level_of(stock, "A")).on_hand == 11


async def test_an_import_is_resumed_under_its_key_without_doubling(stock) -> None:
    chunks = [chunk(("A", "online", n), first_row=n, mode=ADD) for n in (1, 2, 3)]
    first = await send(stock, *chunks[:2], metadata=key("k"))
    call = stock.ImportStock(iter(chunks), metadata=key("k"))
    again = [answer async for answer in call]
    assert [a.SerializeToString() for a in again[:2]] == [a.SerializeToString() for a in first]
    assert dict(await call.trailing_metadata())["idempotent-replayed"] == "false"
    assert (await level_of(stock, "A")).on_hand == 6
    call = stock.ImportStock(iter(chunks), metadata=key("k"))
    assert [answer async for answer in call] == again
    assert dict(await call.trailing_metadata())["idempotent-replayed"] == "true"
    assert (await level_of(stock, "A")).on_hand == 6


async def test_other_chunk_boundaries_under_the_same_key_are_refused(stock) -> None:
    rows = [("A", "online", 1), ("B", "online", 1)]
    await send(stock, chunk(*rows, mode=ADD), metadata=key("k"))
    shifted = chunk(rows[1], first_row=2, mode=ADD)
    refusal = await refused(collect(stock, shifted, metadata=key("k")))
    assert (refusal.reason, refusal.facts["field"]) == ("INVALID_REQUEST", "first_row")
    refusal = await refused(collect(stock, chunk(rows[0], mode=ADD), metadata=key("k")))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"
    assert (await level_of(stock, "B")).on_hand == 1


async def test_a_count_below_held_stays_out_alone(stock, holds) -> None:
    await send(stock, chunk(("A", "online", 5), ("B", "online", 5)))
    await place(holds, line("A", 4))
    (answer,) = await send(stock, chunk(("A", "online", 3), ("B", "online", 3)))
    assert [(row.row_number, row.reason) for row in answer.refused_rows] == [(1, "BELOW_HELD")]
    assert (await level_of(stock, "A")).on_hand == 5
    assert (await level_of(stock, "B")).on_hand == 3


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (chunk(("A", "online", 1), first_row=0), "first_row"),
        (chunk(first_row=1), "rows"),
        (chunk(*[("A", "online", 1)] * 501), "rows"),
        (chunk(("A", "online", 1), mode=0), "mode"),
        (chunk(("A", "online", 1), mode=ADD), "idempotency-key"),
    ],
)
async def test_a_bad_chunk_ends_the_call(stock, bad, field) -> None:
    refusal = await refused(collect(stock, bad))
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.facts["field"] == field


async def test_row_numbers_rise_and_the_mode_stays(stock) -> None:
    one = chunk(("A", "online", 1), first_row=5)
    refusal = await refused(collect(stock, one, one))
    assert refusal.facts["field"] == "first_row"
    refusal = await refused(
        collect(stock, one, chunk(("A", "online", 1), first_row=9, mode=ADD), metadata=key("k"))
    )
    assert refusal.facts["field"] == "mode"


async def test_a_chunk_of_only_bad_rows_is_answered(stock) -> None:
    (answer,) = await send(stock, chunk(("", "online", 1)), metadata=key("k"))
    assert (answer.accepted_rows, len(answer.refused_rows)) == (0, 1)
    assert await send(stock, chunk(("", "online", 1)), metadata=key("k")) == [answer]
