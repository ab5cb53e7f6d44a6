"""Servers whose store is copied, and what the copy has of it."""

from __future__ import annotations

from typing import Any

import redis

from inventory_server.stores.copy_reader import CopyReader
from tests.copy.entries import all_of
from tests.fold import fold, stored_holds, stored_levels, unpack_level

PARTITIONS = 3
"""Of which "online" has the last, and "store:DELHI" the first."""


def marks(db: redis.Redis) -> dict[int, int]:
    """The partitions in which something happened, and up to where."""
    seqs = {n: int(db.hget(f"inv:{{{n}}}:meta", "seq") or 0) for n in range(PARTITIONS)}
    return {n: seq for n, seq in seqs.items() if seq}


async def is_all_copied(db: redis.Redis, leases: Any, soon: float) -> bool:
    """Whether each partition's watermark, and what follows from it, is where its journal is."""
    found = await leases.partitions(range(PARTITIONS), soon)
    wanted = marks(db)
    return all(
        there.watermark.place.seq == there.watermark.folded.seq == wanted.get(there.number, 0)
        for there in found
    )


async def assert_copy_is_the_fold(db: redis.Redis, reader: CopyReader) -> int:
    """The copy has each movement once, as it is; and the levels and holds that follow from all.

    Answers how many movements there are.
    """
    store = await reader.store()
    assert store is not None
    levels, holds = fold(db, PARTITIONS)
    copied_levels: dict[Any, Any] = {}
    copied_holds: dict[str, Any] = {}
    count = 0
    for n in range(PARTITIONS):
        journal = [
            (int(id_.partition("-")[0]), entry) for id_, entry in db.xrange(f"inv:{{{n}}}:journal")
        ]
        copied = [one async for one in reader.movements(store.store_id, 1, n, 0)]
        assert [(one.seq, dict(one.fields)) for one in copied] == journal, f"partition {n}"
        count += len(journal)
        for level in await all_of(reader.levels(store.store_id, n)):
            if level.packed and level.sku:
                copied_levels[n, level.location, level.sku] = unpack_level(level.packed)
            elif level.packed:
                default = db.hget(f"inv:{{{n}}}:locations", level.location)
                assert level.packed == f"0 0 0{default} OK"
        for hold in await all_of(reader.holds(store.store_id, n)):
            copied_holds[hold.hold_id] = (hold.state, hold.record)
    assert copied_levels == levels
    assert copied_holds == holds
    return count


async def assert_histories_are_whole(db: redis.Redis, reader: CopyReader, *places: Any) -> None:
    """The copy has every movement of these levels, each once, in their order."""
    store = await reader.store()
    assert store is not None
    for n, location, sku in places:
        wanted = [
            entry["id"] for _, entry in db.xrange(f"inv:{{{n}}}:journal")
            if (entry["location"], entry["sku"]) == (location, sku)
        ]  # fmt: skip
        found = await reader.history_of_level(store.store_id, location, sku)
        assert [one.fields["id"] for one in found] == wanted
        assert wanted


def world(db: redis.Redis) -> dict[str, Any]:
    """All that a restore has to bring back."""
    found: dict[str, Any] = {"levels": stored_levels(db), "holds": stored_holds(db)}
    for name in ("skus:*", "low:*", "due*", "refs"):
        for index in db.scan_iter(f"inv:{{*}}:{name}", count=1000):
            found[index] = db.zrange(index, 0, -1, withscores=True)
    for n in range(PARTITIONS):
        found[f"locations {n}"] = db.hgetall(f"inv:{{{n}}}:locations")
        found[f"ended {n}"] = sorted(db.lrange(f"inv:{{{n}}}:ended", 0, -1))
        found[f"secret {n}"] = db.hmget(f"inv:{{{n}}}:meta", "secret", "store_id", "seq")
    return found
