"""The verbs on holds."""

from __future__ import annotations

from collections.abc import Sequence

from inventory_server.domain.fingerprint import fingerprint
from inventory_server.domain.limits import DEFAULT_TTL_MS
from inventory_server.domain.model import Hold, HoldChange, Line, Origin
from inventory_server.domain.rules import line_text, sum_lines
from inventory_server.operations.expiry import Expiry
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.outcomes import Due


class HoldOperations:
    """Places holds and ends them. Every verb raises InventoryError when it is refused."""

    def __init__(
        self, holds: HoldStore, expiry: Expiry, *, default_ttl_ms: int = DEFAULT_TTL_MS
    ) -> None:
        self._holds = holds
        self._default_ttl_ms = default_ttl_ms
        self._expiry = expiry

    async def place(
        self,
        lines: Sequence[Line],
        *,
        ttl_ms: int | None,
        reference: str,
        note: str,
        origin: Origin,
    ) -> HoldChange:
        """Holds every line, or none; `ttl_ms` None means the default."""
        summed = sum_lines(lines)
        print_ = fingerprint(
            "PlaceHold", *[line_text(line) for line in summed],
            "" if ttl_ms is None else str(ttl_ms), reference, note,
        )  # fmt: skip
        given = (summed, ttl_ms or self._default_ttl_ms, reference, note, print_, origin)
        answer = await self._holds.place(*given)
        if not isinstance(answer, Due):
            return answer
        return await self._expiry.settled(lambda: self._holds.place(*given), origin.deadline)

    async def get(self, hold_id: str, deadline: float) -> Hold:
        """The hold as it is now."""
        return await self._expiry.settled(lambda: self._holds.read(hold_id, deadline), deadline)

    async def confirm(self, hold_id: str, origin: Origin) -> HoldChange:
        """Turns the held units into sold ones."""
        print_ = fingerprint("ConfirmHold", hold_id)
        return await self._holds.confirm(hold_id, fingerprint=print_, origin=origin)

    async def release(self, hold_id: str, origin: Origin) -> HoldChange:
        """Gives the held units back."""
        print_ = fingerprint("ReleaseHold", hold_id)
        return await self._holds.release(hold_id, fingerprint=print_, origin=origin)

    async def extend(self, hold_id: str, ttl_ms: int, origin: Origin) -> HoldChange:
        """Moves the deadline to now + ttl, within the hold's longest life."""
        print_ = fingerprint("ExtendHold", hold_id, str(ttl_ms))
        return await self._holds.extend(hold_id, ttl_ms=ttl_ms, fingerprint=print_, origin=origin)
