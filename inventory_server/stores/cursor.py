"""Cursors: opaque places in the stream of changes.

A cursor names the store, its epoch and one seq a partition, so that a reader
can see whether it still means anything. `1.` is the version of the form.
"""

from __future__ import annotations

from binascii import b2a_base64


def make_cursor(store_id: str, epoch: str, stream: str, places: str) -> str:
    """The cursor after a change that reaches to these places (`n:seq,...`)."""
    text = f"{store_id} {epoch} {stream} {places}"
    return f"1.{b2a_base64(text.encode(), newline=False).decode()}"
