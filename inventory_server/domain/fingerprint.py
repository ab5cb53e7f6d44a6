"""Fingerprints of requests: what tells a repeated request from another one.

Taken over a canonical tuple of the request, never over protobuf bytes, which
are not canonical (protobuf.dev, "Proto Serialization Is Not Canonical").
"""

from __future__ import annotations

from binascii import b2a_base64
from hashlib import blake2b


def fingerprint(*parts: str) -> str:
    """96 bits of BLAKE2b over the parts. No part can hold the separator, a control character."""
    digest = blake2b("\x1f".join(parts).encode(), digest_size=12).digest()
    return b2a_base64(digest, newline=False).decode()
