"""A server's own index of the catalogue: every product, to be listed and searched.

It is a file of SQLite, which this process alone has, and which goes with it.
Statements run in threads of their own, so the event loop waits for none; those
that read do not wait for the one that writes. Memory is the connections' page
caches, however many products there are.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Concatenate, Final, ParamSpec, TypeVar

from inventory_server.domain.catalog import Found, Group, ProductFilter, StoredProduct, Worth
from inventory_server.stores import catalog_reads, catalog_search, catalog_writes
from inventory_server.stores.catalog_schema import IndexFile
from inventory_server.stores.catalog_sql import parts_of

READERS: Final = 2

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


class CatalogIndex:
    """The index: empty when it is opened, gone when it is closed.

    A page may have fewer products than were asked for, where a message takes
    no more bytes; only an empty one is the end.
    """

    def __init__(self) -> None:
        self._readers = ThreadPoolExecutor(READERS, "catalog-reader")
        self._writers = ThreadPoolExecutor(1, "catalog-writer")
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._file: IndexFile | None = None

    async def open(self) -> None:
        """Makes the file. Raises StoreRefusedError where SQLite lacks what is needed."""
        loop = asyncio.get_running_loop()
        self._file = await loop.run_in_executor(self._writers, IndexFile, READERS)
        for reader in self._file.readers:
            self._idle.put(reader)

    async def close(self) -> None:
        """Lets what runs come to its end, and gives the file back."""
        for pool in (self._readers, self._writers):
            await asyncio.to_thread(pool.shutdown)
        if self._file is not None:
            await asyncio.to_thread(self._file.close)
            self._file = None

    async def apply(self, states: Sequence[StoredProduct]) -> None:
        """Takes in states of SKUs, read from the table in any order: the newest of each stays.

        A deletion stays known, so that a state from before it does not bring the product back.
        """
        for part in parts_of(states, catalog_writes.STATES_A_TRANSACTION):
            await self._write(catalog_writes.apply_states, part)

    async def forget(self, versions: Mapping[str, int]) -> None:
        """Drops the SKUs that still have these versions here, and that the table does not have."""
        for part in parts_of(list(versions.items()), catalog_writes.STATES_A_TRANSACTION):
            await self._write(catalog_writes.forget_versions, dict(part))

    async def compact(self) -> None:
        """Puts the parts of the text index together, of which many writes leave many.

        Searches find the same without, but take up to twice as long. It takes a second or two
        after a first load; other writes go between its steps.
        """
        is_begun = False
        while await self._write(catalog_writes.merge_texts, is_begun=is_begun):
            is_begun = True

    async def get(self, skus: Sequence[str]) -> dict[str, StoredProduct]:
        """The products of these SKUs, as far as there are any."""
        return await self._read(catalog_reads.find_products, skus)

    async def versions(self, skus: Sequence[str]) -> dict[str, int]:
        """The versions of these SKUs, as far as they are known; of deleted ones too."""
        return await self._read(catalog_reads.find_versions, skus)

    async def skus(self, after: str, count: int) -> list[tuple[str, int]]:
        """The next SKUs and their versions; deleted ones too."""
        return await self._read(catalog_reads.list_versions, after, count)

    async def find_barcode(self, barcode: str) -> StoredProduct | None:
        """The product with this barcode."""
        return await self._read(catalog_reads.find_barcode, barcode)

    async def products(self, wanted: ProductFilter, after: str, count: int) -> list[StoredProduct]:
        """The next products by SKU that a filter lets through."""
        return await self._read(catalog_reads.list_products, wanted, after, count)

    async def inactive(self, after: str, count: int) -> list[str]:
        """The SKUs of the next inactive products."""
        return await self._read(catalog_reads.list_inactive, after, count)

    async def search(self, query: str, after: tuple[int, str] | None, count: int) -> list[Found]:
        """The next products that a query finds, best first; after this tier and SKU."""
        return await self._read(catalog_search.search_products, query, after, count)

    async def categories(self) -> list[Group]:
        """The categories with their subcategories, by name."""
        return await self._read(catalog_reads.list_groups, catalog_reads.CATEGORIES)

    async def units(self) -> list[Group]:
        """The units, by name."""
        return await self._read(catalog_reads.list_groups, catalog_reads.UNITS)

    async def counts(self) -> tuple[int, int]:
        """How many products there are, and how many active ones."""
        return await self._read(catalog_reads.count_products)

    async def worth(self, units: Mapping[str, int]) -> Worth:
        """What so many units of each SKU come to by their prices."""
        return await self._read(catalog_reads.sum_worth, units)

    async def _read(
        self,
        work: Callable[Concatenate[sqlite3.Connection, Asked], Answer],
        *args: Asked.args,
        **named: Asked.kwargs,
    ) -> Answer:
        """Runs it on what was committed last, all of it on the same."""
        if self._file is None:
            raise RuntimeError("the index is not open")

        def run() -> Answer:
            db = self._idle.get()
            try:
                return _in_transaction(db, "BEGIN", lambda: work(db, *args, **named))
            finally:
                self._idle.put(db)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def _write(
        self,
        work: Callable[Concatenate[sqlite3.Connection, Asked], Answer],
        *args: Asked.args,
        **named: Asked.kwargs,
    ) -> Answer:
        """Runs it whole or not at all."""
        if (file := self._file) is None:
            raise RuntimeError("the index is not open")
        db = file.writer

        def run() -> Answer:
            answer = _in_transaction(db, "BEGIN IMMEDIATE", lambda: work(db, *args, **named))
            file.shorten_log()
            return answer

        return await asyncio.get_running_loop().run_in_executor(self._writers, run)


def _in_transaction(db: sqlite3.Connection, begin: str, work: Callable[[], Answer]) -> Answer:
    db.execute(begin)
    with db:
        return work()
