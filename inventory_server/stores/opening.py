"""Opens the store: connects, checks what Redis is, makes or reads the partitions' meta."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import hiredis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from inventory_server.stores.connection import PipelinedConnection
from inventory_server.stores.keys import Keyspace
from inventory_server.stores.partition import Partition
from inventory_server.stores.pipeline import LostError, NotSentError
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.scripts import Script, load_script, script_names

log = logging.getLogger(__name__)

SCHEMA: Final = "3"
RESTORING: Final = "restoring"
"""The schema of a store that is being made from its durable copy."""
RECONCILING: Final = "reconciling "
"""What the schema begins with of a store that gets back, from its durable copy, what it lost."""
OLDEST_REDIS: Final = (6, 2)
FIRST_WITH_SHEBANG: Final = (7, 0)
_TIMEOUT_S: Final = 10.0
SCRIPT_COMMANDS: Final = (
    *("GET", "SET", "DEL", "EXISTS", "TIME"),
    *("HGET", "HMGET", "HSET", "HSETNX", "HLEN"),
    *("ZADD", "ZREM", "ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZRANK", "ZSCORE"),
    *("LLEN", "LRANGE", "LTRIM", "RPUSH"),
    *("SADD", "SISMEMBER", "SMISMEMBER", "SREM"),
    *("XADD", "XLEN", "XRANGE", "XREVRANGE", "XTRIM"),
)
"""Every command that a script runs."""


class StoreRefusedError(Exception):
    """The store is not one that this server may use; the sentence says why."""


class StoreOpener:
    """Opens a store at a redis-py URL.

    `durability` is `require` (refuse a Redis that may lose what it has
    acknowledged), `warn` (say so) or `declared` (do not ask).
    """

    def __init__(
        self,
        url: str,
        *,
        partitions: int,
        durability: str,
        stall_timeout_s: float,
        on_change: Callable[[bool], None],
    ) -> None:
        self._pool = redis.asyncio.ConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=stall_timeout_s,
        )
        self._partitions = partitions
        self._durability = durability
        self._stall_timeout_s = stall_timeout_s
        self._on_change = on_change
        self._run_id = ""
        self._client_id = 0
        self._version = (0, 0)
        self._scripts: dict[str, Script] = {}
        self._opened: RedisStore | None = None
        self.connection: PipelinedConnection | None = None

    async def open(self) -> RedisStore:
        """Connects and answers the store, which is made where there is none.

        Raises StoreRefusedError, or what redis-py raises.
        """
        with _refusals():
            connection = await self._connect()
            metas = [await self._initialize(connection, 0)]
            for number in range(1, self._partitions):
                metas.append(await self._initialize(connection, number, metas[0]))
            partitions = [
                Partition(number, meta["epoch"], int(meta["seq"]))
                for number, meta in enumerate(metas)
            ]
            self._opened = self._store(
                connection, metas[0]["store_id"], metas[0]["secret"], partitions
            )
            return self._opened

    async def look(self) -> RedisStore:
        """Connects and answers the store as it is, also where there is none: to look at it, or
        to make one. How many partitions it has, it knows itself. Raises what `open` does.
        """
        with _refusals():
            connection = await self._connect()
            first = Keyspace(1).meta(0)
            names = ("partitions", "store_id", "secret", "epoch")
            found = await connection.command("HMGET", first, *names, timeout_s=_TIMEOUT_S)
            partitions, store_id, secret, epoch = [value or "" for value in found]
            self._partitions = int(partitions or self._partitions)
            seen = [Partition(number, epoch, 0) for number in range(self._partitions)]
            return self._store(connection, store_id, secret, seen)

    async def _connect(self) -> PipelinedConnection:
        connection = self.connection = PipelinedConnection(
            self._pool.make_connection,
            stall_timeout_s=self._stall_timeout_s,
            connect_timeout_s=self._stall_timeout_s,
            prepare=self._prepare,
            on_change=self._on_change,
        )
        await connection.open()
        return connection

    def _store(
        self, connection: PipelinedConnection, store_id: str, secret: str,
        partitions: Sequence[Partition],
    ) -> RedisStore:  # fmt: skip
        return RedisStore(
            connection,
            self._scripts,
            Keyspace(self._partitions),
            store_id=store_id,
            secret=bytes.fromhex(secret),
            partitions=partitions,
        )

    async def _prepare(self, connection: PipelinedConnection) -> None:
        """Runs on each new connection before any call."""
        info = _parse_info(await connection.command("INFO", "server", timeout_s=_TIMEOUT_S))
        await self._end_old_connection(connection, info.get("run_id", ""))
        self._check_kind(info)
        # Each time: after a restart it may have other settings.
        await self._check_durability(connection)
        for name in script_names():
            with_shebang = self._version >= FIRST_WITH_SHEBANG
            script = self._scripts[name] = load_script(name, with_shebang=with_shebang)
            await connection.command("SCRIPT", "LOAD", script.text, timeout_s=_TIMEOUT_S)
        await self._check_commands(connection)
        if self._opened is not None:
            await self._compare(connection, self._opened)

    async def _compare(self, connection: PipelinedConnection, store: RedisStore) -> None:
        """Whoever is there now may have been put back: that is known before any call asks."""
        seen, metas = store.seen(), [store.keys.meta(p.number) for p in store.partitions]
        sha = self._scripts["read_places"].sha
        reply = await connection.command("EVALSHA", sha, len(metas), *metas, timeout_s=_TIMEOUT_S)
        store.compare(seen, reply)

    async def _end_old_connection(self, connection: PipelinedConnection, run_id: str) -> None:
        """Ends our last connection on the server's side too, so that nothing that was sent
        there can still be run after we have asked again for what became of it.
        """
        if self._client_id and run_id and run_id == self._run_id:
            try:
                await connection.command(
                    "CLIENT", "KILL", "ID", self._client_id, timeout_s=_TIMEOUT_S
                )
            except hiredis.ReplyError as error:
                log.debug("the old connection is not there or may not be ended: %s", error)
        self._run_id = run_id
        self._client_id = await connection.command("CLIENT", "ID", timeout_s=_TIMEOUT_S)

    def _check_kind(self, info: dict[str, str]) -> None:
        parts = info.get("redis_version", "0.0").split(".")
        self._version = (int(parts[0]), int(parts[1]))
        if self._version < OLDEST_REDIS:
            oldest = ".".join(map(str, OLDEST_REDIS))
            found = info.get("redis_version", "an unknown version")
            raise StoreRefusedError(f"Redis {oldest} or newer is needed; this is {found}")
        if info.get("redis_mode") == "cluster":
            raise StoreRefusedError("Redis Cluster is not supported yet; give a single server")

    async def _check_durability(self, connection: PipelinedConnection) -> None:
        if self._durability == "declared":
            return
        missing = await _missing_durability(connection)
        if not missing:
            return
        sentence = f"this Redis may lose acknowledged changes: {missing}"
        if self._durability == "require":
            raise StoreRefusedError(
                f"{sentence}; set that, or accept it with --durability warn, or vouch for a"
                " managed Redis with --durability declared"
            )
        log.warning("%s", sentence)

    async def _check_commands(self, connection: PipelinedConnection) -> None:
        """Refuses a user of Redis who may not run all that the scripts need."""
        reply = await connection.command(
            "EVALSHA", self._scripts["check_commands"].sha, 1,
            Keyspace(self._partitions).meta(0), *SCRIPT_COMMANDS, timeout_s=_TIMEOUT_S,
        )  # fmt: skip
        if reply[1:]:
            raise StoreRefusedError(f"this Redis user may not run {', '.join(reply[1:])}")

    async def _initialize(
        self, connection: PipelinedConnection, number: int, first: dict[str, str] | None = None
    ) -> dict[str, str]:
        keys = Keyspace(self._partitions)
        store_id = first["store_id"] if first else secrets.token_hex(6)
        secret = first["secret"] if first else secrets.token_hex(32)
        reply = await connection.command(
            "EVALSHA", self._scripts["initialize_partition"].sha, 2,
            keys.meta(number), keys.journal(number),
            SCHEMA, self._partitions, store_id, secret, timeout_s=_TIMEOUT_S,
        )  # fmt: skip
        if reply[0] == "journal_without_meta":
            raise StoreRefusedError(f"partition {number} has a journal and no meta: data was lost")
        names = ("schema", "partitions", "store_id", "secret", "epoch", "seq")
        meta = dict(zip(names, reply[1:], strict=True))
        _check_meta(meta, self._partitions, number, first)
        return meta


@contextmanager
def _refusals() -> Iterator[None]:
    """What Redis says while a store is opened, as a sentence."""
    try:
        yield
    except hiredis.ReplyError as error:
        raise StoreRefusedError(f"this Redis refuses what a store needs: {error}") from error
    except (NotSentError, LostError) as error:
        raise StoreRefusedError(f"this Redis does not answer: {error}") from error


def _check_meta(
    meta: dict[str, str], partitions: int, number: int, first: dict[str, str] | None
) -> None:
    if meta["schema"] == RESTORING:
        raise StoreRefusedError(
            "a restore into this Redis is under way, or broke off: run inventory-server restore"
            " again"
        )
    if meta["schema"].startswith(RECONCILING):
        raise StoreRefusedError(
            "this store went back in time and gets back what it lost, or that broke off: run"
            " inventory-server reconcile again"
        )
    if meta["schema"] != SCHEMA:
        raise StoreRefusedError(
            f"the data has schema {meta['schema'] or '?'}; this server reads schema {SCHEMA}"
        )
    if meta["partitions"] != str(partitions):
        raise StoreRefusedError(
            f"the data was made with {meta['partitions']} partitions, not {partitions};"
            f" start with --partitions {meta['partitions']}"
        )
    if first and meta["store_id"] != first["store_id"]:
        raise StoreRefusedError(f"partition {number} belongs to another store")


async def _missing_durability(connection: PipelinedConnection) -> str:
    """What keeps this Redis from keeping every acknowledged change; empty if nothing does."""
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    wrong = []
    for name, value in wanted.items():
        try:
            reply: list[Any] = await connection.command("CONFIG", "GET", name, timeout_s=_TIMEOUT_S)
        except hiredis.ReplyError:
            return "it does not show its settings"
        found = reply[1] if len(reply) == 2 else "unknown"
        if found != value:
            wrong.append(f"{name} is {found}, not {value}")
    return ", ".join(wrong)


def _parse_info(text: str) -> dict[str, str]:
    lines = [line.partition(":") for line in text.splitlines() if not line.startswith("#")]
    return {name: value for name, _, value in lines}
