"""A server process on one address that can be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.eventually import eventually
from tests.faults.proxy import ReplyProxy
from tests.processes import free_port, stop_process

PROGRAM = (sys.executable, "-m", "inventory_server")


class ServerProcess:
    """`inventory-server` over a Redis that somebody else runs."""

    def __init__(self, redis_url: str, log: Path, *flags: str) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._log = log
        self._command = (
            *(*PROGRAM, "--port", str(self.port), "--redis-url", redis_url),
            *("--no-call-log", "--durability", "declared", *flags),
        )
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Starts it; it answers calls then."""
        with self._log.open("a") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=os.environ)
        with grpc.insecure_channel(self.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            eventually(lambda: self._answers(health), timeout_s=30)

    def _answers(self, health: health_pb2_grpc.HealthStub) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        health.Check(health_pb2.HealthCheckRequest(), timeout=2)
        return True

    def kill(self) -> None:
        """Ends it without a word."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends it in order: it drains first."""
        stop_process(self.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class TcpReplyProxy(ReplyProxy):
    """The same proxy before a server instead of Redis."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._host, _, port = address.rpartition(":")
        self._server_port = int(port)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._server_port)
