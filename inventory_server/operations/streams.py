"""Streams: one reader a process and stream, and a bounded queue for each subscriber.

The reader asks Redis for what is new a few times in a tenth of a second, in
one command for all partitions, and only while somebody watches. A subscriber
reads what lies between its cursor and the reader's place by itself, and joins
the reader when both are at the same place: so nothing is lost, nothing comes
twice, and one that is slow delays nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Final, Self

from inventory_server.domain.errors import (
    Draining,
    InventoryError,
    SlowConsumer,
    StoreUnavailable,
    TooManyStreams,
)
from inventory_server.domain.stream import Event, EventFilter, Message
from inventory_server.stores.stream_store import StreamStore

log = logging.getLogger(__name__)

Versions = Mapping[tuple[str, str], int]
"""The versions of the levels that a snapshot has sent, by (location, sku)."""


class _Subscriber:
    """Somebody who watches: what is on its way to it, and how its stream is to end."""

    MOST_WAITING: Final = 1000

    def __init__(self, wanted: EventFilter, sent: Versions) -> None:
        self._wanted = wanted
        self._sent = sent
        self.waiting: deque[Message] = deque()
        self.woken = asyncio.Event()
        self.is_slow = False
        self.end: InventoryError | None = None

    def takes(self, event: Event) -> bool:
        """Whether it wants this one, and its snapshot did not have it already."""
        if not self._wanted.takes(event):
            return False
        version = self._sent.get((event.location, event.sku)) if self._sent else None
        if version is None:
            return True
        # Versions begin at the seq of a level's first movement: a level that was deleted under
        # this seq, and made again, has a higher one.
        return (event.seq if event.level is None else event.level.version) > version

    def put(self, message: Message) -> None:
        """Queues a message; one that does not read gets no more.

        Nor is kept for it what it has not taken: it will come back with its last cursor.
        """
        if self.is_slow:
            return
        if len(self.waiting) >= self.MOST_WAITING:
            self.is_slow = True
            self.waiting.clear()
        else:
            self.waiting.append(message)
        self.woken.set()


class _Pulse:
    """Says when nothing was sent for so long. One timer does for many messages: what is sent
    only takes a look at the clock, and the timer looks, when it rings, how long that is ago.
    """

    def __init__(self, after_s: float, woken: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._after_s = after_s
        self._woken = woken
        self._sent_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.is_due = False

    def __enter__(self) -> Self:
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def restart(self) -> None:
        """Something is sent now."""
        self._sent_at = self._loop.time()
        if self.is_due:
            self.is_due = False
            self._wait()

    def _wait(self) -> None:
        self._timer = self._loop.call_at(self._sent_at + self._after_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._loop.time() < self._sent_at + self._after_s:
            self._wait()
        else:
            self.is_due = True
            self._woken.set()


class StreamHub:
    """Fans one stream out to everybody who watches it."""

    POLL_S: Final = 0.03
    RETRY_S: Final = 0.2
    CHECK_S: Final = 0.25
    """How often the reader looks how far the partitions have come, whatever the stream has."""
    A_READ: Final = 500

    def __init__(self, store: StreamStore, *, max_streams: int, heartbeat_s: float) -> None:
        self._store = store
        self._max_streams = max_streams
        self._heartbeat_s = heartbeat_s
        self._subscribers: set[_Subscriber] = set()
        self._watchers = 0
        self._reader: asyncio.Task[None] | None = None
        self._failure: StoreUnavailable | None = None
        self._seqs: list[int] = []
        self._cursor = ""
        self._checked_at = 0.0
        self._moved = asyncio.Event()
        self.is_draining = False
        """Whether streams end now."""

    async def watch(
        self, wanted: EventFilter, seqs: Sequence[int] | None, sent: Versions
    ) -> AsyncGenerator[Message, None]:
        """Events after these seqs (None: from now), heartbeats between them.

        Events of levels whose version `sent` has are left out. Ends with CursorExpired,
        SlowConsumer, Draining; raises TooManyStreams at once.
        """
        if self._watchers >= self._max_streams:
            raise TooManyStreams(self._max_streams)
        self._watchers += 1
        subscriber = _Subscriber(wanted, sent)
        try:
            if seqs is None:
                seqs = [place.seq for place in await self._store.places()]
                yield Message(self._store.cursor(seqs))
            place = list(seqs)
            async for message in self._catch_up(subscriber, place):
                yield message
            cursor = self._store.cursor(place)
            with _Pulse(self._heartbeat_s, subscriber.woken) as pulse:
                while True:
                    while subscriber.waiting:
                        message = subscriber.waiting.popleft()
                        cursor = message.cursor
                        pulse.restart()
                        yield message
                    self._check_end(subscriber, cursor)
                    if isinstance(subscriber.end, Draining):
                        yield Message(self._cursor)
                        raise subscriber.end
                    if pulse.is_due:
                        # All that the reader has seen went into the queue, and that is empty.
                        cursor = self._cursor
                        pulse.restart()
                        yield Message(cursor)
                        continue
                    subscriber.woken.clear()
                    await subscriber.woken.wait()
        finally:
            self._subscribers.discard(subscriber)
            self._watchers -= 1

    async def stop(self) -> None:
        """Ends every stream after a last heartbeat."""
        self.is_draining = True
        for subscriber in self._subscribers:
            subscriber.end = Draining()
            subscriber.woken.set()
        self._moved.set()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _catch_up(self, subscriber: _Subscriber, place: list[int]) -> AsyncIterator[Message]:
        """Reads to where the reader is, and joins it there."""
        while True:
            self._start()
            if self.is_draining:
                yield Message(self._store.cursor(place))
                raise Draining
            if not self._seqs or any(map(int.__gt__, place, self._seqs)):
                # The reader has just begun, or is about to come to where the cursor is.
                self._moved.clear()
                await self._moved.wait()
                if self._failure is not None:
                    raise self._failure
                self._store.check(place, await self._store.places())
                continue
            behind = [(n, last) for n, last in enumerate(self._seqs) if place[n] < last]
            if not behind:
                # Nothing is awaited between the look and this: both are at the same place.
                self._subscribers.add(subscriber)
                return
            for number, last in behind:
                while place[number] < last and not self.is_draining:
                    events = await self._store.between(number, place[number], last, self.A_READ)
                    # Looked at after the read: what was trimmed before it would be a gap.
                    self._store.check(place, await self._store.places())
                    for event in events:
                        place[number] = event.seq
                        if subscriber.takes(event):
                            yield Message(self._store.cursor(place), event)
                    if len(events) < self.A_READ:
                        place[number] = last

    def _check_end(self, subscriber: _Subscriber, cursor: str) -> None:
        """Raises what has ended the stream at once, after this cursor."""
        if subscriber.is_slow:
            raise SlowConsumer(cursor)
        if subscriber.end is not None and not isinstance(subscriber.end, Draining):
            raise subscriber.end

    def _start(self) -> None:
        if (self._reader is None or self._reader.done()) and not self.is_draining:
            self._seqs, self._failure = [], None
            self._reader = asyncio.get_running_loop().create_task(self._read(), name="stream")

    async def _read(self) -> None:
        """Reads while somebody watches."""
        failed = False
        while self._watchers and not self.is_draining:
            try:
                is_done = await self._read_once()
            except StoreUnavailable as error:
                if not failed:
                    log.warning("a stream waits for the store: %s", error)
                failed = True
                await asyncio.sleep(self.RETRY_S)
                continue
            except InventoryError as error:
                self._fail(error)
                return
            except Exception as error:
                self._failure = StoreUnavailable(f"the stream cannot be read: {error}")
                self._fail(self._failure)
                raise
            failed = False
            if is_done:
                await asyncio.sleep(self.POLL_S)

    async def _read_once(self) -> bool:
        """Reads what is new; answers whether that was all."""
        now, places = asyncio.get_running_loop().time(), None
        if not self._seqs or now - self._checked_at >= self.CHECK_S:
            places = await self._store.places()
            self._checked_at = now
            if self._seqs:
                self._store.check(self._seqs, places)
            else:
                self._seqs = [place.seq for place in places]
                self._cursor = self._store.cursor(self._seqs)
        events = await self._store.after(self._seqs, self.A_READ)
        self._deliver(events)
        is_done = len(events) < self.A_READ
        if places is not None and is_done:
            # All up to there has been read: a quiet stream's cursor must not grow old.
            self._seqs = [max(s, place.seq) for s, place in zip(self._seqs, places, strict=True)]
            self._cursor = self._store.cursor(self._seqs)
        self._moved.set()
        return is_done

    def _deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            self._seqs[event.partition] = event.seq
            self._cursor = self._store.cursor(self._seqs)
            message = Message(self._cursor, event)
            for subscriber in self._subscribers:
                if subscriber.takes(event):
                    subscriber.put(message)

    def _fail(self, error: InventoryError) -> None:
        log.error("a stream ends for everybody: %s", error)
        for subscriber in self._subscribers:
            subscriber.end = error
            subscriber.woken.set()
        # The next reader begins further on: what it reads does not follow on what these have.
        self._subscribers.clear()
        self._seqs = []
        self._moved.set()
