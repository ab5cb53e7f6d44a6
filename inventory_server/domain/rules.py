"""Pure rules over lines: what is well-formed, and what a request comes to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from inventory_server.domain import limits
from inventory_server.domain.model import Line

_SKU = re.compile(rf"[A-Za-z0-9._\-/+#]{{1,{limits.MAX_SKU_LENGTH}}}")
_LOCATION = re.compile(rf"online|store:[A-Za-z0-9._\-]{{1,{limits.MAX_STORE_LENGTH}}}")
_KEY = re.compile(rf"[\x21-\x7e]{{1,{limits.MAX_KEY_LENGTH}}}")
_METADATA_TEXT = re.compile(r"[\x20-\x7e]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

is_sku = _SKU.fullmatch
is_location = _LOCATION.fullmatch
is_key = _KEY.fullmatch
is_metadata_text = _METADATA_TEXT.fullmatch
has_control = _CONTROL.search

SKU_FORM = f"1 to {limits.MAX_SKU_LENGTH} of A-Z a-z 0-9 . _ - / + #"
ANONYMOUS = "anonymous"
"""The name of an actor that gave none; stored as the empty string."""
KEY_FORM = f"1 to {limits.MAX_KEY_LENGTH} visible ASCII characters"
LOCATION_FORM = f"'online', or 'store:' and 1 to {limits.MAX_STORE_LENGTH} of A-Z a-z 0-9 . _ -"


def _by_level(line: Line) -> tuple[str, str]:
    return line.location, line.sku


def line_text(line: Line) -> str:
    """The line as it goes into fingerprints."""
    return f"{line.location} {line.sku} {line.quantity}"


def sum_lines(lines: Sequence[Line]) -> tuple[Line, ...]:
    """One line a level, quantities summed, sorted by location and SKU."""
    if len(lines) == 1:
        return (lines[0],)
    totals: dict[tuple[str, str], int] = {}
    for sku, location, quantity in lines:
        level = (location, sku)
        totals[level] = totals.get(level, 0) + quantity
    return tuple(Line(sku, location, totals[location, sku]) for location, sku in sorted(totals))


def last_lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line a level, the last one given, sorted by location and SKU."""
    last = {_by_level(line): line for line in lines}
    return tuple(last[level] for level in sorted(last))
