"""A stream as a subscriber sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from tests.calls import Refusal

PATIENCE_S = 20
"""How long what has to come is waited for."""


class Watch:
    """A stream: what has come of it."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.cursor = ""
        self.messages: list[Any] = []

    async def next(self, *, heartbeats: bool = False) -> Any:
        """The next message, but for heartbeats."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self._read()
                if heartbeats or message.WhichOneof("event") != "heartbeat":
                    self.messages.append(message)
                    return message

    async def take(self, count: int) -> list[Any]:
        return [await self.next() for _ in range(count)]

    async def until_end(self) -> Refusal:
        """Reads on until the server ends the stream."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    self.messages.append(await self._read())
        except grpc.aio.AioRpcError as error:
            return Refusal(error)

    async def _read(self) -> Any:
        message = await self.call.read()
        assert message is not grpc.aio.EOF, await self.call.code()
        self.cursor = message.cursor or self.cursor
        return message


@asynccontextmanager
async def watching(run: Any, request: Any) -> AsyncIterator[Watch]:
    """A stream that has begun: its first message has come."""
    call = run(request)
    watch = Watch(call)
    try:
        if not request.snapshot and not request.cursor:
            await watch.next(heartbeats=True)
        yield watch
    finally:
        call.cancel()
