"""What can be sold right now."""

from __future__ import annotations

from collections.abc import Sequence

from inventory_server.domain.model import Line, LineAvailability
from inventory_server.operations.expiry import Expiry
from inventory_server.stores.outcomes import Due
from inventory_server.stores.stock_store import StockStore


class AvailabilityOperations:
    """Judges baskets without changing anything."""

    def __init__(self, stock: StockStore, expiry: Expiry) -> None:
        self._stock = stock
        self._expiry = expiry

    async def check(self, lines: Sequence[Line], deadline: float) -> list[LineAvailability]:
        """One answer a level, in the order of first appearance, all of one instant."""
        requested: dict[tuple[str, str], int] = {}
        for sku, location, quantity in lines:
            level = (location, sku)
            requested[level] = requested.get(level, 0) + quantity
        levels = list(requested)
        answer = await self._stock.read_basket(levels, deadline)
        if isinstance(answer, Due):
            answer = await self._expiry.settled(
                lambda: self._stock.read_basket(levels, deadline), deadline
            )
        return [
            LineAvailability(sku, location, quantity, *answer[location, sku])
            for (location, sku), quantity in requested.items()
        ]
