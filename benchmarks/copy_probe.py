"""A look at the durable copy from outside: the server's own figure of how late it is."""

from __future__ import annotations

import asyncio
from typing import Final, Self

from inventory_server.operations.copy_status import CopyStatus
from inventory_server.stores.catalog_tables import table_names
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_tables import copy_table_names
from inventory_server.stores.dynamo import Dynamo
from inventory_server.stores.opening import StoreOpener
from inventory_server.stores.stream_store import StreamStore
from inventory_server.stores.tables import create_tables

TABLE_PREFIX: Final = "inventory-"
EVERY_S: Final = 0.5
_TIMEOUT_S: Final = 10.0


class CopyProbe:
    """Asks Redis and DynamoDB what `inventory-server status` asks, and with the same code."""

    def __init__(self, redis_url: str, dynamodb_url: str) -> None:
        self._redis_url = redis_url
        self._dynamo = Dynamo(endpoint=dynamodb_url, is_double=True, serves="benchmark", threads=1)
        self.lags_ms: list[int] = []
        """What it was told, each time that it asked."""

    async def __aenter__(self) -> Self:
        """Makes the tables."""
        await self._dynamo.open()
        tables = {**table_names(TABLE_PREFIX).keys, **copy_table_names(TABLE_PREFIX).keys}
        await create_tables(self._dynamo, tables, self._soon())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Gives the connections back."""
        self._dynamo.close()

    async def watch(self) -> None:
        """Asks twice a second how old the oldest movement is that is not copied."""
        opener = StoreOpener(
            self._redis_url, partitions=1, durability="declared", stall_timeout_s=_TIMEOUT_S,
            on_change=lambda _: None,
        )  # fmt: skip
        store = await opener.look()
        try:
            leases = CopyLeases(self._dynamo, copy_table_names(TABLE_PREFIX), store.store_id)
            status = CopyStatus(CopySource(store), StreamStore(store, "journal"), leases)
            while True:
                rows = await status.read(self._soon())
                self.lags_ms.append(max(row.lag_ms for row in rows))
                await asyncio.sleep(EVERY_S)
        finally:
            if opener.connection is not None:
                await opener.connection.close()

    def _soon(self) -> float:
        return asyncio.get_running_loop().time() + _TIMEOUT_S
