"""Reads the Lua scripts as text: their headers, functions, names and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "inventory_server" / "scripts"

_TOKEN = re.compile(
    r"--\[\[.*?\]\]|--[^\n]*|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[A-Za-z_]\w*|\d[\w.]*"
    r"|==|~=|<=|>=|\.\.|[^\s\w]",
    re.DOTALL,
)
_KEYWORDS = frozenset(
    (
        *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in"),
        *("local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"),
    )
)
_FUNCTION = re.compile(r"^local function (\w+)\(.*?^end$", re.DOTALL | re.MULTILINE)
_CALL = re.compile(r"redis\.p?call\(([^,)]*)")
# A table that begins with a word and is not a list of words is an answer.
_ANSWER = re.compile(r"\{ '([a-z_]+)'(?!, ')|(?:return|answer =) refuse\('([a-z_]+)'")


@dataclass(frozen=True)
class Source:
    """A script or an include, as it stands in its file."""

    name: str
    text: str

    @property
    def header(self) -> str:
        """What stands in the block comment."""
        found = re.search(r"--\[\[(.*?)\]\]", self.text, re.DOTALL)
        return found[1] if found else ""

    @property
    def body(self) -> str:
        """What is run, without the header and the first line."""
        return self.text.partition("]]")[2] if self.header else self.text

    @property
    def includes(self) -> list[str]:
        """The names of the included files."""
        return re.findall(r"^-- include: (\w+\.lua)$", self.text, re.MULTILINE)


def scripts() -> list[Source]:
    """Every script."""
    return [_read(path) for path in sorted(SCRIPTS.glob("*.lua"))]


def includes() -> list[Source]:
    """Every included file."""
    return [_read(path) for path in sorted((SCRIPTS / "include").glob("*.lua"))]


def _read(path: Path) -> Source:
    return Source(path.name.removesuffix(".lua"), path.read_text("utf-8"))


def functions(script: Source) -> dict[str, str]:
    """The functions that the script's includes give it, by name, each with its text."""
    found = {}
    for name in script.includes:
        text = (SCRIPTS / "include" / name).read_text("utf-8")
        found.update({match[1]: match[0] for match in _FUNCTION.finditer(text)})
    return found


def reachable(script: Source, text: str) -> list[str]:
    """This text, and the text of every included function that it comes to call."""
    known, found, waiting = functions(script), {}, [text]
    while waiting:
        for name in called(waiting.pop()):
            if name in known and name not in found:
                found[name] = known[name]
                waiting.append(known[name])
    return [text, *found.values()]


def called(text: str) -> set[str]:
    """The names that are called in this text, but for the functions that it makes."""
    code = without_comments(text)
    return set(re.findall(r"(?<![.\w:])(\w+)\(", code)) - set(re.findall(r"function (\w+)\(", code))


def commands(text: str) -> list[str]:
    """The Redis commands that this text calls."""
    return [
        command
        for first in _CALL.findall(without_comments(text))
        for command in re.findall(r"(?<![=~]= )'(\w+)'", first) or [f"computed: {first}"]
    ]


def answers(text: str) -> set[str]:
    """The status words that this text answers."""
    return {one or other for one, other in _ANSWER.findall(without_comments(text))}


def documented_answers(header: str) -> set[str]:
    """The status words in the header's Returns section."""
    section = header.partition("\n  Returns")[2].partition("\n  Cost")[0]
    return set(re.findall(r"^ {4}([a-z_]+)(?=\s|$)", section, re.MULTILINE))


def without_comments(text: str) -> str:
    """The text with its comments left out, and its strings kept."""
    return _TOKEN.sub(lambda token: "" if token[0].startswith("--") else token[0], text)


def loose_names(text: str, builtins: frozenset[str]) -> set[str]:
    """Names that are neither local nor given by Redis: globals, or slips of the pen."""
    tokens = [token for token in _TOKEN.findall(text) if not token.startswith("--")]
    local = _declared(tokens)
    loose, braces = set(), 0
    for at, token in enumerate(tokens):
        braces += {"{": 1, "}": -1}.get(token, 0)
        if not re.match(r"[A-Za-z_]", token) or token in _KEYWORDS | local | builtins:
            continue
        before, after = tokens[at - 1] if at else "", [*tokens, ""][at + 1]
        in_table = braces > 0 and before in ("{", ",") and after == "="
        if before not in (".", ":") and not in_table:
            loose.add(token)
    return loose


def _declared(tokens: list[str]) -> set[str]:
    """Every name after `local` or `for`, and every local function's name and parameters."""
    names: set[str] = set()
    for at, token in enumerate(tokens):
        if token not in ("local", "for", "function"):
            continue
        end = {"local": ("=",), "for": ("=", "in"), "function": (")",)}[token]
        is_global = token == "function" and (at == 0 or tokens[at - 1] != "local")
        names_of = tokens[at + 1 :]
        if is_global and names_of[0] != "(":
            names_of = names_of[1:]
        for name in names_of:
            if name in end or (name in _KEYWORDS and name != "function"):
                break
            is_name = re.match(r"[A-Za-z_]", name) and name not in _KEYWORDS
            if not is_name and name not in (",", "("):
                break
            if is_name:
                names.add(name)
    return names
