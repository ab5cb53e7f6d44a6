"""HoldService as methods of the client."""

from __future__ import annotations

from collections.abc import Iterable

from inventory.v1 import hold_service_pb2 as pb

from inventory_client.batch_answers import BatchAnswers
from inventory_client.caller import Caller
from inventory_client.open_hold import AsyncOpenHold
from inventory_client.paging import AsyncPager, Page
from inventory_client.words import LineLike, Span, StateName, duration_of, lines_of, state_of


class HoldCalls:
    """Places holds and ends them. Every change takes an `idempotency_key`, or makes one."""

    _caller: Caller

    def hold(
        self,
        lines: Iterable[LineLike],
        *,
        ttl: Span | None = None,
        reference: str = "",
        note: str = "",
        allow_partial: bool = False,
        keep_alive: bool = False,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> AsyncOpenHold:
        """A hold for the length of a `with` block; left without a confirm, it is released.

        With `keep_alive` its deadline is moved on while the block runs. See AsyncOpenHold.
        """
        request = self._place_request(lines, ttl, reference, note, allow_partial)
        return AsyncOpenHold(
            self, request, keep_alive=keep_alive, idempotency_key=idempotency_key, timeout=timeout
        )

    async def place_hold(
        self,
        lines: Iterable[LineLike],
        *,
        ttl: Span | None = None,
        reference: str = "",
        note: str = "",
        allow_partial: bool = False,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.PlaceHoldResponse:
        """Holds every line or none (or what there is, with `allow_partial`), by default for 300 s.

        Raises StockLevelNotFound, ProductInactive, InsufficientStock.
        """
        request = self._place_request(lines, ttl, reference, note, allow_partial)
        return await self.send_place_hold(request, timeout, idempotency_key)

    async def send_place_hold(
        self, request: pb.PlaceHoldRequest, timeout: float | None, key: str
    ) -> pb.PlaceHoldResponse:
        """The same with the message itself."""
        return await self._caller.change(self._caller.holds.PlaceHold, request, timeout, key)

    async def get_hold(self, hold_id: str, *, timeout: float | None = None) -> pb.Hold:
        """Reads a hold, open or ended. Raises HoldNotFound."""
        request = pb.GetHoldRequest(hold_id=hold_id)
        return (await self._caller.read(self._caller.holds.GetHold, request, timeout)).hold

    def list_holds(
        self,
        *,
        reference: str = "",
        sku: str = "",
        location: str = "",
        state: StateName | None = None,
        actor: str = "",
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> AsyncPager[pb.Hold]:
        """Lists the holds of a reference, or the open ones of a level. `timeout` is a page's."""

        async def read(token: str) -> Page[pb.Hold]:
            request = pb.ListHoldsRequest(
                reference=reference, sku=sku, location=location, state=state_of(state),
                actor=actor, page_size=page_size, page_token=token,
            )  # fmt: skip
            answer = await self._caller.read(self._caller.holds.ListHolds, request, timeout)
            return Page(answer.holds, answer.next_page_token)

        return AsyncPager(read, page_token)

    async def confirm_hold(
        self,
        hold_id: str,
        *,
        lines: Iterable[LineLike] = (),
        keep_rest: bool = False,
        rehold_if_expired: bool = False,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.ConfirmHoldResponse:
        """Sells what is held, or so much of it as `lines` say.

        Raises HoldNotFound, HoldAlreadyReleased, HoldExpired, HoldAlreadyConfirmed,
        QuantityExceedsHeld, InsufficientStock (after a forced count), TooManyParts.
        """
        request = pb.ConfirmHoldRequest(
            hold_id=hold_id, lines=lines_of(lines), keep_rest=keep_rest,
            rehold_if_expired=rehold_if_expired,
        )  # fmt: skip
        method = self._caller.holds.ConfirmHold
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def release_hold(
        self,
        hold_id: str,
        *,
        lines: Iterable[LineLike] = (),
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.ReleaseHoldResponse:
        """Gives back what is held, or so much of it as `lines` say.

        Raises HoldNotFound, HoldAlreadyConfirmed, HoldExpired, HoldAlreadyReleased,
        QuantityExceedsHeld, TooManyParts.
        """
        request = pb.ReleaseHoldRequest(hold_id=hold_id, lines=lines_of(lines))
        method = self._caller.holds.ReleaseHold
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def extend_hold(
        self,
        hold_id: str,
        *,
        ttl: Span,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.ExtendHoldResponse:
        """Moves the deadline to `ttl` from now, never earlier. Raises HoldNotFound, HoldEnded."""
        request = pb.ExtendHoldRequest(hold_id=hold_id, ttl=duration_of(ttl))
        method = self._caller.holds.ExtendHold
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def batch_place_holds(
        self,
        items: Iterable[pb.BatchPlaceHoldsItem],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.BatchPlaceHoldsResponse:
        """Places up to 500 holds, each on its own; `item_error` makes an exception of an error."""
        request = pb.BatchPlaceHoldsRequest(items=items)
        method = self._caller.holds.BatchPlaceHolds
        return await self._caller.change(method, request, timeout, idempotency_key, BatchAnswers())

    async def batch_confirm_holds(
        self,
        items: Iterable[pb.BatchConfirmHoldsItem],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.BatchConfirmHoldsResponse:
        """Confirms up to 500 holds, each on its own."""
        request = pb.BatchConfirmHoldsRequest(items=items)
        method = self._caller.holds.BatchConfirmHolds
        return await self._caller.change(method, request, timeout, idempotency_key, BatchAnswers())

    async def batch_release_holds(
        self,
        items: Iterable[pb.BatchReleaseHoldsItem],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.BatchReleaseHoldsResponse:
        """Releases up to 500 holds, each on its own."""
        request = pb.BatchReleaseHoldsRequest(items=items)
        method = self._caller.holds.BatchReleaseHolds
        return await self._caller.change(method, request, timeout, idempotency_key, BatchAnswers())

    def _place_request(
        self,
        lines: Iterable[LineLike],
        ttl: Span | None,
        reference: str,
        note: str,
        allow_partial: bool,
    ) -> pb.PlaceHoldRequest:
        return pb.PlaceHoldRequest(
            lines=lines_of(lines), ttl=duration_of(ttl), reference=reference, note=note,
            allow_partial=allow_partial,
        )  # fmt: skip
