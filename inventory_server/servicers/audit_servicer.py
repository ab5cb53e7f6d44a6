"""AuditService: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator

from inventory.v1 import audit_service_pb2 as pb

from inventory_server.operations.audit import AuditOperations
from inventory_server.servicers import requests, responses
from inventory_server.servicers.rpc_call import RpcCall


class AuditServicer:
    """The RPCs of AuditService, by their names in the proto."""

    def __init__(self, audit: AuditOperations) -> None:
        self._audit = audit

    async def VerifyInvariants(
        self, request: pb.VerifyInvariantsRequest, call: RpcCall
    ) -> AsyncIterator[pb.VerifyInvariantsResponse]:
        """Checks the store, and streams what it finds."""
        async for part in self._audit.verify():
            yield responses.verify_message(part)

    async def RepairLevel(
        self, request: pb.RepairLevelRequest, call: RpcCall
    ) -> pb.RepairLevelResponse:
        """Sets a level's held and indexes to what the open holds say."""
        repair = await self._audit.repair(
            requests.read_sku("sku", request.sku),
            requests.read_location("location", request.location),
            validate_only=request.validate_only,
            origin=call,
        )
        call.replayed = repair.replayed
        response = pb.RepairLevelResponse(repairs=repair.repairs, cursor=repair.cursor)
        responses.put_level(response.before, repair.before)
        responses.put_level(response.after, repair.after)
        return response
