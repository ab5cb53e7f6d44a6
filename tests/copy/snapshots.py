"""Snapshots of a store, to be put back under servers that have gone on since."""

from __future__ import annotations

import redis

Snapshot = dict[str, bytes]
"""Every key and its bytes."""


def snapshot(db: redis.Redis) -> Snapshot:
    """The store as it is."""
    return {key: db.dump(key) for key in sorted(db.keys("*"))}


def put_back(db: redis.Redis, old: Snapshot) -> None:
    """Makes the store what it was, in one step."""
    with db.pipeline(transaction=True) as pipe:
        pipe.flushdb()
        for key, packed in old.items():
            pipe.restore(key, 0, packed)
        pipe.execute()
