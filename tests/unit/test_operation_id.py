"""Ids of operations: the same for the same, another for any other."""

from __future__ import annotations

import re
from itertools import product

from inventory_server.stores.keys import is_hold_id
from inventory_server.stores.operation_id import ID_LENGTH, operation_id

SECRET = bytes(range(32))


def test_the_same_call_has_the_same_id_in_every_process_and_release() -> None:
    ids = {operation_id(SECRET, "PlaceHold", "shop", "order-1") for _ in range(3)}
    # Written down, because records of earlier calls are found by it.
    assert ids == {"2xu7uukisu6mu7l6lurj"}


def test_method_caller_key_and_secret_each_make_another_id() -> None:
    words = ("a", "b", "ab", "")
    secrets = (SECRET, SECRET[::-1])
    every = list(product(secrets, words, words, words))
    assert len({operation_id(*one) for one in every}) == len(every)


def test_the_parts_do_not_run_into_each_other() -> None:
    assert operation_id(SECRET, "P", "ab", "c") != operation_id(SECRET, "P", "a", "bc")
    assert operation_id(SECRET, "Pa", "b", "c") != operation_id(SECRET, "P", "ab", "c")


def test_an_id_has_100_bits_in_characters_that_every_key_may_have() -> None:
    for n in range(100):
        made = operation_id(SECRET, "PlaceHold", "", f"k{n}")
        assert re.fullmatch(rf"[a-z2-7]{{{ID_LENGTH}}}", made)
        assert is_hold_id(f"3-{made}")
    assert ID_LENGTH * 5 == 100


def test_the_id_tells_nothing_of_the_key() -> None:
    ids = [operation_id(SECRET, "PlaceHold", "", key) for key in ("order-1", "order-2")]
    assert sum(a == b for a, b in zip(*ids, strict=True)) < ID_LENGTH // 2
