"""Spans and instants as people type them: `90s`, `10m`, `1h30m`; `2026-11-21T15:31:40Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from inventory_cli.errors import UsageError

EXAMPLES: Final = "90s, 10m or 1h30m"
MAX_SPAN_S: Final = 10 * 365 * 86_400
"""Longer than anything that is asked for; what is longer is a slip of the finger."""

_UNITS_S: Final = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_part = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|[dhms])")
_span = re.compile(rf"(?:{_part.pattern})+")
_number = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")


def seconds_of(text: str, source: str) -> float:
    """The seconds of a span; a number alone is seconds. `source` says where it was given.

    Raises UsageError where it is none, where it is 0, and past MAX_SPAN_S.
    """
    if _number.fullmatch(text):
        seconds = float(text)
    elif _span.fullmatch(text):
        seconds = sum(float(count) * _UNITS_S[unit] for count, unit in _part.findall(text))
    else:
        raise UsageError(f"{source} takes a time as {EXAMPLES}, not {text!r}")
    if not 0 < seconds <= MAX_SPAN_S:
        raise UsageError(f"{source} takes more than 0 and at most ten years, not {text!r}")
    return seconds


def instant_of(text: str, source: str) -> datetime:
    """The instant: RFC 3339, local time without a zone, or a span ago. Raises UsageError."""
    if text[:1].isdigit() and text[4:5] != "-":
        return datetime.now(UTC) - timedelta(seconds=seconds_of(text, source))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{source} takes a time as 2026-11-21T15:31:40Z, or how long ago as {EXAMPLES},"
            f" not {text!r}"
        ) from None


def span_text(seconds: float) -> str:
    """A span in whole seconds and at most two units: `9m 59s`."""
    left, parts = max(0, round(seconds)), []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
