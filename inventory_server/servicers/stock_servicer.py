"""StockService: convert, call, convert."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from inventory.v1 import stock_service_pb2 as pb

from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.limits import MAX_NOTE_LENGTH, MAX_REFERENCE_LENGTH
from inventory_server.operations.imports import ImportOperations
from inventory_server.operations.movements import MovementOperations
from inventory_server.operations.stock import StockOperations
from inventory_server.operations.watching import Watching, event_filter
from inventory_server.servicers import requests, responses, stock_requests
from inventory_server.servicers.paging import make_page_token, read_page_size, read_page_token
from inventory_server.servicers.rpc_call import RpcCall
from inventory_server.servicers.shared_responses import Encodable, SharedResponses

_PLACES = r"\d{1,5}:\d{1,16}(,\d{1,5}:\d{1,16})*"
"""What stands in the page tokens of ListMovements."""


class StockServicer:
    """The RPCs of StockService, by their names in the proto."""

    def __init__(
        self,
        stock: StockOperations,
        imports: ImportOperations,
        movements: MovementOperations,
        watching: Watching,
        *,
        max_lines: int,
        timeout_s: float,
    ) -> None:
        self._stock = stock
        self._imports = imports
        self._movements = movements
        self._watching = watching
        self._max_lines = max_lines
        self._timeout_s = timeout_s
        self._shared = SharedResponses(responses.stock_event)

    async def GetStock(self, request: pb.GetStockRequest, call: RpcCall) -> pb.GetStockResponse:
        """Reads one SKU, with totals."""
        sku = requests.read_sku("sku", request.sku)
        locations = stock_requests.read_locations(request.locations)
        levels = await self._stock.get(sku, locations, call.deadline)
        return pb.GetStockResponse(stock=responses.stock_message(sku, levels))

    async def BatchGetStock(
        self, request: pb.BatchGetStockRequest, call: RpcCall
    ) -> pb.BatchGetStockResponse:
        """Reads many SKUs, in the order asked."""
        locations = stock_requests.read_locations(request.locations)
        skus = stock_requests.read_skus(request.skus, locations)
        found = await self._stock.batch_get(skus, locations, call.deadline)
        return pb.BatchGetStockResponse(
            stocks=[responses.stock_message(sku, found[sku]) for sku in skus if found[sku]],
            unknown_skus=[sku for sku in skus if not found[sku]],
        )

    async def ListStockLevels(
        self, request: pb.ListStockLevelsRequest, call: RpcCall
    ) -> pb.ListStockLevelsResponse:
        """Lists the levels of one location, in pages."""
        location = requests.read_location("location", request.location)
        status = stock_requests.read_status(request.status)
        prefix = stock_requests.read_sku_prefix(request.sku_prefix)
        query = ("ListStockLevels", location, status, prefix)
        page = await self._stock.list(
            location,
            status=status,
            prefix=prefix,
            after=read_page_token(request.page_token, *query),
            count=read_page_size(request.page_size),
            deadline=call.deadline,
        )
        token = make_page_token(page.last_sku, *query)
        response = pb.ListStockLevelsResponse(next_page_token=token)
        responses.put_levels(response.levels, page.levels)
        return response

    async def SetStock(self, request: pb.SetStockRequest, call: RpcCall) -> pb.SetStockResponse:
        """Sets absolute counts."""
        change = await self._stock.set(
            stock_requests.read_count_lines(request.lines),
            reason=stock_requests.read_reason(request.reason),
            note=requests.read_text("note", request.note, MAX_NOTE_LENGTH),
            reference=requests.read_text("reference", request.reference, MAX_REFERENCE_LENGTH),
            force=request.force,
            validate_only=request.validate_only,
            origin=call,
        )
        call.replayed = change.replayed
        response = pb.SetStockResponse(cursor=change.cursor)
        responses.put_levels(response.levels, change.levels)
        return response

    async def AdjustStock(
        self, request: pb.AdjustStockRequest, call: RpcCall
    ) -> pb.AdjustStockResponse:
        """Changes counts by signed deltas."""
        change = await self._stock.adjust(
            stock_requests.read_delta_lines(request.lines),
            reason=stock_requests.read_reason(request.reason),
            note=requests.read_text("note", request.note, MAX_NOTE_LENGTH),
            reference=requests.read_text("reference", request.reference, MAX_REFERENCE_LENGTH),
            validate_only=request.validate_only,
            origin=call,
        )
        call.replayed = change.replayed
        response = pb.AdjustStockResponse(cursor=change.cursor)
        responses.put_levels(response.levels, change.levels)
        return response

    async def RecordSale(
        self, request: pb.RecordSaleRequest, call: RpcCall
    ) -> pb.RecordSaleResponse:
        """Sells units without a hold."""
        change = await self._stock.sell(
            requests.read_lines(request.lines, self._max_lines),
            reference=requests.read_text("reference", request.reference, MAX_REFERENCE_LENGTH),
            origin=call,
        )
        call.replayed = change.replayed
        response = pb.RecordSaleResponse(cursor=change.cursor)
        responses.put_levels(response.levels, change.levels)
        return response

    async def TransferStock(
        self, request: pb.TransferStockRequest, call: RpcCall
    ) -> pb.TransferStockResponse:
        """Moves units from one location to another."""
        change = await self._stock.transfer(
            stock_requests.read_transfer(request),
            from_location=request.from_location,
            to_location=request.to_location,
            reference=requests.read_text("reference", request.reference, MAX_REFERENCE_LENGTH),
            origin=call,
        )
        call.replayed = change.replayed
        response = pb.TransferStockResponse(cursor=change.cursor)
        responses.put_levels(response.levels, change.levels)
        return response

    async def DeleteStockLevels(
        self, request: pb.DeleteStockLevelsRequest, call: RpcCall
    ) -> pb.DeleteStockLevelsResponse:
        """Deletes empty levels."""
        change = await self._stock.delete(stock_requests.read_levels(request.lines), origin=call)
        call.replayed = change.replayed
        response = pb.DeleteStockLevelsResponse(cursor=change.cursor)
        responses.put_levels(response.levels, change.levels)
        return response

    async def SetStockPolicy(
        self, request: pb.SetStockPolicyRequest, call: RpcCall
    ) -> pb.SetStockPolicyResponse:
        """Sets policies of levels and defaults of locations."""
        change = await self._stock.set_policies(
            stock_requests.read_policies(request.lines), origin=call
        )
        call.replayed = change.replayed
        response = pb.SetStockPolicyResponse(cursor=change.cursor)
        responses.put_levels(response.levels, [level for level in change.levels if level.sku])
        for level in change.levels:
            if not level.sku:
                responses.put_default(response.defaults.add(), level)
        return response

    async def WatchStock(
        self, request: pb.WatchStockRequest, call: RpcCall
    ) -> AsyncIterator[Encodable]:
        """Streams every movement as it happens."""
        wanted = event_filter(
            stock_requests.read_locations(request.locations),
            stock_requests.read_watched_skus(request.skus),
        )
        stock_requests.check_start(request.cursor, request.snapshot)
        async for message in self._watching.watch(
            wanted, cursor=request.cursor, snapshot=request.snapshot, low_only=False,
            actor=call.actor, timeout_s=self._timeout_s, now=asyncio.get_running_loop().time,
        ):  # fmt: skip
            yield self._shared.response(message)

    async def ListMovements(
        self, request: pb.ListMovementsRequest, call: RpcCall
    ) -> pb.ListMovementsResponse:
        """Lists movements, newest first."""
        wanted = stock_requests.read_movement_filter(request)
        query = ("ListMovements", *map(repr, wanted))
        page = await self._movements.page(
            wanted,
            after=read_page_token(request.page_token, *query, form=_PLACES),
            count=read_page_size(request.page_size),
            deadline=call.deadline,
        )
        token = make_page_token(page.last, *query)
        response = pb.ListMovementsResponse(next_page_token=token)
        responses.put_movements(response.movements, page.movements)
        return response

    async def ImportStock(
        self, chunks: AsyncIterator[pb.ImportStockRequest], call: RpcCall
    ) -> AsyncIterator[pb.ImportStockResponse]:
        """Takes in chunks of rows, each answered in turn."""
        mode, next_row, all_replayed = "", 1, True
        async for request in chunks:
            mode = stock_requests.read_import_mode(request, mode)
            if mode == "ADD" and call.key_is_minted:
                raise InvalidRequest(("idempotency-key", "ADD needs a key, so that it can resume"))
            rows = stock_requests.read_chunk(request)
            if rows[0].row_number < next_row:
                raise InvalidRequest(("first_row", f"at least {next_row} here"))
            result = await self._imports.take_chunk(
                rows,
                mode=mode,
                reference=requests.read_text("reference", request.reference, MAX_REFERENCE_LENGTH),
                origin=call.chunk_origin(self._timeout_s),
            )
            next_row, all_replayed = result.next_row, all_replayed and result.replayed
            yield responses.import_message(result)
        call.replayed = all_replayed and next_row > 1
