"""HoldService: convert, call, convert."""

from __future__ import annotations

from inventory.v1 import hold_service_pb2 as pb

from inventory_server.domain.limits import (
    MAX_HOLD_LINES,
    MAX_NOTE_LENGTH,
    MAX_REFERENCE_LENGTH,
)
from inventory_server.operations.holds import HoldOperations
from inventory_server.servicers import requests, responses
from inventory_server.servicers.rpc_call import RpcCall


class HoldServicer:
    """The RPCs of HoldService, by their names in the proto."""

    def __init__(self, holds: HoldOperations, *, max_ttl_ms: int) -> None:
        self._holds = holds
        self._max_ttl_ms = max_ttl_ms

    async def PlaceHold(self, request: pb.PlaceHoldRequest, call: RpcCall) -> pb.PlaceHoldResponse:
        """Holds every line, or none of them."""
        lines = requests.read_lines(request.lines, MAX_HOLD_LINES)
        has_ttl = request.HasField("ttl")
        change = await self._holds.place(
            lines,
            ttl_ms=requests.read_ttl_ms(request.ttl, self._max_ttl_ms) if has_ttl else None,
            reference=requests.read_text("reference", request.reference, MAX_REFERENCE_LENGTH),
            note=requests.read_text("note", request.note, MAX_NOTE_LENGTH),
            origin=call,
        )
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

    async def ConfirmHold(
        self, request: pb.ConfirmHoldRequest, call: RpcCall
    ) -> pb.ConfirmHoldResponse:
        """Turns the held units into sold ones."""
        hold_id = requests.read_hold_id(request.hold_id)
        change = await self._holds.confirm(hold_id, call)
        call.replayed = change.replayed
        response = pb.ConfirmHoldResponse()
        responses.put_hold_change(response, change)
        return response

    async def ReleaseHold(
        self, request: pb.ReleaseHoldRequest, call: RpcCall
    ) -> pb.ReleaseHoldResponse:
        """Gives the held units back."""
        hold_id = requests.read_hold_id(request.hold_id)
        change = await self._holds.release(hold_id, call)
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
