"""Looks at the whole database, and puts things there that do not belong."""

from __future__ import annotations

from typing import Any

import redis


def dump(db: redis.Redis) -> dict[str, Any]:
    """Every key with its type, its bytes, and whether it will go by itself."""
    return {key: (db.type(key), db.dump(key), db.pttl(key) > 0) for key in sorted(db.keys("*"))}


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
