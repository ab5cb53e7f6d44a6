"""AvailabilityService: convert, call, convert."""

from __future__ import annotations

from inventory.v1 import availability_service_pb2 as pb

from inventory_server.domain.limits import MAX_CHECK_LINES
from inventory_server.operations.availability import AvailabilityOperations
from inventory_server.servicers import requests, responses
from inventory_server.servicers.rpc_call import RpcCall


class AvailabilityServicer:
    """The RPCs of AvailabilityService, by their names in the proto."""

    def __init__(self, availability: AvailabilityOperations) -> None:
        self._availability = availability

    async def CheckAvailability(
        self, request: pb.CheckAvailabilityRequest, call: RpcCall
    ) -> pb.CheckAvailabilityResponse:
        """Judges a basket."""
        lines = requests.read_lines(request.lines, MAX_CHECK_LINES)
        answers = await self._availability.check(lines, call.deadline)
        response = pb.CheckAvailabilityResponse(
            available=all(answer.is_available for answer in answers)
        )
        responses.put_availability(response.lines, answers)
        return response
