"""The one way to write lines and levels: `SKU[@LOCATION]=QUANTITY` and `SKU[@LOCATION]`.

Neither `@` nor `=` can stand in a SKU or a location.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from inventory_cli.csv_rows import shortened
from inventory_cli.errors import UsageError

DEFAULT_LOCATION: Final = "online"
LINE_HELP: Final = (
    f"SKU[@LOCATION]=QUANTITY; without a location: {DEFAULT_LOCATION}. As A-1@store:S1=2."
)
MAX_LINE_LENGTH: Final = 200
"""Of what is sent. The server takes far shorter SKUs and locations only."""

_quantity = re.compile(r"[0-9]{1,18}").fullmatch
_delta = re.compile(r"[+-][0-9]{1,18}").fullmatch


def level_of(text: str) -> tuple[str, str]:
    """The SKU and the location of `SKU[@LOCATION]`; the location is empty where none is given.

    Raises UsageError.
    """
    sku, at, location = text.partition("@")
    if not sku or (at and not location) or "=" in text or "@" in location or _is_long(text):
        raise UsageError(
            f"a level is SKU[@LOCATION], as A-1 or A-1@store:S1, not {shortened(text)}"
        )
    return sku, location


def lines_of(texts: Iterable[str]) -> list[tuple[str, str, int]]:
    """(sku, location, quantity) of each `SKU[@LOCATION]=QUANTITY`. Raises UsageError."""
    return [(*_placed(level), int(number)) for level, number in _split(texts)]


def deltas_of(texts: Iterable[str]) -> list[tuple[str, str, int]]:
    """(sku, location, delta) of each `SKU[@LOCATION]=+N` or `=-N`. Raises UsageError."""
    found = []
    for level, number in _split(texts, is_delta=True):
        found.append((*_placed(level), int(number)))
    return found


def quantities_of(texts: Iterable[str]) -> list[tuple[str, int]]:
    """(sku, quantity) of each `SKU=QUANTITY`, for what says its locations elsewhere."""
    found = []
    for level, number in _split(texts):
        if "@" in level:
            raise UsageError(
                f"the locations are told by --from and --to, not in {shortened(level)}"
            )
        found.append((level_of(level)[0], int(number)))
    return found


def level_text(sku: str, location: str) -> str:
    """The level as it is typed; without a location, or with `*`, the SKU alone."""
    return sku if location in ("", "*") else f"{sku}@{location}"


def _placed(level: str) -> tuple[str, str]:
    sku, location = level_of(level)
    return sku, location or DEFAULT_LOCATION


def _split(texts: Iterable[str], *, is_delta: bool = False) -> Iterable[tuple[str, str]]:
    is_number, example = (_delta, "A-1@store:S1=+2") if is_delta else (_quantity, "A-1@store:S1=2")
    what = "a signed number" if is_delta else "a whole number"
    for text in texts:
        level, equals, number = text.rpartition("=")
        if not equals or _is_long(text):
            raise UsageError(
                f"a line is SKU[@LOCATION]=QUANTITY, as {example}, not {shortened(text)}"
            )
        if not is_number(number):
            raise UsageError(f"{what} stands after the =, as {example}, not {shortened(text)}")
        yield level, number


def _is_long(text: str) -> bool:
    return len(text) > MAX_LINE_LENGTH
