"""A gRPC server that takes products in: it keeps what it gets, and fails where it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from inventory.v1 import catalog_service_pb2 as pb
from inventory.v1.catalog_service_pb2_grpc import (
    CatalogServiceServicer,
    add_CatalogServiceServicer_to_server,
)


class CatalogDouble(CatalogServiceServicer):
    """Refuses rows whose SKU begins with `bad`; a row that is in already is unchanged."""

    def __init__(self) -> None:
        self.address = ""
        self.calls = 0
        self.requests: list[pb.ImportProductsRequest] = []
        """Those of all calls, in the order in which they came."""
        self.products: dict[str, dict[str, str]] = {}
        self.failures: dict[int, status_pb2.Status] = {}
        """What the call ends with that brings the request of this number."""

    def ImportProducts(
        self, requests: Iterator[pb.ImportProductsRequest], context: Any
    ) -> Iterator[pb.ImportProductsResponse]:
        self.calls += 1
        for request in requests:
            self.requests.append(request)
            failure = self.failures.get(len(self.requests))
            if failure is not None:
                context.abort_with_status(rpc_status.to_status(failure))
            yield self._take(request)

    def _take(self, request: pb.ImportProductsRequest) -> pb.ImportProductsResponse:
        answer = pb.ImportProductsResponse(
            first_row=request.first_row, next_row=request.first_row + len(request.rows)
        )
        for number, row in enumerate(request.rows, request.first_row):
            cells = dict(row.cells)
            (sku,) = [text.strip() for name, text in cells.items() if name.lower() == "sku"]
            if sku.startswith("bad"):
                answer.refused_rows.add(
                    row_number=number, column="price", reason="INVALID_REQUEST", message="[no]"
                )
            elif self.products.get(sku) == cells:
                answer.unchanged_rows += 1
            else:
                self.products[sku] = cells
                answer.accepted_rows += 1
        return answer


@contextmanager
def serving() -> Iterator[CatalogDouble]:
    """A server on a port of its own, which takes messages as large as ours does."""
    double = CatalogDouble()
    options = (("grpc.max_receive_message_length", 1 << 20),)
    server = grpc.server(ThreadPoolExecutor(4), options=options)
    add_CatalogServiceServicer_to_server(double, server)
    double.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield double
    server.stop(None).wait()


def failure(code: grpc.StatusCode, reason: str) -> status_pb2.Status:
    """What our server ends a call with."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="inventory.v1"))
    return status_pb2.Status(code=code.value[0], message="a sentence", details=[detail])
