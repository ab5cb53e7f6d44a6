"""Plausible products, as many as are wanted: the same seed makes the same ones.

A few words are everywhere, most are rare, as in a real shop: "unisex" is in
every third name, a model's name in a dozen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Final

from inventory_server.domain.catalog import Product, StoredProduct

FIRST_TIME_MS: Final = 1_750_000_000_000

_COLOURS: Final = (
    *("Black", "White", "Navy", "Grey", "Beige", "Olive", "Maroon", "Mustard", "Charcoal"),
    *("Sky Blue", "Off-White", "Crème", "Teal", "Rust", "Plum", "Sand", "Emerald", "Rosé"),
)
_MATERIALS: Final = ("Cotton", "Linen", "Denim", "Leather", "Mesh", "Wool", "Canvas", "Polyester")
_PEOPLE: Final = ("Men", "Women", "Unisex", "Men's", "Women's", "Unisex", "Kids", "Unisex")
_THINGS: Final = {
    ("Apparel", "Topwear", "piece"): ("T-Shirt", "Polo Shirt", "Oxford Shirt", "Sweatshirt"),
    ("Apparel", "Bottomwear", "piece"): ("Chinos", "Slim Jeans", "Track Pants", "Shorts"),
    ("Apparel", "Outerwear", "piece"): ("Quilted Jacket", "Cardigan", "Rain Coat", "Blazer"),
    ("Footwear", "Sports Shoes", "pair"): ("Trail Runner", "Court Shoe", "Slip-On", "Sneaker"),
    ("Footwear", "Flip Flops", "pair"): ("Beach Slide", "Flip-Flop", "Pool Slider"),
    ("Footwear", "Formal Shoes", "pair"): ("Derby", "Loafer", "Oxford", "Chelsea Boot"),
    ("Accessories", "Socks", "pack"): ("Crew Socks (3)", "Ankle Socks (5)", "Sport Socks (3)"),
    ("Accessories", "Belts", "piece"): ("Reversible Belt", "Woven Belt", "Dress Belt"),
    ("Accessories", "Bags", "piece"): ("Backpack 20L", "Messenger Bag", "Duffle Bag 35L"),
    ("Personal Care", "Fragrance", "bottle"): ("Eau de Toilette 100ml", "Perfume 50ml", "Deo"),
    ("Personal Care", "Skin Care", "bottle"): ("Café Scrub", "Day Cream SPF-30", "Face Wash"),
    ("Home & Kitchen", "Bedding", "piece"): ("Duvet Cover", "Pillow Case", "Fitted Sheet"),
    ("Home & Kitchen", "Cookware", "piece"): ("Sauté Pan 28cm", "Stock Pot 5L", "Wok"),
    ("Toys", "Games", "piece"): ("Card Game", "Puzzle 1000", "Board Game"),
    ("Grocery", "Tea & Coffee", "kg"): ("Espresso Beans", "Green Tea", "煎茶", "Earl Grey"),
}
_SYLLABLES: Final = (
    *("al", "bar", "cor", "dan", "el", "fen", "gar", "hal", "is", "jor", "kel", "lum", "mar"),
    *("nor", "ol", "pra", "quin", "ros", "sol", "tor", "ul", "ven", "wil", "xan", "yor", "zan"),
)
_BRANDS: Final = 400
_MODELS: Final = 6_000


def products(count: int, seed: int = 1) -> Iterator[Product]:
    """That many products, in no order of their SKUs."""
    chance = Random(seed)
    brands = [_invented(chance, 2, 3) for _ in range(_BRANDS)]
    models = [_invented(chance, 2, 4) for _ in range(_MODELS)]
    # The n-th brand is as likely as 1 / n: some are in every tenth product, most are rare.
    weights = list(accumulate(1 / n for n in range(1, _BRANDS + 1)))
    numbers = list(range(count))
    chance.shuffle(numbers)
    for number in numbers:
        (brand,) = chance.choices(brands, cum_weights=weights)
        yield _product(chance, number, brand, chance.choice(models))


def stored_products(count: int, seed: int = 1) -> Iterator[StoredProduct]:
    """The same, as a table has them."""
    for number, product in enumerate(products(count, seed)):
        time_ms = FIRST_TIME_MS + number
        yield StoredProduct(product.sku, time_ms, product, time_ms, time_ms)


def _product(chance: Random, number: int, brand: str, model: str) -> Product:
    (category, subcategory, unit), things = chance.choice(list(_THINGS.items()))
    thing, colour = chance.choice(things), chance.choice(_COLOURS)
    people, material = chance.choice(_PEOPLE), chance.choice(_MATERIALS)
    is_numbered = number % 2 == 0
    code = f"{brand[:3]}-{thing[:2]}".upper() if thing.isascii() else f"{brand[:3]}-X".upper()
    price = None if chance.random() < 0.05 else chance.randint(99, 499_900)
    return Product(
        sku=f"SKU{number:07d}" if is_numbered else f"{code}-{number:07d}/{colour[:2].upper()}",
        name=f"{people} {colour} {model} {material} {thing}",
        brand=brand,
        category=category,
        subcategory=subcategory,
        unit=unit,
        barcode="" if chance.random() < 0.1 else _barcode(number),
        price_minor=price,
        list_price_minor=None if price is None else price + price // 4,
        currency="" if price is None else chance.choice(("EUR", "EUR", "INR", "USD")),
        active=chance.random() >= 0.02,
        attributes=_attributes(colour, material, people),
        image_url=f"https://images.example/{brand.lower()}/item_{number}.jpg",
    )


def _attributes(colour: str, material: str, people: str) -> str:
    """As in the sample data: a hundred bytes and more."""
    found = {
        "color": colour,
        "gender": people,
        "material": material,
        "ratings": 4.2,
        "size": ["XS", "S", "M", "L", "XL", "XXL"],
    }
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _barcode(number: int) -> str:
    """EAN-13, with its check digit."""
    digits = f"890{number:09d}"
    total = sum(int(digit) * (3 if n % 2 else 1) for n, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def _invented(chance: Random, least: int, most: int) -> str:
    return "".join(chance.choices(_SYLLABLES, k=chance.randint(least, most))).capitalize()
