"""Amounts of money: decimal text to whole numbers of the currency's smallest unit."""

from __future__ import annotations

import re
from typing import Final

_NO_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS: Final = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS: Final = "CLF UYW"
_DECIMALS: Final = {
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
    **dict.fromkeys(_FOUR_DECIMALS.split(), 4),
}
"""The currencies whose smallest unit is not a hundredth (ISO 4217, list one)."""

is_currency = re.compile(r"[A-Z]{3}").fullmatch
CURRENCY_FORM = "three capital letters of ISO 4217"

_AMOUNT = re.compile(r"(\d{1,13})(?:\.(\d{1,9}))?", re.ASCII)


def decimals_of(currency: str) -> int:
    """How many decimals the currency has."""
    return _DECIMALS.get(currency, 2)


def parse_minor(text: str, currency: str) -> int:
    """The amount in minor units, exactly; raises ValueError with a sentence."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"an amount is a decimal number as 1299.95, not {text!r}")
    decimals = decimals_of(currency)
    fraction = (found[2] or "").rstrip("0")
    if len(fraction) > decimals:
        raise ValueError(f"{currency} has {decimals} decimals; {text!r} has {len(fraction)}")
    return int(found[1] + fraction.ljust(decimals, "0"))
