"""The requests that are sent: methods, and messages as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from inventory.v1 import availability_service_pb2, hold_service_pb2, stock_service_pb2
from inventory.v1.line_pb2 import Line

PLACE_HOLD: Final = "/inventory.v1.HoldService/PlaceHold"
BATCH_PLACE_HOLDS: Final = "/inventory.v1.HoldService/BatchPlaceHolds"
CONFIRM_HOLD: Final = "/inventory.v1.HoldService/ConfirmHold"
WATCH_LOW_STOCK: Final = "/inventory.v1.AlertService/WatchLowStock"
CHECK_AVAILABILITY: Final = "/inventory.v1.AvailabilityService/CheckAvailability"

SKUS: Final = tuple(f"BENCH{n:06d}" for n in range(1000))
LOCATION: Final = "online"
ON_HAND: Final = 2_000_000_000
TTL_S: Final = 3600
CHECK_LINES: Final = 10
BATCH_ITEMS: Final = 100
CHUNK_ROWS: Final = 500
CROSSING: Final = "crossing-"
"""So begin the references of holds that cross; a number follows."""


def place_hold(sku: str, reference: str = "") -> bytes:
    """A hold of one unit for an hour."""
    return hold_service_pb2.PlaceHoldRequest(
        lines=[Line(sku=sku, location=LOCATION, quantity=1)],
        ttl=Duration(seconds=TTL_S),
        reference=reference,
    ).SerializeToString()


def place_lines(skus: Sequence[str], location: str) -> bytes:
    """A hold for an hour of one unit of each of these SKUs."""
    return hold_service_pb2.PlaceHoldRequest(
        lines=[Line(sku=sku, location=location, quantity=1) for sku in skus],
        ttl=Duration(seconds=TTL_S),
    ).SerializeToString()


def crossing_sku(number: int) -> str:
    """The SKU of a crossing."""
    return f"CROSS{number:06d}"


def crossing_hold(number: int) -> bytes:
    """The hold that crosses."""
    return place_hold(crossing_sku(number), f"{CROSSING}{number:06d}")


def place_holds(skus: Sequence[str] = SKUS) -> list[bytes]:
    """One request a SKU."""
    return [place_hold(sku) for sku in skus]


def batch_place_holds() -> list[bytes]:
    """Batches of a hundred holds, each of another SKU."""
    return [
        hold_service_pb2.BatchPlaceHoldsRequest(
            items=[
                hold_service_pb2.BatchPlaceHoldsItem(
                    request=hold_service_pb2.PlaceHoldRequest.FromString(place_hold(sku))
                )
                for sku in SKUS[at : at + BATCH_ITEMS]
            ]
        ).SerializeToString()
        for at in range(0, len(SKUS), BATCH_ITEMS)
    ]


def check_availabilities(skus: Sequence[str] = SKUS) -> list[bytes]:
    """Baskets of ten lines."""
    baskets = [skus[at : at + CHECK_LINES] for at in range(0, len(skus), CHECK_LINES)]
    return [
        availability_service_pb2.CheckAvailabilityRequest(
            lines=[Line(sku=sku, location=LOCATION, quantity=1) for sku in basket]
        ).SerializeToString()
        for basket in baskets
    ]


def confirm_holds(hold_ids: Sequence[str]) -> list[bytes]:
    """One request a hold."""
    return [
        hold_service_pb2.ConfirmHoldRequest(hold_id=hold_id).SerializeToString()
        for hold_id in hold_ids
    ]


def seed_holds() -> list[bytes]:
    """The same holds for the seed's design, as JSON."""
    bodies = [{"sku": sku, "location": LOCATION, "qty": 1, "ttl": TTL_S} for sku in SKUS]
    return [json.dumps(body).encode() for body in bodies]


def import_chunks(
    rows: Sequence[tuple[str, str, int]],
) -> Iterator[stock_service_pb2.ImportStockRequest]:
    """The chunks of an import of (sku, location, quantity)."""
    for at in range(0, len(rows), CHUNK_ROWS):
        yield stock_service_pb2.ImportStockRequest(
            mode=stock_service_pb2.IMPORT_MODE_SET,
            first_row=at + 1,
            rows=[
                stock_service_pb2.ImportRow(sku=sku, location=location, quantity=quantity)
                for sku, location, quantity in rows[at : at + CHUNK_ROWS]
            ],
        )
