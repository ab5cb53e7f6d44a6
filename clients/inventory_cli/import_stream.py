"""One import: chunks over one stream, a bounded number of them in flight."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Lock
from typing import Any, Final

import grpc

from inventory_cli.chunks import Chunk, ChunkReader
from inventory_cli.connecting import connect
from inventory_cli.errors import ServerError, server_error_of
from inventory_cli.stop_signals import stop_signals
from inventory_cli.tally import Tally

CHUNKS_IN_FLIGHT: Final = 8
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0

_CHANNEL_OPTIONS: Final = (
    # A connection of its own for each attempt, and none that is waiting out
    # the backoff of an earlier one.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


RpcOf = Callable[[grpc.Channel], Callable[..., Any]]
"""The RPC that an import is made by, of a channel."""


class ImportStream:
    """Sends a file's chunks and counts the answers.

    A chunk that was not answered when a connection broke is sent again, under
    the same idempotency key where there is one; what the server took already
    changes nothing the second time. `on_progress` is called after each answer, `on_retry` with
    what went wrong and the pause in seconds.

    The file is read in the thread in which gRPC asks for requests, so that
    reading goes on while answers are waited for. This is the synchronous API
    on purpose: the asynchronous one can lose the status of a stream that the
    server ends while a message is written (grpc/grpc#36066).
    """

    def __init__(
        self,
        chunks: ChunkReader,
        tally: Tally,
        *,
        rpc_of: RpcOf,
        key: str,
        server: str,
        retries: int,
        on_progress: Callable[[], None],
        on_retry: Callable[[str, float], None],
        actor: str = "",
    ) -> None:
        self._chunks = chunks
        self._tally = tally
        self._rpc_of = rpc_of
        named = (("idempotency-key", key), ("x-actor", actor))
        self._metadata = tuple([(name, value) for name, value in named if value])
        self._server = server
        self._retries = retries
        self._on_progress = on_progress
        self._on_retry = on_retry
        self._was_connected = False
        self._reading = Lock()
        self._is_at_end = False
        self._read_error: Exception | None = None
        self._changed = Condition()
        """Guards what follows, and the tally."""
        self._attempt = 0
        self._unanswered: deque[Chunk] = deque()

    def run(self, limit_s: float | None) -> None:
        """Imports everything, in `limit_s` seconds. Raises CliError where that fails."""
        try:
            with stop_signals(limit_s):
                # A file without a row, or a wrong one, needs no server.
                if self._read(self._attempt):
                    self._send_all()
        finally:
            self._tally.end()
        if self._read_error is not None:
            raise self._read_error

    def _send_all(self) -> None:
        failures = 0
        while True:
            rows = self._tally.rows
            try:
                trailers = self._converse()
                break
            except ServerError as error:
                failures = failures + 1 if self._tally.rows == rows else 1
                if not self._may_retry(error, failures):
                    raise
                pause_s = _pause_s(failures, error.retry_delay_s)
                self._on_retry(str(error), pause_s)
            time.sleep(pause_s)
        self._tally.replayed = not failures and trailers.get("idempotent-replayed") == "true"

    def _may_retry(self, error: ServerError, failures: int) -> bool:
        # A server that was never there is told at once: perhaps its address is wrong.
        return error.is_transient and self._was_connected and failures <= self._retries

    def _converse(self) -> dict[str, str | bytes]:
        """One stream to its end; answers its trailers."""
        connect(self._server)
        self._was_connected = True
        with grpc.insecure_channel(self._server, options=_CHANNEL_OPTIONS) as channel:
            requests = self._requests(self._begin_attempt())
            call = self._rpc_of(channel)(requests, metadata=self._metadata)
            try:
                for answer in call:
                    self._take(answer)
                trailers = dict(call.trailing_metadata())
            except grpc.RpcError as error:
                raise server_error_of(call, self._server) from error
            finally:
                self._begin_attempt()
                call.cancel()
        if self._unanswered or not self._is_at_end:
            raise ServerError("the server ended the import early", is_transient=True)
        return trailers

    def _begin_attempt(self) -> int:
        """Ends the requests of the attempt before."""
        with self._changed:
            self._attempt += 1
            self._changed.notify_all()
            return self._attempt

    def _requests(self, attempt: int) -> Iterator[Any]:
        # Those of the attempt before may be in the middle of a read, whose
        # chunk is then unanswered too.
        with self._reading, self._changed:
            waiting = tuple(self._unanswered)
        for chunk in waiting:
            if chunk.lines:
                yield chunk.request
        while following := self._read(attempt):
            if following.lines:
                yield following.request

    def _read(self, attempt: int) -> Chunk | None:
        """The next chunk, as soon as there is room for it in flight; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or attempt != self._attempt)
        with self._reading:
            if attempt != self._attempt or self._is_at_end:
                return None
            try:
                chunk = self._chunks.next_chunk()
            except Exception as error:
                # Told when what was sent before has been answered.
                self._read_error, chunk = error, None
            if chunk is None:
                self._is_at_end = True
                return None
            with self._changed:
                self._unanswered.append(chunk)
                self._settle_unsent()
            return chunk

    def _has_room(self) -> bool:
        return len(self._unanswered) < CHUNKS_IN_FLIGHT

    def _take(self, answer: Any) -> None:
        with self._changed:
            if not self._unanswered or self._unanswered[0].request.first_row != answer.first_row:
                raise ServerError("the server answered a chunk that it was not sent")
            self._count(self._unanswered.popleft(), answer)
            self._settle_unsent()
            self._changed.notify_all()

    def _settle_unsent(self) -> None:
        """Counts the chunks at the front that had no row to send."""
        while self._unanswered and not self._unanswered[0].lines:
            chunk = self._unanswered.popleft()
            self._tally.count(chunk.records, chunk.refused, chunk.end_byte)
            self._on_progress()

    def _count(self, chunk: Chunk, answer: Any) -> None:
        refusals, unchanged = chunk.refusals(answer), chunk.unchanged_rows(answer)
        self._tally.count(chunk.records, refusals, chunk.end_byte, unchanged)
        self._on_progress()


def _pause_s(failures: int, least_s: float) -> float:
    pause_s = min(FIRST_PAUSE_S * 2.0 ** (failures - 1), LONGEST_PAUSE_S)
    return max(least_s, pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
