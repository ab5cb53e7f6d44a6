"""Pages: their sizes, and tokens that fit one query only."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest

from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.limits import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from inventory_server.servicers.paging import make_page_token, read_page_size, read_page_token

QUERY = ("ListStockLevels", "online", "LOW", "AB")


@pytest.mark.parametrize(
    ("asked", "given"),
    [(0, DEFAULT_PAGE_SIZE), (1, 1), (1000, 1000), (1001, MAX_PAGE_SIZE), (2**31 - 1, 1000)],
)
def test_a_page_size_is_the_default_or_what_was_asked_up_to_a_limit(asked: int, given: int) -> None:
    assert read_page_size(asked) == given


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="page_size"):
        read_page_size(-1)


@pytest.mark.parametrize("last", ["A", "a/b+c#d.e_f-g", "S" * 64, "two words", "Grüße"])
def test_a_token_brings_back_where_the_page_ended(last: str) -> None:
    assert read_page_token(make_page_token(last, *QUERY), *QUERY) == last


def test_the_end_has_no_token_and_the_beginning_none_either() -> None:
    assert make_page_token("", *QUERY) == ""
    assert read_page_token("", *QUERY) == ""


@pytest.mark.parametrize("at", range(len(QUERY)))
def test_a_token_fits_its_own_query_only(at: int) -> None:
    other = list(QUERY)
    other[at] += "x"
    with pytest.raises(InvalidRequest) as refusal:
        read_page_token(make_page_token("A", *QUERY), *other)
    assert refusal.value.facts == {"field": "page_token"}


TOKEN = make_page_token("A", *QUERY)


def test_a_token_that_was_changed_anywhere_is_refused() -> None:
    changed = [
        TOKEN[:at] + ("B" if TOKEN[at] == "A" else "A") + TOKEN[at + 1 :]
        for at in range(len(TOKEN))
    ]
    for wrong in (*changed, TOKEN + "QQ", TOKEN + "QUFB"):
        with pytest.raises(InvalidRequest, match="page_token"):
            read_page_token(wrong, *QUERY)


@pytest.mark.parametrize(
    "wrong",
    [
        "x", "1.", "2." + TOKEN[2:], TOKEN[2:], TOKEN[:-1], TOKEN[:-4],
        "1.ÄÖÜ", "1.****", "1.\0", "1. ", "1." + "A" * 5, "1." + "/" * 40, " " + TOKEN,
        "1." + urlsafe_b64encode(b"\xff\xfe \xff").decode(),
        "1." + urlsafe_b64encode(b"no-space").decode(), "🧦",
    ],
)  # fmt: skip
def test_what_is_no_token_is_a_bad_request(wrong: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_page_token(wrong, *QUERY)
    assert refusal.value.facts == {"field": "page_token"}
