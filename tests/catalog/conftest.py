"""An open index, for a test to fill."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from inventory_server.stores.catalog_index import CatalogIndex


@pytest.fixture
async def index() -> AsyncIterator[CatalogIndex]:
    index = CatalogIndex()
    await index.open()
    yield index
    await index.close()
