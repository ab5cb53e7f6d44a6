"""Amounts of money in words: minor units and a currency."""

from __future__ import annotations

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


def money_text(minor: int, currency: str, *, grouped: bool = False) -> str:
    """The amount in major units, as `1986.21 INR`."""
    decimals = _DECIMALS.get(currency, 2)
    whole, part = divmod(abs(minor), 10**decimals)
    number = f"{whole:,}" if grouped else str(whole)
    fraction = f".{part:0{decimals}d}" if decimals else ""
    return f"{'-' if minor < 0 else ''}{number}{fraction} {currency}".rstrip()
