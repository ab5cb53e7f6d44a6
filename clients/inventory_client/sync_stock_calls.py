"""StockCalls for code without an event loop.

Made by tools/generate_sync.py from stock_calls.py: change that one.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator
from datetime import datetime

from inventory.v1 import stock_service_pb2 as pb
from inventory.v1.movement_pb2 import Movement
from inventory.v1.stock_level_pb2 import StockLevel

from inventory_client.blocking import Pager, SyncCalls, Watch, iterate
from inventory_client.events import StockEvent
from inventory_client.words import (
    AdjustLineLike,
    DeleteLineLike,
    LineLike,
    ModeName,
    ReasonName,
    SetLineLike,
    StatusName,
    TransferLineLike,
)


class SyncStockCalls(SyncCalls):
    """Reads and changes stock. Every change takes an `idempotency_key`, or makes one."""

    def get_stock(
        self, sku: str, *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.Stock:
        """Reads one SKU's levels and totals; raises StockLevelNotFound where it has none."""
        return self._thread.run(self._client.get_stock(sku, locations=locations, timeout=timeout))

    def batch_get_stock(
        self, skus: Iterable[str], *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.BatchGetStockResponse:
        """Reads up to 500 SKUs, in the order asked; unknown ones are listed apart."""
        return self._thread.run(
            self._client.batch_get_stock(skus, locations=locations, timeout=timeout)
        )

    def list_stock_levels(
        self,
        location: str,
        *,
        status: StatusName | None = None,
        sku_prefix: str = "",
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> Pager[StockLevel]:
        """Lists the levels of one location, by SKU. `timeout` is a page's."""
        return Pager(
            self._thread,
            self._client.list_stock_levels(
                location,
                status=status,
                sku_prefix=sku_prefix,
                page_size=page_size,
                page_token=page_token,
                timeout=timeout,
            ),
        )

    def set_stock(
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
        return self._thread.run(
            self._client.set_stock(
                lines,
                reason=reason,
                note=note,
                reference=reference,
                force=force,
                validate_only=validate_only,
                idempotency_key=idempotency_key,
                timeout=timeout,
            )
        )

    def adjust_stock(
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
        return self._thread.run(
            self._client.adjust_stock(
                lines,
                reason=reason,
                note=note,
                reference=reference,
                validate_only=validate_only,
                idempotency_key=idempotency_key,
                timeout=timeout,
            )
        )

    def record_sale(
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
        return self._thread.run(
            self._client.record_sale(
                lines, reference=reference, idempotency_key=idempotency_key, timeout=timeout
            )
        )

    def transfer_stock(
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
        return self._thread.run(
            self._client.transfer_stock(
                lines,
                from_location=from_location,
                to_location=to_location,
                reference=reference,
                idempotency_key=idempotency_key,
                timeout=timeout,
            )
        )

    def set_stock_policy(
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
        return self._thread.run(
            self._client.set_stock_policy(lines, idempotency_key=idempotency_key, timeout=timeout)
        )

    def delete_stock_levels(
        self,
        lines: Iterable[DeleteLineLike],
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.DeleteStockLevelsResponse:
        """Deletes empty levels, all or none. Raises StockLevelNotFound, LevelInUse."""
        return self._thread.run(
            self._client.delete_stock_levels(
                lines, idempotency_key=idempotency_key, timeout=timeout
            )
        )

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
    ) -> Pager[Movement]:
        """Lists movements, newest first; filters hold together. `timeout` is a page's."""
        return Pager(
            self._thread,
            self._client.list_movements(
                sku=sku,
                location=location,
                hold_id=hold_id,
                reference=reference,
                actor=actor,
                from_time=from_time,
                to_time=to_time,
                page_size=page_size,
                page_token=page_token,
                timeout=timeout,
            ),
        )

    def watch_stock(
        self,
        *,
        skus: Iterable[str] = (),
        locations: Iterable[str] = (),
        cursor: str = "",
        snapshot: bool = False,
        heartbeats: bool = False,
        snapshot_on_gap: bool = True,
    ) -> Watch[StockEvent]:
        """Watches every movement, for as long as it is iterated over; see AsyncWatch."""
        return Watch(
            self._thread,
            self._client.watch_stock(
                skus=skus,
                locations=locations,
                cursor=cursor,
                snapshot=snapshot,
                heartbeats=heartbeats,
                snapshot_on_gap=snapshot_on_gap,
            ),
        )

    def import_stock(
        self,
        rows: Iterable[pb.ImportRow] | AsyncIterable[pb.ImportRow],
        *,
        mode: ModeName,
        reference: str = "",
        first_row: int = 1,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> Iterator[pb.ImportStockResponse]:
        """Imports rows, 500 a chunk, and answers each chunk; bad rows stay out and are named.

        `timeout` is a chunk's. Each chunk is repeated safely under the one key
        of the import; after an error, the same import may be run again with it.
        """
        return iterate(
            self._thread,
            self._client.import_stock(
                rows,
                mode=mode,
                reference=reference,
                first_row=first_row,
                idempotency_key=idempotency_key,
                timeout=timeout,
            ),
        )
