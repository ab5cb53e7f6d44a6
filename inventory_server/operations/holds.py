"""The verbs on holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inventory_server.domain.errors import HoldExpired
from inventory_server.domain.fingerprint import fingerprint
from inventory_server.domain.limits import (
    DEFAULT_TTL_MS,
    HOLDS_A_SCRIPT,
    MAX_PAGE_LINES,
    MAX_PAGE_SCAN,
)
from inventory_server.domain.model import (
    ConfirmRequest,
    Hold,
    HoldChange,
    Line,
    Origin,
    PlaceRequest,
    ReleaseRequest,
    Shortage,
)
from inventory_server.domain.rules import line_text, sum_lines
from inventory_server.operations.expiry import Expiry
from inventory_server.stores.hold_store import HoldStore, PlaceCommand
from inventory_server.stores.outcomes import Due
from inventory_server.stores.redis_store import Command


class HoldFilter(NamedTuple):
    """Which holds are wanted; what is empty or None lets all through."""

    state: str = ""
    actor: str | None = None

    def takes(self, hold: Hold) -> bool:
        """Whether this one is wanted."""
        return self.state in ("", hold.state) and self.actor in (None, hold.actor)


class HoldPage(NamedTuple):
    """A page of holds; `last` is where to go on, empty at the end."""

    holds: tuple[Hold, ...]
    last: str


class HoldOperations:
    """Places holds and ends them. Every verb raises InventoryError when it is refused."""

    def __init__(
        self, holds: HoldStore, expiry: Expiry, *, default_ttl_ms: int = DEFAULT_TTL_MS
    ) -> None:
        self._holds = holds
        self._default_ttl_ms = default_ttl_ms
        self._expiry = expiry

    async def place(self, request: PlaceRequest, origin: Origin) -> HoldChange:
        """Holds every line, or none; if partial is allowed, what there is."""
        command = self.place_command(request, origin)
        reply = await self._holds.run(command.command, origin)
        answer = self.placed(command, request, reply, origin)
        if not isinstance(answer, Due):
            return answer

        async def place_again() -> HoldChange | Due:
            reply = await self._holds.run(command.command, origin)
            return self.placed(command, request, reply, origin)

        await self._expiry.expire_levels(answer, origin.deadline)
        return await self._expiry.settled(place_again, origin.deadline)

    def place_command(self, request: PlaceRequest, origin: Origin) -> PlaceCommand:
        """The script call that places a hold."""
        lines, ttl_ms, reference, note, allow_partial = request
        summed = sum_lines(lines)
        print_ = fingerprint(
            "PlaceHold", *[line_text(line) for line in summed],
            "" if ttl_ms is None else str(ttl_ms), reference, note,
            "partial" if allow_partial else "",
        )  # fmt: skip
        ttl_ms = ttl_ms or self._default_ttl_ms
        return self._holds.place_command(
            PlaceRequest(summed, ttl_ms, reference, note, allow_partial), print_, origin
        )

    def placed(
        self, command: PlaceCommand, request: PlaceRequest, reply: list[object], origin: Origin
    ) -> HoldChange | Due:
        """What the script answered; raises InventoryError for a refusal."""
        answer = self._holds.placed(command, reply, origin)
        if request.allow_partial and not isinstance(answer, Due):
            return answer._replace(shortages=_shortages(command.lines, answer.hold))
        return answer

    async def get(self, hold_id: str, deadline: float) -> Hold:
        """The hold as it is now."""
        return await self._expiry.settled(lambda: self._holds.read(hold_id, deadline), deadline)

    async def list_of_level(
        self,
        sku: str,
        location: str,
        wanted: HoldFilter,
        *,
        after: str,
        count: int,
        deadline: float,
    ) -> HoldPage:
        """The level's open holds, soonest deadline first; `after` is a page's `last`."""
        time_ms, _, hold_id = after.partition(" ")
        place, seen = (int(time_ms or 0), hold_id), 0
        found: list[Hold] = []
        while len(found) < count and seen < MAX_PAGE_SCAN:
            asked = min(HOLDS_A_SCRIPT, count - len(found))
            entries, is_end = await self._holds.ids_of_level(location, sku, place, asked, deadline)
            seen += len(entries)
            for hold in await self._read([id_ for _, id_ in entries], deadline):
                if hold.state == "HELD" and wanted.takes(hold):
                    found.append(hold)
            if is_end:
                return HoldPage(tuple(found), "")
            place = entries[-1]
            if _count_lines(found) >= MAX_PAGE_LINES:
                break
        return HoldPage(tuple(found), f"{place[0]} {place[1]}")

    async def list_of_reference(
        self, reference: str, wanted: HoldFilter, *, after: str, count: int, deadline: float
    ) -> HoldPage:
        """The reference's holds, open and ended, by home and id; `after` is a page's `last`."""
        found: list[Hold] = []
        seen, home = 0, int(after.partition("-")[0] or 0)
        while home < self._holds.partitions:
            asked = min(HOLDS_A_SCRIPT, count - len(found))
            ids = await self._holds.ids_of_reference(home, reference, after, asked, deadline)
            seen += len(ids)
            found += [hold for hold in await self._read(ids, deadline) if wanted.takes(hold)]
            after = ids[-1] if ids else after
            is_full = len(found) == count or _count_lines(found) >= MAX_PAGE_LINES
            if ids and (is_full or seen >= MAX_PAGE_SCAN):
                return HoldPage(tuple(found), after)
            if len(ids) < asked:
                home, after = home + 1, ""
        return HoldPage(tuple(found), "")

    async def _read(self, hold_ids: Sequence[str], deadline: float) -> list[Hold]:
        if not hold_ids:
            return []
        holds = await self._expiry.settled(
            lambda: self._holds.read_many(hold_ids, deadline), deadline
        )
        return [hold for hold in holds if hold is not None]

    async def confirm(self, request: ConfirmRequest, origin: Origin) -> HoldChange:
        """Turns held units into sold ones: of the lines that are named, or all.

        With `rehold_if_expired` the units of an expired hold are taken again.
        """
        command, lines = self.confirm_command(request, origin), sum_lines(request.lines)
        hold_id = request.hold_id
        try:
            reply = await self._holds.run(command, origin)
            return self._holds.changed(reply, hold_id, lines, origin)
        except HoldExpired:
            if not request.rehold_if_expired:
                raise
        print_ = _confirm_print(request, lines)
        return await self._expiry.settled(
            lambda: self._holds.rehold(hold_id, fingerprint=print_, origin=origin), origin.deadline
        )

    def confirm_command(self, request: ConfirmRequest, origin: Origin) -> Command:
        """The script call that confirms a hold."""
        lines = sum_lines(request.lines)
        return self._holds.confirm_command(
            request._replace(lines=lines), _confirm_print(request, lines), origin
        )

    async def release(self, request: ReleaseRequest, origin: Origin) -> HoldChange:
        """Gives held units back: of the lines that are named, or all."""
        reply = await self._holds.run(self.release_command(request, origin), origin)
        return self._holds.changed(reply, request.hold_id, sum_lines(request.lines), origin)

    def release_command(self, request: ReleaseRequest, origin: Origin) -> Command:
        """The script call that releases a hold."""
        lines = sum_lines(request.lines)
        print_ = fingerprint("ReleaseHold", request.hold_id, *map(line_text, lines))
        return self._holds.release_command(request._replace(lines=lines), print_, origin)

    async def extend(self, hold_id: str, ttl_ms: int, origin: Origin) -> HoldChange:
        """Moves the deadline to now + ttl, within the hold's longest life."""
        print_ = fingerprint("ExtendHold", hold_id, str(ttl_ms))
        return await self._holds.extend(hold_id, ttl_ms=ttl_ms, fingerprint=print_, origin=origin)


def _count_lines(holds: Sequence[Hold]) -> int:
    return sum([len(hold.lines) for hold in holds])


def _confirm_print(request: ConfirmRequest, summed: Sequence[Line]) -> str:
    return fingerprint(
        "ConfirmHold", request.hold_id, *map(line_text, summed),
        "keep" if request.keep_rest else "", "rehold" if request.rehold_if_expired else "",
    )  # fmt: skip


def _shortages(asked: Sequence[Line], hold: Hold) -> tuple[Shortage, ...]:
    """The levels that gave the hold less than was asked of them."""
    given = {(line.location, line.sku): line.quantity for line in hold.lines}
    return tuple(
        [
            Shortage(sku, location, quantity, held)
            for sku, location, quantity in asked
            if (held := given.get((location, sku), 0)) < quantity
        ]
    )
