"""Redis's own errors, by what they say of the script that was sent."""

from __future__ import annotations

from typing import Final

from inventory_server.domain.errors import StoreFull, StoreUnavailable

_REFUSED_WHOLE: Final = (
    "LOADING", "BUSY", "READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN",
    "TRYAGAIN", "NOAUTH", "NOPERM", "WRONGPASS", "ERR max number of clients",
)  # fmt: skip
"""Errors that Redis gives before a script has written anything."""


class ScriptError(Exception):
    """A script failed: a bug, or a key of the wrong type. Nothing was written."""


class UnknownScriptError(ScriptError):
    """The store has forgotten the script. Nothing was run."""


def is_unknown_script(reply: Exception) -> bool:
    """Whether Redis has forgotten the script."""
    return str(reply).startswith("NOSCRIPT")


def error_of(reply: Exception) -> Exception:
    """What an error of Redis is to us."""
    text = str(reply)
    if text.startswith("OOM"):
        return StoreFull()
    if text.startswith(_REFUSED_WHOLE):
        return StoreUnavailable(f"the store refused the call: {text.partition(' ')[0]}")
    return UnknownScriptError(text) if is_unknown_script(reply) else ScriptError(text)
