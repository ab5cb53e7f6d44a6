"""The server as a process, with a redis-server of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc
import redis
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_change_reason_pb2 as reason_pb
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.hold_service_pb2_grpc import HoldServiceStub
from inventory.v1.line_pb2 import Line
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from tests.eventually import eventually
from tests.processes import children_of, command_of, free_port, stop_process

PROGRAM = (sys.executable, "-m", "inventory_server")
SERVING = health_pb2.HealthCheckResponse.SERVING


class Running:
    """A server process, its redis-server's process, and a channel to it."""

    program: Sequence[str] = PROGRAM
    waits = True
    """Whether it is there only once it serves."""

    def __init__(self, data_dir: Path, *flags: str, **variables: str) -> None:
        self.data_dir, self.port = data_dir, free_port()
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        self.log = data_dir.parent / f"server-{self.port}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(*self.program, "--port", str(self.port), "--data-dir", str(data_dir)),
                    *("--no-call-log", *flags),
                ],
                stderr=log,
                stdout=log,
                env={**os.environ, **variables},
            )
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.stock = StockServiceStub(self.channel)
        self.holds = HoldServiceStub(self.channel)
        if self.waits:
            eventually(self.is_serving, timeout_s=30)

    def is_serving(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            answer = health_pb2_grpc.HealthStub(self.channel).Check(
                health_pb2.HealthCheckRequest(), timeout=2
            )
        except grpc.RpcError:
            return False
        return answer.status == SERVING

    def redis(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self.data_dir / "redis.sock"), decode_responses=True
        )

    def redis_pid(self) -> int:
        with contextlib.closing(self.redis()) as client:
            return int(client.info("server")["process_id"])

    def drainers(self) -> list[int]:
        """The processes that copy for it."""
        return [pid for pid in children_of(self.process.pid) if b"drain" in command_of(pid)]

    def kill(self) -> None:
        """Ends it and its drainer without a word."""
        drainers = self.drainers()
        self.process.kill()
        for pid in drainers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def kill_with_redis(self, *, redis_first: bool) -> None:
        """Ends both at once, without a word."""
        pids = [self.redis_pid(), self.process.pid, *self.drainers()]
        for pid in pids if redis_first else reversed(pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.channel.close()
        stop_process(self.process)

    def set_stock(self, on_hand: int, sku: str = "SKU1") -> None:
        line = stock_pb.SetStockLine(sku=sku, location="online", on_hand=on_hand)
        self.stock.SetStock(
            stock_pb.SetStockRequest(lines=[line], reason=reason_pb.STOCK_CHANGE_REASON_COUNT)
        )

    def place(self, key: str, timeout: float = 10, ttl_s: int = 600) -> str:
        request = hold_pb.PlaceHoldRequest(
            lines=[Line(sku="SKU1", location="online", quantity=1)], ttl=Duration(seconds=ttl_s)
        )
        metadata = (("idempotency-key", key),)
        return self.holds.PlaceHold(request, metadata=metadata, timeout=timeout).hold.hold_id

    def held(self) -> int:
        answer = self.stock.GetStock(stock_pb.GetStockRequest(sku="SKU1"), timeout=10)
        return answer.stock.total.held
