"""Loads the Lua scripts: reads them, puts their includes in, knows their SHA-1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

_INCLUDE = re.compile(r"^-- include: (\w+\.lua)$", re.MULTILINE)
_FOLDER = files("inventory_server") / "scripts"


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it is sent: its name, its whole text, and the SHA-1 that Redis gives it."""

    name: str
    text: str
    sha: str


def script_names() -> tuple[str, ...]:
    """The names of all scripts, without `.lua`, sorted."""
    return tuple(sorted(path.name[:-4] for path in _FOLDER.iterdir() if path.name.endswith(".lua")))


@cache
def load_script(name: str, *, with_shebang: bool = True) -> Script:
    """The script with its includes in place.

    Servers before Redis 7 (and fakeredis) do not know the `#!lua` line; for
    them it is left out.
    """
    text = (_FOLDER / f"{name}.lua").read_text("utf-8")
    text = _INCLUDE.sub(
        lambda match: (_FOLDER / "include" / match[1]).read_text("utf-8").rstrip("\n"), text
    )
    if not with_shebang:
        text = text.partition("\n")[2]
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())
