"""What a store says of itself: its journals and its alerts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.proof.alerts import Alert, alert_of
from tests.proof.words import Place

PAGE = 10_000
PARTITIONS = 16


class Movement(NamedTuple):
    """An entry of a journal."""

    partition: int
    seq: int
    op: str
    number: int
    kind: str
    at_ms: int
    actor: str
    place: Place
    on_hand_delta: int
    held_delta: int
    level: str
    hold_id: str
    hold: str
    record: str


class Sent(NamedTuple):
    """An alert as it stands in its stream: under the seq of its movement."""

    seq: int
    movement_id: str
    alert: Alert


class Store(NamedTuple):
    """What the witness reads: journals and alerts by partition, and who the store is."""

    journals: dict[int, list[Movement]]
    alerts: dict[int, list[Sent]]
    store_id: str
    epoch: str
    secret: bytes


def movement_of(partition: int, entry_id: str, entry: dict[str, str]) -> Movement:
    """A movement from an entry as Redis has it."""
    op, _, number = entry["id"].rpartition(".")
    on_hand, _, held = entry["delta"].partition(" ")
    return Movement(
        partition, int(entry_id.partition("-")[0]), op, int(number), entry["kind"],
        int(entry["at_ms"]), entry["actor"], (entry["location"], entry["sku"]), int(on_hand),
        int(held), entry["level"], entry["hold_id"], entry["hold"], entry["record"],
    )  # fmt: skip


def sent(entry_id: str, entry: dict[str, str]) -> Sent:
    """An alert and its place."""
    return Sent(int(entry_id.partition("-")[0]), entry["id"], alert_of(entry))


def entries(db: Any, stream: str) -> Iterator[tuple[str, dict[str, str]]]:
    """All entries of a stream."""
    start = "-"
    while page := db.xrange(stream, start, "+", PAGE):
        yield from page
        start = f"({page[-1][0]}"


def read_store(db: Any) -> Store:
    """All journals and alerts, from a client that decodes replies."""
    journals: dict[int, list[Movement]] = {}
    alerts: dict[int, list[Sent]] = {}
    for n in range(PARTITIONS):
        journals[n] = [movement_of(n, *entry) for entry in entries(db, f"inv:{{{n}}}:journal")]
        alerts[n] = [sent(*entry) for entry in entries(db, f"inv:{{{n}}}:alerts")]
    store_id, epoch, secret = db.hmget("inv:{0}:meta", "store_id", "epoch", "secret")
    return Store(journals, alerts, store_id, epoch, bytes.fromhex(secret))
