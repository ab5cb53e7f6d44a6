"""A product's attributes: any JSON object, within limits, kept as canonical text."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, Final

from inventory_server.domain.limits import (
    MAX_ATTRIBUTES,
    MAX_ATTRIBUTES_BYTES,
    MAX_ATTRIBUTES_DEPTH,
)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MAX_NUMBER: Final = 2**53


def pack_attributes(values: dict[str, Any]) -> str:
    """The object as text, keys sorted, no spaces; raises ValueError with a sentence.

    Numbers that are whole are written without a point.
    """
    if len(values) > MAX_ATTRIBUTES:
        raise ValueError(f"at most {MAX_ATTRIBUTES} entries; there are {len(values)}")
    if "" in values:
        raise ValueError("an entry has no name")
    text = json.dumps(
        _checked(values, 1), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    size = len(text.encode())
    if size > MAX_ATTRIBUTES_BYTES:
        raise ValueError(f"at most {MAX_ATTRIBUTES_BYTES} bytes as JSON; it has {size}")
    return text


def parse_attributes(text: str) -> dict[str, Any]:
    """The object in a text that somebody wrote; raises ValueError with a sentence."""
    if len(text) > 2 * MAX_ATTRIBUTES_BYTES:
        raise ValueError(f"at most {MAX_ATTRIBUTES_BYTES} bytes as JSON")
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"a JSON object is wanted, not {text[:40]!r}")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _checked(value: Any, depth: int) -> Any:
    if depth > MAX_ATTRIBUTES_DEPTH + 1:
        raise ValueError(f"at most {MAX_ATTRIBUTES_DEPTH} levels deep")
    if isinstance(value, dict):
        return {_checked(name, depth): _checked(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_checked(item, depth + 1) for item in value]
    if isinstance(value, str):
        if _CONTROL.search(value):
            raise ValueError("text must not contain control characters or half characters")
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not isfinite(value) or abs(value) > _MAX_NUMBER:
            raise ValueError(f"a number is finite and within 2^53, not {value!r:.40}")
        return int(value) if value == int(value) else value
    return value
