"""The client for code without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from inventory_client.client import (
    ATTEMPT_TIMEOUT_S,
    DEFAULT_TARGET,
    TIMEOUT_S,
    AsyncInventoryClient,
)
from inventory_client.loop_thread import LoopThread
from inventory_client.retry import RetryPolicy
from inventory_client.sync_availability_calls import SyncAvailabilityCalls
from inventory_client.sync_catalog_calls import SyncCatalogCalls
from inventory_client.sync_hold_calls import SyncHoldCalls
from inventory_client.sync_stock_calls import SyncStockCalls


class InventoryClient(SyncStockCalls, SyncHoldCalls, SyncAvailabilityCalls, SyncCatalogCalls):
    """The same as AsyncInventoryClient, with calls that wait. Threads may share it.

    It runs an AsyncInventoryClient in an event loop in a thread, one for all
    synchronous clients of the process. Its methods are made from that one's by
    a program, so both are always alike. In code that has an event loop, use
    AsyncInventoryClient.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float = TIMEOUT_S,
        attempt_timeout: float = ATTEMPT_TIMEOUT_S,
        retry: RetryPolicy | None = None,
        actor: str = "",
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        async def make() -> AsyncInventoryClient:
            return AsyncInventoryClient(
                target, timeout=timeout, attempt_timeout=attempt_timeout, retry=retry,
                actor=actor, credentials=credentials, metadata=metadata, options=options,
            )  # fmt: skip

        self._thread = LoopThread.shared()
        try:
            self._client = self._thread.run(make())
        except BaseException:
            self._thread.leave()
            raise
        self._closing = threading.Lock()
        self._is_closed = False

    def close(self) -> None:
        """Ends the connection; calls under way end with ClientClosed, watches just end."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        if self._thread.is_running:
            self._thread.run(self._client.close())
        self._thread.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
