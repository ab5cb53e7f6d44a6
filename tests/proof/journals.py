"""What a store says of itself: its journals and its alerts."""

from __future__ import annotations

from typing import Any, NamedTuple

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


class Store(NamedTuple):
    """What the witness reads: the journals by partition, and who the store is."""

    journals: dict[int, list[Movement]]
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


def read_store(db: Any) -> Store:
    """All journals, from a client that decodes replies."""
    journals: dict[int, list[Movement]] = {}
    for n in range(PARTITIONS):
        journal: list[Movement] = []
        while page := db.xrange(
            f"inv:{{{n}}}:journal", f"({journal[-1].seq}-0" if journal else "-", "+", PAGE
        ):
            journal += [movement_of(n, entry_id, entry) for entry_id, entry in page]
        journals[n] = journal
    store_id, epoch, secret = db.hmget("inv:{0}:meta", "store_id", "epoch", "secret")
    return Store(journals, store_id, epoch, bytes.fromhex(secret))
