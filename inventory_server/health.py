"""Health: true to the store's state, per service and overall."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

import grpc
from grpc_health.v1 import health, health_pb2

from inventory_server.domain.errors import InventoryError
from inventory_server.domain.limits import MAX_SWEEP_LAG_MS
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.script_errors import ScriptError

log = logging.getLogger(__name__)

SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
HOLD_SERVICE: Final = "inventory.v1.HoldService"
SERVICES: Final = (
    "inventory.v1.StockService",
    HOLD_SERVICE,
    "inventory.v1.AvailabilityService",
    "inventory.v1.AuditService",
    "inventory.v1.AlertService",
)


CATALOG_SERVICE: Final = "inventory.v1.CatalogService"
"""Not part of the whole: stock serves without it."""


class Part(Protocol):
    """A part of the server that knows how it is."""

    @property
    def is_serving(self) -> bool:
        """Whether it can do its work."""


class HealthServicer(health.aio.HealthServicer):  # type: ignore[misc]
    """The library's servicer, with the List call that it lacks."""

    async def List(
        self,
        request: health_pb2.HealthListRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> health_pb2.HealthListResponse:
        """Every service's status."""
        statuses = {
            name: health_pb2.HealthCheckResponse(status=status)
            for name, status in self._server_status.items()
        }
        return health_pb2.HealthListResponse(statuses=statuses)


class HealthMonitor:
    """Asks the store about once a second, and says what follows.

    The sweep's lag is the age of the oldest due entry; past 30 s HoldService
    is NOT_SERVING, and so is the whole.
    """

    INTERVAL_S: Final = 1.0
    TIMEOUT_S: Final = 2.0

    def __init__(
        self, servicer: HealthServicer, store: RedisStore, holds: HoldStore,
        catalog: Part | None = None,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._servicer = servicer
        self._store = store
        self._holds = holds
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self._said: dict[str, Any] = {}
        self.sweep_lag_ms = 0

    async def run(self) -> None:
        """Watches until stopped."""
        while not self._stopping.is_set():
            await self.check()
            self._wake.clear()
            try:
                async with asyncio.timeout(self.INTERVAL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def wake(self) -> None:
        """Has the next check made at once."""
        self._wake.set()

    async def stop(self) -> None:
        """Says NOT_SERVING for good, and ends `run`."""
        self._stopping.set()
        self._wake.set()
        await self._servicer.enter_graceful_shutdown()

    async def check(self) -> None:
        """Looks once, and sets every status."""
        try:
            deadline = asyncio.get_running_loop().time() + self.TIMEOUT_S
            lags = await self._holds.read_due(deadline)
            # It may have been put back, or have got back what it lost.
            await self._store.look(deadline)
        except (InventoryError, ScriptError) as error:
            log.debug("the store does not answer: %s", error)
            await self._say(reachable=False, sweeping=False)
            return
        self.sweep_lag_ms = max(0, *lags)
        await self._say(
            reachable=self._store.is_ready, sweeping=self.sweep_lag_ms <= MAX_SWEEP_LAG_MS
        )

    async def _say(self, *, reachable: bool, sweeping: bool) -> None:
        statuses = dict.fromkeys(SERVICES, reachable)
        statuses[HOLD_SERVICE] = reachable and sweeping
        statuses[""] = all(statuses.values())
        if self._catalog is not None:
            statuses[CATALOG_SERVICE] = self._catalog.is_serving
        for name, serving in statuses.items():
            if self._said.get(name) is not serving and not self._stopping.is_set():
                self._said[name] = serving
                log.info("%s is %s", name or "the server", "serving" if serving else "not serving")
                await self._servicer.set(name, SERVING if serving else NOT_SERVING)
