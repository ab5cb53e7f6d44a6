"""A TCP proxy before a server that cuts a connection in the middle."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class CuttingProxy:
    """Cuts the first connection after so many bytes of answers; `is_last` ends the proxy then."""

    def __init__(self, server: str, *, cut_after_bytes: int, is_last: bool = False) -> None:
        self._host, _, port = server.rpartition(":")
        self._server_port = int(port)
        self._bytes_left: int | None = cut_after_bytes
        self._is_last = is_last
        self._listener: asyncio.Server
        self._writers: set[asyncio.StreamWriter] = set()
        self.address = ""
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        server_reader, server_writer = await asyncio.open_connection(self._host, self._server_port)
        self._writers |= {writer, server_writer}
        await asyncio.gather(
            self._pump(reader, server_writer, is_answer=False),
            self._pump(server_reader, writer, is_answer=True),
        )

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1024):
                writer.write(data)
                await writer.drain()
                if is_answer:
                    self._count(len(data))
        writer.close()

    def _count(self, size: int) -> None:
        if self._bytes_left is None:
            return
        self._bytes_left -= size
        if self._bytes_left <= 0:
            self._bytes_left = None
            if self._is_last:
                self._listener.close()
            self._cut()
