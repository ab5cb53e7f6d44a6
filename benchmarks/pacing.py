"""Calls at a steady pace: each is sent when it is due, whatever became of those before it.

`pace` starts a process of its own and answers what it measured; the process itself
is `python -m benchmarks.pacing`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import uvloop

from benchmarks.http2 import GrpcConnection, Headers
from benchmarks.options import ROOT
from benchmarks.processes import busy_us, cpu_us
from benchmarks.work import Work

TICK_S: Final = 0.002
PATIENCE_S: Final = 30.0
"""How long what is still under way at the end may take."""
_MAX_IN_FLIGHT: Final = 256
"""What would be more is late: the server refuses calls where too many pile up."""


class PacedWork(Work):
    """Requests that become due one after another."""

    def __init__(
        self, messages: Sequence[bytes], key_prefix: str, *, per_s: int, count: int
    ) -> None:
        super().__init__(messages, key_prefix, is_once=False)
        self._per_s = per_s
        self._count = count
        self.started = self.now()
        self.late_s = 0.0

    def start(self) -> None:
        """From here on the time counts."""
        self.started = self.now()

    def due(self) -> int:
        """How many are to be sent now."""
        passed_s = self.now() - self.started
        due = min(int(passed_s * self._per_s), self._count) - self.sent
        self.late_s = max(self.late_s, due / self._per_s)
        return min(due, _MAX_IN_FLIGHT - (self.sent - self.ended))


class PacedConnection(GrpcConnection):
    """A connection that sends when it is told to, and not when a call has ended."""

    def __init__(self, work: PacedWork, path: str, port: int) -> None:
        super().__init__(work, Headers(path, f"127.0.0.1:{port}"), 0)

    def go_on(self, ended: int) -> None:
        """Does nothing: the pace says when."""


@dataclass(slots=True, kw_only=True)
class Plan:
    """What to send, where, how often and for how long. `watch` names processes by their pids."""

    port: int
    path: str
    messages: Sequence[bytes]
    per_s: int
    seconds: float
    key_prefix: str
    watch: Mapping[str, int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """How many are sent."""
        return int(self.per_s * self.seconds)


@dataclass(slots=True, kw_only=True)
class Paced:
    """What was measured; latencies from the sending of a call, in order of length."""

    seconds: float
    calls: int
    refused: int
    took_ms: list[float]
    late_ms: float
    """How late a call was sent at worst; that is in none of the latencies."""
    cpu: dict[str, float]
    """Cores that each watched process, and the sender, kept busy."""
    others: float


async def pace(plan: Plan) -> Paced:
    """Runs the plan in a process of its own; raises RuntimeError if any call fails."""
    told = asdict(plan) | {"messages": [b64encode(message).decode() for message in plan.messages]}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.pacing", stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT
    )
    try:
        async with asyncio.timeout(plan.seconds + 3 * PATIENCE_S):
            answer, complaint = await process.communicate(json.dumps(told).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the pace on {plan.path} broke off:\n{complaint.decode()}")
    paced = Paced(**json.loads(answer))
    if paced.refused:
        raise RuntimeError(f"{paced.refused} of {paced.calls} calls to {plan.path} failed")
    return paced


async def _run(plan: Plan) -> Paced:
    work = PacedWork(plan.messages, plan.key_prefix, per_s=plan.per_s, count=plan.calls)
    _, sending = await asyncio.get_running_loop().create_connection(
        lambda: PacedConnection(work, plan.path, plan.port), "127.0.0.1", plan.port
    )
    cpu, busy = _cpu(plan.watch), busy_us()
    work.start()
    while work.sent < plan.calls and not work.finished.done():
        if work.now() - work.started > plan.seconds + PATIENCE_S:
            raise RuntimeError(f"after {PATIENCE_S:g} s more, {work.sent} of {plan.calls} are sent")
        sending.send(work.due())
        await asyncio.sleep(TICK_S)
    seconds = work.now() - work.started
    spent = {name: used - cpu[name] for name, used in _cpu(plan.watch).items()}
    busy = busy_us() - busy - sum(spent.values())
    work.stop()
    async with asyncio.timeout(PATIENCE_S):
        await work.finished
    return Paced(
        seconds=seconds,
        calls=work.ended,
        refused=work.refused,
        took_ms=sorted(took_s * 1000 for took_s in work.took_s),
        late_ms=work.late_s * 1000,
        cpu={name: used / seconds / 1e6 for name, used in spent.items()},
        others=max(0.0, busy / seconds / 1e6),
    )


def _cpu(watch: Mapping[str, int]) -> dict[str, int]:
    return {name: cpu_us(pid) for name, pid in {**watch, "sender": os.getpid()}.items()}


def main() -> None:
    """The sender's process."""
    told: dict[str, Any] = json.load(sys.stdin)
    plan = Plan(**told | {"messages": [b64decode(message) for message in told["messages"]]})
    json.dump(asdict(uvloop.run(_run(plan))), sys.stdout)


if __name__ == "__main__":
    main()
