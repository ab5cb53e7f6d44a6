"""The words of texts and queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.domain.words import query_words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Men's T-Shirt (3)", ["men", "s", "t", "shirt", "3"]),
        ("ABC-12/3", ["abc", "12", "3"]),
        ("SKU_0001.A+B#", ["sku", "0001", "a", "b"]),
        ("Crème Brûlée", ["creme", "brulee"]),
        ("Cre\u0300me", ["creme"]),  # the accent as a sign of its own
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("İzmir ΣΟΦΟΣ σοφός", ["izmir", "σοφοσ", "σοφοσ"]),
        ("\uff21\uff22\uff23\uff11\uff12", ["abc12"]),  # as wide as Chinese signs
        ("Nike™ 5㎏ m²", ["nike", "5", "m2"]),
        ("½ Liter", ["1", "2", "liter"]),
        ("運動鞋 煎茶", ["運動鞋", "煎茶"]),
        ("Свитер Ёлка", ["свитер", "елка"]),
        ("שָׁלוֹם مَرْحَبًا", ["שלום", "مرحبا"]),
        ("ผ้าไหม हिन्दी", ["ผ\u0e32ไหม", "हिनदी"]),
        ("👟 ❤️ 1️⃣ 👩‍👧", ["1"]),
        ("a\0b\u200bc\u2028d", ["a", "b", "c", "d"]),
        ('"*^:(){}-+ AND', ["and"]),
        ("\ufe0f \u0301 ् \u20dd", []),  # marks alone
    ],
)
def test_a_text_is_its_letters_and_digits(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(max_size=40))
def test_a_text_is_found_however_it_is_written(text: str) -> None:
    """Words are their own words, and have no sign that would mean something in a query."""
    words = words_of(text)
    assert words_of(" ".join(words)) == words
    assert not set('"*|=') & set("".join(words))
    assert " ".join(words).split() == words


@given(st.lists(st.text(max_size=10), max_size=5))
def test_texts_side_by_side_have_the_words_of_each(texts: list[str]) -> None:
    assert words_of(" ".join(texts)) == [word for text in texts for word in words_of(text)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", []),
        ("- & *", []),
        ("Shirts & Pants", [("shirts",), ("pants",)]),
        ("T-Shirt t/shirt shirt", [("t", "shirt"), ("shirt",)]),
        ("  a\tB\u3000c ", [("a",), ("b",), ("c",)]),
        ('"t shirt" NEAR(a)', [("t",), ("shirt",), ("near", "a")]),
    ],
)
def test_a_query_is_its_words_each_in_its_parts(query: str, words: list[tuple[str, ...]]) -> None:
    assert query_words(query) == words
