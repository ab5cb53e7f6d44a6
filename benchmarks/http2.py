"""A gRPC client for load: as little HTTP/2 as calls need, written as bytes.

Requests are the same but for a key and a message, so that a request costs a
few joins of bytes. The first request of a connection puts the common headers
into the server's HPACK table, and all others name them by their numbers, as
real clients do. Answers are not decoded: an answer without a message is a
refusal, because gRPC sends a message with OK and with nothing else.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator
from typing import Final

from benchmarks.work import Work

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME: Final = struct.Struct(">BHBBI")
DATA, HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE, _ENABLE_PUSH = 4, 2
LARGEST_WINDOW: Final = 2**31 - 1
_DEFAULT_WINDOW: Final = 65_535


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return _FRAME.pack(len(body) >> 16, len(body) & 0xFFFF, kind, flags, stream) + body


def _text(text: bytes) -> bytes:
    """A string literal of HPACK, shorter than 127 bytes, without Huffman."""
    if len(text) >= 127:
        raise ValueError(f"too long for a one-byte length: {text!r}")
    return bytes((len(text),)) + text


class Headers:
    """The request headers of a method: how a connection's first request has them, and the rest."""

    def __init__(self, path: str, authority: str) -> None:
        pseudo = b"\x83\x86"  # :method POST, :scheme http, from the static table
        self.first = (
            pseudo
            + (b"\x44" + _text(path.encode()))
            + (b"\x41" + _text(authority.encode()))
            + (b"\x40" + _text(b"te") + _text(b"trailers"))
            + (b"\x5f" + _text(b"application/grpc"))
            + (b"\x7a" + _text(b"inventory-benchmarks"))
        )
        # The five above, by their numbers in the table: the newest is 62.
        self.later = pseudo + bytes(0x80 | number for number in (66, 65, 64, 63, 62))


def request_frames(stream: int, headers: bytes, key: bytes, message: bytes) -> bytes:
    """HEADERS and DATA of one call; without a key there is no such header."""
    block = headers
    if key:
        # Not indexed: it differs in every call.
        block += b"\x00\x0fidempotency-key" + bytes((len(key),)) + key
    body = b"\x00" + len(message).to_bytes(4, "big") + message
    return b"".join(
        (
            _FRAME.pack(0, len(block), HEADERS, _END_HEADERS, stream), block,
            _FRAME.pack(0, len(body), DATA, END_STREAM, stream), body,
        )
    )  # fmt: skip


class Http2Connection(asyncio.Protocol):
    """What every connection does: says hello, takes frames apart, and acknowledges.

    `window` is how many bytes the server may send on each stream: it is never made wider.
    """

    def __init__(self, break_off: Callable[[str], None], window: int = LARGEST_WINDOW) -> None:
        self._break_off = break_off
        self._window = window
        self._rest = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says hello."""
        self._transport = transport  # type: ignore[assignment]
        settings = struct.pack(">HIHI", _ENABLE_PUSH, 0, _INITIAL_WINDOW_SIZE, self._window)
        window = (LARGEST_WINDOW - _DEFAULT_WINDOW).to_bytes(4, "big")
        self._transport.write(
            _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, window)
        )

    def frames(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """The frames of calls, as (kind, flags, stream, body); what else comes is seen to."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 9:
            high, low, kind, flags, stream = _FRAME.unpack_from(data, at)
            next_at = at + 9 + (high << 16) + low
            if next_at > end:
                break
            if kind in (DATA, HEADERS):
                yield kind, flags, stream, data[at + 9 : next_at]
            else:
                self._control(kind, flags, data[at + 9 : next_at])
            at = next_at
        self._rest = data[at:]

    def _control(self, kind: int, flags: int, body: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, body))
        elif kind == _GOAWAY:
            self._break_off(f"the server sent GOAWAY: {body[8:]!r}")
        elif kind == _RST_STREAM:
            self._break_off(f"the server reset a stream: {int.from_bytes(body, 'big')}")


class GrpcConnection(Http2Connection):
    """A connection with `streams` calls in flight, as long as there is work."""

    def __init__(self, work: Work, headers: Headers, streams: int) -> None:
        super().__init__(work.break_off)
        self._work = work
        self._headers = headers
        self._block = headers.first
        self._streams = streams
        self._stream = 1
        self._sent_at: dict[int, float] = {}
        self._answered: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first calls."""
        super().connection_made(transport)
        self.send(self._streams)

    def data_received(self, data: bytes) -> None:
        """Counts the calls that ended, and sends as many new ones."""
        ended, now = 0, self._work.now()
        for kind, flags, stream, _ in self.frames(data):
            if kind == DATA:
                self._answered.add(stream)
            elif flags & END_STREAM:
                ended += 1
                self._end(stream, now)
        if ended:
            self.go_on(ended)

    def go_on(self, ended: int) -> None:
        """So many calls have ended."""
        self.send(ended)

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends before the work does is an error."""
        if self._sent_at:
            self._work.break_off(f"the connection was lost: {exc}")

    def send(self, count: int) -> None:
        """Sends so many calls, or what the work has."""
        frames, now = [], self._work.now()
        for key, message in self._work.take(count):
            frames.append(request_frames(self._stream, self._block, key, message))
            self._sent_at[self._stream] = now
            self._block = self._headers.later
            self._stream += 2
        if frames:
            self._transport.write(b"".join(frames))

    def _end(self, stream: int, now: float) -> None:
        is_ok = stream in self._answered
        self._answered.discard(stream)
        self._work.done(now - self._sent_at.pop(stream), is_ok=is_ok)
