"""What stands around every method: metadata in and out, deadlines, errors, the log line.

It is put around a method when it is registered and not as a gRPC interceptor:
nothing is looked up a call, and the health and reflection services, which
write to their context themselves, cannot be disturbed by it. Which methods
are mutations is read from the protos (`idempotency_level`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from math import inf
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from inventory_server.call_log import CallLog
from inventory_server.domain.errors import (
    Draining,
    Internal,
    InvalidRequest,
    InventoryError,
    StoreUnavailable,
)
from inventory_server.domain.limits import AUDIT_TIMEOUT_S
from inventory_server.servicers.rpc_call import RpcCall
from inventory_server.servicers.status import DETAILS_KEY, pack_status, status_of

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
UnaryMethod = Callable[[Message, RpcCall], Awaitable[Message]]
StreamMethod = Callable[[AsyncIterator[Message], RpcCall], AsyncIterator[Message]]


class Guard:
    """Registers servicers, each method guarded."""

    def __init__(self, call_log: CallLog, *, timeout_s: float) -> None:
        self._call_log = call_log
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self.draining = False

    def register(
        self, server: grpc.aio.Server, service: ServiceDescriptor, servicer: object
    ) -> None:
        """Adds the service; `servicer` has a method for each of its RPCs."""
        handlers = {
            method.name: self._handler(method, getattr(servicer, method.name))
            for method in service.methods
        }
        generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))

    def _handler(self, method: MethodDescriptor, run: Any) -> grpc.RpcMethodHandler[Any, Any]:
        request_class = GetMessageClass(method.input_type)
        name = f"{method.containing_service.name}/{method.name}"
        is_mutation = method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
        if method.client_streaming and method.server_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(name, request_class.FromString, run, is_mutation)
            )
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._server_stream(name, request_class.FromString, run, is_mutation)
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(name, request_class.FromString, run, is_mutation)
        )

    def _unary(
        self, name: str, parse: Callable[[bytes], Message], run: UnaryMethod, is_mutation: bool
    ) -> Callable[[bytes, Context], Awaitable[bytes]]:
        # An audit may have to look at all that there is.
        timeout_s = AUDIT_TIMEOUT_S if name.startswith("AuditService/") else self._timeout_s

        async def guarded(raw: bytes, context: Context) -> bytes:
            started = perf_counter()
            call = RpcCall(self._deadline(context, timeout_s))
            try:
                if self.draining:
                    raise Draining
                call.read_metadata(context.invocation_metadata() or (), is_mutation)
                if call.key_is_minted:
                    await context.send_initial_metadata((("idempotency-key", call.key),))
                response = (await run(_parse(parse, raw), call)).SerializeToString()
            except BaseException as error:
                await self._end_badly(name, call, context, started, error)
                raise
            context.set_trailing_metadata(_trailers(call, is_mutation))
            self._call_log.write(name, "OK", call, started)
            return response

        return guarded

    def _stream(
        self, name: str, parse: Callable[[bytes], Message], run: StreamMethod, is_mutation: bool
    ) -> Callable[[AsyncIterator[bytes], Context], AsyncGenerator[bytes, None]]:
        async def guarded(
            raws: AsyncIterator[bytes], context: Context
        ) -> AsyncGenerator[bytes, None]:
            started = perf_counter()
            call = RpcCall(self._deadline(context, inf))
            try:
                call.read_metadata(context.invocation_metadata() or (), is_mutation)
                if call.key_is_minted:
                    await context.send_initial_metadata((("idempotency-key", call.key),))
                async for response in run(self._requests(raws, parse), call):
                    yield response.SerializeToString()
            except BaseException as error:
                await self._end_badly(name, call, context, started, error)
                raise
            context.set_trailing_metadata(_trailers(call, is_mutation))
            self._call_log.write(name, "OK", call, started)

        return guarded

    def _server_stream(
        self, name: str, parse: Callable[[bytes], Message], run: Any, is_mutation: bool
    ) -> Callable[[bytes, Context], Awaitable[None]]:
        # Who watches is told by the hub, which sends a last heartbeat before.
        is_watched = "/Watch" in name

        async def streamed(raw: bytes, context: Context) -> None:
            started = perf_counter()
            call = RpcCall(self._deadline(context, inf))
            try:
                if self.draining:
                    raise Draining
                call.read_metadata(context.invocation_metadata() or (), is_mutation)
                async with aclosing(run(_parse(parse, raw), call)) as responses:
                    async for response in responses:
                        if self.draining and not is_watched:
                            raise Draining
                        await context.write(response.SerializeToString())
            except grpc.aio.InternalError as error:
                # The caller went away meanwhile: for gRPC an error, for us none.
                self._call_log.write(name, "CANCELLED", call, started)
                raise asyncio.CancelledError from error
            except BaseException as error:
                await self._end_badly(name, call, context, started, error)
                raise
            context.set_trailing_metadata(_trailers(call, is_mutation))
            self._call_log.write(name, "OK", call, started)

        return streamed

    async def _requests(
        self, raws: AsyncIterator[bytes], parse: Callable[[bytes], Message]
    ) -> AsyncIterator[Message]:
        async for raw in raws:
            if self.draining:
                raise Draining
            yield _parse(parse, raw)

    def _deadline(self, context: Context, cap: float) -> float:
        """Until when an answer is of use, a little before the caller's own deadline."""
        left = context.time_remaining()
        if left is not None:
            cap = min(cap, left - min(left / 4, 0.1))
        return self._loop.time() + cap

    async def _end_badly(
        self, name: str, call: RpcCall, context: Context, started: float, error: BaseException
    ) -> None:
        """Sends the status of what went wrong; returns where gRPC ends the call itself."""
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is None or task.cancelling() > 0:
                self._call_log.write(name, "CANCELLED", call, started)
                return
            # Not gRPC's own cancel: without a status the caller would wait for ever.
            error = StoreUnavailable("the call was given up inside the server")
        if isinstance(error, GeneratorExit | grpc.aio.AbortError):
            self._call_log.write(name, "CANCELLED", call, started)
            return
        if not isinstance(error, InventoryError):
            log.error("%s failed, request %s", name, call.request_id, exc_info=error)
            error = Internal(call.request_id)
        status = status_of(error)
        self._call_log.write(name, status.name, call, started, error.reason)
        trailers = ((DETAILS_KEY, pack_status(error)), ("x-request-id", call.request_id))
        await context.abort(status, error.message, trailers)


def _parse(parse: Callable[[bytes], Message], raw: bytes) -> Message:
    try:
        return parse(raw)
    except DecodeError as error:
        sentence = "the message is not of its type, or a string in it is not UTF-8"
        raise InvalidRequest(("request", sentence)) from error


def _trailers(call: RpcCall, is_mutation: bool) -> tuple[tuple[str, str], ...]:
    request_id = ("x-request-id", call.request_id)
    if not is_mutation:
        return (request_id,)
    return (request_id, ("idempotent-replayed", "true" if call.replayed else "false"))
