"""The load generator: a process of its own, told by JSON on stdin what to send.

`run_load` starts it and answers what it measured; the process itself is
`python -m benchmarks.load`. The CPU time of the processes that it is told to
watch is read at both ends of the measured time, so that warming up, starting
and draining are in no figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import uvloop

from benchmarks.http1 import HttpConnection
from benchmarks.http2 import GrpcConnection, Headers
from benchmarks.options import CONNECTIONS, ROOT, STREAMS
from benchmarks.processes import busy_us, cpu_us
from benchmarks.work import Work

DRAIN_S: Final = 10.0


@dataclass(slots=True, kw_only=True)
class Load:
    """What to send, where, and for how long. `watch` names processes by their pids."""

    port: int
    path: str
    messages: Sequence[bytes]
    seconds: float
    warmup_s: float
    key_prefix: str = ""
    is_grpc: bool = True
    is_once: bool = False
    connections: int = CONNECTIONS
    streams: int = STREAMS
    watch: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Measured:
    """What was measured; `sent` counts the calls outside of the measured time too."""

    calls: int
    seconds: float
    sent: int
    refused: int
    cpu_us: dict[str, float]
    """CPU time a call, of each watched process and of the generator itself."""
    p50_ms: float
    p99_ms: float
    others: float
    """Cores that were busy with what is no part of the run, while it was measured."""

    @property
    def calls_per_s(self) -> float:
        """Calls that ended a second."""
        return self.calls / self.seconds


def run_load(load: Load) -> Measured:
    """Sends the load from a process of its own; raises RuntimeError if any call fails."""
    told = asdict(load) | {"messages": [b64encode(message).decode() for message in load.messages]}
    answer = subprocess.run(
        (sys.executable, "-m", "benchmarks.load"),
        input=json.dumps(told).encode(),
        capture_output=True,
        timeout=load.seconds + load.warmup_s + DRAIN_S + 30,
        cwd=ROOT,
    )
    if answer.returncode:
        raise RuntimeError(f"the load on {load.path} broke off:\n{answer.stderr.decode()}")
    measured = Measured(**json.loads(answer.stdout))
    if measured.refused:
        raise RuntimeError(f"{measured.refused} of {measured.sent} calls to {load.path} failed")
    return measured


async def _generate(load: Load) -> Measured:
    work = Work(load.messages, load.key_prefix, is_once=load.is_once)
    transports = await _connect(load, work)
    await _wait(work, load.warmup_s)
    cpu, busy, ended, started = _cpu(load.watch), busy_us(), work.ended, work.now()
    await _wait(work, load.seconds)
    spent = {name: used - cpu[name] for name, used in _cpu(load.watch).items()}
    busy = busy_us() - busy - sum(spent.values())
    calls, seconds = work.ended - ended, work.now() - started
    took_s = sorted(work.took_s[ended : ended + calls])
    work.stop()
    async with asyncio.timeout(DRAIN_S):
        await work.finished
    for transport in transports:
        transport.close()
    if not took_s:
        raise RuntimeError("no call ended in the measured time")
    return Measured(
        calls=calls,
        seconds=seconds,
        sent=work.sent,
        refused=work.refused,
        cpu_us={name: used / calls for name, used in spent.items()},
        p50_ms=took_s[len(took_s) // 2] * 1000,
        p99_ms=took_s[len(took_s) * 99 // 100] * 1000,
        others=max(0.0, busy / seconds / 1e6),
    )


async def _connect(load: Load, work: Work) -> list[asyncio.BaseTransport]:
    loop, address = asyncio.get_running_loop(), f"127.0.0.1:{load.port}"
    # HTTP/1.1 has one request in flight a connection.
    count = load.connections if load.is_grpc else load.connections * load.streams
    made: list[asyncio.BaseTransport] = []
    for _ in range(count):
        transport, _ = await loop.create_connection(
            lambda: (
                GrpcConnection(work, Headers(load.path, address), load.streams)
                if load.is_grpc
                else HttpConnection(work, load.path, address)
            ),
            "127.0.0.1",
            load.port,
        )
        made.append(transport)
    return made


async def _wait(work: Work, seconds: float) -> None:
    """Waits so long, or until the work breaks off or runs out."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(work.finished), seconds)


def _cpu(watch: Mapping[str, int]) -> dict[str, int]:
    return {name: cpu_us(pid) for name, pid in {**watch, "generator": os.getpid()}.items()}


def main() -> None:
    """The generator's process."""
    told: dict[str, Any] = json.load(sys.stdin)
    load = Load(**told | {"messages": [b64decode(message) for message in told["messages"]]})
    json.dump(asdict(uvloop.run(_generate(load))), sys.stdout)


if __name__ == "__main__":
    main()
