"""What a servicer knows of the call beside its request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count
from uuid import uuid4

from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.limits import (
    MAX_ACTOR_LENGTH,
    MAX_KEY_LENGTH,
    MAX_REQUEST_ID_LENGTH,
)
from inventory_server.domain.model import Origin
from inventory_server.domain.rules import is_key

KEY_NAMES = ("idempotency-key", "x-idempotency-key")
_PROCESS = uuid4().hex[:12]
_serial = count(1)


class RpcCall(Origin):
    """Who asks, and what is to be said of the call in the end.

    Without credentials the caller is the empty string.
    """

    __slots__ = ("replayed", "request_id")

    def __init__(self, deadline: float) -> None:
        self.caller = self.actor = self.key = self.request_id = ""
        self.key_is_minted = self.replayed = False
        self.deadline = deadline

    def read_metadata(self, metadata: Iterable[tuple[str, str | bytes]], is_mutation: bool) -> None:
        """Takes what the service knows from the call's metadata; raises InvalidRequest."""
        for name, value in metadata:
            if name == "x-request-id":
                self.request_id = str(value)[:MAX_REQUEST_ID_LENGTH]
            elif name == "x-actor":
                self.actor = str(value)
            elif name in KEY_NAMES and is_mutation:
                self._take_key(str(value))
        if not self.request_id:
            self.request_id = f"{_PROCESS}-{next(_serial):x}"
        if len(self.actor) > MAX_ACTOR_LENGTH:
            raise InvalidRequest(("x-actor", f"at most {MAX_ACTOR_LENGTH} characters"))
        if is_mutation and not self.key:
            self.key = uuid4().hex
            self.key_is_minted = True

    def chunk_origin(self, timeout_s: float) -> Origin:
        """The same for one chunk of a stream, which has its own time."""
        return self.until(min(self.deadline, asyncio.get_running_loop().time() + timeout_s))

    def _take_key(self, value: str) -> None:
        if len(value) >= 2 and value[0] == value[-1] == '"':
            # The IETF draft makes the value a structured-field string.
            value = value[1:-1]
        if not is_key(value):
            sentence = f"an idempotency key is 1 to {MAX_KEY_LENGTH} visible ASCII characters"
            raise InvalidRequest(("idempotency-key", sentence))
        if self.key and self.key != value:
            raise InvalidRequest(("idempotency-key", "two different keys were given"))
        self.key = value
