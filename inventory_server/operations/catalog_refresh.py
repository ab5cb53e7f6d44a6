"""Keeping a server's index of the catalogue fresh, and stock told of inactive products.

At the start every product is read once. Then the feed of changes is polled: a
product that is announced is read again until it is at the version that was
announced, or the announcement is older than any write can last. Then stock is
told once more whether it is active, which mends what a writer that died left
undone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from inventory_server.domain.errors import CatalogThrottled, InventoryError, StoreUnavailable
from inventory_server.operations.product_activity import ProductActivity
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.change_feed import Announcement, ChangeFeed
from inventory_server.stores.product_store import ProductStore, now_ms

log = logging.getLogger(__name__)


class CatalogRefresh:
    """Fills the index, follows the feed, and knows how fresh the index is."""

    POLL_S: Final = 1.0
    RETRY_S: Final = 2.0
    TIMEOUT_S: Final = 5.0
    SKEW_MS: Final = 15_000
    """How far apart the clocks of servers may be."""
    SETTLED_MS: Final = 20_000
    """Older than that, no write that was announced is still on its way."""
    SEGMENTS: Final = 4
    SKUS_A_LOOK: Final = 1000
    COMPARE_S: Final = 3600.0
    """How often everything is read again, whatever the feed says."""

    def __init__(
        self, products: ProductStore, feed: ChangeFeed, index: CatalogIndex,
        activity: ProductActivity, *, max_age_s: float,
    ) -> None:  # fmt: skip
        self._products = products
        self._feed = feed
        self._index = index
        self._activity = activity
        self._max_age_s = max_age_s
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._seen_ms = 0
        self._pending: dict[str, Announcement] = {}
        self._done: dict[str, int] = {}
        self._fresh_at: float | None = None
        self._filled_at: float | None = None
        self.products_read = 0

    @property
    def is_fresh(self) -> bool:
        """Whether the index may answer for the catalogue."""
        if self._fresh_at is None:
            return False
        return self._loop.time() - self._fresh_at <= self._max_age_s

    def check_fresh(self) -> None:
        """Raises StoreUnavailable where the index cannot answer for the catalogue."""
        if self._fresh_at is None:
            raise StoreUnavailable(
                f"the catalogue is being read: {self.products_read} products so far"
            )
        if not self.is_fresh:
            age_s = self._loop.time() - self._fresh_at
            raise StoreUnavailable(f"the catalogue is out of reach for {age_s:.0f} s")

    @property
    def is_current(self) -> bool:
        """Whether the feed was read lately."""
        return (
            self._fresh_at is not None
            and self._loop.time() - self._fresh_at < self.TIMEOUT_S + 2 * self.POLL_S
        )

    async def run(self) -> None:
        """Keeps the index fresh until stopped."""
        told: type[Exception] | None = None
        while not self._stopping.is_set():
            try:
                await self.refresh()
            except Exception as error:
                # Whatever it is: else the catalogue would be away for good, without a word.
                if type(error) is not told:
                    self._tell(error)
                told = type(error)
                await self._wait(self.RETRY_S)
            else:
                told = None
                await self._wait(self.POLL_S)

    def _tell(self, error: Exception) -> None:
        is_known = isinstance(error, StoreUnavailable | CatalogThrottled)
        log.log(
            logging.WARNING if is_known else logging.ERROR,
            "the catalogue's index is not kept fresh: %s", error,
            exc_info=None if is_known else error,
        )  # fmt: skip

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stopping.set()

    async def refresh(self) -> None:
        """Reads what is new; everything, at first and from time to time."""
        now = self._loop.time()
        if self._filled_at is None or now - self._filled_at > self.COMPARE_S:
            since_ms = now_ms() - self.SKEW_MS
            await self._fill()
            self._filled_at = self._loop.time()
            self._seen_ms = self._seen_ms or since_ms
        began = self._loop.time()
        await self._follow()
        self._fresh_at = began

    async def _fill(self) -> None:
        """Reads every product, and tells stock which are inactive."""
        self.products_read = 0
        seen = set[str]()
        await asyncio.gather(*[self._fill_from(n, seen) for n in range(self.SEGMENTS)])
        await self._forget_others(seen)
        await self._index.compact()
        log.info("the catalogue has %d products", (await self._index.counts())[0])
        await self._compare_activity()

    async def _fill_from(self, segment: int, seen: set[str]) -> None:
        async for page in self._products.scan(segment, self.SEGMENTS, self.TIMEOUT_S):
            await self._index.apply(page)
            seen.update([stored.sku for stored in page])
            self.products_read += len(page)
            if self._stopping.is_set():
                raise StoreUnavailable("the server is stopping")

    async def _forget_others(self, seen: set[str]) -> None:
        """Drops what the table has no item of any more: nobody announces what is removed by hand,
        or a deletion that has become old.
        """
        after = ""
        while known := await self._index.skus(after, self.SKUS_A_LOOK):
            others = {sku: version for sku, version in known if sku not in seen}
            # Some may have come after the reading had passed them.
            there = await self._products.read_many(list(others), self._deadline(), is_probe=True)
            await self._index.forget({s: v for s, v in others.items() if s not in there})
            after = known[-1][0]

    async def _follow(self) -> None:
        seen_ms = self._seen_ms
        for entry in await self._feed.since(seen_ms - self.SKEW_MS, self._deadline()):
            self._seen_ms = max(self._seen_ms, min(entry.time_ms, now_ms()))
            if entry.place not in self._done:
                self._pending.setdefault(entry.place, entry)
        if self._pending:
            await self._settle_pending()
        oldest = self._seen_ms - 2 * self.SKEW_MS - self.SETTLED_MS
        self._done = {place: at for place, at in self._done.items() if at >= oldest}

    async def _settle_pending(self) -> None:
        wanted: dict[str, int] = {}
        for entry in self._pending.values():
            for sku, version in entry.versions.items():
                wanted[sku] = max(wanted.get(sku, 0), version)
        known = await self._index.versions(list(wanted))
        behind = [sku for sku, version in wanted.items() if known.get(sku, 0) < version]
        if behind:
            found = await self._products.read_many(behind, self._deadline(), is_probe=True)
            await self._index.apply([item.stored for item in found.values()])
        ended = [e for e in self._pending.values() if e.time_ms < now_ms() - self.SETTLED_MS]
        await self._tell_stock({sku for entry in ended for sku in entry.versions})
        for entry in ended:
            self._done[entry.place] = entry.time_ms
            del self._pending[entry.place]

    async def _tell_stock(self, skus: Iterable[str]) -> None:
        named = sorted(skus)
        if not named:
            return
        try:
            await self._activity.settle(named, self._deadline())
        except InventoryError as error:
            # The entries stay pending, so this is tried again.
            raise StoreUnavailable(f"stock cannot be told: {error}") from error

    async def _compare_activity(self) -> None:
        """Settles every SKU of which stock says something else than the index."""
        differing = await self._activity.differing(self._index, self._deadline)
        if differing:
            log.info("stock is told of %d products whether they are active", len(differing))
            await self._tell_stock(differing)

    def _deadline(self) -> float:
        return self._loop.time() + self.TIMEOUT_S

    async def _wait(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        except TimeoutError:
            return
