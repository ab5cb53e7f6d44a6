"""A DynamoDB for the durable copy's benchmark: `python -m benchmarks.recording_dynamo`.

A process of its own, so that what it costs is not the server's. It answers each
request after a fixed time, keeps what it was given and tells which movements those
were. Over a socket beside it, it is told to be out of reach, or to throttle.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import socket
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import uvloop

from benchmarks.dynamo_conditions import Item
from benchmarks.dynamo_tables import DynamoTables, RefusedError
from benchmarks.movement_record import MovementRecord
from benchmarks.processes import Stage, Started

ANSWER_MS: Final = 5
_MOVEMENTS: Final = "-movements"
_WRITES: Final = frozenset(("BatchWriteItem", "PutItem", "UpdateItem"))
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET: Final = re.compile(rb"\r\nx-amz-target: *DynamoDB_\d+\.(\w+)", re.IGNORECASE)
_REASONS: Final = {200: b"OK", 400: b"Bad Request"}
_ASKING_S: Final = 120.0


class RecordingDynamo:
    """The endpoint's process, from outside."""

    def __init__(self, stage: Stage, answer_ms: int = ANSWER_MS) -> None:
        self._control = str(stage.folder / "recording-dynamo")
        self.process: Started = stage.module("recording_dynamo", self._control, str(answer_ms))
        self.url = f"http://{self.process.address}"

    def begin(self) -> None:
        """From here on lags and requests are counted."""
        self._ask("begin")

    def go_away(self) -> None:
        """Cuts every connection and takes no new one; what it has, it keeps."""
        self._ask("away")

    def throttle(self, writes_per_s: int) -> None:
        """Takes so many items a second, and sends the rest back."""
        self._ask("throttle", writes_per_s=writes_per_s)

    def heal(self) -> None:
        """Is there again, and takes everything."""
        self._ask("heal")

    def wait_for(self, movements: int, timeout_s: float = _ASKING_S) -> None:
        """Waits until it has so many movements; raises TimeoutError."""
        self._ask("wait", timeout_s, movements=movements)

    def told(self) -> dict[str, Any]:
        """What it has recorded; see MovementRecord.told."""
        return self._ask("tell")

    def _ask(self, what: str, timeout_s: float = _ASKING_S, **more: int) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(timeout_s)
            asking.connect(self._control)
            with asking.makefile("rwb") as stream:
                stream.write(json.dumps({"do": what, **more}).encode() + b"\n")
                stream.flush()
                answer: dict[str, Any] = json.loads(stream.readline())
        return answer


class _Endpoint:
    """What all connections share: the tables, the record, and what is wrong just now."""

    def __init__(self, port: int, answer_s: float) -> None:
        self._port = port
        self.answer_s = answer_s
        self.record = MovementRecord()
        self.connections: set[_Connection] = set()
        self._tables = DynamoTables(self._on_put)
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.AbstractServer | None = None
        self._writes_per_s = 0
        self._allowance = self._allowed_at = 0.0

    async def listen(self) -> None:
        """Takes connections, from now on or again."""
        if self._server is None:
            self._server = await self._loop.create_server(
                lambda: _Connection(self), "127.0.0.1", self._port
            )

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Does what it is told from outside: one line, one answer."""
        told = json.loads(await reader.readline())
        answer = await self._obey(told)
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def _obey(self, told: Mapping[str, Any]) -> dict[str, Any]:
        match told["do"]:
            case "begin":
                self.record.begin()
            case "away":
                await self._go_away()
            case "throttle":
                self._writes_per_s = told["writes_per_s"]
                self._allowance, self._allowed_at = 0.0, self._loop.time()
            case "heal":
                self._writes_per_s = 0
                await self.listen()
            case "wait":
                await self.record.until(told["movements"])
            case "tell":
                return self.record.told()
        return {}

    async def _go_away(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.cut()

    def answer(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Does what a request asks for; answers the status and the body."""
        self.record.requests[operation] += 1
        request, left = json.loads(body), {}
        try:
            if self._writes_per_s and operation in _WRITES:
                request, left = self._within_allowance(operation, request)
            answer = self._tables.do(operation, request)
        except RefusedError as error:
            refusal = {"__type": f"com.amazonaws.dynamodb.v20120810#{error.code}"}
            more = {} if error.item is None else {"Item": error.item}
            return 400, json.dumps({**refusal, "message": str(error), **more}).encode()
        if left:
            answer["UnprocessedItems"] = left
        return 200, json.dumps(answer).encode()

    def _within_allowance(self, operation: str, request: Any) -> tuple[Any, dict[str, Any]]:
        """The part of a write that is taken now, and what is sent back of a batch."""
        now = self._loop.time()
        earned = (now - self._allowed_at) * self._writes_per_s
        # As with DynamoDB, a second without writes is not saved up for longer.
        self._allowance = min(self._allowance + earned, float(self._writes_per_s))
        self._allowed_at = now
        batch = request["RequestItems"] if operation == "BatchWriteItem" else {}
        wanted = [(name, one) for name, some in batch.items() for one in some]
        count = max(1, len(wanted))
        taken = min(count, int(self._allowance))
        self._allowance -= taken
        self.record.throttled += count - taken
        if not taken:
            raise RefusedError("ProvisionedThroughputExceededException", "too many writes")
        if taken == count:
            return request, {}
        parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for number, (name, one) in enumerate(wanted):
            parts[number >= taken].setdefault(name, []).append(one)
        return {**request, "RequestItems": parts[0]}, parts[1]

    def _on_put(self, table: str, item: Item) -> None:
        if table.endswith(_MOVEMENTS):
            self.record.acknowledge(item)


class _Connection(asyncio.Protocol):
    """A connection of HTTP/1.1: one request after another, each answered after its time."""

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is one more."""
        self._transport = transport  # type: ignore[assignment]
        self._endpoint.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Is one less."""
        self._endpoint.connections.discard(self)

    def cut(self) -> None:
        """Ends it without an answer; what was asked is done all the same."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Takes requests apart."""
        self._rest += data
        while (at := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:at]
            length, target = _LENGTH.search(head), _TARGET.search(head)
            end = at + 4 + (int(length[1]) if length else 0)
            if len(self._rest) < end:
                return
            body, self._rest = self._rest[at + 4 : end], self._rest[end:]
            operation = target[1].decode() if target else ""
            self._loop.call_later(self._endpoint.answer_s, partial(self._answer, operation, body))

    def _answer(self, operation: str, body: bytes) -> None:
        status, answer = self._endpoint.answer(operation, body)
        head = b"HTTP/1.1 %d %b\r\nContent-Type: application/x-amz-json-1.0\r\n"
        head += b"Content-Length: %d\r\n\r\n"
        if not self._transport.is_closing():
            self._transport.write(head % (status, _REASONS[status], len(answer)) + answer)


async def _serve(port: int, control: str, answer_ms: int) -> None:
    endpoint = _Endpoint(port, answer_ms / 1000)
    await asyncio.start_unix_server(endpoint.control, control)
    await endpoint.listen()
    await asyncio.get_running_loop().create_future()


def main() -> None:
    """The endpoint's process: a port, the control's socket, and how late answers are."""
    port, control, answer_ms = sys.argv[1:]
    # What is kept has no cycles, and looking through it all would be seen in the answers' time.
    gc.disable()
    uvloop.run(_serve(int(port), control, int(answer_ms)))


if __name__ == "__main__":
    main()
