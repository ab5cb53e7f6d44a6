"""Two servers on one Redis, and a load on both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from tests.proof.load import Load
from tests.serving import Running

AnyLoad = TypeVar("AnyLoad", bound=Load)


class Two:
    """Two servers on one Redis, and the load on them."""

    def __init__(self, start: Callable[..., Running], folder: Path, url: str, *flags: str) -> None:
        self._start, self._folder, self._url, self._flags = start, folder, url, flags
        self.servers: list[Running] = []
        self.load: Load

    async def open(self, kind: type[AnyLoad]) -> AnyLoad:
        self.servers += await asyncio.gather(*[self.start_server(n) for n in range(2)])
        self.load = load = kind([address(server) for server in self.servers], timeout_s=10)
        await load.stock_up()
        load.timeout_s = 3
        return load

    async def start_server(self, number: int) -> Running:
        flags = (
            *("--redis-url", self._url, "--durability", "require", "--stall-timeout-s", "0.5"),
            *("--drain-notice-s", "0", *self._flags),
        )
        folder = self._folder / f"server{number}"
        return await asyncio.to_thread(self._start, *flags, data_dir=folder)

    async def settle(self) -> int:
        """Repeats what was not answered; then nothing moves any more."""
        count = await self.load.settle()
        await self.close()
        return count

    async def close(self) -> None:
        await self.load.close()
        await asyncio.gather(*[asyncio.to_thread(server.close) for server in self.servers])


@contextlib.asynccontextmanager
async def two_servers(
    start: Callable[..., Running], folder: Path, url: str
) -> AsyncIterator[tuple[Two, Load]]:
    two = Two(start, folder, url)
    load = await two.open(Load)
    try:
        yield two, load
    finally:
        await load.close()


def address(server: Running) -> str:
    return f"127.0.0.1:{server.port}"
