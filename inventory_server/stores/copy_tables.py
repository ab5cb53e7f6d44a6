"""The durable copy's tables in DynamoDB: their keys, and how items are named.

A partition of DynamoDB takes 1,000 writes a second, so what is written together
is spread: movements over runs of their journal, levels and holds over shelves.
"""

from __future__ import annotations

from binascii import crc32
from typing import Final, NamedTuple

from inventory_server.domain.copy import Place
from inventory_server.stores.tables import TableKey

MOVEMENTS_A_RUN: Final = 100
"""Movements of a journal that stand under one key."""
SHELVES: Final = 16
"""Keys over which the levels of a partition are spread, and its holds."""
BY_HOLD: Final = "by_hold"
"""The index of movements by hold. (One by level would be as hot as the level.)"""
_EPOCH_STEP: Final = 10**16


class CopyTableNames(NamedTuple):
    """The tables' names."""

    movements: str
    history: str
    levels: str
    holds: str
    copy: str

    @property
    def keys(self) -> dict[str, TableKey]:
        """Each table's key."""
        return {
            self.movements: TableKey(
                [("journal", "S"), ("place", "S")], found_by=(BY_HOLD, "of_hold")
            ),
            self.history: TableKey([("level", "S"), ("place", "S")]),
            self.levels: TableKey([("shelf", "S"), ("state", "S")]),
            self.holds: TableKey([("shelf", "S"), ("state", "S")], has_expiry=True),
            self.copy: TableKey([("item", "S")], has_expiry=True),
        }


def copy_table_names(prefix: str) -> CopyTableNames:
    """The names under a prefix, which keeps stores of one account apart."""
    names = ("movements", "history", "levels", "holds", "copy")
    return CopyTableNames(*[f"{prefix}{name}" for name in names])


def run_of(store_id: str, epoch: int, partition: int, seq: int) -> str:
    """The key of the run that a movement stands in."""
    return f"{store_id}/{epoch}/{partition}/{seq // MOVEMENTS_A_RUN}"


def place_in_run(seq: int, movement_id: str) -> str:
    """A movement's place in its run. Of two under one seq, after a fork, both stay."""
    return f"{seq:015}:{movement_id}"


def level_key(store_id: str, location: str, sku: str) -> str:
    """The key of a level's history."""
    return f"{store_id}/{location}:{sku}"


def hold_key(store_id: str, hold_id: str) -> str:
    """What the index of movements has a hold under."""
    return f"{store_id}/{hold_id}"


def shelf_of(store_id: str, partition: int, name: str) -> str:
    """The shelf of a partition that a level or hold of this name stands on."""
    return shelf(store_id, partition, crc32(name.encode()) % SHELVES)


def shelf(store_id: str, partition: int, number: int) -> str:
    """The key of a shelf."""
    return f"{store_id}/{partition}/{number}"


def state_of(name: str, epoch: int, rank: int) -> str:
    """The place of a state on its shelf: those of one level or hold stand in their order."""
    return f"{name}@{epoch:010}.{rank:015}"


def parse_state_of(packed: str) -> tuple[str, int, int]:
    """Name, epoch and rank of a state."""
    name, _, place = packed.rpartition("@")
    epoch, _, rank = place.partition(".")
    return name, int(epoch), int(rank)


def pack_place(place: Place) -> str:
    """A number that rises with the epoch, and within one with the seq."""
    return str(place.epoch * _EPOCH_STEP + place.seq)


def parse_place(packed: str) -> Place:
    """The place of that number."""
    return Place(*divmod(int(packed), _EPOCH_STEP))
