"""The durable copy's tables on DynamoDB's double, which is a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis

from inventory_server.server import Server
from inventory_server.settings import Settings
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_reader import CopyReader
from inventory_server.stores.copy_store import CopyStore
from inventory_server.stores.copy_tables import CopyTableNames, copy_table_names
from inventory_server.stores.dynamo import Dynamo
from inventory_server.stores.tables import create_tables
from tests.copy.entries import STORE
from tests.copy.serving import PARTITIONS
from tests.fold import assert_journal_folds_to_state


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


@pytest.fixture
def leases(dynamo: Dynamo, names: CopyTableNames) -> CopyLeases:
    return CopyLeases(dynamo, names, STORE)
