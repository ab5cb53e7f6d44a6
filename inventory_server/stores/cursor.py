"""Cursors: opaque places in the stream of changes.

A cursor names the store, its epoch and one seq a partition, so that a reader
can see whether it still means anything. `1.` is the version of the form.
Alerts stand under the seq of the movement that caused them, so one cursor is
good for every stream.
"""

from __future__ import annotations

from binascii import Error as NotBase64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from typing import NamedTuple


class Cursor(NamedTuple):
    """A cursor taken apart: the seq of each partition that it names."""

    store_id: str
    epoch: str
    places: dict[int, int]


def make_cursor(store_id: str, epoch: str, stream: str, places: str) -> str:
    """The cursor after a change that reaches to these places (`n:seq,...`)."""
    text = f"{store_id} {epoch} {stream} {places}"
    return f"1.{b2a_base64(text.encode(), newline=False).decode()}"


def cursor_at(store_id: str, epoch: str, seqs: Sequence[int]) -> str:
    """The cursor at these seqs, one a partition."""
    places = ",".join([f"{n}:{seq}" for n, seq in enumerate(seqs)])
    return make_cursor(store_id, epoch, "journal", places)


def parse_cursor(cursor: str, partitions: int) -> Cursor:
    """Raises ValueError for what is no cursor of ours."""
    if not cursor.startswith("1.") or not cursor.isascii():
        raise ValueError("not a cursor")
    try:
        text = a2b_base64(cursor[2:], strict_mode=True).decode("ascii")
    except NotBase64Error as error:
        raise ValueError("not a cursor") from error
    store_id, epoch, _, places = text.split(" ")
    pairs = [place.split(":") for place in places.split(",")]
    found = {int(number): int(seq) for number, seq in pairs}
    if not all(0 <= number < partitions and seq >= 0 for number, seq in found.items()):
        raise ValueError("not a cursor")
    return Cursor(store_id, epoch, found)
