"""Looks at the whole database, and puts things there that do not belong."""

from __future__ import annotations

from typing import Any

import redis

from tests.fold import together


def dump(db: redis.Redis) -> dict[str, Any]:
    """Every key with its type, its bytes, and whether it will go by itself."""
    keys = sorted(db.keys("*"))
    types = together(db, lambda r, key: r.type(key), keys)
    dumps = together(db, lambda r, key: r.dump(key), keys)
    lives = [life > 0 for life in together(db, lambda r, key: r.pttl(key), keys)]
    return dict(zip(keys, zip(types, dumps, lives, strict=True), strict=True))


def content(db: redis.Redis) -> dict[str, Any]:
    """Every key with what it holds, in a form that any server gives alike."""
    readers = {
        "hash": db.hgetall,
        "set": db.smembers,
        "zset": lambda key: db.zrange(key, 0, -1, withscores=True),
        "string": db.get,
        "stream": db.xrange,
    }
    return {key: (kind := db.type(key), readers[kind](key)) for key in sorted(db.keys("*"))}


def put_wrong_type(db: redis.Redis, key: str) -> None:
    """Puts a list in the key's place: nothing of ours is a list."""
    db.delete(key)
    db.rpush(key, "not yours")
