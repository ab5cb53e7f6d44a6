"""A gRPC server that answers as it is told, and keeps what it was sent.

It stands in where a server's answer cannot be brought about at will: reasons
of a newer server, pauses that are asked for, connections that never answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

SILENT = "SILENT"
"""An answer that never comes."""


@dataclass(frozen=True)
class Said:
    """A refusal: its status, its reason, the pause that it asks for."""

    code: grpc.StatusCode
    reason: str = ""
    pause_s: float = 0.0
    facts: tuple[tuple[str, str], ...] = ()

    def details(self) -> bytes:
        info = error_details_pb2.ErrorInfo(
            reason=self.reason, domain="inventory.v1", metadata=dict(self.facts)
        )
        pause = Duration(nanos=int(self.pause_s * 1e9))
        status = status_pb2.Status(code=self.code.value[0], message="as told")
        for detail in (info, error_details_pb2.RetryInfo(retry_delay=pause)):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status.SerializeToString()


@dataclass(frozen=True)
class Seen:
    """A call that came."""

    method: str
    metadata: dict[str, str]
    remaining_s: float | None
    at_s: float

    @property
    def key(self) -> str | None:
        return self.metadata.get("idempotency-key")


class ScriptedServer:
    """Answers each call with the next of `script`: bytes, a Said, or SILENT; then with b''."""

    def __init__(self) -> None:
        self.script: deque[Any] = deque()
        self.seen: list[Seen] = []
        self.open_calls = 0
        self.address = ""

    def service(self, details: Any) -> grpc.RpcMethodHandler[Any, Any]:
        async def answer(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            self._see(details, context)
            self.open_calls += 1
            try:
                async for _ in requests:
                    yield await self._answer(context)
            finally:
                self.open_calls -= 1

        async def answer_one(_request: bytes, context: Any) -> bytes:
            self._see(details, context)
            self.open_calls += 1
            try:
                return await self._answer(context)
            finally:
                self.open_calls -= 1

        async def answer_stream(_request: bytes, context: Any) -> AsyncIterator[bytes]:
            self._see(details, context)
            self.open_calls += 1
            try:
                while self.script:
                    yield await self._answer(context)
                await asyncio.Event().wait()
            finally:
                self.open_calls -= 1

        if "/Import" in details.method:
            return grpc.stream_stream_rpc_method_handler(answer)
        if "/Watch" in details.method:
            return grpc.unary_stream_rpc_method_handler(answer_stream)
        return grpc.unary_unary_rpc_method_handler(answer_one)

    def _see(self, details: Any, context: Any) -> None:
        metadata = dict(details.invocation_metadata)
        now = asyncio.get_running_loop().time()
        self.seen.append(Seen(details.method, metadata, context.time_remaining(), now))

    async def _answer(self, context: Any) -> bytes:
        said = self.script.popleft() if self.script else b""
        if said == SILENT:
            await asyncio.Event().wait()
        if isinstance(said, Said):
            trailers = (("grpc-status-details-bin", said.details()),) if said.reason else ()
            await context.abort(said.code, "as told", trailers)
        return bytes(said)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, scripted: ScriptedServer) -> None:
        self._scripted = scripted

    def service(self, handler_call_details: Any) -> Any:
        return self._scripted.service(handler_call_details)


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """A scripted server on a free port."""
    scripted = ScriptedServer()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handler(scripted),))
    scripted.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield scripted
    finally:
        await server.stop(None)
