"""The wire to Redis: commands out, replies in order, and who waits for which.

A command that comes alone is written at once. Where they come closely one
after another, a few turns of the event loop are let pass, and what they bring
is written together: Redis then runs them in one turn of its own and, with
`appendfsync always`, syncs its log once for all of them (group commit).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final

import hiredis

log = logging.getLogger(__name__)

Argument = str | int | bytes
Reply = Any
"""What hiredis reads: str, int, None, a list of these, or a ReplyError as a value."""


class NotSentError(Exception):
    """The command was certainly not sent."""


class LostError(Exception):
    """The command was sent, and its reply will not come."""


class Call:
    """A command in flight. `deadline` is in the loop's time.

    How it ended stays here, because a waiter that was cancelled takes its
    future with it.
    """

    __slots__ = ("_end", "deadline", "future")

    def __init__(self, future: asyncio.Future[Reply], deadline: float) -> None:
        self.future = future
        self.deadline = deadline
        self._end: tuple[Reply, Exception | None] | None = None

    def settle(self, reply: Reply) -> None:
        """Ends the call with its reply."""
        self._end = (reply, None)
        if not self.future.done():
            self.future.set_result(reply)

    def fail(self, error: Exception) -> None:
        """Ends the call without one."""
        if self._end is None:
            self._end = (None, error)
        if not self.future.done():
            self.future.set_exception(error)

    async def wait_again(self) -> Reply:
        """Waits for the end after the first waiter was cancelled."""
        if self._end is None:
            if self.future.done():
                self.future = asyncio.get_running_loop().create_future()
            return await self.future
        reply, error = self._end
        if error is not None:
            raise error
        return reply


class Pipeline(asyncio.Protocol):
    """One connection's commands in flight; replies come in their order."""

    CLOSE_S: Final = 0.0004
    """Commands less than this apart come closely."""
    GATHER_TURNS: Final = 64
    IDLE_TURNS: Final = 8
    IDLE_TURN_S: Final = 0.00001
    """A turn shorter than this did nothing; after so many of them nothing is about to come."""
    MOST_GATHERED: Final = 16

    def __init__(self, transport: asyncio.Transport, on_lost: Callable[[Pipeline], None]) -> None:
        self._transport = transport
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(
            encoding="utf-8", errors="surrogateescape", replyError=hiredis.ReplyError
        )
        self._unsent: list[bytes] = []
        self._turns_left = self._idle_turns_left = 0
        self._turned_at = self._last_sent_at = 0.0
        self.in_flight: deque[Call] = deque()
        self.last_reply_at = self._loop.time()
        self.closed = False

    def take_over(self) -> None:
        """Becomes the protocol of a connection that has shaken hands."""
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def send(self, packed: bytes, call: Call) -> None:
        """Writes a packed command, now or with those that follow closely."""
        if not self.in_flight:
            self.last_reply_at = self._loop.time()
        self.in_flight.append(call)
        now, before = perf_counter(), self._last_sent_at
        self._last_sent_at = now
        unsent = self._unsent
        if not unsent and now - before > self.CLOSE_S:
            self._transport.write(packed)
            return
        unsent.append(packed)
        if len(unsent) == 1:
            self._turns_left, self._idle_turns_left = self.GATHER_TURNS, self.IDLE_TURNS
            self._turned_at = now
            self._loop.call_soon(self._turn)
        elif len(unsent) >= self.MOST_GATHERED:
            self._turns_left = 0

    def _turn(self) -> None:
        now, before = perf_counter(), self._turned_at
        self._turned_at = now
        self._turns_left -= 1
        if now - before < self.IDLE_TURN_S:
            self._idle_turns_left -= 1
        if self._turns_left > 0 and self._idle_turns_left > 0:
            self._loop.call_soon(self._turn)
            return
        unsent, self._unsent = self._unsent, []
        if not self.closed:
            self._transport.write(b"".join(unsent))

    def data_received(self, data: bytes) -> None:
        """Hands each whole reply to the oldest call in flight."""
        self._reader.feed(data)
        try:
            reply = self._reader.gets()
            while reply is not False:
                self.in_flight.popleft().settle(reply)
                reply = self._reader.gets()
        except (hiredis.ProtocolError, IndexError):
            log.exception("the store sent what is not a reply; closing the connection")
            self.close()
        self.last_reply_at = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells every call what is known of it."""
        self._end()

    def close(self) -> None:
        """Cuts the connection at once."""
        self._transport.abort()
        self._end()

    def _end(self) -> None:
        if self.closed:
            return
        self.closed = True
        for call in self.in_flight:
            call.fail(LostError("the connection to the store was lost"))
        self.in_flight.clear()
        self._on_lost(self)


def pack(arguments: Sequence[Argument]) -> bytes:
    """The command as Redis reads it."""
    packed: bytes = hiredis.pack_command(tuple(arguments))  # type: ignore[arg-type]
    return packed
