"""A stream that goes on: it resumes after its cursor, whatever ends the calls below it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

import grpc

from inventory_client.base_error import InventoryError
from inventory_client.caller import Caller
from inventory_client.errors import CursorExpired, SlowConsumer, TooManyStreams
from inventory_client.events import HeartbeatEvent, SnapshotEnded, SnapshotStarted
from inventory_client.failures import broken_off, error_of

log = logging.getLogger(__name__)

Event = TypeVar("Event")

SILENCE_S: Final = 60.0
"""Longest silence: four of the server's heartbeats."""


class WatchPlan(NamedTuple):
    """How a watch begins, and what it tells."""

    cursor: str
    snapshot: bool
    heartbeats: bool
    snapshot_on_gap: bool


class AsyncWatch(Generic[Event]):
    """Events, for as long as it is iterated over: `async for event in client.watch_stock()`.

    It begins with `snapshot` (what is now, then what happens), after a
    `cursor`, or from now. When its call ends (connection lost, server stopped
    or restarted, too slow a reader), it goes on after the last event, without
    a gap and without a double. Where that cannot be (CURSOR_EXPIRED), a new
    snapshot begins and SnapshotStarted says so; without `snapshot_on_gap`,
    CursorExpired is raised. Once it has begun it never gives up; what no retry
    can mend is raised.

    `async with client.watch_stock() as watch` has begun when the block is
    entered, and cancels the call when it is left. A plain `async for` that is
    left cancels it too, as soon as the watch is garbage.
    """

    def __init__(
        self,
        caller: Caller,
        method: Callable[..., Any],
        request: Any,
        event_of: Callable[[Any], Event],
        plan: WatchPlan,
    ) -> None:
        if plan.cursor and plan.snapshot:
            raise ValueError("a watch begins with a snapshot or after a cursor, not both")
        self._caller = caller
        self._method = method
        self._request = request
        self._event_of = event_of
        self._plan = plan
        self._resume, self._snapshot = plan.cursor, plan.snapshot
        self._gap = ""
        """Why the snapshot that comes next is taken; empty where it was asked for."""
        self._cursor = plan.cursor
        self._ready: deque[Any] = deque()
        self._call: Any = None
        self._is_fresh = False
        """Whether nothing has come of the call yet."""
        self._has_begun = self._is_closed = False
        self._failures = 0

    @property
    def cursor(self) -> str:
        """Where to go on after what was told so far; empty before that is known."""
        return self._cursor

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            await self._receive()
        event = self._ready.popleft()
        self._cursor = event.cursor
        return event  # type: ignore[no-any-return]

    async def __aenter__(self) -> Self:
        try:
            while not self._has_begun:
                await self._receive()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancels the call; the watch has ended."""
        self.cancel()

    def cancel(self) -> None:
        """The same at once; to be called in the thread of the event loop."""
        self._is_closed = True
        self._drop()

    def __del__(self) -> None:
        # An abandoned call would be kept alive by gRPC, and by the server, for ever.
        if getattr(self, "_call", None) is not None and not self._caller.is_closed:
            self._drop()

    def _drop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    async def _receive(self) -> None:
        """Waits for a message and puts what it tells into `_ready`."""
        if self._is_closed or self._caller.is_closed:
            raise StopAsyncIteration
        begun_at = asyncio.get_running_loop().time()
        while True:
            try:
                message = await self._read()
                break
            except InventoryError as error:
                self._drop()
                await self._recover(error, begun_at)
        self._has_begun, self._failures = True, 0
        self._take(message)

    async def _read(self) -> Any:
        """The next message of the call, which is made where there is none."""
        if self._call is None:
            self._call = self._open()
        call = self._call
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await call.read()
        except grpc.aio.AioRpcError as raised:
            error = error_of(raised)
            error.__cause__ = raised
            raise error from raised
        except TimeoutError:
            raise broken_off(f"nothing came for {SILENCE_S:g} s") from None
        except asyncio.CancelledError:
            # A read that is cancelled has cancelled its call.
            self._drop()
            if self._is_closed or self._caller.was_closed():
                raise StopAsyncIteration from None
            raise
        if message is grpc.aio.EOF:
            raise broken_off("the server ended the stream")
        return message

    def _open(self) -> Any:
        request = type(self._request)()
        request.CopyFrom(self._request)
        request.cursor, request.snapshot = self._resume, self._snapshot
        self._is_fresh = True
        return self._method(request, metadata=self._caller.settings.metadata)

    def _take(self, message: Any) -> None:
        if self._is_fresh and self._snapshot:
            self._ready.append(SnapshotStarted(self._gap))
        self._is_fresh = False
        event: Any = self._event_of(message)
        if isinstance(event, SnapshotEnded):
            self._snapshot, self._gap = False, ""
        if message.cursor and not self._snapshot:
            self._resume = message.cursor
        if not isinstance(event, HeartbeatEvent) or self._plan.heartbeats:
            self._ready.append(event)
        elif not self._snapshot and not self._ready:
            self._cursor = message.cursor

    async def _recover(self, error: InventoryError, begun_at: float) -> None:
        """Waits before the next call; raises what another one would not mend."""
        self._failures += 1
        if isinstance(error, CursorExpired) and self._plan.snapshot_on_gap:
            self._resume, self._snapshot, self._gap = "", True, error.reason
        elif not self._is_mended_by_another_call(error):
            raise error
        settings = self._caller.settings
        waited_s = asyncio.get_running_loop().time() - begun_at
        if not self._has_begun and waited_s > settings.timeout_s:
            raise error
        log.debug("a watch goes on after %s", error)
        await asyncio.sleep(settings.retry.pause_s(self._failures, error.failure.retry_delay_s))

    def _is_mended_by_another_call(self, error: InventoryError) -> bool:
        if isinstance(error, TooManyStreams):
            # Other streams may have come back sooner after a restart.
            return self._has_begun
        return error.retryable or isinstance(error, SlowConsumer)
