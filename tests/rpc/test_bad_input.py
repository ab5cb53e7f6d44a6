"""Bad input: a clear, typed error, and nothing changed."""

from __future__ import annotations

import asyncio
import re
import struct
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import availability_service_pb2 as availability_pb
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.line_pb2 import Line

from tests.calls import COUNT, line, refused, set_stock

HOLD, STOCK, CHECK = "HoldService", "StockService", "AvailabilityService"

BAD_SKUS = [
    "",
    "S" * 65,
    "S" * 300,
    "A\n",
    "A\nB",
    "{A}",
    "A B",
    " A",
    "🙂",
    "é",
    "A\x00",
    "A:B",
    "A*",
    "A,B",
]
BAD_LOCATIONS = [
    "",
    "Online",
    "online ",
    "store",
    "store:",
    "store:A B",
    "store:A:B",
    "warehouse:1",
    "store:" + "S" * 65,
    "store:A\n",
    "{online}",
    "🙂",
    "store:store:A/",
    "STORE_MUMBAI",
]
BAD_QUANTITIES = [0, -1, 2**31, 2**63 - 1, -(2**63)]


def placing(*lines: Line, **more: Any) -> hold_pb.PlaceHoldRequest:
    return hold_pb.PlaceHoldRequest(lines=lines, **more)


def setting(**field: Any) -> stock_pb.SetStockRequest:
    one = {"sku": "SKU1", "location": "online", "on_hand": 1} | field
    return stock_pb.SetStockRequest(lines=[stock_pb.SetStockLine(**one)], reason=COUNT)


def adjusting(delta: int = 1, **more: Any) -> stock_pb.AdjustStockRequest:
    one = stock_pb.AdjustStockLine(sku="SKU1", location="online", delta=delta)
    return stock_pb.AdjustStockRequest(**({"lines": [one], "reason": COUNT} | more))


def extending(seconds: int) -> hold_pb.ExtendHoldRequest:
    return hold_pb.ExtendHoldRequest(hold_id="3-" + "a" * 20, ttl=Duration(seconds=seconds))


def parts_of(verb: str, *lines: Line, **more: Any) -> Any:
    return getattr(hold_pb, f"{verb}HoldRequest")(hold_id="3-" + "a" * 20, lines=lines, **more)


TABLE: list[tuple[str, str, Any, str]] = [
    (HOLD, "PlaceHold", placing(), "lines"),
    (HOLD, "PlaceHold", placing(*[line()] * 101), "lines"),
    *[
        (HOLD, f"{verb}Hold", parts_of(verb, *lines), field)
        for verb in ("Confirm", "Release")
        for lines, field in (
            ([line()] * 101, "lines"),
            ([line("A B")], "lines[0].sku"),
            ([line(), line("A", 1, "shop")], "lines[1].location"),
            ([line("A", 0)], "lines[0].quantity"),
            ([line("A", 2**31)], "lines[0].quantity"),
        )
    ],
    (HOLD, "ConfirmHold", parts_of("Confirm", line(), rehold_if_expired=True), "rehold_if_expired"),
    *[(HOLD, "PlaceHold", placing(line(sku)), "lines[0].sku") for sku in BAD_SKUS],
    *[
        (HOLD, "PlaceHold", placing(line(), line("A", 1, w)), "lines[1].location")
        for w in BAD_LOCATIONS
    ],
    *[(HOLD, "PlaceHold", placing(line("A", q)), "lines[0].quantity") for q in BAD_QUANTITIES],
    (HOLD, "PlaceHold", placing(line(), ttl=Duration()), "ttl"),
    (HOLD, "PlaceHold", placing(line(), ttl=Duration(nanos=999_999_999)), "ttl"),
    (HOLD, "PlaceHold", placing(line(), ttl=Duration(seconds=-5)), "ttl"),
    (HOLD, "PlaceHold", placing(line(), ttl=Duration(seconds=24 * 3600, nanos=1_000_000)), "ttl"),
    (HOLD, "PlaceHold", placing(line(), ttl=Duration(seconds=25 * 3600)), "ttl"),
    (HOLD, "PlaceHold", placing(line(), reference="r" * 129), "reference"),
    (HOLD, "PlaceHold", placing(line(), reference="a\nb"), "reference"),
    (HOLD, "PlaceHold", placing(line(), note="n" * 257), "note"),
    (HOLD, "PlaceHold", placing(line(), note="a\x00b"), "note"),
    (HOLD, "GetHold", hold_pb.GetHoldRequest(), "hold_id"),
    (HOLD, "GetHold", hold_pb.GetHoldRequest(hold_id="h" * 65), "hold_id"),
    (HOLD, "ConfirmHold", hold_pb.ConfirmHoldRequest(), "hold_id"),
    (HOLD, "ReleaseHold", hold_pb.ReleaseHoldRequest(), "hold_id"),
    (HOLD, "ExtendHold", extending(0), "ttl"),
    (HOLD, "ExtendHold", extending(25 * 3600), "ttl"),
    (CHECK, "CheckAvailability", availability_pb.CheckAvailabilityRequest(), "lines"),
    (
        CHECK,
        "CheckAvailability",
        availability_pb.CheckAvailabilityRequest(lines=[line("A", 0)]),
        "lines[0].quantity",
    ),
    (STOCK, "GetStock", stock_pb.GetStockRequest(), "sku"),
    (STOCK, "GetStock", stock_pb.GetStockRequest(sku="A", locations=["x"]), "locations[0]"),
    (STOCK, "GetStock", stock_pb.GetStockRequest(sku="A", locations=["online"] * 101), "locations"),
    (STOCK, "BatchGetStock", stock_pb.BatchGetStockRequest(), "skus"),
    (STOCK, "BatchGetStock", stock_pb.BatchGetStockRequest(skus=["A", "A"]), "skus"),
    (STOCK, "BatchGetStock", stock_pb.BatchGetStockRequest(skus=["A", "B B"]), "skus[1]"),
    (
        STOCK,
        "BatchGetStock",
        stock_pb.BatchGetStockRequest(skus=[f"S{n}" for n in range(501)]),
        "skus",
    ),
    (STOCK, "ListStockLevels", stock_pb.ListStockLevelsRequest(), "location"),
    (
        STOCK,
        "ListStockLevels",
        stock_pb.ListStockLevelsRequest(location="online", sku_prefix="{"),
        "sku_prefix",
    ),
    (
        STOCK,
        "ListStockLevels",
        stock_pb.ListStockLevelsRequest(location="online", status=9),
        "status",
    ),
    (STOCK, "SetStock", stock_pb.SetStockRequest(reason=COUNT), "lines"),
    (STOCK, "SetStock", setting(on_hand=-1), "lines[0].on_hand"),
    (STOCK, "SetStock", setting(on_hand=2**31), "lines[0].on_hand"),
    (STOCK, "SetStock", setting(expected_on_hand=2**62), "lines[0].expected_on_hand"),
    (
        STOCK,
        "SetStock",
        stock_pb.SetStockRequest(lines=[*setting().lines, *setting().lines], reason=COUNT),
        "lines[1]",
    ),
    (STOCK, "SetStock", stock_pb.SetStockRequest(lines=setting().lines), "reason"),
    (STOCK, "SetStock", stock_pb.SetStockRequest(lines=setting().lines, reason=99), "reason"),
    (
        STOCK,
        "SetStock",
        stock_pb.SetStockRequest(lines=list(setting().lines) * 501, reason=COUNT),
        "lines",
    ),
    (STOCK, "AdjustStock", adjusting(0), "lines[0].delta"),
    (STOCK, "AdjustStock", adjusting(2**31), "lines[0].delta"),
    (STOCK, "AdjustStock", adjusting(-(2**63)), "lines[0].delta"),
    (STOCK, "AdjustStock", adjusting(reason=0), "reason"),
    (STOCK, "AdjustStock", adjusting(note="n" * 257), "note"),
    (STOCK, "RecordSale", stock_pb.RecordSaleRequest(), "lines"),
    (STOCK, "RecordSale", stock_pb.RecordSaleRequest(lines=[line()] * 101), "lines"),
    (
        STOCK,
        "RecordSale",
        stock_pb.RecordSaleRequest(lines=[line()], reference="r" * 129),
        "reference",
    ),
]


def dump(db) -> dict[str, Any]:
    """Everything that the store holds."""
    return {name: db.execute_command("DUMP", name, NEVER_DECODE=True) for name in db.scan_iter()}


@pytest.mark.parametrize(("service", "method", "request_", "field"), TABLE)
async def test_bad_input_is_refused_and_changes_nothing(
    stock, holds, availability, db, service, method, request_, field
) -> None:
    await set_stock(stock, 100)
    before = dump(db)
    stub = {HOLD: holds, STOCK: stock, CHECK: availability}[service]
    refusal = await refused(getattr(stub, method)(request_))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
    )
    assert refusal.facts == {"field": field}
    assert refusal.info.domain == "inventory.v1"
    assert refusal.details["BadRequest"].field_violations[0].field == field
    assert dump(db) == before


@pytest.mark.parametrize(
    ("method", "good"),
    [
        ("PlaceHold", placing(*[line()] * 100)),
        ("PlaceHold", placing(line(), ttl=Duration(seconds=1))),
        ("PlaceHold", placing(line(), ttl=Duration(seconds=24 * 3600))),
        ("PlaceHold", placing(line(), reference="r" * 128, note="é🙂" * 128)),
        ("PlaceHold", placing(line("S" * 64, 1, "store:" + "S" * 64))),
        ("PlaceHold", placing(line("Aa0._-/+#", 1, "store:Aa0._-"))),
        ("PlaceHold", placing(line("BIG", 2**31 - 1))),
        ("SetStock", setting(on_hand=0)),
        ("SetStock", setting(on_hand=2**31 - 1)),
        ("AdjustStock", adjusting(2**31 - 1)),
    ],
)
async def test_what_is_just_within_the_limits_goes_through(stock, holds, method, good) -> None:
    await set_stock(stock, 100)
    await set_stock(stock, 1, sku="S" * 64, location="store:" + "S" * 64)
    await set_stock(stock, 1, sku="Aa0._-/+#", location="store:Aa0._-")
    await set_stock(stock, 2**31 - 1, sku="BIG")
    await getattr(holds if method == "PlaceHold" else stock, method)(good)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff",
        b"\x0a\x05\x0a\x03\xff\xfe\xfd",  # lines { sku: three bytes that are not UTF-8 }
    ],
)
async def test_bytes_that_are_no_message_are_refused(channel, stock, db, raw) -> None:
    await set_stock(stock, 100)
    before = dump(db)
    method = channel.unary_unary("/inventory.v1.HoldService/PlaceHold")
    refusal = await refused(method(raw))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
    )
    assert dump(db) == before


async def test_every_bad_line_is_told(holds) -> None:
    refusal = await refused(holds.PlaceHold(placing(line(""), line("A", 0, "x"))))
    fields = [violation.field for violation in refusal.details["BadRequest"].field_violations]
    assert fields == ["lines[0].sku", "lines[1].location", "lines[1].quantity"]


async def test_too_large_a_message_is_refused(holds) -> None:
    request = placing(line(), note="n" * (1 << 20))
    assert (await refused(holds.PlaceHold(request))).code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_too_long_an_actor_is_refused(holds) -> None:
    call = holds.PlaceHold(placing(line()), metadata=(("x-actor", "a" * 129),))
    assert (await refused(call)).facts == {"field": "x-actor"}


async def call_raw(port: int, path: str, message: bytes, *headers: tuple[bytes, bytes]) -> None:
    """A call by hand: the client libraries do not send what is no metadata, others may."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return (
            struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
        )

    plain = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode())]
    plain += [
        (b":authority", b"test"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *headers,
    ]
    # HPACK, RFC 7541, 6.2.2: literals, not indexed, not Huffman-coded, below 127 bytes.
    block = b"".join(b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in plain)
    body = b"\0" + struct.pack(">I", len(message)) + message
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    writer.write(frame(1, 4, 1, block) + frame(0, 1, 1, body))
    seen = b""
    # The call is over when its stream's last frame is there: HEADERS with END_STREAM.
    while not re.search(rb"\x01\x05\0\0\0\x01", seen):
        piece = await asyncio.wait_for(reader.read(65536), 10)
        assert piece, seen
        seen += piece
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("name", [b"x-actor", b"x-request-id", b"idempotency-key"])
@pytest.mark.parametrize(
    "value", [b"evil\nline", b"a\r\nb", b"a\0b", b"tab\tx", b"\xff\xfe", "é\u2028".encode()]
)
async def test_metadata_that_is_no_text_changes_nothing(server, stock, db, name, value) -> None:
    await set_stock(stock, 10)
    before = dump(db)
    message = placing(line()).SerializeToString()
    path = "/inventory.v1.HoldService/PlaceHold"
    key = () if name == b"idempotency-key" else ((b"idempotency-key", b"k"),)
    await call_raw(server.port, path, message, *key, (name, value))
    assert dump(db) == before
    # The same by hand with a value that is one is a hold.
    await call_raw(server.port, path, message, *key, (name, b"fine"))
    assert len(db.keys("inv:{3}:hold:*")) == 1
