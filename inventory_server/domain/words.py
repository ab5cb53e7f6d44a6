"""The words that a search compares: of a product's texts, and of a query.

A word is a run of letters and digits, without case and accents. Texts and
queries are taken apart by the same function, so that what is written alike is
found, however it is written: "T-Shirt" is the words "t" and "shirt", next to
each other.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, combining, normalize

_PLAIN_WORDS: Final = re.compile("[0-9a-z]+")
_IN_WORDS: Final = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Mn", "Mc"))
"""Letters, numbers, and the marks that go with them."""
_VARIATIONS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""They choose how the sign before them looks, and are marks by category."""


def words_of(text: str) -> list[str]:
    """The words of a text, in its order."""
    if text.isascii():
        return _PLAIN_WORDS.findall(text.lower())
    # What is no word goes first: "™" would else become the letters "tm".
    bare = normalize("NFKD", _VARIATIONS.sub("", _spaced(text)))
    folded = "".join([sign for sign in bare if not combining(sign)]).casefold()
    return [word for word in _spaced(folded).split() if any(map(str.isalnum, word))]


def query_words(query: str) -> list[tuple[str, ...]]:
    """The different words of a query, each in its parts; none if it has but punctuation."""
    found = [tuple(words_of(word)) for word in query.split()]
    return [parts for parts in dict.fromkeys(found) if parts]


def _spaced(text: str) -> str:
    """The text with a space in place of everything that is in no word.

    Marks that are no accents, as the vowels of Thai and Hindi, are in words.
    """
    return "".join([sign if category(sign) in _IN_WORDS else " " for sign in text])
