"""Words that an option takes one of; they may be typed in capitals too."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import typer


class Status(StrEnum):
    """Of a stock level."""

    OK = "ok"
    LOW = "low"
    OUT = "out"


class State(StrEnum):
    """Of a hold."""

    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


class Kind(StrEnum):
    """Of an alert."""

    LOW = "low"
    OUT = "out"
    RECOVERED = "recovered"


class Reason(StrEnum):
    """Why a count is changed by hand."""

    COUNT = "count"
    RECEIPT = "receipt"
    RETURN = "return"
    DAMAGE = "damage"
    LOSS = "loss"
    CORRECTION = "correction"
    OTHER = "other"


def choice(*names: str, help: str) -> Any:
    """An option that takes one of an enum's words."""
    return typer.Option(*names, case_sensitive=False, show_default=False, help=help)
