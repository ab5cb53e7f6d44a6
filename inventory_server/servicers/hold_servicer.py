"""HoldService: convert, call, convert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inventory.v1 import hold_service_pb2 as pb

from inventory_server.domain.model import HoldChange, PlaceRequest
from inventory_server.operations.hold_batches import HoldBatches, Result
from inventory_server.operations.holds import HoldFilter, HoldOperations
from inventory_server.servicers import requests, responses
from inventory_server.servicers.paging import make_page_token, read_page_size, read_page_token
from inventory_server.servicers.rpc_call import RpcCall

_BY_REFERENCE = r"\d{1,5}-[a-z2-7]{20}"
_BY_LEVEL = rf"\d{{1,16}} {_BY_REFERENCE}"
"""What stands in the page tokens of each list."""


class HoldServicer:
    """The RPCs of HoldService, by their names in the proto."""

    def __init__(
        self, holds: HoldOperations, batches: HoldBatches, *, max_lines: int, max_ttl_ms: int
    ) -> None:
        self._holds = holds
        self._batches = batches
        self._max_lines = max_lines
        self._max_ttl_ms = max_ttl_ms

    async def PlaceHold(self, request: pb.PlaceHoldRequest, call: RpcCall) -> pb.PlaceHoldResponse:
        """Holds every line, or none of them; or what there is."""
        change = await self._holds.place(self._read_place(request), call)
        call.replayed = change.replayed
        response = pb.PlaceHoldResponse()
        responses.put_hold_change(response, change)
        return response

    async def GetHold(self, request: pb.GetHoldRequest, call: RpcCall) -> pb.GetHoldResponse:
        """Reads a hold, open or ended."""
        hold_id = requests.read_hold_id(request.hold_id)
        hold = await self._holds.get(hold_id, call.deadline)
        response = pb.GetHoldResponse()
        responses.put_hold(response.hold, hold)
        return response

    async def ListHolds(self, request: pb.ListHoldsRequest, call: RpcCall) -> pb.ListHoldsResponse:
        """Lists the holds of a reference, or the open ones of a level."""
        reference, sku, location = requests.read_holds_of(request)
        wanted = HoldFilter(
            requests.read_hold_state(request.state), requests.read_actor(request.actor)
        )
        query = ("ListHolds", reference, sku, location, *map(repr, wanted))
        form = _BY_REFERENCE if reference else _BY_LEVEL
        after = read_page_token(request.page_token, *query, form=form)
        count = read_page_size(request.page_size)
        if reference:
            page = await self._holds.list_of_reference(
                reference, wanted, after=after, count=count, deadline=call.deadline
            )
        else:
            page = await self._holds.list_of_level(
                sku, location, wanted, after=after, count=count, deadline=call.deadline
            )
        response = pb.ListHoldsResponse(next_page_token=make_page_token(page.last, *query))
        for hold in page.holds:
            responses.put_hold(response.holds.add(), hold)
        return response

    async def ConfirmHold(
        self, request: pb.ConfirmHoldRequest, call: RpcCall
    ) -> pb.ConfirmHoldResponse:
        """Turns held units into sold ones."""
        change = await self._holds.confirm(requests.read_confirm(request, self._max_lines), call)
        call.replayed = change.replayed
        response = pb.ConfirmHoldResponse()
        responses.put_hold_change(response, change)
        return response

    async def ReleaseHold(
        self, request: pb.ReleaseHoldRequest, call: RpcCall
    ) -> pb.ReleaseHoldResponse:
        """Gives held units back."""
        change = await self._holds.release(requests.read_release(request, self._max_lines), call)
        call.replayed = change.replayed
        response = pb.ReleaseHoldResponse()
        responses.put_hold_change(response, change)
        return response

    async def ExtendHold(
        self, request: pb.ExtendHoldRequest, call: RpcCall
    ) -> pb.ExtendHoldResponse:
        """Moves a hold's deadline."""
        hold_id = requests.read_hold_id(request.hold_id)
        ttl_ms = requests.read_ttl_ms(request.ttl, self._max_ttl_ms)
        change = await self._holds.extend(hold_id, ttl_ms, call)
        call.replayed = change.replayed
        response = pb.ExtendHoldResponse(cursor=change.cursor)
        responses.put_hold(response.hold, change.hold)
        return response

    async def BatchPlaceHolds(
        self, request: pb.BatchPlaceHoldsRequest, call: RpcCall
    ) -> pb.BatchPlaceHoldsResponse:
        """Places a hold an item."""
        items = requests.read_items(request.items, self._read_place, call)
        response = pb.BatchPlaceHoldsResponse()
        self._answer(response.results, await self._batches.place(items), call)
        return response

    async def BatchConfirmHolds(
        self, request: pb.BatchConfirmHoldsRequest, call: RpcCall
    ) -> pb.BatchConfirmHoldsResponse:
        """Confirms a hold an item."""
        items = requests.read_items(
            request.items, lambda item: requests.read_confirm(item, self._max_lines), call
        )
        response = pb.BatchConfirmHoldsResponse()
        self._answer(response.results, await self._batches.confirm(items), call)
        return response

    async def BatchReleaseHolds(
        self, request: pb.BatchReleaseHoldsRequest, call: RpcCall
    ) -> pb.BatchReleaseHoldsResponse:
        """Releases a hold an item."""
        items = requests.read_items(
            request.items, lambda item: requests.read_release(item, self._max_lines), call
        )
        response = pb.BatchReleaseHoldsResponse()
        self._answer(response.results, await self._batches.release(items), call)
        return response

    def _answer(self, messages: Any, results: Sequence[Result], call: RpcCall) -> None:
        responses.put_results(messages, results, call)
        replayed = [result for result in results if isinstance(result, HoldChange)]
        call.replayed = len(replayed) == len(results) and all(r.replayed for r in replayed)

    def _read_place(self, request: pb.PlaceHoldRequest) -> PlaceRequest:
        return requests.read_place(request, self._max_lines, self._max_ttl_ms)
