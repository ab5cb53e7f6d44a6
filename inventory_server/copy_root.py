"""The durable copy's part of the composition root: builds it, starts it, stops it.

Nothing else waits for it: whatever goes wrong here, stock and holds go on. The
drainer is a process of its own; this is what the server has of the copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from inventory_server.copy_tools import CopyTools, make_copy_dynamo
from inventory_server.domain.errors import InventoryError
from inventory_server.drain_child import DrainChild
from inventory_server.drain_process import pack_order
from inventory_server.settings import Settings
from inventory_server.stores.copy_history import CopyHistory
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_tables import copy_table_names
from inventory_server.stores.dynamo import NotSetUpError
from inventory_server.stores.opening import StoreRefusedError
from inventory_server.stores.redis_store import RedisStore

log = logging.getLogger(__name__)

HISTORY_THREADS: Final = 4
CHECK_S: Final = 5.0
"""How long a start waits for DynamoDB to say where the copy is; and between two tries later."""
_REFUSED: Final = "changes are refused; give the server the store that belongs to it"
_WAY_OUT: Final = "changes are refused; inventory-server reconcile gives it back what it lost"


class CopyRoot:
    """Everything of the durable copy that is in the server's process."""

    def __init__(self, settings: Settings, store: RedisStore, redis_url: str) -> None:
        self._store = store
        names = copy_table_names(settings.table_prefix)
        self._dynamo = make_copy_dynamo(settings, HISTORY_THREADS)
        self._leases = CopyLeases(self._dynamo, names, store.store_id)
        self._reader = CopyReader(self._dynamo, names)
        self._source = CopySource(store)
        self.history = CopyHistory(self._dynamo, names, self._leases, store.store_id)
        self.drainer = DrainChild(pack_order(settings, redis_url, store.store_id))
        self._is_compared = False
        self._stopping = asyncio.Event()
        self._comparing: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Compares the store with its copy, before anything is written to it.

        Where it is behind, or another one, changes are refused: it has been put back, and
        would go on from what never was. Where DynamoDB does not answer now, it is asked
        again and again beside the calls.
        """
        try:
            await self._dynamo.open()
            await self._compare()
        except (InventoryError, TimeoutError) as error:
            log.warning("the store was not compared with its durable copy: %s", error)

    def start(self) -> None:
        """Copies in the background, until it is stopped."""
        if not self._dynamo.is_open:
            # Without credentials, say: that is the same at the next try.
            log.error("there is no durable copy")
            return
        self.drainer.start()
        self._comparing = asyncio.create_task(self._compare_later())

    async def stop(self) -> None:
        """Ends the drainer after what it is doing."""
        self._stopping.set()
        await self.drainer.stop()
        if self._comparing is not None:
            await self._comparing
        self._dynamo.close()

    async def _compare_later(self) -> None:
        while not self._is_compared and not self._stopping.is_set():
            with contextlib.suppress(InventoryError, TimeoutError):
                await self._compare()
                log.info("the store was compared with its durable copy")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._stopping.wait()

    async def _compare(self) -> None:
        deadline = asyncio.get_running_loop().time() + CHECK_S
        async with asyncio.timeout(CHECK_S):
            copied = await self._reader.store()
            # In this order: meanwhile a store may go on, and its copy after it.
            there = await self._leases.partitions(range(self._source.partitions), deadline)
            places = await self._source.places()
        self._is_compared = True
        if copied is not None and copied.store_id != self._store.store_id:
            log.error("the durable copy is of another store, %s: %s", copied.store_id, _REFUSED)
            for number in range(self._source.partitions):
                self._store.partitions[number].go_back()
            return
        for copy, place in zip(there, places, strict=True):
            if (int(place.epoch or 0), place.seq) < copy.watermark.place:
                self._go_back(copy.number)

    def _go_back(self, number: int) -> None:
        partition = self._store.partitions[number]
        if not partition.rewound:
            log.error("partition %d is behind its durable copy: %s", number, _WAY_OUT)
        partition.go_back()


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
