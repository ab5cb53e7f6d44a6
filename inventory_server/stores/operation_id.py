"""Ids of operations, from idempotency keys.

An operation's id is 100 bits of HMAC-SHA256 over method, caller and key, with
a secret that is kept with the data: a caller cannot guess another's ids, and
the same key always leads to the same record.
"""

from __future__ import annotations

import hmac
from base64 import b32encode

ID_LENGTH = 20
"""Characters of base32, five bits each."""


def operation_id(secret: bytes, method: str, caller: str, key: str) -> str:
    """The id of the operation that this caller asks for under this key."""
    digest = hmac.digest(secret, f"{method}\0{caller}\0{key}".encode(), "sha256")
    return b32encode(digest[:15])[:ID_LENGTH].decode().lower()
