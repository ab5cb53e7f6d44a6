"""What reads the scripts finds what it is there for."""

from __future__ import annotations

import pytest

from tests.project.lua_source import (
    Source,
    answers,
    commands,
    documented_answers,
    loose_names,
    reachable,
)

BUILTINS = frozenset({"redis", "KEYS", "ipairs"})


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("local a = 1\na = 2", set()),
        ("a = 1", {"a"}),
        ("local a, b = 1, 2\na, c = b, 1", {"c"}),
        ("local t = { a = 1 }\nt.b = 2", set()),
        ("local function f(x, y) return x + y end", set()),
        ("function f() end", {"f"}),
        ("for i, k in ipairs(KEYS) do redis.call(k, i) end", set()),
        ("local t = {}\nt[other] = 1", {"other"}),
        ("return misspelt", {"misspelt"}),
        ("-- a = 1\nlocal s = 'b = 2'", set()),
    ],
)
def test_names_that_are_not_local_are_found(text: str, loose: set[str]) -> None:
    assert loose_names(text, BUILTINS) == loose


def test_commands_are_found_computed_ones_too() -> None:
    assert commands("redis.call('HSET', 'GET')\nredis.pcall('DEL')") == ["HSET", "DEL"]
    assert commands("redis.call(a == 'OK' and 'SREM' or 'SADD', k)") == ["SREM", "SADD"]
    assert commands("redis.call(name, k)") == ["computed: name"]
    assert commands("-- redis.call('KEYS')") == []


def test_answers_are_found_in_code_and_in_headers() -> None:
    assert answers("if a then return { 'one', 1 } end\nreturn refuse('two', x)") == {"one", "two"}
    assert answers("local fields = { 'schema', 'epoch' }") == set()
    header = (
        "\n  Returns, first match wins\n    one   x\n            more of one\n    two\n  Cost  O(1)"
    )
    assert documented_answers(header) == {"one", "two"}


def test_what_included_functions_call_is_found_through_them() -> None:
    script = Source("x", "-- include: stock_verb.lua\n-- include: level.lua\nwrite_lines()")
    texts = reachable(script, script.text)
    assert any("local function write_level" in text for text in texts)
    assert not any("local function read_level" in text for text in texts)
