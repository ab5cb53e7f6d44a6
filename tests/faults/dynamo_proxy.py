"""An HTTP proxy before DynamoDB that can throttle, fail, lag, fall silent, and lose replies.

It runs in threads of its own, so that tests with and without an event loop
can use it. Faults are put in by `inject`, for one operation or all, for the
next requests or until `heal`.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

THROTTLES = {
    "ProvisionedThroughputExceededException": "com.amazonaws.dynamodb.v20120810",
    "ThrottlingException": "com.amazon.coral.availability",
    "RequestLimitExceeded": "com.amazonaws.dynamodb.v20120810",
}
"""What DynamoDB says where it takes no more for the moment, and which part of it says so."""


class Reply(NamedTuple):
    status: int
    body: bytes
    sent: int | None = None
    """So many bytes of the body are sent before the connection is cut; None for all, uncut."""


@dataclass(frozen=True)
class Exchange:
    """A request that came in. `forward` asks DynamoDB, by default with the request as it is."""

    operation: str
    body: bytes
    forward: Callable[[bytes], Reply]
    wait: Callable[[float | None], bool]
    """Waits for so many seconds, or for ever; only until the proxy stops, which it answers."""


Fault = Callable[[Exchange], Reply | None]
"""What becomes of a request: a reply, or None for a connection that is cut without one."""


# Faults


def passed(exchange: Exchange) -> Reply:
    """None at all."""
    return exchange.forward(exchange.body)


def refused(code: str, status: int = 400) -> Fault:
    """Answers an error; nothing was done."""
    namespace = THROTTLES.get(code, "com.amazonaws.dynamodb.v20120810")
    body = json.dumps({"__type": f"{namespace}#{code}", "message": "injected"}).encode()
    return lambda exchange: Reply(status, body)


def throttled(code: str = "ThrottlingException") -> Fault:
    """Answers that DynamoDB takes no more for the moment; nothing was done."""
    assert code in THROTTLES
    return refused(code)


broken = refused("InternalServerError", 500)
"""Answers that DynamoDB failed; nothing was done."""


def delayed(seconds: float) -> Fault:
    """Does it at once, and answers later."""

    def answer(exchange: Exchange) -> Reply | None:
        reply = exchange.forward(exchange.body)
        return None if exchange.wait(seconds) else reply

    return answer


def silent(exchange: Exchange) -> None:
    """Does nothing, and never answers."""
    exchange.wait(None)


def reply_lost(exchange: Exchange) -> None:
    """Does it, and cuts the connection before the answer."""
    exchange.forward(exchange.body)


def cut_short(sent: int, fault: Fault = passed) -> Fault:
    """What becomes of it is answered, but of the answer's body only so many bytes arrive."""

    def answer(exchange: Exchange) -> Reply | None:
        reply = fault(exchange)
        return reply and reply._replace(sent=sent)

    return answer


def partly(done: int) -> Fault:
    """Does the first `done` items of a batch, and answers that the others were not processed."""

    def answer(exchange: Exchange) -> Reply:
        request = json.loads(exchange.body)
        is_read = exchange.operation == "BatchGetItem"
        taken, left = _parted(request["RequestItems"], done)
        reply: dict[str, Any] = {"Responses": {}} if is_read else {}
        if taken:
            forwarded = exchange.forward(json.dumps(request | {"RequestItems": taken}).encode())
            if forwarded.status != 200:
                return forwarded
            reply = json.loads(forwarded.body)
        reply["UnprocessedKeys" if is_read else "UnprocessedItems"] = left
        return Reply(200, json.dumps(reply).encode())

    return answer


def _parted(tables: dict[str, Any], done: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A batch's items by table: the first `done`, and the others."""
    taken: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for table, wanted in tables.items():
        is_read = isinstance(wanted, dict)
        items = wanted["Keys"] if is_read else wanted
        for part, some in ((taken, items[:done]), (left, items[done:])):
            if some:
                part[table] = wanted | {"Keys": some} if is_read else some
        done = max(0, done - len(items))
    return taken, left


# The proxy


@dataclass
class _Injected:
    fault: Fault
    operation: str
    times: int | None


class DynamoProxy:
    """Stands before the DynamoDB at `endpoint`; has an `endpoint` of its own."""

    def __init__(self, endpoint: str) -> None:
        self._upstream = urlsplit(endpoint)
        self._port = 0
        self._injected: list[_Injected] = []
        self._changing = threading.Lock()
        self.requests: Counter[str] = Counter()
        """How many requests came in, by operation."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Takes connections, after a stop again at the same port."""
        self._listener = _Listener(self, self._port)
        self._port = self._listener.server_address[1]
        self._serving = threading.Thread(target=self._listener.serve_forever, args=(0.01,))
        self._serving.start()

    def stop(self) -> None:
        """Cuts all connections and refuses new ones, until it is started again."""
        self._listener.end()
        self._serving.join()

    def inject(self, fault: Fault, *, operation: str = "", times: int | None = None) -> None:
        """From now on: of this operation, or of all; for so many requests, or all.

        Where several faults are meant, the one that was put in first goes first.
        """
        with self._changing:
            self._injected.append(_Injected(fault, operation, times))

    def heal(self) -> None:
        """Takes all faults out; who waits in a silence goes on waiting."""
        with self._changing:
            self._injected.clear()

    def fault_of(self, operation: str) -> Fault:
        """What becomes of the next request of this operation."""
        with self._changing:
            self.requests[operation] += 1
            for injected in self._injected:
                if injected.operation in ("", operation):
                    if injected.times is not None:
                        injected.times -= 1
                        if not injected.times:
                            self._injected.remove(injected)
                    return injected.fault
        return passed

    def forward(self, body: bytes, headers: dict[str, str]) -> Reply:
        """Asks DynamoDB itself."""
        connection = HTTPConnection(self._upstream.hostname or "", self._upstream.port)
        try:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())
        finally:
            connection.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them

    def __init__(self, proxy: DynamoProxy, port: int) -> None:
        self.proxy = proxy
        self.ending = threading.Event()
        self._connections: set[socket.socket] = set()
        self._changing = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def end(self) -> None:
        self.shutdown()
        self.ending.set()
        with self._changing:
            for connection in self._connections:
                _cut(connection)
        self.server_close()

    def enter(self, connection: socket.socket) -> None:
        with self._changing:
            self._connections.add(connection)
            if self.ending.is_set():
                _cut(connection)

    def leave(self, connection: socket.socket) -> None:
        with self._changing:
            self._connections.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    # Connections stay open, as those of DynamoDB do.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.server.enter(self.connection)
        try:
            super().handle()
        except OSError:
            pass  # the other side went away, or was cut on purpose
        finally:
            self.server.leave(self.connection)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # its sender died in the middle of it
            return
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        named = {name: self.headers[name] for name in ("X-Amz-Target", "Authorization")}
        headers = {**named, "Content-Type": "application/x-amz-json-1.0"}
        proxy = self.server.proxy
        exchange = Exchange(
            operation, body, lambda sent: proxy.forward(sent, headers), self.server.ending.wait
        )
        reply = proxy.fault_of(operation)(exchange)
        if reply is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.sent])
        self.close_connection = self.close_connection or reply.sent is not None

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # it may be cut already
        connection.shutdown(socket.SHUT_RDWR)
