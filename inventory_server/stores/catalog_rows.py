"""What the index keeps of a product: its body, its weight, and the texts it is found by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

from inventory_server.domain.catalog import Product, ProductFilter, StoredProduct
from inventory_server.domain.words import words_of

OF_NAME: Final = "="
"""Stands before each word of the name when it is kept a second time, apart from all others."""
_BETWEEN_FIELDS: Final = "|"
"""A word of its own, so that no words of two fields stand next to each other."""
_FIXED_BYTES: Final = 192
"""What a product's message takes at most beside its texts."""
_VALUE_BYTES: Final = 16
"""What a value among the attributes takes at most, beside its own text, in a Struct."""


def product_of(stored: StoredProduct) -> Product:
    """The product of a state that is no deletion."""
    if stored.product is None:
        raise ValueError(f"{stored.sku} is deleted")
    return stored.product


def columns_of(stored: StoredProduct) -> tuple[Any, ...]:
    """What stands in a product's row: last its body, which is all of it, as a JSON array."""
    product = product_of(stored)
    body = (stored.version, stored.create_time_ms, stored.update_time_ms, *product)
    return (
        stored.sku,
        stored.version,
        product.barcode,
        product.price_minor,
        product.currency,
        weight_of(product),
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    )


def stored_of(body: list[Any]) -> StoredProduct:
    """A product from its body."""
    version, create_time_ms, update_time_ms, *fields = body
    product = Product(*fields)
    return StoredProduct(product.sku, version, product, create_time_ms, update_time_ms)


def weight_of(product: Product) -> int:
    """How many bytes the product takes in a message, at most.

    Numbers are far longer in a Struct than as JSON: so each sign that a value
    may stand behind counts for more than it is.
    """
    texts = [value for value in product if isinstance(value, str)]
    values = sum(map(product.attributes.count, ",:[{"))
    return _FIXED_BYTES + len("".join(texts).encode()) + _VALUE_BYTES * values


def words_text(stored: StoredProduct) -> str:
    """The words that a search looks at: those of every field, then those of the name, marked."""
    product = product_of(stored)
    of_name = words_of(product.name)
    fields = (
        words_of(product.sku),
        of_name,
        words_of(product.brand),
        words_of(product.category),
        words_of(product.subcategory),
        [OF_NAME + word for word in of_name],
    )
    return f" {_BETWEEN_FIELDS} ".join([" ".join(field) for field in fields])


def labels_text(stored: StoredProduct) -> str:
    """A word for each thing that a filter may ask for."""
    product = product_of(stored)
    groups = ProductFilter(product.category, product.subcategory, product.brand, product.active)
    return " ".join(labels_of(groups))


def labels_of(wanted: ProductFilter) -> Iterator[str]:
    """The words of what a filter asks for."""
    if wanted.active is not None:
        yield f"active{wanted.active:d}"
    for kind, name in zip("csb", wanted[:3], strict=True):
        if name:
            # Names are compared as they are, so they must stay one word, whatever is in them.
            yield kind + blake2b(name.encode(), digest_size=16).hexdigest()
