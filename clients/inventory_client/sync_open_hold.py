"""AsyncOpenHold for code without an event loop.

Made by tools/generate_sync.py from open_hold.py: change that one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

from inventory.v1 import hold_service_pb2 as pb

from inventory_client.base_error import InventoryError
from inventory_client.loop_thread import LoopThread
from inventory_client.open_hold import AsyncOpenHold
from inventory_client.words import LineLike, Span


class OpenHold:
    """As AsyncOpenHold: A hold that was placed when its block was entered.

    Left without a confirm, or by an exception, what is held is released. Only
    where a confirm failed and was perhaps done (`maybe_applied`), nothing is
    released: the hold is sold, or its deadline gives it back, and the same
    confirm again settles it. An exception of the block is never replaced by
    one of the release; that is logged then, and the deadline gives the units back.
    """

    def __init__(self, thread: LoopThread, hold: AsyncOpenHold) -> None:
        self._thread = thread
        self._hold = hold

    def __enter__(self) -> Self:
        self._thread.run(self._hold.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._thread.run(self._hold.__aexit__(kind, error, at))

    @property
    def hold(self) -> pb.Hold:
        """The hold as it was last told."""
        return self._hold.hold

    @property
    def hold_id(self) -> str:
        """The hold's id."""
        return self._hold.hold_id

    @property
    def expire_time(self) -> datetime:
        """The deadline as it was last told."""
        return self._hold.expire_time

    @property
    def placed(self) -> pb.PlaceHoldResponse:
        """What PlaceHold answered: with the levels, and with `allow_partial` the shortages."""
        return self._hold.placed

    @property
    def is_held(self) -> bool:
        """Whether anything of it is still held, as far as is known here."""
        return self._hold.is_held

    @property
    def lost(self) -> InventoryError | None:
        """Why it could not be kept alive any more, where that was asked for."""
        return self._hold.lost

    def confirm(
        self,
        *,
        lines: Iterable[LineLike] = (),
        keep_rest: bool = False,
        rehold_if_expired: bool = False,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.ConfirmHoldResponse:
        """Sells it, or so much of it as `lines` say. Raises as `confirm_hold` does.

        The whole of it is sold under the key that it was placed with, if one was
        given: the whole block can be repeated.
        """
        return self._thread.run(
            self._hold.confirm(
                lines=lines,
                keep_rest=keep_rest,
                rehold_if_expired=rehold_if_expired,
                idempotency_key=idempotency_key,
                timeout=timeout,
            )
        )

    def release(
        self, *, lines: Iterable[LineLike] = (), timeout: float | None = None
    ) -> pb.ReleaseHoldResponse:
        """Gives it back, or so much of it as `lines` say. Raises as `release_hold` does."""
        return self._thread.run(self._hold.release(lines=lines, timeout=timeout))

    def extend(self, ttl: Span, *, timeout: float | None = None) -> pb.ExtendHoldResponse:
        """Moves the deadline to `ttl` from now. Raises as `extend_hold` does."""
        return self._thread.run(self._hold.extend(ttl, timeout=timeout))
