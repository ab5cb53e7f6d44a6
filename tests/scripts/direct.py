"""A store over any redis-py client: the scripts alone, without a server, at a set time."""

from __future__ import annotations

import asyncio

import hiredis
import redis

from inventory_server.stores.keys import Keyspace
from inventory_server.stores.opening import SCHEMA
from inventory_server.stores.partition import Partition
from inventory_server.stores.pipeline import Call
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.scripts import load_script, script_names

NOW = 1_800_000_000_000
PARTITIONS = 16


class DirectConnection:
    """What a RedisStore needs of its connection, over any redis-py client."""

    is_ready = True

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._reader = hiredis.Reader(encoding="utf-8")

    async def wait_ready(self, timeout_s: float) -> bool:
        return True

    def start(self, packed: bytes, deadline: float) -> Call:
        self._reader.feed(packed)
        call = Call(asyncio.get_running_loop().create_future(), deadline)
        try:
            call.settle(self._client.execute_command(*self._reader.gets()))
        except redis.ResponseError as error:
            call.settle(hiredis.ReplyError(str(error)))
        return call


def open_store(client: redis.Redis, *, with_shebang: bool) -> RedisStore:
    """A store on this client, with fixed ids, at a set time."""
    scripts = {name: load_script(name, with_shebang=with_shebang) for name in script_names()}
    for script in scripts.values():
        assert client.script_load(script.text) == script.sha
    keys, secret = Keyspace(PARTITIONS), bytes(32)
    for n in range(PARTITIONS):
        made = client.evalsha(
            scripts["initialize_partition"].sha, 2, keys.meta(n), keys.journal(n),
            SCHEMA, PARTITIONS, "store", secret.hex(),
        )  # fmt: skip
        assert made == ["ok", SCHEMA, str(PARTITIONS), "store", secret.hex(), "1", "0"]
    store = RedisStore(
        DirectConnection(client),  # type: ignore[arg-type]
        scripts, keys, store_id="store", secret=secret,
        partitions=[Partition(n, "1", 0) for n in range(PARTITIONS)],
    )  # fmt: skip
    store.now_ms = str(NOW)
    return store
