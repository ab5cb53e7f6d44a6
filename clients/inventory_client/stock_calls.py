"""StockService as methods of the client."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from datetime import datetime

from inventory.v1 import stock_service_pb2 as pb
from inventory.v1.movement_pb2 import Movement
from inventory.v1.stock_level_pb2 import StockLevel

from inventory_client.caller import Caller, OneByOne
from inventory_client.chunks import chunks_of
from inventory_client.events import StockEvent, stock_event_of
from inventory_client.paging import AsyncPager, Page
from inventory_client.watching import AsyncWatch, WatchPlan
from inventory_client.words import (
    AdjustLineLike,
    DeleteLineLike,
    LineLike,
    ModeName,
    ReasonName,
    SetLineLike,
    StatusName,
    TransferLineLike,
    adjust_lines_of,
    delete_lines_of,
    lines_of,
    mode_of,
    reason_of,
    set_lines_of,
    status_of,
    timestamp_of,
    transfer_lines_of,
)


class StockCalls:
    """Reads and changes stock. Every change takes an `idempotency_key`, or makes one."""

    _caller: Caller

    async def get_stock(
        self, sku: str, *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.Stock:
        """Reads one SKU's levels and totals; raises StockLevelNotFound where it has none."""
        request = pb.GetStockRequest(sku=sku, locations=locations)
        return (await self._caller.read(self._caller.stock.GetStock, request, timeout)).stock

    async def batch_get_stock(
        self, skus: Iterable[str], *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.BatchGetStockResponse:
        """Reads up to 500 SKUs, in the order asked; unknown ones are listed apart."""
        request = pb.BatchGetStockRequest(skus=skus, locations=locations)
        return await self._caller.read(self._caller.stock.BatchGetStock, request, timeout)

    def list_stock_levels(
        self,
        location: str,
        *,
        status: StatusName | None = None,
        sku_prefix: str = "",
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> AsyncPager[StockLevel]:
        """Lists the levels of one location, by SKU. `timeout` is a page's."""

        async def read(token: str) -> Page[StockLevel]:
            request = pb.ListStockLevelsRequest(
                location=location, status=status_of(status), sku_prefix=sku_prefix,
                page_size=page_size, page_token=token,
            )  # fmt: skip
            answer = await self._caller.read(self._caller.stock.ListStockLevels, request, timeout)
            return Page(answer.levels, answer.next_page_token)

        return AsyncPager(read, page_token)

    async def set_stock(
        self,
        lines: Iterable[SetLineLike],
        *,
        reason: ReasonName = "COUNT",
        note: str = "",
        reference: str = "",
        force: bool = False,
        validate_only: bool = False,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.SetStockResponse:
        """Sets counts, all lines or none, and makes levels that are missing.

        Raises BelowHeld, OnHandMismatch.
        """
        request = pb.SetStockRequest(
            lines=set_lines_of(lines), reason=reason_of(reason), note=note, reference=reference,
            force=force, validate_only=validate_only,
        )  # fmt: skip
        method = self._caller.stock.SetStock
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def adjust_stock(
        self,
        lines: Iterable[AdjustLineLike],
        *,
        reason: ReasonName,
        note: str = "",
        reference: str = "",
        validate_only: bool = False,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.AdjustStockResponse:
        """Changes counts by signed amounts, all lines or none.

        Raises StockLevelNotFound, BelowHeld, TotalTooLarge.
        """
        request = pb.AdjustStockRequest(
            lines=adjust_lines_of(lines), reason=reason_of(reason), note=note,
            reference=reference, validate_only=validate_only,
        )  # fmt: skip
        method = self._caller.stock.AdjustStock
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def record_sale(
        self,
        lines: Iterable[LineLike],
        *,
        reference: str = "",
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.RecordSaleResponse:
        """Sells units without a hold, all lines or none.

        Raises StockLevelNotFound, ProductInactive, InsufficientStock.
        """
        request = pb.RecordSaleRequest(lines=lines_of(lines), reference=reference)
        method = self._caller.stock.RecordSale
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def transfer_stock(
        self,
        lines: Iterable[TransferLineLike],
        *,
        from_location: str,
        to_location: str,
        reference: str = "",
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.TransferStockResponse:
        """Moves units between two locations, all lines or none.

        Raises StockLevelNotFound, InsufficientStock, TotalTooLarge.
        """
        request = pb.TransferStockRequest(
            lines=transfer_lines_of(lines), from_location=from_location,
            to_location=to_location, reference=reference,
        )  # fmt: skip
        method = self._caller.stock.TransferStock
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def set_stock_policy(
        self,
        lines: Iterable[pb.SetStockPolicyLine],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.SetStockPolicyResponse:
        """Sets reorder and rearm points, safety stock and backorder limits.

        A line without a SKU is the location's default for levels made from now
        on. Raises StockLevelNotFound, RearmBelowReorder.
        """
        request = pb.SetStockPolicyRequest(lines=lines)
        method = self._caller.stock.SetStockPolicy
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def delete_stock_levels(
        self,
        lines: Iterable[DeleteLineLike],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.DeleteStockLevelsResponse:
        """Deletes empty levels, all or none. Raises StockLevelNotFound, LevelInUse."""
        request = pb.DeleteStockLevelsRequest(lines=delete_lines_of(lines))
        method = self._caller.stock.DeleteStockLevels
        return await self._caller.change(method, request, timeout, idempotency_key)

    def list_movements(
        self,
        *,
        sku: str = "",
        location: str = "",
        hold_id: str = "",
        reference: str = "",
        actor: str = "",
        from_time: datetime | None = None,
        to_time: datetime | None = None,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> AsyncPager[Movement]:
        """Lists movements, newest first; filters hold together. `timeout` is a page's."""

        async def read(token: str) -> Page[Movement]:
            request = pb.ListMovementsRequest(
                sku=sku, location=location, hold_id=hold_id, reference=reference, actor=actor,
                from_time=timestamp_of(from_time), to_time=timestamp_of(to_time),
                page_size=page_size, page_token=token,
            )  # fmt: skip
            answer = await self._caller.read(self._caller.stock.ListMovements, request, timeout)
            return Page(answer.movements, answer.next_page_token)

        return AsyncPager(read, page_token)

    def watch_stock(
        self,
        *,
        skus: Iterable[str] = (),
        locations: Iterable[str] = (),
        cursor: str = "",
        snapshot: bool = False,
        heartbeats: bool = False,
        snapshot_on_gap: bool = True,
    ) -> AsyncWatch[StockEvent]:
        """Watches every movement, for as long as it is iterated over; see AsyncWatch."""
        request = pb.WatchStockRequest(skus=skus, locations=locations)
        plan = WatchPlan(cursor, snapshot, heartbeats, snapshot_on_gap)
        return AsyncWatch(
            self._caller, self._caller.stock.WatchStock, request, stock_event_of, plan
        )

    async def import_stock(
        self,
        rows: Iterable[pb.ImportRow] | AsyncIterable[pb.ImportRow],
        *,
        mode: ModeName,
        reference: str = "",
        first_row: int = 1,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[pb.ImportStockResponse]:
        """Imports rows, 500 a chunk, and answers each chunk; bad rows stay out and are named.

        `timeout` is a chunk's. Each chunk is repeated safely under the one key
        of the import; after an error, the same import may be run again with it.
        """
        method: OneByOne[pb.ImportStockRequest, pb.ImportStockResponse]
        method = OneByOne(self._caller.stock.ImportStock)
        key = idempotency_key or self._caller.new_key()
        async for number, chunk in chunks_of(rows, first_row):
            request = pb.ImportStockRequest(
                mode=mode_of(mode), first_row=number, rows=chunk, reference=reference
            )
            yield await self._caller.change(method, request, timeout, key)
