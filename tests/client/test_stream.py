"""The stream: how much is on its way, and what a call's end means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from inventory.v1 import stock_service_pb2 as pb
from inventory.v1.stock_service_pb2_grpc import StockServiceStub
from inventory_cli.chunks import Chunk
from inventory_cli.csv_rows import CsvFile
from inventory_cli.errors import server_error_of
from inventory_cli.import_stream import CHUNKS_IN_FLIGHT, ImportStream
from inventory_cli.stock_rows import StockChunks, find_columns
from inventory_cli.tally import Tally

from tests.client.command_line import on_hand


class WatchedReader(StockChunks):
    """Sees how many chunks have been read and not yet answered."""

    tally: Tally
    read = 0
    most_unanswered = 0

    def next_chunk(self) -> Chunk | None:
        self.read += 1
        self.most_unanswered = max(self.most_unanswered, self.read - self.tally.rows)
        return super().next_chunk()


def test_chunks_overlap_but_only_so_many(server_address: str, tmp_path: Path) -> None:
    path = tmp_path / "stock.csv"
    path.write_text("sku,qty\n" + "".join(f"SKU{i},{i}\n" for i in range(300)))
    file, tally = CsvFile(str(path)), Tally(None)
    columns = find_columns(file.header(), "online", "stock.csv")
    reader = WatchedReader(file, columns, pb.IMPORT_MODE_SET, 1)
    reader.tally = tally
    ImportStream(
        reader,
        tally,
        rpc_of=lambda channel: StockServiceStub(channel).ImportStock,
        server=server_address,
        key="k1",
        retries=0,
        on_progress=lambda: None,
        on_retry=lambda sentence, pause_s: None,
    ).run(None)
    file.close()
    assert tally.accepted == 300
    assert on_hand(server_address, "SKU299") == 299
    assert 1 < reader.most_unanswered <= CHUNKS_IN_FLIGHT


class EndedCall:
    """A call that ended with a status, and perhaps with details."""

    def __init__(self, code: grpc.StatusCode, reason: str = "", delay_ms: int = 0) -> None:
        self._code = code
        self._trailers: tuple[tuple[str, str | bytes], ...] = (("x-request-id", "r1"),)
        if reason:
            info = error_details_pb2.ErrorInfo(reason=reason, domain="inventory.v1")
            pause = duration_pb2.Duration(nanos=delay_ms * 10**6)
            details = [pack(info), pack(error_details_pb2.RetryInfo(retry_delay=pause))]
            status = status_pb2.Status(message="a sentence", details=details)
            self._trailers += (("grpc-status-details-bin", status.SerializeToString()),)

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "what gRPC says"

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self._trailers


def pack(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


@pytest.mark.parametrize(
    ("call", "sentence", "is_transient", "can_resume", "retry_delay_s"),
    [
        (
            EndedCall(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", 200),
            "STORE_UNAVAILABLE: a sentence", True, True, 0.2,
        ),
        (
            EndedCall(grpc.StatusCode.UNAVAILABLE, "STORE_REWOUND"),
            "STORE_REWOUND: a sentence", False, True, 0,
        ),
        (
            EndedCall(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL"),
            "STORE_FULL: a sentence", False, True, 0,
        ),
        (
            EndedCall(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
            "INVALID_REQUEST: a sentence", False, False, 0,
        ),
        (
            EndedCall(grpc.StatusCode.UNAVAILABLE),
            "the connection to the server at here:1 broke", True, True, 0,
        ),
        (
            EndedCall(grpc.StatusCode.UNIMPLEMENTED),
            "what answers at here:1 is not an inventory server, or an older one", False, True, 0,
        ),
        (EndedCall(grpc.StatusCode.UNKNOWN), "UNKNOWN: what gRPC says", False, True, 0),
    ],
)  # fmt: skip
def test_an_error_becomes_a_sentence(
    call: Any, sentence: str, is_transient: bool, can_resume: bool, retry_delay_s: float
) -> None:
    error = server_error_of(call, "here:1")
    assert str(error) == sentence
    assert (error.is_transient, error.can_resume) == (is_transient, can_resume)
    assert error.retry_delay_s == retry_delay_s
