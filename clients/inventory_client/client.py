"""The asyncio client."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import grpc

from inventory_client.availability_calls import AvailabilityCalls
from inventory_client.caller import Caller, CallSettings
from inventory_client.catalog_calls import CatalogCalls
from inventory_client.hold_calls import HoldCalls
from inventory_client.retry import RetryPolicy
from inventory_client.stock_calls import StockCalls

DEFAULT_TARGET: Final = "localhost:8061"
TIMEOUT_S: Final = 20.0
ATTEMPT_TIMEOUT_S: Final = 6.0
"""A little more than the server waits for its store, so that it is the server that answers."""

CHANNEL_OPTIONS: Final = (
    # A dead connection is noticed while nothing is called, and while a stream is silent.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A server that was started again is found soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", -1),
)


class AsyncInventoryClient(StockCalls, HoldCalls, AvailabilityCalls, CatalogCalls):
    """An asyncio client of one inventory service. Make one, in the event loop, and share it.

    Every call has a deadline, and every change an idempotency key that all its
    attempts share. Calls are sent again, with jitter, until their deadline:
    where the server certainly did nothing (STORE_UNAVAILABLE, DRAINING,
    CATALOG_THROTTLED), where the connection broke, and, under the same key,
    where it is unknown what was done. Everything else is raised as an
    InventoryError. Answers are the messages of `inventory.v1`.

    Args:
        target: `host:port` of the server, or any other target that gRPC knows.
        timeout: seconds that a call may take, all attempts together; each
            method takes another one.
        attempt_timeout: seconds that one attempt may take.
        retry: pauses between attempts, and how many there may be.
        actor: who asks; kept in holds and movements.
        credentials: for TLS; without them the connection is not encrypted.
        metadata: sent with every call.
        options: of the channel, beside those of this library.

    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float = TIMEOUT_S,
        attempt_timeout: float = ATTEMPT_TIMEOUT_S,
        retry: RetryPolicy | None = None,
        actor: str = "",
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        every_option = (*CHANNEL_OPTIONS, *options)
        channel = (
            grpc.aio.insecure_channel(target, options=every_option)
            if credentials is None
            else grpc.aio.secure_channel(target, credentials, options=every_option)
        )
        who = (("x-actor", actor),) if actor else ()
        settings = CallSettings(
            timeout_s=timeout,
            attempt_timeout_s=attempt_timeout,
            retry=retry or RetryPolicy(),
            metadata=(*who, *metadata),
        )
        self._caller = Caller(channel, settings)

    async def close(self) -> None:
        """Ends the connection; calls under way end with ClientClosed, watches just end."""
        await self._caller.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()
