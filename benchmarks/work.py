"""The work of a load run: which request is next, and what became of those sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from time import perf_counter


class Work:
    """Hands out requests until it is told to stop, and keeps count.

    Messages are sent in turn, over and over, or once each (`is_once`). Keys
    are `prefix` and a number; without a prefix there are none.
    """

    def __init__(self, messages: Sequence[bytes], prefix: str, *, is_once: bool) -> None:
        self._messages = messages
        self._prefix = prefix.encode()
        self._is_once = is_once
        self._is_stopping = False
        self.now = perf_counter
        self.sent = 0
        self.ended = 0
        self.refused = 0
        self.took_s: list[float] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """The next requests, as (key, message); none after the stop."""
        for _ in range(count):
            if self._is_stopping or (self._is_once and self.sent == len(self._messages)):
                return
            number = self.sent
            self.sent += 1
            key = b"%s%09d" % (self._prefix, number) if self._prefix else b""
            yield key, self._messages[number % len(self._messages)]

    def done(self, took_s: float, *, is_ok: bool) -> None:
        """Counts a call that ended."""
        self.ended += 1
        self.took_s.append(took_s)
        if not is_ok:
            self.refused += 1
        if self.ended == self.sent and (self._is_stopping or self._is_once):
            self._finish()

    def stop(self) -> None:
        """Hands out nothing more; `finished` is set when what was sent has ended."""
        self._is_stopping = True
        if self.ended == self.sent:
            self._finish()

    def break_off(self, sentence: str) -> None:
        """Ends the run with an error."""
        self._is_stopping = True
        if not self.finished.done():
            self.finished.set_exception(ConnectionError(sentence))

    def _finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)
