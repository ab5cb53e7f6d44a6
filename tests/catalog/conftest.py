"""A server with a catalogue: a real channel, DynamoDB's double as a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
import redis
from inventory.v1.catalog_service_pb2_grpc import CatalogServiceStub

from inventory_server.catalog_root import make_dynamo
from inventory_server.operations.catalog_refresh import CatalogRefresh
from inventory_server.server import Server
from inventory_server.settings import Settings
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.catalog_tables import TableNames, table_names
from inventory_server.stores.dynamo import Dynamo
from inventory_server.stores.tables import create_tables
from tests.catalog.serving import started
from tests.fold import assert_journal_folds_to_state


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes follow the catalogue at once."""
    monkeypatch.setattr(CatalogRefresh, "POLL_S", 0.02)
    monkeypatch.setattr(CatalogRefresh, "RETRY_S", 0.02)


@pytest.fixture
def catalog_settings(settings: Settings, dynamo_endpoint: str, table_prefix: str) -> Settings:
    """A server on the test store, with tables of its own."""
    return replace(
        settings, dynamodb_endpoint=dynamo_endpoint, table_prefix=table_prefix, durable_copy="off"
    )


@pytest.fixture
def names(catalog_settings: Settings) -> TableNames:
    return table_names(catalog_settings.table_prefix)


@pytest.fixture
async def dynamo(catalog_settings: Settings, names: TableNames) -> AsyncIterator[Dynamo]:
    """The way to the tables, which are there."""
    opened = make_dynamo(catalog_settings)
    await opened.open()
    await create_tables(opened, names.keys, 1e9)
    yield opened
    opened.close()


@pytest.fixture
async def server(
    catalog_settings: Settings, dynamo: Dynamo, db: redis.Redis
) -> AsyncIterator[Server]:
    """A server whose index has been filled."""
    async with started(catalog_settings) as running:
        yield running
    assert_journal_folds_to_state(db)


@pytest.fixture
def catalog(channel: grpc.aio.Channel) -> CatalogServiceStub:
    return CatalogServiceStub(channel)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The double asks for some, and looks at none."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "double")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "double")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
async def index() -> AsyncIterator[CatalogIndex]:
    """An open index, for a test to fill."""
    index = CatalogIndex()
    await index.open()
    yield index
    await index.close()
