"""Fingerprints of requests: what tells a repeated request from another one.

Taken over a canonical tuple of the request, never over protobuf bytes, which
are not canonical (protobuf.dev, "Proto Serialization Is Not Canonical").
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256


def fingerprint(*parts: str) -> str:
    """96 bits of SHA-256 over the parts. No part can hold the separator, a control character."""
    return urlsafe_b64encode(sha256("\x1f".join(parts).encode()).digest()[:12]).decode()
