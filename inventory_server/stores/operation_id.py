"""Ids of operations, from idempotency keys.

An operation's id is 100 bits of a keyed BLAKE2b (RFC 7693) over method, caller
and key, with a secret that is kept with the data: a caller cannot guess
another's ids, and the same key always leads to the same record.
"""

from __future__ import annotations

from hashlib import blake2b

ID_LENGTH = 20
"""Characters of base32, five bits each."""

_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567"
_LETTER_OF_BYTE = bytes(_LETTERS[byte % 32] for byte in range(256))


def operation_id(secret: bytes, method: str, caller: str, key: str) -> str:
    """The id of the operation that this caller asks for under this key."""
    text = f"{method}\0{caller}\0{key}".encode()
    # Each byte of the digest gives one letter, so base32's own packing is not needed.
    digest = blake2b(text, key=secret, digest_size=ID_LENGTH).digest()
    return digest.translate(_LETTER_OF_BYTE).decode()
