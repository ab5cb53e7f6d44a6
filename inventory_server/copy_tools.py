"""What the commands use that look at the durable copy, or make a store from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Self

from inventory_server.domain.copy import CopiedStore
from inventory_server.embedded_redis import (
    EmbeddedRedis,
    EmbeddedRedisError,
    FolderInUseError,
)
from inventory_server.operations.copy_status import CopyStatus
from inventory_server.operations.reconciling import Reconcile
from inventory_server.operations.restoring import Restore
from inventory_server.operations.resyncing import Resync
from inventory_server.settings import AWS, Settings
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.catalog_tables import table_names
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.copy_tables import copy_table_names
from inventory_server.stores.dynamo import Dynamo
from inventory_server.stores.opening import StoreOpener, StoreRefusedError
from inventory_server.stores.product_store import ProductStore
from inventory_server.stores.reconcile_store import ReconcileStore
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.restore_store import RestoreStore
from inventory_server.stores.resync_source import ResyncSource
from inventory_server.stores.stock_store import StockStore
from inventory_server.stores.stream_store import StreamStore
from inventory_server.stores.tables import missing_tables

THREADS: Final = 8
TIMEOUT_S: Final = 10.0


class CopyTools:
    """What the commands use that look at the copy, or make a store from it."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._opener = StoreOpener(
            url,
            partitions=settings.partitions,
            durability="declared",
            stall_timeout_s=settings.stall_timeout_s,
            on_change=lambda _: None,
        )
        self._names = copy_table_names(settings.table_prefix)
        self._catalog = table_names(settings.table_prefix)
        self.dynamo = make_copy_dynamo(settings)
        self.reader = CopyReader(self.dynamo, self._names)
        self.store: RedisStore

    async def __aenter__(self) -> Self:
        """Connects with Redis, and makes the way to DynamoDB.

        Raises StoreRefusedError, StoreUnavailable, or what redis-py raises.
        """
        try:
            await self._look()
            await self.dynamo.open()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Gives both back."""
        self.dynamo.close()
        if self._opener.connection is not None:
            await self._opener.connection.close()

    def leases(self, store_id: str) -> CopyLeases:
        """The leases of a store's copy."""
        return CopyLeases(self.dynamo, self._names, store_id)

    def restore(
        self, copied: CopiedStore, *, retention_ms: int, tell: Callable[[str], None]
    ) -> Restore:
        """What makes this store in Redis."""
        target = RestoreStore(self.store, copied.partitions)
        leases = self.leases(copied.store_id)
        return Restore(target, self.reader, leases, copied, retention_ms=retention_ms, tell=tell)

    def reconcile(self, copied: CopiedStore, *, tell: Callable[[str], None]) -> Reconcile:
        """What gives this store back what it lost."""
        target = ReconcileStore(self.store, copied.partitions)
        leases = self.leases(copied.store_id)
        return Reconcile(target, CopySource(self.store), self.reader, leases, copied, tell=tell)

    def resync(self, *, retention_ms: int, tell: Callable[[str], None]) -> Resync:
        """What makes this store's copy complete again."""
        store, store_id = self.store, self.store.store_id
        states = ResyncSource(
            store,
            StockStore(store, retention_ms=retention_ms),
            AuditStore(store, retention_ms=retention_ms),
        )
        copy = CopyStore(self.dynamo, self._names, store_id, retention_ms=retention_ms)
        leases = self.leases(store_id)
        return Resync(CopySource(store), states, copy, leases, self.reader, tell=tell)

    async def is_redis_empty(self) -> bool:
        """Whether Redis has no key at all."""
        return await RestoreStore(self.store, self.store.keys.partitions).is_empty()

    async def copied_store(self) -> CopiedStore | None:
        """The store that the copy is of; None where there is none, or no table for it."""
        table = {self._names.copy: self._names.keys[self._names.copy]}
        if await missing_tables(self.dynamo, table, self._soon()):
            return None
        return await self.reader.store()

    async def tell_activity(self) -> None:
        """Tells the store which products are inactive, and which are not any more, where there
        is a catalogue. Servers do so when they start; but until then inactive ones would be sold.
        """
        if await missing_tables(self.dynamo, self._catalog.keys, self._soon()):
            return
        await self._look()
        activity = ActivityStore(self.store)
        async for page in ProductStore(self.dynamo, self._catalog).scan(0, 1, TIMEOUT_S):
            active = {one.sku: one.product.active for one in page if one.product}
            await activity.set_active(active, self._soon())

    def _soon(self) -> float:
        return asyncio.get_running_loop().time() + TIMEOUT_S

    async def _look(self) -> None:
        if self._opener.connection is not None:
            await self._opener.connection.close()
        self.store = await self._opener.look()

    def status(self) -> CopyStatus:
        """How the copy of this store stands."""
        streams = StreamStore(self.store, "journal")
        return CopyStatus(CopySource(self.store), streams, self.leases(self.store.store_id))


def redis_url_of(settings: Settings) -> str:
    """Where the store is: the given Redis, or the server's own, while it runs."""
    return settings.redis_url or EmbeddedRedis(settings.data_dir).url


@asynccontextmanager
async def redis_of(settings: Settings) -> AsyncIterator[str]:
    """Where the store is: the given Redis, or that of the data folder, which is started where no
    server runs it. Raises StoreRefusedError.
    """
    if settings.redis_url:
        yield settings.redis_url
        return
    own = EmbeddedRedis(settings.data_dir)
    try:
        await own.start()
    except FolderInUseError:
        # Its server has started it.
        yield own.url
        return
    except EmbeddedRedisError as error:
        await own.stop()
        raise StoreRefusedError(str(error)) from error
    try:
        yield own.url
    finally:
        await own.stop()


def make_copy_dynamo(settings: Settings, threads: int = THREADS) -> Dynamo:
    """The way to the copy's tables, which shares nothing with the catalogue's."""
    where = settings.catalog_store
    endpoint = "" if where == AWS else where
    return Dynamo(endpoint=endpoint, serves="durable copy", threads=threads)
