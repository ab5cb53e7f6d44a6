"""Options of every command: flags, environment variables, and the config file; in this order."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from inventory_cli.errors import UsageError
from inventory_cli.output import OutputForm
from inventory_cli.spans import seconds_of

DEFAULT_SERVER: Final = "127.0.0.1:8061"
DEFAULT_TIMEOUT_S: Final = 20.0
CONFIG_VARIABLE: Final = "INVENTORY_CONFIG"
NAMES: Final = ("server", "actor", "timeout", "output")
"""The names in the config file; the variables are INVENTORY_ and these in capitals."""
MAX_ACTOR_LENGTH: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What was given on the command line; None where nothing was."""

    server: str | None = None
    actor: str | None = None
    timeout: str | None = None
    output: str | None = None
    no_color: bool = False

    def over(self, other: Flags) -> Flags:
        """These flags, and those of `other` where there are none here."""
        found = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            found[field.name] = theirs if mine is None or mine is False else mine
        return Flags(**found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for one run of a command."""

    server: str = DEFAULT_SERVER
    actor: str = ""
    timeout_s: float = DEFAULT_TIMEOUT_S
    output: OutputForm = OutputForm.TABLE
    no_color: bool = False
    timeout_flag_s: float | None = None
    """The time limit of the command line alone, for what has none by itself."""


class _Told(NamedTuple):
    """A value and the words that say where it comes from."""

    value: Any
    source: str


def read_settings(flags: Flags, environ: Mapping[str, str]) -> Settings:
    """A flag wins over its variable, and that over the file. Raises UsageError."""
    told = {**_of_file(environ), **_of_variables(environ), **_of_flags(flags)}
    values: dict[str, Any] = {name: _READERS[name](one) for name, one in told.items()}
    if "timeout" in values:
        values["timeout_s"] = values.pop("timeout")
    if flags.timeout is not None:
        values["timeout_flag_s"] = values["timeout_s"]
    return Settings(**values, no_color=flags.no_color)


def config_path(environ: Mapping[str, str]) -> Path:
    """Where the config file is looked for."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    home = (
        environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config"
    )
    return Path(home) / "inventory" / "config.toml"


def _of_flags(flags: Flags) -> dict[str, _Told]:
    given = {name: getattr(flags, name) for name in NAMES}
    return {name: _Told(value, f"--{name}") for name, value in given.items() if value is not None}


def _of_variables(environ: Mapping[str, str]) -> dict[str, _Told]:
    found = {}
    for name in NAMES:
        variable = f"INVENTORY_{name.upper()}"
        # As in the server: an empty variable is none.
        if value := environ.get(variable):
            found[name] = _Told(value, variable)
    return found


def _of_file(environ: Mapping[str, str]) -> dict[str, _Told]:
    path = config_path(environ)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if environ.get(CONFIG_VARIABLE):
            raise UsageError(f"{CONFIG_VARIABLE} names {path}, which is not there") from None
        return {}
    except OSError as error:
        raise UsageError(f"cannot read the config file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the config file {path} is not TOML: {error}") from error
    unknown = sorted(set(values) - set(NAMES))
    if unknown:
        raise UsageError(f"the config file {path} has {unknown[0]!r}; it takes {', '.join(NAMES)}")
    return {name: _Told(value, f"{name!r} in {path}") for name, value in values.items()}


def _text(told: _Told) -> str:
    if not isinstance(told.value, str):
        raise UsageError(f"{told.source} takes text in quotes, not {told.value!r}")
    return told.value


def _server(told: _Told) -> str:
    server = _text(told)
    if not server or not server.isprintable() or " " in server:
        raise UsageError(f"{told.source} takes an address as {DEFAULT_SERVER}, not {server!r}")
    return server


def _actor(told: _Told) -> str:
    actor = _text(told)
    if not (actor.isascii() and actor.isprintable()) or len(actor) > MAX_ACTOR_LENGTH:
        raise UsageError(f"{told.source} takes at most {MAX_ACTOR_LENGTH} visible ASCII characters")
    return actor.strip()


def _timeout(told: _Told) -> float:
    is_number = isinstance(told.value, int | float) and not isinstance(told.value, bool)
    return seconds_of(str(told.value) if is_number else _text(told), told.source)


def _output(told: _Told) -> OutputForm:
    try:
        return OutputForm(_text(told))
    except ValueError:
        raise UsageError(f"{told.source} is table or json, not {told.value!r}") from None


_READERS: Final[Mapping[str, Callable[[_Told], Any]]] = {
    "server": _server,
    "actor": _actor,
    "timeout": _timeout,
    "output": _output,
}
