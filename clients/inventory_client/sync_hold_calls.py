"""HoldCalls for code without an event loop.

Made by tools/generate_sync.py from hold_calls.py: change that one.
"""

from __future__ import annotations

from collections.abc import Iterable

from inventory.v1 import hold_service_pb2 as pb

from inventory_client.blocking import Pager, SyncCalls
from inventory_client.sync_open_hold import OpenHold
from inventory_client.words import LineLike, Span, StateName


class SyncHoldCalls(SyncCalls):
    """Places holds and ends them. Every change takes an `idempotency_key`, or makes one."""

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
    ) -> OpenHold:
        """A hold for the length of a `with` block; left without a confirm, it is released.

        With `keep_alive` its deadline is moved on while the block runs. See AsyncOpenHold.
        """
        return OpenHold(
            self._thread,
            self._client.hold(
                lines,
                ttl=ttl,
                reference=reference,
                note=note,
                allow_partial=allow_partial,
                keep_alive=keep_alive,
                idempotency_key=idempotency_key,
                timeout=timeout,
            ),
        )

    def place_hold(
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
        return self._thread.run(
            self._client.place_hold(
                lines,
                ttl=ttl,
                reference=reference,
                note=note,
                allow_partial=allow_partial,
                idempotency_key=idempotency_key,
                timeout=timeout,
            )
        )

    def get_hold(self, hold_id: str, *, timeout: float | None = None) -> pb.Hold:
        """Reads a hold, open or ended. Raises HoldNotFound."""
        return self._thread.run(self._client.get_hold(hold_id, timeout=timeout))

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
    ) -> Pager[pb.Hold]:
        """Lists the holds of a reference, or the open ones of a level. `timeout` is a page's."""
        return Pager(
            self._thread,
            self._client.list_holds(
                reference=reference,
                sku=sku,
                location=location,
                state=state,
                actor=actor,
                page_size=page_size,
                page_token=page_token,
                timeout=timeout,
            ),
        )

    def confirm_hold(
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
        return self._thread.run(
            self._client.confirm_hold(
                hold_id,
                lines=lines,
                keep_rest=keep_rest,
                rehold_if_expired=rehold_if_expired,
                idempotency_key=idempotency_key,
                timeout=timeout,
            )
        )

    def release_hold(
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
        return self._thread.run(
            self._client.release_hold(
                hold_id, lines=lines, idempotency_key=idempotency_key, timeout=timeout
            )
        )

    def extend_hold(
        self, hold_id: str, *, ttl: Span, idempotency_key: str = "", timeout: float | None = None
    ) -> pb.ExtendHoldResponse:
        """Moves the deadline to `ttl` from now, never earlier. Raises HoldNotFound, HoldEnded."""
        return self._thread.run(
            self._client.extend_hold(
                hold_id, ttl=ttl, idempotency_key=idempotency_key, timeout=timeout
            )
        )

    def batch_place_holds(
        self,
        items: Iterable[pb.BatchPlaceHoldsItem],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.BatchPlaceHoldsResponse:
        """Places up to 500 holds, each on its own; `item_error` makes an exception of an error."""
        return self._thread.run(
            self._client.batch_place_holds(items, idempotency_key=idempotency_key, timeout=timeout)
        )

    def batch_confirm_holds(
        self,
        items: Iterable[pb.BatchConfirmHoldsItem],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.BatchConfirmHoldsResponse:
        """Confirms up to 500 holds, each on its own."""
        return self._thread.run(
            self._client.batch_confirm_holds(
                items, idempotency_key=idempotency_key, timeout=timeout
            )
        )

    def batch_release_holds(
        self,
        items: Iterable[pb.BatchReleaseHoldsItem],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.BatchReleaseHoldsResponse:
        """Releases up to 500 holds, each on its own."""
        return self._thread.run(
            self._client.batch_release_holds(
                items, idempotency_key=idempotency_key, timeout=timeout
            )
        )
