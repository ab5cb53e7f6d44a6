"""The catalogue's part of the composition root: builds it, starts it, stops it.

Stock serves without it: DynamoDB is reached, or its double started, in the
background, and whatever goes wrong there stays there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from inventory_server import background
from inventory_server.domain.errors import InventoryError
from inventory_server.embedded_dynamo import EmbeddedDynamo, EmbeddedDynamoError
from inventory_server.operations.catalog import CatalogOperations
from inventory_server.operations.catalog_refresh import CatalogRefresh
from inventory_server.operations.expiry import Expiry
from inventory_server.operations.product_activity import ProductActivity
from inventory_server.operations.product_imports import ProductImports
from inventory_server.operations.product_writes import ProductWrites
from inventory_server.operations.stock import StockOperations
from inventory_server.operations.summary import SummaryOperations
from inventory_server.sample_data import load_sample_products
from inventory_server.servicers.catalog_servicer import CatalogServicer
from inventory_server.settings import AWS, EMBEDDED, OFF, Settings
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.barcode_store import BarcodeStore
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.catalog_tables import table_names
from inventory_server.stores.change_feed import ChangeFeed
from inventory_server.stores.dynamo import Dynamo
from inventory_server.stores.level_walk import LevelWalk
from inventory_server.stores.product_store import ProductStore
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.stock_store import StockStore
from inventory_server.stores.tables import create_tables

log = logging.getLogger(__name__)


class CatalogRoot:
    """Everything of the catalogue. `servicer` is there once it is made; `start` does the rest."""

    CREATE_TIMEOUT_S: Final = 60.0

    def __init__(
        self, settings: Settings, store: RedisStore, stock: StockStore, levels: StockOperations,
        expiry: Expiry,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._names = table_names(settings.table_prefix)
        self._embedded = EmbeddedDynamo() if settings.catalog_store == EMBEDDED else None
        self._dynamo = make_dynamo(settings)
        self._index = CatalogIndex()
        products = ProductStore(self._dynamo, self._names)
        barcodes = BarcodeStore(self._dynamo, self._names)
        feed = ChangeFeed(self._dynamo, self._names)
        activity = ProductActivity(products, ActivityStore(store), partitions=store.keys.partitions)
        self.refresh = CatalogRefresh(
            products, feed, self._index, activity, max_age_s=settings.catalog_max_age_s
        )
        writes = ProductWrites(
            products, barcodes, feed, self._index, activity,
            retention_ms=settings.retention_s * 1000,
        )  # fmt: skip
        self._imports = ProductImports(products, writes, feed, activity)
        self.servicer = CatalogServicer(
            CatalogOperations(products, barcodes, self._index, self.refresh, levels),
            writes,
            self._imports,
            SummaryOperations(LevelWalk(store, stock), stock, expiry, self._index, self.refresh),
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_serving(self) -> bool:
        """Whether products can be read and written."""
        return self._dynamo.is_reachable and self.refresh.is_current

    async def start(self) -> None:
        """Opens the index; the rest goes on in the background."""
        await self._index.open()
        self._run(self._begin())

    async def stop(self) -> None:
        """Ends what runs, and gives everything back."""
        self.refresh.stop()
        for task in self._tasks:
            # It may wait for a double that never comes; what it does can be left anywhere.
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._dynamo.close()
        if self._embedded is not None:
            await self._embedded.stop()
        await self._index.close()

    async def _begin(self) -> None:
        try:
            if self._embedded is not None:
                await self._embedded.start()
                self._dynamo.endpoint = self._embedded.endpoint
            await self._dynamo.open()
            if self._embedded is not None:
                deadline = asyncio.get_running_loop().time() + self.CREATE_TIMEOUT_S
                await create_tables(self._dynamo, self._names.keys, deadline)
        except (EmbeddedDynamoError, InventoryError) as error:
            log.error("there is no catalogue: %s", error)
            return
        self._run(self.refresh.run())
        if self._embedded is not None and self._settings.sample_data:
            await self._load_samples()

    async def _load_samples(self) -> None:
        try:
            await load_sample_products(self._imports)
        except InventoryError as error:
            log.error("the sample products are not all there: %s", error)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(background.begin(work))


def make_dynamo(settings: Settings) -> Dynamo:
    """The way to DynamoDB that the settings name; the double's endpoint is known later."""
    where = settings.catalog_store
    return Dynamo(
        endpoint="" if where in (AWS, EMBEDDED, OFF) else where, is_double=where == EMBEDDED
    )
