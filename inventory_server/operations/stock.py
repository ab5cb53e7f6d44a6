"""The verbs on stock levels, but for imports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inventory_server.domain.errors import StockLevelNotFound
from inventory_server.domain.fingerprint import fingerprint
from inventory_server.domain.limits import LEVELS_A_SCRIPT, MAX_PAGE_SCAN
from inventory_server.domain.model import Change, CountLine, Level, Line, Origin, PolicyLine
from inventory_server.domain.rules import line_text, sum_lines
from inventory_server.operations.expiry import Expiry
from inventory_server.stores.stock_store import StockStore


class Page(NamedTuple):
    """A page of levels; `last_sku` is the last SKU looked at, empty at the end."""

    levels: tuple[Level, ...]
    last_sku: str


class StockOperations:
    """Reads levels and changes counts. Every verb raises InventoryError when it is refused."""

    def __init__(self, stock: StockStore, expiry: Expiry) -> None:
        self._stock = stock
        self._expiry = expiry

    async def get(self, sku: str, locations: Sequence[str], deadline: float) -> tuple[Level, ...]:
        """The SKU's levels, at every location if none is named; online first."""
        levels = (await self.batch_get([sku], locations, deadline))[sku]
        if not levels:
            raise StockLevelNotFound([(location, sku) for location in locations or ("*",)])
        return levels

    async def batch_get(
        self, skus: Sequence[str], locations: Sequence[str], deadline: float
    ) -> dict[str, tuple[Level, ...]]:
        """The levels of each SKU; an unknown SKU has none."""
        places = sorted(set(locations)) or await self._stock.locations(deadline)
        wanted = [(location, sku) for sku in skus for location in places]
        found: dict[str, list[Level]] = {sku: [] for sku in skus}
        for level in await self._read(wanted, deadline):
            if level is not None:
                found[level.sku].append(level)
        return {sku: tuple(levels) for sku, levels in found.items()}

    async def list(
        self, location: str, *, status: str, prefix: str, after: str, count: int, deadline: float
    ) -> Page:
        """The location's next levels by SKU after this one; looks at a bounded number of them."""
        found: list[Level] = []
        seen = 0
        while len(found) < count and seen < MAX_PAGE_SCAN:
            asked = min(LEVELS_A_SCRIPT, count - len(found) if not status else LEVELS_A_SCRIPT)
            skus = await self._stock.skus(location, after, prefix, asked, deadline)
            seen += len(skus)
            for level in await self._read([(location, sku) for sku in skus], deadline):
                if level is not None and status in ("", level.status):
                    found.append(level)
                    if len(found) == count:
                        return Page(tuple(found), level.sku)
            if len(skus) < asked:
                return Page(tuple(found), "")
            after = skus[-1]
        return Page(tuple(found), after)

    async def list_low(
        self,
        locations: Sequence[str],
        threshold: int | None,
        *,
        after: str,
        count: int,
        deadline: float,
    ) -> Page:
        """The levels that are low or out, or at or below a threshold, by location and SKU.

        `after` and the page's `last_sku` are "location sku". No location means all. Looks at
        a bounded number of levels.
        """
        places = sorted(locations or await self._stock.locations(deadline))
        start, _, sku = after.partition(" ")
        found: list[Level] = []
        seen = 0
        for location in places:
            if location < start:
                continue
            sku = sku if location == start else ""
            more = True
            while more:
                if len(found) >= count or seen >= MAX_PAGE_SCAN:
                    return Page(tuple(found), f"{location} {sku}")
                asked = min(LEVELS_A_SCRIPT, count - len(found))
                if threshold is None:
                    skus = await self._stock.low_skus(location, sku, asked, deadline)
                else:
                    skus = await self._stock.skus(location, sku, "", asked, deadline)
                seen += len(skus)
                more = len(skus) == asked
                sku = skus[-1] if skus else sku
                for level in await self._read([(location, name) for name in skus], deadline):
                    if level is not None and _is_low(level, threshold):
                        found.append(level)
        return Page(tuple(found), "")

    async def set(
        self,
        lines: Sequence[CountLine],
        *,
        reason: str,
        note: str,
        reference: str,
        force: bool,
        validate_only: bool,
        origin: Origin,
    ) -> Change:
        """Sets counts, all or none; each level stands in one line.

        With `validate_only` it answers what would become, and changes nothing.
        """
        ordered = sorted(lines, key=lambda line: (line.location, line.sku))
        print_ = fingerprint(
            "SetStock", *map(_count_text, ordered), reason, note, reference, repr(force)
        )
        return await self._expiry.settled(
            lambda: self._stock.set(
                ordered,
                reason=reason,
                note=note,
                reference=reference,
                force=force,
                validate_only=validate_only,
                fingerprint=print_,
                origin=origin,
            ),
            origin.deadline,
        )

    async def adjust(
        self,
        lines: Sequence[Line],
        *,
        reason: str,
        note: str,
        reference: str,
        validate_only: bool,
        origin: Origin,
    ) -> Change:
        """Changes counts by deltas, all or none; `validate_only` as of `set`."""
        summed = sum_lines(lines)
        print_ = fingerprint("AdjustStock", *map(line_text, summed), reason, note, reference)
        return await self._expiry.settled(
            lambda: self._stock.adjust(
                summed,
                reason=reason,
                note=note,
                reference=reference,
                validate_only=validate_only,
                fingerprint=print_,
                origin=origin,
            ),
            origin.deadline,
        )

    async def sell(self, lines: Sequence[Line], *, reference: str, origin: Origin) -> Change:
        """Sells units without a hold, all lines or none."""
        summed = sum_lines(lines)
        print_ = fingerprint("RecordSale", *map(line_text, summed), reference)
        return await self._expiry.settled(
            lambda: self._stock.sell(
                summed, reference=reference, fingerprint=print_, origin=origin
            ),
            origin.deadline,
        )

    async def transfer(
        self,
        lines: Sequence[tuple[str, int]],
        *,
        from_location: str,
        to_location: str,
        reference: str,
        origin: Origin,
    ) -> Change:
        """Moves units, (sku, quantity) each, from one location to another, all or none."""
        deltas = sum_lines(
            [Line(sku, from_location, -quantity) for sku, quantity in lines]
            + [Line(sku, to_location, quantity) for sku, quantity in lines]
        )
        print_ = fingerprint("TransferStock", *map(line_text, deltas), reference)
        return await self._expiry.settled(
            lambda: self._stock.transfer(
                deltas, reference=reference, fingerprint=print_, origin=origin
            ),
            origin.deadline,
        )

    async def delete(self, levels: Sequence[Line], *, origin: Origin) -> Change:
        """Deletes empty levels, all or none; answers them as they were in the end."""
        ordered = sorted(levels, key=lambda line: (line.location, line.sku))
        print_ = fingerprint("DeleteStockLevels", *map(line_text, ordered))
        return await self._expiry.settled(
            lambda: self._stock.delete(ordered, fingerprint=print_, origin=origin),
            origin.deadline,
        )

    async def set_policies(self, lines: Sequence[PolicyLine], *, origin: Origin) -> Change:
        """Sets policies of levels and defaults of locations, all or none."""
        ordered = sorted(lines, key=lambda line: (line.location, line.sku))
        print_ = fingerprint(
            "SetStockPolicy",
            *[f"{line.location} {line.sku} {line.policy.packed}" for line in ordered],
        )
        return await self._expiry.settled(
            lambda: self._stock.set_policies(ordered, fingerprint=print_, origin=origin),
            origin.deadline,
        )

    async def _read(
        self, levels: Sequence[tuple[str, str]], deadline: float
    ) -> Sequence[Level | None]:
        found: list[Level | None] = []
        for at in range(0, len(levels), LEVELS_A_SCRIPT):
            part = levels[at : at + LEVELS_A_SCRIPT]
            answer = await self._expiry.settled(
                lambda part=part: self._stock.read_levels(part, deadline),  # type: ignore[misc]
                deadline,
            )
            found += [level for level, _ in answer]
        return found


def _is_low(level: Level, threshold: int | None) -> bool:
    return level.alert_state != "OK" if threshold is None else level.available <= threshold


def _count_text(line: CountLine) -> str:
    expected = "" if line.expected_on_hand is None else line.expected_on_hand
    return f"{line.location} {line.sku} {line.on_hand} {expected}"
