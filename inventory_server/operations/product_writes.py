"""Writing products: one conditional write a product, under its idempotency key.

The order of steps makes every crash harmless: the change is announced, then
the barcode claimed, then the product written, then the barcode given back that
it had, then the stock side told whether it is active. What a crash leaves out
is mended: an announcement by reading, a claim by its age, the stock side by
every server's look at what was announced (catalog_refresh).
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import Final, NamedTuple

from inventory_server.domain.catalog import Product, StoredProduct
from inventory_server.domain.errors import (
    BarcodeTaken,
    CatalogThrottled,
    EtagMismatch,
    IdempotencyKeyReused,
    InvalidRequest,
    OutcomeUnknown,
    ProductNotFound,
    StoreUnavailable,
)
from inventory_server.domain.fingerprint import fingerprint
from inventory_server.domain.model import Origin
from inventory_server.domain.product_rules import check_product
from inventory_server.operations.product_activity import ProductActivity
from inventory_server.stores.barcode_store import CLAIM_MS, BarcodeStore, Claim
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.change_feed import ChangeFeed
from inventory_server.stores.dynamo import LostError
from inventory_server.stores.product_records import ProductItem, Write
from inventory_server.stores.product_store import ProductStore, now_ms

log = logging.getLogger(__name__)

MAX_WRITES: Final = 16
"""Operations that a product's item remembers."""


class ProductChange(NamedTuple):
    """What a write answers."""

    stored: StoredProduct
    created: bool
    replayed: bool


class _Operation(NamedTuple):
    """What is asked: its id, and what tells a repetition from another request."""

    id: str
    fingerprint: str


class ProductWrites:
    """Makes, replaces and deletes products. Raises InventoryError."""

    def __init__(
        self, products: ProductStore, barcodes: BarcodeStore, feed: ChangeFeed,
        index: CatalogIndex, activity: ProductActivity, *, retention_ms: int,
    ) -> None:  # fmt: skip
        self._products = products
        self._barcodes = barcodes
        self._feed = feed
        self._index = index
        self._activity = activity
        self._retention_ms = retention_ms

    async def upsert(self, product: Product, etag: str, origin: Origin) -> ProductChange:
        """Puts the product in the place of what is there; with an etag, only of that one."""
        wrong = check_product(product)
        if wrong:
            raise InvalidRequest(*[(f"product.{field}", sentence) for field, sentence in wrong])
        content = fingerprint("UpsertProduct", *map(repr, product), etag)
        operation = _operation("UpsertProduct", origin, content)
        while True:
            before = await self._products.read(product.sku, origin.deadline)
            done = _done(before, operation, origin)
            if done is not None:
                await self._tell_stock(product.sku, origin)
                stored = StoredProduct(
                    product.sku, done.version, product, done.create_time_ms, done.update_time_ms
                )
                return ProductChange(stored, done.created, replayed=True)
            _check_etag(before.stored, etag)
            stored = next_state(before.stored, product)
            if await self.replace(before, stored, origin, operation):
                created = before.stored.product is None
                if created or product.active is not (before.stored.product or product).active:
                    await self._tell_stock(product.sku, origin)
                return ProductChange(stored, created, replayed=False)

    async def delete(self, sku: str, etag: str, origin: Origin) -> bool:
        """Deletes the product; with an etag, only that one. Answers whether it was a replay."""
        operation = _operation("DeleteProduct", origin, fingerprint("DeleteProduct", sku, etag))
        while True:
            before = await self._products.read(sku, origin.deadline)
            if _done(before, operation, origin) is not None:
                await self._tell_stock(sku, origin)
                return True
            if before.stored.product is None:
                raise ProductNotFound(sku=sku)
            _check_etag(before.stored, etag)
            if await self.replace(before, next_state(before.stored, None), origin, operation):
                await self._tell_stock(sku, origin)
                return False

    async def replace(
        self, before: ProductItem, stored: StoredProduct, origin: Origin,
        operation: _Operation | None = None, *, is_announced: bool = False,
    ) -> bool:  # fmt: skip
        """Writes one state in the place of another; False where that was not there any more.

        Raises BarcodeTaken, OutcomeUnknown, StoreUnavailable, CatalogThrottled.
        """
        barcode, had = _barcode(stored), _barcode(before.stored)
        try:
            if not is_announced:
                await self._feed.announce({stored.sku: stored.version}, origin.deadline)
            claimed_at = monotonic()
            if barcode and barcode != had:
                await self._claim(barcode, stored, origin.deadline)
        except LostError as error:
            # Neither says anything of the product yet.
            raise StoreUnavailable(f"the catalogue's store does not answer: {error}") from error
        if monotonic() - claimed_at > CLAIM_MS / 2000:
            raise StoreUnavailable("the catalogue's store took too long")
        record = ProductItem(stored, self._remembered(before, stored, operation))
        name = operation.id if operation else ""
        try:
            written = await self._products.write(
                record, before.stored.version, origin.deadline, operation=name
            )
        except LostError as error:
            raise OutcomeUnknown(origin.key) from error
        if written:
            await self._index.apply([stored])
            if had and had != barcode:
                await self._give_back(had, stored, origin.deadline)
        # What was claimed for a write that lost is left: another write of the same SKU may
        # have come to rely on it, and where none has, it is taken over by its age.
        return written

    async def _claim(self, barcode: str, stored: StoredProduct, deadline: float) -> None:
        mine = Claim(stored.sku, stored.version, now_ms())
        other: Claim | None = None
        while True:
            other = await self._barcodes.claim(barcode, mine, deadline, instead=other)
            if other is None:
                return
            owner = await self._products.read(other.sku, deadline)
            is_leftover = now_ms() - other.time_ms > CLAIM_MS and _barcode(owner.stored) != barcode
            if not is_leftover:
                raise BarcodeTaken(barcode, other.sku)

    async def _give_back(self, barcode: str, stored: StoredProduct, deadline: float) -> None:
        """Gives back the barcode that the product had before this state."""
        try:
            await self._barcodes.release(barcode, stored.sku, stored.version, deadline)
        except (StoreUnavailable, CatalogThrottled, LostError) as error:
            # It is taken over by its age, when somebody wants it.
            log.info("the barcode %s of %s stays claimed: %s", barcode, stored.sku, error)

    async def _tell_stock(self, sku: str, origin: Origin) -> None:
        """Sees that stock knows whether the SKU is active, before the caller does."""
        try:
            await self._activity.settle([sku], origin.deadline)
        except (StoreUnavailable, CatalogThrottled) as error:
            log.warning("stock does not know yet whether %s is active: %s", sku, error)
            raise OutcomeUnknown(origin.key) from error

    def _remembered(
        self, before: ProductItem, stored: StoredProduct, operation: _Operation | None
    ) -> dict[str, Write]:
        oldest = stored.update_time_ms - self._retention_ms
        writes = {op: w for op, w in before.writes.items() if w.update_time_ms >= oldest}
        if operation is None:
            return writes
        created = before.stored.product is None
        writes[operation.id] = Write(
            operation.fingerprint, stored.version, stored.create_time_ms, stored.update_time_ms,
            created,
        )  # fmt: skip
        newest = sorted(writes.items(), key=lambda entry: entry[1].version)
        return dict(newest[-MAX_WRITES:])


def next_state(before: StoredProduct, product: Product | None) -> StoredProduct:
    """The state that follows when this product, or none, is written over another."""
    time_ms = now_ms()
    create_time_ms = time_ms if before.product is None else before.create_time_ms
    # Above every version that the SKU ever had, also where its tombstone has gone meanwhile.
    version = max(before.version + 1, time_ms)
    return StoredProduct(before.sku, version, product, create_time_ms, time_ms)


def _operation(method: str, origin: Origin, content: str) -> _Operation:
    return _Operation(fingerprint(method, origin.caller, origin.key), content)


def _done(before: ProductItem, operation: _Operation, origin: Origin) -> Write | None:
    """The write that this operation made before, if it did."""
    write = before.writes.get(operation.id)
    if write is not None and write.fingerprint != operation.fingerprint:
        raise IdempotencyKeyReused(origin.key)
    return write


def _check_etag(stored: StoredProduct, etag: str) -> None:
    there = stored.etag if stored.product is not None else ""
    if etag and etag != there:
        raise EtagMismatch(stored.sku, there)


def _barcode(stored: StoredProduct) -> str:
    return stored.product.barcode if stored.product is not None else ""
