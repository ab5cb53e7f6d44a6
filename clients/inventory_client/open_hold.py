"""A hold for the length of a `with` block."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from inventory.v1 import hold_service_pb2 as pb

from inventory_client.base_error import InventoryError
from inventory_client.errors import HoldEnded, HoldNotFound
from inventory_client.words import LineLike, Span, datetime_of, lines_of

if TYPE_CHECKING:
    from inventory_client.hold_calls import HoldCalls

log = logging.getLogger(__name__)

EXTENSIONS_A_TTL: Final = 3
"""How often a hold that is kept alive is extended within its ttl."""


class AsyncOpenHold:
    """A hold that was placed when its block was entered.

    Left without a confirm, or by an exception, what is held is released. Only
    where a confirm failed and was perhaps done (`maybe_applied`), nothing is
    released: the hold is sold, or its deadline gives it back, and the same
    confirm again settles it. An exception of the block is never replaced by
    one of the release; that is logged then, and the deadline gives the units back.
    """

    def __init__(
        self,
        calls: HoldCalls,
        request: pb.PlaceHoldRequest,
        *,
        keep_alive: bool,
        idempotency_key: str,
        timeout: float | None,
    ) -> None:
        self._calls = calls
        self._request = request
        self._is_kept_alive = keep_alive
        self._key = idempotency_key
        self._timeout = timeout
        self._placed = pb.PlaceHoldResponse()
        self._hold = pb.Hold()
        self._keeping: asyncio.Task[None] | None = None
        self._lost: InventoryError | None = None
        self._is_left_alone = False

    @property
    def hold(self) -> pb.Hold:
        """The hold as it was last told."""
        return self._hold

    @property
    def hold_id(self) -> str:
        """The hold's id."""
        return self._hold.hold_id

    @property
    def expire_time(self) -> datetime:
        """The deadline as it was last told."""
        return datetime_of(self._hold.expire_time)

    @property
    def placed(self) -> pb.PlaceHoldResponse:
        """What PlaceHold answered: with the levels, and with `allow_partial` the shortages."""
        return self._placed

    @property
    def is_held(self) -> bool:
        """Whether anything of it is still held, as far as is known here."""
        return self._hold.state == pb.HOLD_STATE_HELD

    @property
    def lost(self) -> InventoryError | None:
        """Why it could not be kept alive any more, where that was asked for."""
        return self._lost

    async def confirm(
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
        parts = lines_of(lines)
        await self._stop_keeping()
        try:
            answer = await self._calls.confirm_hold(
                self.hold_id, lines=parts, keep_rest=keep_rest,
                rehold_if_expired=rehold_if_expired,
                idempotency_key=idempotency_key or ("" if parts else self._key), timeout=timeout,
            )  # fmt: skip
        except BaseException as error:
            # Also where the caller was cancelled in the middle of it.
            is_known = isinstance(error, InventoryError) and not error.maybe_applied
            self._is_left_alone = not is_known
            raise
        else:
            self._is_left_alone, self._hold = False, answer.hold
            return answer
        finally:
            self._keep()

    async def release(
        self, *, lines: Iterable[LineLike] = (), timeout: float | None = None
    ) -> pb.ReleaseHoldResponse:
        """Gives it back, or so much of it as `lines` say. Raises as `release_hold` does."""
        answer = await self._calls.release_hold(self.hold_id, lines=lines, timeout=timeout)
        self._hold = answer.hold
        return answer

    async def extend(self, ttl: Span, *, timeout: float | None = None) -> pb.ExtendHoldResponse:
        """Moves the deadline to `ttl` from now. Raises as `extend_hold` does."""
        answer = await self._calls.extend_hold(self.hold_id, ttl=ttl, timeout=timeout)
        self._hold = answer.hold
        return answer

    async def __aenter__(self) -> Self:
        self._placed = await self._calls.send_place_hold(self._request, self._timeout, self._key)
        self._hold = self._placed.hold
        self._keep()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._stop_keeping()
        if self._is_left_alone or not self.is_held:
            return
        try:
            await self.release()
        except (HoldEnded, HoldNotFound) as ended:
            # Somebody else ended it, or its deadline did: nothing is held any more.
            log.debug("hold %s had ended already: %s", self.hold_id, ended)
        except InventoryError as failed:
            if error is None:
                raise
            log.warning(
                "hold %s could not be released, its deadline will: %s", self.hold_id, failed
            )

    def _keep(self) -> None:
        if self._is_kept_alive and self.is_held and not self._is_left_alone:
            self._keeping = asyncio.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        placed, expires = self._hold.create_time, self._hold.expire_time
        ttl = datetime_of(expires) - datetime_of(placed)
        while True:
            await asyncio.sleep(ttl / timedelta(seconds=1) / EXTENSIONS_A_TTL)
            try:
                await self.extend(ttl)
            except (HoldEnded, HoldNotFound) as ended:
                self._lost = ended
                return
            except InventoryError as failed:
                # The next extension may still come before the deadline.
                log.debug("hold %s was not extended: %s", self.hold_id, failed)

    async def _stop_keeping(self) -> None:
        task, self._keeping = self._keeping, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
