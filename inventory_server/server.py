"""The composition root: builds everything, starts it, drains it, stops it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from inventory.v1 import (
    alert_service_pb2,
    audit_service_pb2,
    availability_service_pb2,
    catalog_service_pb2,
    hold_service_pb2,
    stock_service_pb2,
)
from redis.exceptions import RedisError

from inventory_server import background
from inventory_server.call_log import CallLog
from inventory_server.catalog_root import CatalogRoot
from inventory_server.copy_root import CopyRoot, refuse_lost_store
from inventory_server.domain import limits
from inventory_server.domain.copy import CopyReport
from inventory_server.embedded_redis import EmbeddedRedis, EmbeddedRedisError
from inventory_server.health import HealthMonitor, HealthServicer
from inventory_server.metrics import Metrics
from inventory_server.operations.audit import AuditOperations
from inventory_server.operations.availability import AvailabilityOperations
from inventory_server.operations.expiry import Expiry, Sweeper
from inventory_server.operations.hold_batches import HoldBatches
from inventory_server.operations.holds import HoldOperations
from inventory_server.operations.imports import ImportOperations
from inventory_server.operations.movements import MovementOperations
from inventory_server.operations.stock import StockOperations
from inventory_server.operations.streams import StreamHub
from inventory_server.operations.trimming import Trimmer
from inventory_server.operations.watching import Watching
from inventory_server.sample_data import load_sample_data
from inventory_server.servicers.alert_servicer import AlertServicer
from inventory_server.servicers.audit_servicer import AuditServicer
from inventory_server.servicers.availability_servicer import AvailabilityServicer
from inventory_server.servicers.guard import Guard
from inventory_server.servicers.hold_servicer import HoldServicer
from inventory_server.servicers.reflection import add_reflection
from inventory_server.servicers.stock_servicer import StockServicer
from inventory_server.settings import OFF, Settings
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.movement_store import MovementStore
from inventory_server.stores.opening import StoreOpener, StoreRefusedError
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.stock_store import StockStore
from inventory_server.stores.stream_store import StreamStore

log = logging.getLogger(__name__)

SERVICES = (
    stock_service_pb2.DESCRIPTOR.services_by_name["StockService"],
    hold_service_pb2.DESCRIPTOR.services_by_name["HoldService"],
    availability_service_pb2.DESCRIPTOR.services_by_name["AvailabilityService"],
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
    alert_service_pb2.DESCRIPTOR.services_by_name["AlertService"],
)
CATALOG = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"]

OPTIONS = (
    # A second server on the same port is an error, not a silent sharing.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", limits.MAX_MESSAGE_BYTES),
    ("grpc.absolute_max_metadata_size", limits.MAX_METADATA_BYTES),
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # New calls move to a new connection; open streams may stay as long as they like.
    ("grpc.max_connection_age_ms", 1_800_000),
)


class StartError(Exception):
    """The server cannot start; the sentence says why."""


class Server:
    """A server: `start`, then `stop`. Everything it uses is built here."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.port = 0
        self.redis: EmbeddedRedis | None = None
        self.store: RedisStore
        self.sweeper: Sweeper
        self.trimmer: Trimmer
        self.health: HealthMonitor
        self.catalog: CatalogRoot | None = None
        self.copy: CopyRoot | None = None
        self.metrics: Metrics | None = None
        self._url = settings.redis_url
        self._opener: StoreOpener
        self._guard: Guard
        self._call_log: CallLog
        self._grpc: grpc.aio.Server
        self._hubs: list[StreamHub] = []
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Serves. Raises StartError where it cannot; nothing is left running then."""
        try:
            await self._open_store()
            await self._build()
        except BaseException:
            await self._close_store()
            raise

    async def stop(self) -> None:
        """Says NOT_SERVING, lets calls in flight finish, and closes everything."""
        await self.health.stop()
        self._guard.draining = True
        # Who comes now is told that nothing was done; past this, gRPC only cancels.
        await asyncio.gather(*[hub.stop() for hub in self._hubs])
        await asyncio.sleep(self.settings.drain_notice_s)
        await self._grpc.stop(self.settings.drain_timeout_s)
        self.sweeper.stop()
        self.trimmer.stop()
        # The loops end by their flags; a cancel may get lost on Python 3.11.
        await asyncio.gather(*self._loops, return_exceptions=True)
        for part in (self.catalog, self.copy):
            if part is not None:
                await part.stop()
        self._call_log.flush()
        await self._close_store()

    async def _open_store(self) -> None:
        try:
            if self.settings.is_embedded:
                self.redis = EmbeddedRedis(self.settings.data_dir)
                await self.redis.start()
                self._url = self.redis.url
            url = self._url
            if self.settings.has_copy:
                await refuse_lost_store(self.settings, url)
            self._opener = StoreOpener(
                url,
                partitions=self.settings.partitions,
                durability=self.settings.durability,
                stall_timeout_s=self.settings.stall_timeout_s,
                on_change=self._store_changed,
            )
            self.store = await self._opener.open()
        except (EmbeddedRedisError, StoreRefusedError) as error:
            raise StartError(str(error)) from error
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            raise StartError(f"cannot use Redis: {error or 'it does not answer'}") from error

    async def _build(self) -> None:
        settings = self.settings
        self._grpc = grpc.aio.server(options=OPTIONS)
        self._bind()
        max_ttl_ms = settings.max_ttl_s * 1000
        holds = HoldStore(
            self.store,
            retention_ms=settings.retention_s * 1000,
            max_hold_life_ms=settings.max_hold_life_s * 1000,
        )
        stock = StockStore(self.store, retention_ms=settings.retention_s * 1000)
        expiry = Expiry(holds, self.store.keys)
        operations = HoldOperations(
            holds, expiry, default_ttl_ms=min(limits.DEFAULT_TTL_MS, max_ttl_ms)
        )
        stock_operations = StockOperations(stock, expiry)
        movements = MovementStore(self.store)
        audit = AuditStore(self.store, retention_ms=settings.retention_s * 1000)
        imports = ImportOperations(stock, expiry)
        if settings.sample_data:
            await load_sample_data(imports, stock)
        self._call_log = CallLog(sys.stderr if settings.call_log else None)
        self._guard = Guard(self._call_log, timeout_s=settings.store_timeout_s)
        self.copy = CopyRoot(settings, self.store, self._url) if settings.has_copy else None
        history = self.copy.history if self.copy is not None else None
        servicers = (
            StockServicer(
                stock_operations,
                imports,
                MovementOperations(movements, operations, history),
                self._watching("journal", stock_operations),
                max_lines=settings.max_lines,
                timeout_s=settings.store_timeout_s,
            ),
            HoldServicer(
                operations,
                HoldBatches(holds, operations),
                max_lines=settings.max_lines,
                max_ttl_ms=max_ttl_ms,
            ),
            AvailabilityServicer(AvailabilityOperations(stock, expiry)),
            AuditServicer(AuditOperations(audit, movements)),
            AlertServicer(
                self._watching("alerts", stock_operations),
                stock_operations,
                timeout_s=settings.store_timeout_s,
            ),
        )
        for service, servicer in zip(SERVICES, servicers, strict=True):
            self._guard.register(self._grpc, service, servicer)
        services: tuple[ServiceDescriptor, ...] = SERVICES
        if settings.catalog_store != OFF:
            self.catalog = CatalogRoot(settings, self.store, stock, stock_operations, expiry)
            self._guard.register(self._grpc, CATALOG, self.catalog.servicer)
            services = (*SERVICES, CATALOG)
        health_servicer = HealthServicer()
        self.health = HealthMonitor(health_servicer, self.store, holds, self.catalog)
        self.sweeper = Sweeper(holds, self.store.keys)
        self.trimmer = Trimmer(
            StreamStore(self.store, "journal"),
            max_age_ms=settings.journal_retention_s * 1000,
            max_entries=limits.JOURNAL_ENTRIES,
            max_bytes=settings.journal_max_bytes if settings.has_copy else 0,
        )
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, self._grpc)
        add_reflection(self._grpc, (*services, health_pb2.DESCRIPTOR.services_by_name["Health"]))
        if self.copy is not None:
            await self.copy.check()
        await self.health.check()
        await self._grpc.start()
        await self._start_loops()

    async def _start_loops(self) -> None:
        """Begins what goes on beside the calls."""
        settings = self.settings
        if self.catalog is not None:
            await self.catalog.start()
        if self.copy is not None:
            self.copy.start()
        self._run(self.health.run())
        if settings.sweeper:
            self._run(self.sweeper.run())
            self._run(self.trimmer.run())

    def _bind(self) -> None:
        """Takes the port, before anything is written; calls come in later."""
        address = f"{self.settings.host}:{self.settings.port}"
        try:
            self.port = self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            raise StartError(
                f"cannot listen on {address}: is another server there,"
                " or is it no address of this machine?"
            ) from error
        self._serve_metrics()

    def _serve_metrics(self) -> None:
        settings = self.settings
        if settings.metrics_port is None:
            return
        self.metrics = Metrics(self._copy_report if settings.has_copy else None)
        try:
            self.metrics.start(settings.host, settings.metrics_port)
        except OSError as error:
            self.metrics = None
            raise StartError(
                f"cannot answer for metrics on {settings.host}:{settings.metrics_port}: {error}"
            ) from error
        log.info("metrics at http://%s:%d/metrics", settings.host, self.metrics.port)

    def _copy_report(self) -> CopyReport:
        return self.copy.drainer.report if self.copy is not None else CopyReport()

    def _watching(self, stream: str, stock: StockOperations) -> Watching:
        store, settings = StreamStore(self.store, stream), self.settings
        hub = StreamHub(store, max_streams=settings.max_streams, heartbeat_s=settings.heartbeat_s)
        self._hubs.append(hub)
        return Watching(store, hub, stock)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._loops.append(background.begin(work))

    def _store_changed(self, is_ready: bool) -> None:
        log.debug("the store is %s", "there" if is_ready else "gone")
        if hasattr(self, "health"):
            self.health.wake()

    async def _close_store(self) -> None:
        if self.metrics is not None:
            self.metrics.stop()
        if hasattr(self, "store"):
            await self.store.drain()
        if hasattr(self, "_opener") and self._opener.connection is not None:
            await self._opener.connection.close()
        if self.redis is not None:
            await self.redis.stop()
