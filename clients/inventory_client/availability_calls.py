"""AvailabilityService and AlertService as methods of the client."""

from __future__ import annotations

from collections.abc import Iterable

from inventory.v1 import alert_service_pb2 as alert_pb
from inventory.v1 import availability_service_pb2 as pb
from inventory.v1.stock_level_pb2 import StockLevel

from inventory_client.caller import Caller
from inventory_client.events import LowStockEvent, low_stock_event_of
from inventory_client.paging import AsyncPager, Page
from inventory_client.watching import AsyncWatch, WatchPlan
from inventory_client.words import KindName, LineLike, kinds_of, lines_of


class AvailabilityCalls:
    """Says what can be sold, and what runs low."""

    _caller: Caller

    async def check_availability(
        self, lines: Iterable[LineLike], *, timeout: float | None = None
    ) -> pb.CheckAvailabilityResponse:
        """Judges a basket: `available` for all of it, and an answer a level."""
        request = pb.CheckAvailabilityRequest(lines=lines_of(lines))
        method = self._caller.availability.CheckAvailability
        return await self._caller.read(method, request, timeout)

    def list_low_stock(
        self,
        *,
        location: str = "",
        threshold: int | None = None,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> AsyncPager[StockLevel]:
        """Lists the levels that are low or out, or at or below `threshold`."""

        async def read(token: str) -> Page[StockLevel]:
            request = alert_pb.ListLowStockRequest(
                location=location, threshold=threshold, page_size=page_size, page_token=token
            )
            answer = await self._caller.read(self._caller.alerts.ListLowStock, request, timeout)
            return Page(answer.levels, answer.next_page_token)

        return AsyncPager(read, page_token)

    def watch_low_stock(
        self,
        *,
        locations: Iterable[str] = (),
        skus: Iterable[str] = (),
        kinds: Iterable[KindName] = (),
        cursor: str = "",
        snapshot: bool = False,
        heartbeats: bool = False,
        snapshot_on_gap: bool = True,
    ) -> AsyncWatch[LowStockEvent]:
        """Watches alerts, for as long as it is iterated over; see AsyncWatch."""
        request = alert_pb.WatchLowStockRequest(
            locations=locations, skus=skus, kinds=kinds_of(kinds)
        )
        plan = WatchPlan(cursor, snapshot, heartbeats, snapshot_on_gap)
        return AsyncWatch(
            self._caller, self._caller.alerts.WatchLowStock, request, low_stock_event_of, plan
        )
