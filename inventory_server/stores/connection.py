"""One pipelined connection to Redis, for everybody.

redis-py opens the connection (its address forms, TLS, AUTH and handshake), and
then only its transport is used, through a Pipeline.
A command is never sent twice from here: what is known of it when the
connection is lost is told to whoever asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, cast

import hiredis
from redis.asyncio.connection import AbstractConnection

from inventory_server.domain.limits import MAX_CALLS_IN_FLIGHT
from inventory_server.stores.pipeline import (
    Argument,
    Call,
    LostError,
    NotSentError,
    Pipeline,
    Reply,
    pack,
)

log = logging.getLogger(__name__)


class PipelinedConnection:
    """A connection that stays: it reconnects with backoff until it is closed.

    `make` gives an unconnected redis-py connection; `prepare` is run on each
    new connection before anybody else's command (it loads the scripts).
    `on_change` is told when the connection comes and goes.
    """

    BACKOFF_S: Final = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
    TICK_S: Final = 0.02

    def __init__(
        self,
        make: Callable[[], AbstractConnection],
        *,
        stall_timeout_s: float,
        connect_timeout_s: float,
        prepare: Callable[[PipelinedConnection], Awaitable[None]],
        on_change: Callable[[bool], None],
    ) -> None:
        self._make = make
        self._stall_timeout_s = stall_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._prepare = prepare
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._pipeline: Pipeline | None = None
        self._ready = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._connecting: asyncio.Task[None] | None = None
        self._opened: AbstractConnection | None = None
        self.is_ready = False
        """Whether a command would be sent at once."""
        self.last_error: Exception | None = None

    async def open(self) -> None:
        """Connects; raises what went wrong if the first try fails."""
        self._tasks.append(self._loop.create_task(self._watch(), name="redis-watch"))
        await self._connect_once()

    async def close(self) -> None:
        """Closes; calls in flight are told that their reply will not come."""
        self._closing = True
        if self._connecting is not None:
            self._tasks.append(self._connecting)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pipeline is not None:
            self._pipeline.close()
        await self._forget()

    async def wait_ready(self, timeout_s: float) -> bool:
        """Waits until the connection stands, for so long at the most."""
        if self.is_ready:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True

    def start(self, packed: bytes, deadline: float) -> Call:
        """Sends a packed command; raises NotSentError where there is no connection."""
        if not self.is_ready:
            raise NotSentError("there is no connection to the store")
        return self._start(packed, deadline)

    def _start(self, packed: bytes, deadline: float) -> Call:
        pipeline = self._pipeline
        if pipeline is None or pipeline.closed:
            raise NotSentError("there is no connection to the store")
        if len(pipeline.in_flight) >= MAX_CALLS_IN_FLIGHT:
            raise NotSentError("too many calls to the store are in flight")
        call = Call(self._loop.create_future(), deadline)
        pipeline.send(packed, call)
        return call

    async def command(self, *arguments: Argument, timeout_s: float) -> Reply:
        """Runs one command before or after the connection is ready; a ReplyError is raised."""
        call = self._start(pack(arguments), self._loop.time() + timeout_s)
        reply = await call.future
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    async def _connect_once(self) -> None:
        connection = self._make()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await connection.connect()  # type: ignore[no-untyped-call]
            writer = connection._writer
            if writer is None:
                raise NotSentError("the connection was lost at once")
            transport = cast(asyncio.Transport, writer.transport)
            self._opened = connection
            self._pipeline = Pipeline(transport, self._lost)
            self._pipeline.take_over()
            await self._prepare(self)
            if self._pipeline is None:
                raise LostError("the connection was lost while it was made ready")
        except BaseException:
            if self._pipeline is not None:
                self._pipeline.close()
            await connection.disconnect(nowait=True)
            raise
        self.last_error = None
        self.is_ready = True
        self._ready.set()
        self._on_change(True)

    def _lost(self, pipeline: Pipeline) -> None:
        if pipeline is not self._pipeline:
            return
        self._pipeline = None
        if self.is_ready:
            self.is_ready = False
            self._ready.clear()
            self._on_change(False)
            if not self._closing:
                log.warning("lost the connection to the store")
                self._connecting = self._loop.create_task(self._reconnect(), name="redis-reconnect")

    async def _reconnect(self) -> None:
        for attempt in range(1_000_000_000):
            await self._forget()
            try:
                await self._connect_once()
            except Exception as error:
                # Whatever it was, it is kept for those who wait, and tried again.
                if str(error) != str(self.last_error):
                    log.warning("cannot connect to the store: %s", error)
                self.last_error = error
                await asyncio.sleep(self.BACKOFF_S[min(attempt, len(self.BACKOFF_S) - 1)])
            else:
                log.info("connected to the store again")
                return

    async def _forget(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.disconnect(nowait=True)

    async def _watch(self) -> None:
        """Fails calls whose deadline came, and cuts a connection that answers nobody."""
        ticked_at = self._loop.time()
        while not self._closing:
            await asyncio.sleep(self.TICK_S)
            before, ticked_at = ticked_at, self._loop.time()
            now, pipeline = ticked_at, self._pipeline
            if pipeline is None or not pipeline.in_flight:
                continue
            if now - before > self._stall_timeout_s / 2:
                # It was this process that stood still: replies may be waiting to be read.
                pipeline.last_reply_at = now
                continue
            for call in pipeline.in_flight:
                if call.deadline <= now:
                    call.fail(LostError("no reply came in time"))
            if now - pipeline.last_reply_at > self._stall_timeout_s:
                log.warning("the store answers nobody; connecting again")
                pipeline.close()
