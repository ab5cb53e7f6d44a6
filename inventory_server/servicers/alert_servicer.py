"""AlertService: convert, call, convert."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from inventory.v1 import alert_service_pb2 as pb

from inventory_server.operations.stock import StockOperations
from inventory_server.operations.watching import Watching, event_filter
from inventory_server.servicers import requests, responses, stock_requests
from inventory_server.servicers.paging import make_page_token, read_page_size, read_page_token
from inventory_server.servicers.rpc_call import RpcCall
from inventory_server.servicers.shared_responses import Encodable, SharedResponses


class AlertServicer:
    """The RPCs of AlertService, by their names in the proto."""

    def __init__(self, watching: Watching, stock: StockOperations, *, timeout_s: float) -> None:
        self._watching = watching
        self._stock = stock
        self._timeout_s = timeout_s
        self._shared = SharedResponses(responses.alert_message)

    async def WatchLowStock(
        self, request: pb.WatchLowStockRequest, call: RpcCall
    ) -> AsyncIterator[Encodable]:
        """Streams alerts as they happen."""
        wanted = event_filter(
            stock_requests.read_locations(request.locations),
            stock_requests.read_watched_skus(request.skus),
            stock_requests.read_alert_kinds(request.kinds),
        )
        stock_requests.check_start(request.cursor, request.snapshot)
        async for message in self._watching.watch(
            wanted, cursor=request.cursor, snapshot=request.snapshot, low_only=True,
            actor=call.actor, timeout_s=self._timeout_s, now=asyncio.get_running_loop().time,
        ):  # fmt: skip
            yield self._shared.response(message)

    async def ListLowStock(
        self, request: pb.ListLowStockRequest, call: RpcCall
    ) -> pb.ListLowStockResponse:
        """Lists the levels that are low or out, in pages."""
        location = request.location
        locations = [requests.read_location("location", location)] if location else []
        threshold = request.threshold if request.HasField("threshold") else None
        query = ("ListLowStock", location, str(threshold))
        page = await self._stock.list_low(
            locations, threshold, after=read_page_token(request.page_token, *query),
            count=read_page_size(request.page_size), deadline=call.deadline,
        )  # fmt: skip
        token = make_page_token(page.last_sku, *query)
        response = pb.ListLowStockResponse(next_page_token=token)
        responses.put_levels(response.levels, page.levels)
        return response
