"""A TCP proxy before Redis that can swallow replies, and cut connections."""

from __future__ import annotations

import asyncio
from typing import Self


class ReplyProxy:
    """Passes requests on; replies too, unless `swallowing` is set."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._serving: set[asyncio.Task[None]] = set()
        self.swallowing = False
        self.swallowed_bytes = 0
        self.refusing = False
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._serving)

    def cut(self) -> None:
        """Cuts every connection at once."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self._socket_path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        self._writers.append(writer)
        self.connections += 1
        if self.refusing:
            writer.transport.abort()
            return
        try:
            redis_reader, redis_writer = await self._connect()
        except OSError:
            # Nobody is behind it now: who came finds that out.
            writer.transport.abort()
            return
        self._writers.append(redis_writer)
        await asyncio.gather(
            self._pump(reader, redis_writer, replies=False),
            self._pump(redis_reader, writer, replies=True),
        )

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                if replies and self.swallowing:
                    self.swallowed_bytes += len(data)
                    continue
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # the other side was cut on purpose
        writer.close()
