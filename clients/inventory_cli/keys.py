"""Idempotency keys, as the service takes them."""

from __future__ import annotations

import re

from inventory_cli.errors import UsageError

_is_key = re.compile(r"[\x21-\x7e]{1,255}").fullmatch


def checked_key(key: str) -> str:
    """The key. Raises UsageError where the service would not take it."""
    if not _is_key(key):
        raise UsageError("--key takes 1 to 255 visible ASCII characters, without spaces")
    return key
