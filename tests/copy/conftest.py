"""The durable copy's tables on DynamoDB's double, which is a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from click.testing import Result
from inventory.v1 import audit_service_pb2 as audit_pb
from inventory.v1.audit_service_pb2_grpc import AuditServiceStub
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub
from typer.testing import CliRunner

from inventory_server.cli import app
from inventory_server.domain.copy import CopiedStore
from inventory_server.drain_child import DrainChild
from inventory_server.drain_process import DrainRoot
from inventory_server.operations.drain_leases import DrainLeases
from inventory_server.operations.draining import Drainer
from inventory_server.operations.partition_drain import PartitionDrain
from inventory_server.operations.reconciling import Reconcile
from inventory_server.server import Server
from inventory_server.settings import Settings
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_source import CopySource
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.copy_tables import CopyTableNames, copy_table_names
from inventory_server.stores.dynamo import Dynamo
from inventory_server.stores.tables import create_tables
from tests.copy.copying_servers import QuickServer
from tests.copy.entries import STORE
from tests.copy.serving import PARTITIONS
from tests.eventually import eventually
from tests.fold import assert_journal_folds_to_state
from tests.serving import Running


@pytest.fixture
def names(table_prefix: str) -> CopyTableNames:
    return copy_table_names(table_prefix)


@pytest.fixture
async def dynamo(
    request: pytest.FixtureRequest, dynamo_endpoint: str, names: CopyTableNames
) -> AsyncIterator[Dynamo]:
    """The way to the tables, which are there; through the proxy, where a test has one."""
    if "dynamo_proxy" in request.fixturenames:
        dynamo_endpoint = request.getfixturevalue("dynamo_proxy").endpoint
    opened = Dynamo(endpoint=dynamo_endpoint, is_double=True, serves="copy", threads=4)
    await opened.open()
    await create_tables(opened, names.keys, 1e9)
    yield opened
    opened.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A server with few partitions: each costs DynamoDB's double some requests."""
    return replace(settings, partitions=PARTITIONS)


@pytest.fixture
async def server(settings: Settings, db: redis.Redis) -> AsyncIterator[Server]:
    """A server whose store nobody copies yet."""
    running = Server(settings)
    await running.start()
    yield running
    await running.stop()
    assert_journal_folds_to_state(db, PARTITIONS)


@pytest.fixture
def copy(dynamo: Dynamo, names: CopyTableNames) -> CopyStore:
    return CopyStore(dynamo, names, STORE, retention_ms=86_400_000)


@pytest.fixture
def reader(dynamo: Dynamo, names: CopyTableNames) -> CopyReader:
    return CopyReader(dynamo, names)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drainers look often, beat fast, and take little at a time."""
    for owner, name, value in (
        (Drainer, "POLL_S", 0.05), (Drainer, "FIRST_PAUSE_S", 0.02),
        (Drainer, "LONGEST_PAUSE_S", 0.1), (PartitionDrain, "FOLD_S", 0.2),
        (PartitionDrain, "BATCH", 40), (DrainLeases, "BEAT_S", 0.3),
        (DrainLeases, "TERM_S", 1.5), (DrainLeases, "MARGIN_S", -20.0),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, value)
    # Those of servers are processes of their own.
    monkeypatch.setattr(DrainChild, "MODULE", "tests.copy.quick_drainer")
    monkeypatch.setattr(DrainChild, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setenv("COPY_TEST_FOLD_S", "0.2")
    monkeypatch.setenv("COPY_TEST_BATCH", "40")


@pytest.fixture
def start_quick(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts server processes whose drainers have short times; ends them after the test."""
    with contextlib.ExitStack() as running:

        def starts(*flags: str) -> Running:
            server = QuickServer(tmp_path / "data", *flags)
            running.callback(server.close)
            eventually(server.is_serving, timeout_s=30)
            return server

        yield starts


@pytest.fixture
async def leases(server: Server, dynamo, names) -> CopyLeases:
    return CopyLeases(dynamo, names, server.store.store_id)


@pytest.fixture
def make(server: Server, dynamo, names, leases, reader) -> Callable[[], Drainer]:
    """Makes drainers of the server's store."""
    store = CopyStore(dynamo, names, server.store.store_id, retention_ms=86_400_000)

    async def register(deadline: float) -> None:
        copied = CopiedStore(server.store.store_id, server.store.secret.hex(), PARTITIONS, "3", 1)
        await leases.register(copied, deadline)

    return lambda: Drainer(CopySource(server.store), store, leases, reader, register)


@pytest.fixture
async def running(make) -> AsyncIterator[Callable[[], Drainer]]:
    """Starts drainers; ends them after the test."""
    tasks: list[tuple[Drainer, asyncio.Task[None]]] = []

    def starts() -> Drainer:
        drainer = make()
        tasks.append((drainer, asyncio.create_task(drainer.run())))
        return drainer

    yield starts
    for drainer, _ in tasks:
        drainer.stop()
    await asyncio.gather(*[task for _, task in tasks])


class Serving:
    """A server, with its channel."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        self.stock = StockServiceStub(self.channel)
        self.holds = HoldServiceStub(self.channel)
        self._is_stopped = False

    async def discrepancies(self) -> list[Any]:
        call = AuditServiceStub(self.channel).VerifyInvariants(audit_pb.VerifyInvariantsRequest())
        return [part.discrepancy async for part in call if part.HasField("discrepancy")]

    async def stop(self) -> None:
        if self._is_stopped:
            return
        self._is_stopped = True
        await self.channel.close()
        await self.server.stop()


@pytest.fixture
async def serve_with(db: redis.Redis) -> AsyncIterator[Callable[[Settings], Any]]:
    """Starts servers; stops those that still run."""
    started: list[Serving] = []

    async def starts(settings: Settings) -> Serving:
        server = Server(settings)
        await server.start()
        started.append(Serving(server))
        return started[-1]

    yield starts
    for one in started:
        await one.stop()


@pytest.fixture
def serve(settings: Settings, serve_with: Callable[[Settings], Any]) -> Callable[[], Any]:
    """Starts servers that copy nothing on the test store."""
    return lambda: serve_with(settings)


@pytest.fixture
def leases_of(dynamo: Any, names: Any) -> Callable[[Serving], CopyLeases]:
    return lambda serving: CopyLeases(dynamo, names, serving.server.store.store_id)


@pytest.fixture
def copying(dynamo_endpoint: str, table_prefix: str, settings: Settings, dynamo: Any) -> Any:
    """The drainer as the server builds it."""
    given = replace(settings, dynamodb_endpoint=dynamo_endpoint, table_prefix=table_prefix)

    async def of(serving: Serving, *partitions: int) -> DrainRoot:
        """Copies all, or all of these partitions, and ends."""
        root = DrainRoot(given, serving.server.store)
        await root.dynamo.open()
        await root.drainer._begin()
        await root.drainer.lease.keep()
        owned = root.drainer.lease.owned
        root.drainer.lease.owned = {n: owned[n] for n in partitions or owned}
        while await root.drainer.drain():
            pass
        for drain in root.drainer._drains.values():
            await drain.fold()
        root.drainer.lease.owned = owned
        await root.drainer.lease.leave()
        root.dynamo.close()
        return root

    return of


@pytest.fixture
def run_copy_command(
    redis_url: str, dynamo_endpoint: str, table_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Runs a command on the store and its copy, in a thread: it has a loop of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "double")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "double")
    flags = ("--redis-url", redis_url, "--dynamodb-endpoint", dynamo_endpoint)

    async def runs(name: str, *more: str) -> Result:
        command = [name, *flags, "--table-prefix", table_prefix, *more]
        return await asyncio.to_thread(CliRunner().invoke, app, command)

    return runs


@pytest.fixture
def restore(run_copy_command: Any) -> Any:
    return partial(run_copy_command, "restore")


@pytest.fixture
def reconcile(run_copy_command: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Reconcile, "WAIT_S", 0.1)
    return partial(run_copy_command, "reconcile")
