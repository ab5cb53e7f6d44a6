"""AvailabilityCalls for code without an event loop.

Made by tools/generate_sync.py from availability_calls.py: change that one.
"""

from __future__ import annotations

from collections.abc import Iterable

from inventory.v1 import availability_service_pb2 as pb
from inventory.v1.stock_level_pb2 import StockLevel

from inventory_client.blocking import Pager, SyncCalls, Watch
from inventory_client.events import LowStockEvent
from inventory_client.words import KindName, LineLike


class SyncAvailabilityCalls(SyncCalls):
    """Says what can be sold, and what runs low."""

    def check_availability(
        self, lines: Iterable[LineLike], *, timeout: float | None = None
    ) -> pb.CheckAvailabilityResponse:
        """Judges a basket: `available` for all of it, and an answer a level."""
        return self._thread.run(self._client.check_availability(lines, timeout=timeout))

    def list_low_stock(
        self,
        *,
        location: str = "",
        threshold: int | None = None,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> Pager[StockLevel]:
        """Lists the levels that are low or out, or at or below `threshold`."""
        return Pager(
            self._thread,
            self._client.list_low_stock(
                location=location,
                threshold=threshold,
                page_size=page_size,
                page_token=page_token,
                timeout=timeout,
            ),
        )

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
    ) -> Watch[LowStockEvent]:
        """Watches alerts, for as long as it is iterated over; see AsyncWatch."""
        return Watch(
            self._thread,
            self._client.watch_low_stock(
                locations=locations,
                skus=skus,
                kinds=kinds,
                cursor=cursor,
                snapshot=snapshot,
                heartbeats=heartbeats,
                snapshot_on_gap=snapshot_on_gap,
            ),
        )
