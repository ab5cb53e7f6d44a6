"""Clients of the library, on the real server of a test and on one that is told what to say."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from inventory_client import AsyncInventoryClient

from inventory_server.server import Server
from tests.library.scripted import ScriptedServer, scripted_server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncInventoryClient]:
    """A client of the test's real server."""
    async with AsyncInventoryClient(f"127.0.0.1:{server.port}", actor="tester") as opened:
        yield opened


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as running:
        yield running


@pytest.fixture
async def told(scripted: ScriptedServer) -> AsyncIterator[AsyncInventoryClient]:
    """A client of the server that is told what to say."""
    async with AsyncInventoryClient(scripted.address, timeout=5) as opened:
        yield opened
