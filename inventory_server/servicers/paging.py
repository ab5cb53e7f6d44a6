"""Page sizes and page tokens. Tokens are opaque, versioned, and bound to their query."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64Error
from re import fullmatch

from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.fingerprint import fingerprint
from inventory_server.domain.limits import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

_VERSION = "1."


def read_page_size(page_size: int) -> int:
    """0 is the default, too large is cut, negative is InvalidRequest."""
    if page_size < 0:
        raise InvalidRequest(("page_size", "must not be negative"))
    return min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def make_page_token(last: str, *query: str) -> str:
    """The token of the page after the entry `last` of this query; empty at the end."""
    if not last:
        return ""
    text = f"{fingerprint(*query, last)} {last}"
    return _VERSION + urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_page_token(token: str, *query: str, form: str = ".+") -> str:
    """The entry after which to go on; raises InvalidRequest for another query's token.

    `form` is the pattern of such entries: tokens are not signed.
    """
    if not token:
        return ""
    wrong = InvalidRequest(("page_token", "not a token of this query"))
    if not token.startswith(_VERSION) or not token.isascii():
        raise wrong
    body = token[len(_VERSION) :]
    try:
        text = urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    except (NotBase64Error, ValueError) as error:
        raise wrong from error
    bound_to, _, last = text.partition(" ")
    if not fullmatch(form, last) or bound_to != fingerprint(*query, last):
        raise wrong
    return last
