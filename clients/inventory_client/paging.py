"""Lists that come in pages, as iterators over what is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Page(NamedTuple, Generic[Item]):
    """One page of a list; it may be empty and still have a next one."""

    items: Sequence[Item]
    next_page_token: str
    """Where to go on; empty at the end."""


class AsyncPager(Generic[Item]):
    """The items of a list, read page by page while they are iterated over.

    Each iteration begins at the list's first page. Errors of a page's call are
    raised where its first item would come.
    """

    def __init__(self, read_page: Callable[[str], Awaitable[Page[Item]]], first: str) -> None:
        self._read_page = read_page
        self._first = first

    async def __aiter__(self) -> AsyncIterator[Item]:
        """Every item."""
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[Item]]:
        """Every page."""
        token = self._first
        while True:
            page = await self._read_page(token)
            yield page
            token = page.next_page_token
            if not token:
                return
