"""What a servicer knows of the call beside its request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count
from uuid import uuid4

from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.limits import (
    MAX_ACTOR_LENGTH,
    MAX_REQUEST_ID_LENGTH,
)
from inventory_server.domain.model import Origin
from inventory_server.domain.rules import ANONYMOUS, KEY_FORM, is_key, is_metadata_text

KEY_NAMES = ("idempotency-key", "x-idempotency-key")
_PROCESS = uuid4().hex[:12]
_serial = count(1)


class RpcCall(Origin):
    """Who asks, and what is to be said of the call in the end.

    Without credentials the caller is the empty string.
    """

    __slots__ = ("replayed", "request_id")

    def __init__(self, deadline: float) -> None:
        self.caller = self.actor = self.key = ""
        self.request_id = f"{_PROCESS}-{next(_serial):x}"
        self.key_is_minted = self.replayed = False
        self.deadline = deadline

    def read_metadata(self, metadata: Iterable[tuple[str, str | bytes]], is_mutation: bool) -> None:
        """Takes what the service knows from the call's metadata; raises InvalidRequest."""
        for name, value in metadata:
            if name == "x-request-id":
                self.request_id = _read_text(name, value, MAX_REQUEST_ID_LENGTH) or self.request_id
            elif name == "x-actor":
                actor = _read_text(name, value, MAX_ACTOR_LENGTH)
                self.actor = "" if actor == ANONYMOUS else actor
            elif name in KEY_NAMES and is_mutation:
                self._take_key(value if isinstance(value, str) else "")
        if is_mutation and not self.key:
            self.key = uuid4().hex
            self.key_is_minted = True

    def chunk_origin(self, timeout_s: float) -> Origin:
        """The same for one chunk of a stream, which has its own time."""
        return self.until(min(self.deadline, asyncio.get_running_loop().time() + timeout_s))

    def _take_key(self, value: str) -> None:
        value = unquoted(value)
        if not is_key(value):
            raise InvalidRequest(("idempotency-key", f"an idempotency key is {KEY_FORM}"))
        if self.key and self.key != value:
            raise InvalidRequest(("idempotency-key", "two different keys were given"))
        self.key = value


def unquoted(key: str) -> str:
    """The key without its quotes: the IETF draft makes it a structured-field string."""
    return key[1:-1] if len(key) >= 2 and key[0] == key[-1] == '"' else key


def _read_text(name: str, value: str | bytes, longest: int) -> str:
    """A value of metadata that is stored or sent back; not every client sends what gRPC allows."""
    if not isinstance(value, str) or not is_metadata_text(value):
        raise InvalidRequest((name, "printable ASCII characters only"))
    if len(value) > longest:
        raise InvalidRequest((name, f"at most {longest} characters; it has {len(value)}"))
    return value
