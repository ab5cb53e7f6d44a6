"""The durable copy's part of the composition root: builds it, starts it, stops it.

Nothing else waits for it: whatever goes wrong here, stock and holds go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Self

from inventory_server.domain.copy import CopiedStore
from inventory_server.domain.errors import InventoryError
from inventory_server.embedded_redis import EmbeddedRedis
from inventory_server.operations.copy_progress import CopyProgress
from inventory_server.operations.copy_status import CopyStatus
from inventory_server.operations.draining import Drainer
from inventory_server.operations.reconciling import Reconcile
from inventory_server.operations.restoring import Restore
from inventory_server.operations.resyncing import Resync
from inventory_server.settings import AWS, Settings
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.catalog_tables import table_names
from inventory_server.stores.copy_history import CopyHistory
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.copy_tables import copy_table_names
from inventory_server.stores.dynamo import Dynamo, NotSetUpError
from inventory_server.stores.opening import SCHEMA, StoreOpener, StoreRefusedError
from inventory_server.stores.product_store import ProductStore
from inventory_server.stores.reconcile_store import ReconcileStore
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.restore_store import RestoreStore
from inventory_server.stores.resync_source import ResyncSource
from inventory_server.stores.stock_store import StockStore
from inventory_server.stores.stream_store import StreamStore
from inventory_server.stores.tables import missing_tables

log = logging.getLogger(__name__)

THREADS: Final = 8
HISTORY_THREADS: Final = 4
TIMEOUT_S: Final = 10.0
CHECK_S: Final = 5.0
"""How long a start waits for DynamoDB to say where the copy is."""
_REFUSED: Final = "changes are refused; give the server the store that belongs to it"
_WAY_OUT: Final = "changes are refused; inventory-server reconcile gives it back what it lost"


class CopyRoot:
    """Everything of the durable copy."""

    def __init__(self, settings: Settings, store: RedisStore) -> None:
        self._store = store
        names = copy_table_names(settings.table_prefix)
        self._dynamo = make_copy_dynamo(settings)
        self._leases = CopyLeases(self._dynamo, names, store.store_id)
        copy = CopyStore(
            self._dynamo, names, store.store_id, retention_ms=settings.retention_s * 1000
        )
        self._reader = CopyReader(self._dynamo, names)
        self._source = CopySource(store)
        self.drainer = Drainer(
            self._source, copy, self._leases, self._reader, self._register, self._go_back
        )
        # Who reads old movements does not hold up the drainer.
        self._history_dynamo = make_copy_dynamo(settings, HISTORY_THREADS)
        self.history = CopyHistory(
            self._history_dynamo,
            names,
            CopyLeases(self._history_dynamo, names, store.store_id),
            store.store_id,
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def progress(self) -> CopyProgress:
        """How far the copy has come."""
        return self.drainer.progress

    async def check(self) -> None:
        """Compares the store with its copy, before anything is written to it.

        Where it is behind, or another one, changes are refused: it has been put back, and
        would go on from what never was. Where DynamoDB does not answer now, the drainer
        finds that out later.
        """
        loop = asyncio.get_running_loop()
        try:
            await self._dynamo.open()
            await self._history_dynamo.open()
            async with asyncio.timeout(CHECK_S):
                copied = await self._reader.store()
                there = await self._leases.partitions(
                    range(self._source.partitions), loop.time() + CHECK_S
                )
                places = await self._source.places()
        except (InventoryError, TimeoutError) as error:
            log.warning("the store was not compared with its durable copy: %s", error)
            return
        if copied is not None and copied.store_id != self._store.store_id:
            log.error("the durable copy is of another store, %s: %s", copied.store_id, _REFUSED)
            for number in range(self._source.partitions):
                self._store.partitions[number].go_back()
            return
        for copy, place in zip(there, places, strict=True):
            if (int(place.epoch or 0), place.seq) < copy.watermark.place:
                self._go_back(copy.number)

    def start(self) -> None:
        """Copies in the background, until it is stopped."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def _go_back(self, number: int) -> None:
        partition = self._store.partitions[number]
        if not partition.rewound:
            log.error("partition %d is behind its durable copy: %s", number, _WAY_OUT)
        partition.go_back()

    async def stop(self) -> None:
        """Copies what is new yet, for a moment, and ends."""
        self.drainer.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._dynamo.close()
        self._history_dynamo.close()

    async def _run(self) -> None:
        if not self._dynamo.is_open:
            # Without credentials, say: that is the same at the next try.
            log.error("there is no durable copy")
            return
        await self.drainer.run()

    async def _register(self, deadline: float) -> None:
        store = self._store
        await self._leases.register(
            CopiedStore(
                store.store_id,
                store.secret.hex(),
                store.keys.partitions,
                SCHEMA,
                int(store.partitions[0].epoch),
            ),
            deadline,
        )


async def refuse_lost_store(settings: Settings, url: str) -> None:
    """Refuses an empty Redis where the durable copy has a store: that would be begun anew.

    Raises StoreRefusedError, also where it cannot be found out; or what redis-py raises.
    """
    try:
        async with CopyTools(settings, url) as tools:
            if not await tools.is_redis_empty():
                return
            copied = await tools.copied_store()
    except NotSetUpError as error:
        log.warning("there is no durable copy: %s", error)
        return
    except InventoryError as error:
        raise StoreRefusedError(
            f"Redis is empty, and it is not known whether there is a durable copy: {error}"
        ) from error
    if copied is not None:
        raise StoreRefusedError(
            f"Redis is empty, and there is a durable copy of the store {copied.store_id}: run"
            " inventory-server restore first; or begin another store with --table-prefix, or"
            " without a copy with --durable-copy off"
        )


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


def make_copy_dynamo(settings: Settings, threads: int = THREADS) -> Dynamo:
    """The way to the copy's tables, which shares nothing with the catalogue's."""
    where = settings.catalog_store
    endpoint = "" if where == AWS else where
    return Dynamo(endpoint=endpoint, serves="durable copy", threads=threads)
