"""Shared parts of the tests: a real redis-server, a real server, a real channel.

Where redis-server is missing the tests that need it are skipped on a
developer's machine and fail in CI. After every test that used a store, the
fold of its journals is compared with what the store holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
import redis
from inventory.v1.availability_service_pb2_grpc import AvailabilityServiceStub
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_server.server import Server
from inventory_server.settings import Settings
from tests.dynamo import moto_server
from tests.eventually import eventually
from tests.faults.dynamo_proxy import DynamoProxy
from tests.fold import assert_journal_folds_to_state
from tests.processes import DurableRedis, free_port, start_redis, stop_process
from tests.serving import Running

# Servers do without a catalogue but where a test says otherwise: it takes seconds to start.
os.environ["INVENTORY_DYNAMODB_ENDPOINT"] = "off"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are processors: a third of the time a test waits."""
    return max(1, 3 * (os.cpu_count() or 1) // 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a redis-server, what needs one is skipped; in CI it runs, and fails."""
    if shutil.which("redis-server") or os.environ.get("CI"):
        return
    for item in items:
        if {"redis_url", "server_address", "start", "store"} & set(
            getattr(item, "fixturenames", ())
        ):
            item.add_marker(pytest.mark.skip(reason="redis-server is not installed"))


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    """A redis-server for the session, on a unix socket."""
    with tempfile.TemporaryDirectory(prefix="inv-") as folder:
        socket = f"{folder}/redis.sock"
        process = start_redis("--unixsocket", socket, "--port", "0", "--dir", folder)
        eventually(lambda: redis.Redis(unix_socket_path=socket).ping())
        yield socket
        stop_process(process)


@pytest.fixture
def db(redis_socket: str) -> Iterator[redis.Redis]:
    """A client of the empty store, to look behind the scenes."""
    client = redis.Redis(unix_socket_path=redis_socket, decode_responses=True)
    client.flushall()
    yield client
    client.config_set("maxmemory", "0")
    client.close()


@pytest.fixture
def redis_url(redis_socket: str, db: redis.Redis) -> str:
    """Where the empty store is."""
    return f"unix://{redis_socket}"


@pytest.fixture(scope="session")
def dynamo_endpoint() -> Iterator[str]:
    """A DynamoDB for the session; tests tell their tables apart by `table_prefix`."""
    with moto_server() as endpoint:
        yield endpoint


@pytest.fixture
def table_prefix() -> str:
    """What the names of this test's tables begin with, and no other test's."""
    return f"test-{uuid4().hex}-"


@pytest.fixture
def dynamo_proxy(dynamo_endpoint: str) -> Iterator[DynamoProxy]:
    """A proxy before the session's DynamoDB, which can be made to fail."""
    with DynamoProxy(dynamo_endpoint) as proxy:
        yield proxy


@pytest.fixture
def store() -> Iterator[DurableRedis]:
    """A redis-server of the test's own, which may be killed and started again."""
    with tempfile.TemporaryDirectory(prefix="inv-") as folder:
        running = DurableRedis(folder)
        yield running
        running.db.close()
        stop_process(running.process)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """A server on the test store, without a sweeper."""
    return Settings(
        redis_url=redis_url, port=0, durability="warn", sweeper=False, call_log=False,
        drain_notice_s=0, dynamodb_endpoint="off",
    )  # fmt: skip


@pytest.fixture
async def server(settings: Settings, db: redis.Redis) -> AsyncIterator[Server]:
    """A real server in this process."""
    running = Server(settings)
    await running.start()
    yield running
    await running.stop()
    assert_journal_folds_to_state(db)


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    """A real channel to it."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened


@pytest.fixture
def stock(channel: grpc.aio.Channel) -> StockServiceStub:
    return StockServiceStub(channel)


@pytest.fixture
def holds(channel: grpc.aio.Channel) -> HoldServiceStub:
    return HoldServiceStub(channel)


@pytest.fixture
def availability(channel: grpc.aio.Channel) -> AvailabilityServiceStub:
    return AvailabilityServiceStub(channel)


@pytest.fixture
def server_address(tmp_path: Path) -> Iterator[str]:
    """A server of its own, in embedded mode, with an empty store."""
    port = free_port()
    flags = ["--port", str(port), "--data-dir", str(tmp_path / "store"), "--no-call-log"]
    process = subprocess.Popen(
        [sys.executable, "-m", "inventory_server", *flags],
        stderr=subprocess.DEVNULL,
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
        grpc.channel_ready_future(opened).result(timeout=30)
    yield f"127.0.0.1:{port}"
    stop_process(process)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts servers, by default on one data folder; ends them after the test."""
    with contextlib.ExitStack() as running:

        def starts(*flags: str, data_dir: Path | None = None, **variables: str) -> Running:
            server = Running(data_dir or tmp_path / "data", *flags, **variables)
            running.callback(server.close)
            return server

        yield starts
