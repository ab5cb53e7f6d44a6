"""Asynchronous iterators as ordinary ones, over the loop's thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from inventory_client.loop_thread import LoopThread
from inventory_client.paging import AsyncPager, Page
from inventory_client.watching import AsyncWatch

if TYPE_CHECKING:
    from inventory_client.client import AsyncInventoryClient

Item = TypeVar("Item")


class SyncCalls:
    """What the generated methods work with."""

    _thread: LoopThread
    _client: AsyncInventoryClient


def iterate(thread: LoopThread, items: AsyncIterator[Item]) -> Iterator[Item]:
    """The items of an asynchronous iterator, each waited for in turn."""

    async def following() -> Item:
        return await anext(items)

    while True:
        try:
            item = thread.run(following())
        except StopAsyncIteration:
            return
        yield item


class Pager(Generic[Item]):
    """The items of a list, read page by page while they are iterated over; see AsyncPager."""

    def __init__(self, thread: LoopThread, pager: AsyncPager[Item]) -> None:
        self._thread = thread
        self._pager = pager

    def __iter__(self) -> Iterator[Item]:
        """Every item."""
        return iterate(self._thread, aiter(self._pager))

    def pages(self) -> Iterator[Page[Item]]:
        """Every page."""
        return iterate(self._thread, self._pager.pages())


class Watch(Generic[Item]):
    """Events, for as long as it is iterated over; see AsyncWatch."""

    def __init__(self, thread: LoopThread, watch: AsyncWatch[Item]) -> None:
        self._thread = thread
        self._watch = watch

    @property
    def cursor(self) -> str:
        """Where to go on after what was told so far; empty before that is known."""
        return self._watch.cursor

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        try:
            return self._thread.run(self._watch.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        self._thread.run(self._watch.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancels the call; the watch has ended. Any thread may do it."""
        self._thread.call_soon(self._watch.cancel)

    def __del__(self) -> None:
        # The call belongs to the loop's thread, so it is cancelled there.
        if hasattr(self, "_watch"):
            self._thread.call_soon(self._watch.cancel)
