"""How every call is made: its deadline, its idempotency key, its attempts, its errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, cast
from uuid import uuid4

import grpc
from inventory.v1.alert_service_pb2_grpc import AlertServiceStub
from inventory.v1.availability_service_pb2_grpc import AvailabilityServiceStub
from inventory.v1.catalog_service_pb2_grpc import CatalogServiceStub
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_client.base_error import InventoryError
from inventory_client.failures import client_closed, error_of
from inventory_client.retry import RetryPolicy

KEY_NAME: Final = "idempotency-key"
SHORTEST_ATTEMPT_S: Final = 0.02
"""With less time left than this, another attempt is not worth it."""

Request = TypeVar("Request", contravariant=True)
Response = TypeVar("Response", covariant=True)
Metadata = tuple[tuple[str, str], ...]


class UnaryMethod(Protocol[Request, Response]):
    """A method of a stub, or whatever is called like one."""

    def __call__(
        self, request: Request, /, *, timeout: float | None = None, metadata: Any = None
    ) -> Awaitable[Response]:
        """Sends the request once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """What holds for every call of a client."""

    timeout_s: float
    attempt_timeout_s: float
    retry: RetryPolicy
    metadata: Metadata


class Caller:
    """Makes calls over one channel. To be made inside of the event loop that it is used in."""

    def __init__(self, channel: grpc.aio.Channel, settings: CallSettings) -> None:
        self.channel = channel
        self.settings = settings
        self.is_closed = False
        self.stock = StockServiceStub(channel)
        self.holds = HoldServiceStub(channel)
        self.availability = AvailabilityServiceStub(channel)
        self.alerts = AlertServiceStub(channel)
        self.catalog = CatalogServiceStub(channel)
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Closes the channel; calls that are under way end with ClientClosed."""
        self.is_closed = True
        await self.channel.close()

    def new_key(self) -> str:
        """A key that no other call has."""
        return uuid4().hex

    async def read(
        self, method: UnaryMethod[Request, Response], request: Request, timeout: float | None
    ) -> Response:
        """Makes a call that changes nothing; it may always be sent again."""
        return await self._send(method, request, timeout, "")

    async def change(
        self,
        method: UnaryMethod[Request, Response],
        request: Request,
        timeout: float | None,
        key: str,
        is_settled: Callable[[Response, bool], bool] | None = None,
    ) -> Response:
        """Makes a call that changes something, every attempt of it under one key.

        An answer that is not `is_settled` is asked for again as long as there is time; it
        is also told whether an attempt before was perhaps made and not answered.
        """
        return await self._send(method, request, timeout, key or self.new_key(), is_settled)

    async def _send(
        self,
        method: UnaryMethod[Request, Response],
        request: Request,
        timeout: float | None,
        key: str,
        is_settled: Callable[[Response, bool], bool] | None = None,
    ) -> Response:
        settings, now = self.settings, self._loop.time
        deadline = now() + (settings.timeout_s if timeout is None else timeout)
        metadata = (*settings.metadata, (KEY_NAME, key)) if key else settings.metadata
        attempts, maybe_applied, is_lost = 0, False, False
        while True:
            if self.is_closed:
                raise self._closed_error(key, maybe_applied)
            attempts += 1
            response, error = None, None
            attempt_s = min(deadline - now(), settings.attempt_timeout_s)
            try:
                response = await method(request, timeout=attempt_s, metadata=metadata)
                if is_settled is None or is_settled(response, is_lost):
                    return response
                # A part of it is done: no later error can say that nothing is.
                maybe_applied = True
            except grpc.aio.AioRpcError as raised:
                error = error_of(raised)
                error.__cause__ = raised
            except asyncio.CancelledError:
                if not self.was_closed():
                    raise
                error = client_closed()
            if error is not None and key:
                is_lost = is_lost or error.ambiguous
                maybe_applied = maybe_applied or is_lost
                error.maybe_applied, error.idempotency_key = maybe_applied, key
            pause_s = self._pause_s(error, attempts, deadline - now())
            if pause_s is None:
                if error is None:
                    return cast(Response, response)
                error.attempts = attempts
                raise error
            await asyncio.sleep(pause_s)

    def _pause_s(self, error: InventoryError | None, attempts: int, left_s: float) -> float | None:
        """The pause before another attempt; None where there is to be none."""
        if (error is not None and not error.retryable) or not self.settings.retry.allows(attempts):
            return None
        asked_s = 0.0 if error is None else error.failure.retry_delay_s
        pause_s = self.settings.retry.pause_s(attempts, asked_s)
        return pause_s if pause_s + SHORTEST_ATTEMPT_S < left_s else None

    def _closed_error(self, key: str, maybe_applied: bool) -> InventoryError:
        error = client_closed()
        error.maybe_applied, error.idempotency_key = maybe_applied, key
        return error

    def was_closed(self) -> bool:
        """Whether the call was ended by closing the client, and not by its caller."""
        task = asyncio.current_task()
        return self.is_closed and (task is None or not task.cancelling())


class OneByOne(UnaryMethod[Request, Response]):
    """A method of two streams, called with one message that has one answer."""

    def __init__(self, method: grpc.aio.StreamStreamMultiCallable[Any, Any]) -> None:
        self._method = method

    async def __call__(
        self, request: Request, /, *, timeout: float | None = None, metadata: Any = None
    ) -> Response:
        """Sends the message, and reads its answer and the status after it."""

        async def requests() -> AsyncIterator[Request]:
            yield request

        call = self._method(requests(), timeout=timeout, metadata=metadata)
        try:
            answers = [answer async for answer in call]
        finally:
            call.cancel()
        if len(answers) != 1:
            raise RuntimeError(f"{len(answers)} answers to one message")
        return cast(Response, answers[0])
