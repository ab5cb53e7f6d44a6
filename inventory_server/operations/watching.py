"""Watching: what a subscriber gets, from its snapshot to the tail."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing

from inventory_server.domain.errors import Draining, TooManyStreams
from inventory_server.domain.limits import MAX_PAGE_SIZE, MAX_STREAMS_AN_ACTOR
from inventory_server.domain.model import Level
from inventory_server.domain.stream import EventFilter, Message
from inventory_server.operations.stock import StockOperations
from inventory_server.operations.streams import StreamHub
from inventory_server.stores.stream_store import StreamStore


class Watching:
    """Streams of one kind: `journal` with every level, or `alerts` with the low ones."""

    def __init__(self, store: StreamStore, hub: StreamHub, stock: StockOperations) -> None:
        self._store = store
        self._hub = hub
        self._stock = stock
        self._streams_of: Counter[str] = Counter()

    async def watch(
        self,
        wanted: EventFilter,
        *,
        cursor: str,
        snapshot: bool,
        low_only: bool,
        actor: str,
        timeout_s: float,
        now: Callable[[], float],
    ) -> AsyncIterator[Message]:
        """Messages for as long as somebody takes them.

        Raises InvalidRequest, CursorExpired, SlowConsumer, TooManyStreams, Draining.
        """
        if actor and self._streams_of[actor] >= MAX_STREAMS_AN_ACTOR:
            raise TooManyStreams(MAX_STREAMS_AN_ACTOR)
        self._streams_of[actor] += 1
        try:
            seqs: list[int] | None = None
            sent: dict[tuple[str, str], int] = {}
            if cursor or snapshot:
                places = await self._store.places()
                seqs = [place.seq for place in places]
            if cursor:
                seqs = self._store.resume(cursor, places)
            if snapshot and seqs is not None:
                async for level in self._levels(wanted, low_only, now, timeout_s):
                    if self._hub.is_draining:
                        raise Draining
                    sent[level.location, level.sku] = level.version
                    yield Message("", snapshot_level=level)
                yield Message(self._store.cursor(seqs), is_snapshot_end=True)
            async with aclosing(self._hub.watch(wanted, seqs, sent)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._streams_of[actor] -= 1
            if not self._streams_of[actor]:
                del self._streams_of[actor]

    async def _levels(
        self, wanted: EventFilter, low_only: bool, now: Callable[[], float], timeout_s: float
    ) -> AsyncIterator[Level]:
        """The levels of a snapshot, each exact, not all of one instant."""
        if wanted.skus and not low_only:
            found = await self._stock.batch_get(
                sorted(wanted.skus), sorted(wanted.locations), now() + timeout_s
            )
            for levels in found.values():
                for level in levels:
                    yield level
            return
        threshold = None if low_only else 2**53
        after, more = "", True
        while more:
            page = await self._stock.list_low(
                sorted(wanted.locations),
                threshold,
                after=after,
                count=MAX_PAGE_SIZE,
                deadline=now() + timeout_s,
            )
            for level in page.levels:
                if not wanted.skus or level.sku in wanted.skus:
                    yield level
            after, more = page.last_sku, bool(page.last_sku)


def event_filter(
    locations: Sequence[str], skus: Sequence[str], kinds: Sequence[str] = ()
) -> EventFilter:
    """What a subscriber wants, ready to be asked often."""
    return EventFilter(frozenset(locations), frozenset(skus), frozenset(kinds))
