"""A server's drainer in this process, for tests that change what it goes by."""

from __future__ import annotations

import asyncio

from inventory_server.domain.copy import CopyReport
from inventory_server.drain_process import DrainRoot, parse_order
from inventory_server.stores.opening import StoreOpener


class DrainerHere:
    """Stands in for DrainChild."""

    def __init__(self, order: bytes) -> None:
        self._settings, _ = parse_order(order.decode())
        self._root: DrainRoot
        self._is_open = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.report = CopyReport()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await self._is_open.wait()
            self._root.stop()
            await self._task

    async def _run(self) -> None:
        opener = StoreOpener(
            self._settings.redis_url, partitions=self._settings.partitions,
            durability="declared", stall_timeout_s=2.0, on_change=lambda _: None,
        )  # fmt: skip
        self._root = DrainRoot(self._settings, await opener.look())
        self._is_open.set()
        await self._root.run()
        assert opener.connection is not None
        await opener.connection.close()
