"""Responses that many subscribers get: each is made and encoded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from inventory_server.domain.stream import Message


class Encodable(Protocol):
    """What is sent: a message of protobuf, or one that is encoded already."""

    def SerializeToString(self) -> bytes:
        """Its bytes."""


class _Encoded:
    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def SerializeToString(self) -> bytes:
        """Its bytes."""
        return self._raw


class SharedResponses:
    """Makes responses of a stream's messages.

    The reader puts one and the same message of an event into every queue; with
    a thousand subscribers its response would be made a thousand times.
    """

    MOST_KEPT: Final = 64

    def __init__(self, make: Callable[[Message], Encodable]) -> None:
        self._make = make
        self._kept: OrderedDict[int, tuple[Message, _Encoded]] = OrderedDict()

    def response(self, message: Message) -> Encodable:
        """The response of a message; that of an event is kept for those who get it too."""
        if message.event is None:
            return self._make(message)
        # By identity, which is sound as long as the message itself is kept.
        if (kept := self._kept.get(id(message))) is not None:
            return kept[1]
        encoded = _Encoded(self._make(message).SerializeToString())
        self._kept[id(message)] = message, encoded
        if len(self._kept) > self.MOST_KEPT:
            self._kept.popitem(last=False)
        return encoded
