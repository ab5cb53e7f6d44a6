"""The durable copy's part of the composition root: builds it, starts it, stops it.

Nothing else waits for it: whatever goes wrong here, stock and holds go on.
"""

from __future__ import annotations

import asyncio
import logging

from inventory_server.domain.copy import CopiedStore
from inventory_server.domain.errors import InventoryError
from inventory_server.operations.copy_progress import CopyProgress
from inventory_server.operations.draining import Drainer
from inventory_server.settings import AWS, Settings
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.copy_tables import copy_table_names
from inventory_server.stores.dynamo import Dynamo
from inventory_server.stores.opening import SCHEMA
from inventory_server.stores.redis_store import RedisStore

log = logging.getLogger(__name__)

THREADS = 8


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
        reader = CopyReader(self._dynamo, names)
        self.drainer = Drainer(CopySource(store), copy, self._leases, reader, self._register)
        self._task: asyncio.Task[None] | None = None

    @property
    def progress(self) -> CopyProgress:
        """How far the copy has come."""
        return self.drainer.progress

    def start(self) -> None:
        """Copies in the background, until it is stopped."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Copies what is new yet, for a moment, and ends."""
        self.drainer.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._dynamo.close()

    async def _run(self) -> None:
        try:
            await self._dynamo.open()
        except InventoryError as error:
            log.error("there is no durable copy: %s", error)
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


def make_copy_dynamo(settings: Settings) -> Dynamo:
    """The way to the copy's tables, which shares nothing with the catalogue's."""
    where = settings.catalog_store
    endpoint = "" if where == AWS else where
    return Dynamo(endpoint=endpoint, serves="durable copy", threads=THREADS)
