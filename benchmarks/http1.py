"""The same for HTTP/1.1: one request in flight a connection, kept alive."""

from __future__ import annotations

import asyncio

from benchmarks.work import Work


class HttpConnection(asyncio.Protocol):
    """A connection that posts JSON, one request after another."""

    def __init__(self, work: Work, path: str, authority: str) -> None:
        self._work = work
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n"
        ).encode()
        self._rest = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def data_received(self, data: bytes) -> None:
        """Waits for the whole answer, then sends the next request."""
        self._rest += data
        head, blank, body = self._rest.partition(b"\r\n\r\n")
        if not blank:
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        if not length:
            self._work.break_off(f"an answer without its length: {head!r}")
            return
        if len(body) < int(length):
            return
        self._rest, sent_at, self._sent_at = b"", self._sent_at, 0.0
        is_ok = head.startswith(b"HTTP/1.1 200")
        self._work.done(self._work.now() - sent_at, is_ok=is_ok)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends before the work does is an error."""
        if self._sent_at:
            self._work.break_off(f"the connection was lost: {exc}")

    def _send(self) -> None:
        for key, body in self._work.take(1):
            self._sent_at = self._work.now()
            self._transport.write(
                b"%sX-Idempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (self._head, key, len(body), body)
            )
