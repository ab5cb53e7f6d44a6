"""DynamoDB's expressions, as far as the server writes them: conditions, keys and SET."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

Item = dict[str, dict[str, Any]]
"""Names, and values with their types."""

_TOKEN: Final = re.compile(r"[#:]?\w+|<=|>=|[=<>(),]|\S")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class ExpressionError(Exception):
    """An expression says something that is not known here."""


def plain(value: Mapping[str, Any]) -> Any:
    """A value of DynamoDB as one that can be compared."""
    ((kind, inner),) = value.items()
    return Decimal(inner) if kind == "N" else inner


class Expressions:
    """The expressions of one request."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._names = request.get("ExpressionAttributeNames", {})
        self._values = request.get("ExpressionAttributeValues", {})
        self._tokens: list[str] = []

    def holds(self, condition: str, item: Item) -> bool:
        """Whether a condition holds of an item, an empty one where there is none."""
        self._tokens = _TOKEN.findall(condition)[::-1]
        found = self._any(item)
        if self._tokens:
            raise ExpressionError(condition)
        return found

    def hash_value(self, condition: str, hash_name: str) -> dict[str, Any]:
        """The value that a key condition wants the first part of the key to have."""
        for name, value in re.findall(r"(#?\w+) = (:\w+)", condition):
            if self._name(name) == hash_name:
                return self._value(value)
        raise ExpressionError(condition)

    def updated(self, update: str, item: Item) -> Item:
        """The item as `SET name = value, …` makes it."""
        verb, _, assignments = update.partition(" ")
        if verb != "SET":
            raise ExpressionError(update)
        changed = dict(item)
        for assignment in assignments.split(","):
            found = re.fullmatch(r"\s*(#?\w+) = (:\w+)\s*", assignment)
            if found is None:
                raise ExpressionError(update)
            changed[self._name(found[1])] = self._value(found[2])
        return changed

    def _any(self, item: Item) -> bool:
        found = self._all(item)
        while self._next_is("OR"):
            found |= self._all(item)
        return found

    def _all(self, item: Item) -> bool:
        found = self._term(item)
        while self._next_is("AND"):
            found &= self._term(item)
        return found

    def _term(self, item: Item) -> bool:
        word = self._take()
        if word == "(":
            found = self._any(item)
            self._take(")")
            return found
        if word in ("attribute_exists", "attribute_not_exists"):
            self._take("(")
            is_there = self._name(self._take()) in item
            self._take(")")
            return is_there == (word == "attribute_exists")
        there, how = item.get(self._name(word)), self._take()
        if how == "BETWEEN":
            first = self._value(self._take())
            self._take("AND")
            last = self._value(self._take())
            return _compares(">=", there, first) and _compares("<=", there, last)
        return _compares(how, there, self._value(self._take()))

    def _next_is(self, word: str) -> bool:
        if self._tokens and self._tokens[-1] == word:
            self._tokens.pop()
            return True
        return False

    def _take(self, wanted: str = "") -> str:
        word = self._tokens.pop() if self._tokens else "the end"
        if wanted and word != wanted:
            raise ExpressionError(f"{word} where {wanted} should be")
        return word

    def _name(self, word: str) -> str:
        if word.startswith("#"):
            if word not in self._names:
                raise ExpressionError(f"{word} is not defined")
            return str(self._names[word])
        return word

    def _value(self, word: str) -> dict[str, Any]:
        if word not in self._values:
            raise ExpressionError(f"{word} is not defined")
        found: dict[str, Any] = self._values[word]
        return found


def _compares(how: str, there: Mapping[str, Any] | None, given: Mapping[str, Any]) -> bool:
    """Whether an attribute compares so; one that is missing, or of another type, never does."""
    if how not in _COMPARE:
        raise ExpressionError(how)
    if there is None or there.keys() != given.keys():
        return False
    return _COMPARE[how](plain(there), plain(given))
