"""The watcher: a process of its own that subscribes to alerts, and places holds at a steady pace.

`watch` starts it and answers what it measured; the process itself is `python -m
benchmarks.watching`. Both ends are in one process, so that one clock measures
the way from a hold's sending to the last subscriber's reading. Alerts are told
apart by their references, and nothing else of them is decoded.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import uvloop

from benchmarks.http2 import (
    DATA,
    END_STREAM,
    LARGEST_WINDOW,
    Headers,
    Http2Connection,
    request_frames,
)
from benchmarks.options import ROOT
from benchmarks.pacing import TICK_S, PacedConnection, PacedWork
from benchmarks.payloads import (
    CROSSING,
    PLACE_HOLD,
    WATCH_LOW_STOCK,
    crossing_hold,
    place_holds,
)
from benchmarks.processes import busy_us, cpu_us, rss_mb

HOLDS_PER_S: Final = 1000
CROSSINGS_PER_S: Final = 5
_EVERY: Final = HOLDS_PER_S // CROSSINGS_PER_S
PATIENCE_S: Final = 30.0
"""How long connecting, and what is still under way at the end, may take."""
_SMALL_WINDOW: Final = 600
"""Bytes: the heartbeat that opens a stream fits, and a heartbeat with an alert does not."""
_CONNECTING_AT_A_TIME: Final = 50
_REFERENCE: Final = re.compile(CROSSING.encode() + rb"(\d{6})")


@dataclass(slots=True, kw_only=True)
class Plan:
    """Who subscribes, and for how long holds are placed. `silent` subscribers never read.

    Crossings are numbered from `first_crossing`; each has a SKU of its own.
    """

    port: int
    subscribers: int
    silent: int
    seconds: float
    first_crossing: int
    key_prefix: str
    watch: Mapping[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> int:
        """How many are placed."""
        return int(self.seconds * HOLDS_PER_S)


@dataclass(slots=True, kw_only=True)
class Watched:
    """What was measured; latencies in order of length."""

    seconds: float
    holds: int
    refused: int
    last_ms: list[float]
    """From the sending of each hold that crossed until the last subscriber had the alert."""
    hold_ms: list[float]
    late_ms: float
    """How late a hold was sent at worst; that is in none of the latencies."""
    before_mb: float
    """The server's memory before anybody came; then when all had subscribed, and at the end."""
    subscribed_mb: float
    end_mb: float
    cpu: dict[str, float]
    """Cores that each watched process, and this one, kept busy."""
    others: float


def watch(plan: Plan) -> Watched:
    """Runs the plan in a process of its own; raises RuntimeError if an alert or a call is lost."""
    answer = subprocess.run(
        (sys.executable, "-m", "benchmarks.watching"),
        input=json.dumps(asdict(plan)).encode(),
        capture_output=True,
        timeout=plan.seconds + 4 * PATIENCE_S,
        cwd=ROOT,
    )
    if answer.returncode:
        raise RuntimeError(f"the watcher broke off:\n{answer.stderr.decode()}")
    watched = Watched(**json.loads(answer.stdout))
    if watched.refused:
        raise RuntimeError(f"{watched.refused} of {watched.holds} holds were refused")
    return watched


class Pace(PacedWork):
    """Holds that become due one after another, and what is seen of those that cross."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(place_holds(), plan.key_prefix, per_s=HOLDS_PER_S, count=plan.holds)
        self._plan = plan
        self.joined = 0
        self.sent_at: dict[int, float] = {}
        self._last_at: dict[int, float] = {}
        self._readers: dict[int, int] = {}

    def take(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        """The next holds; one of them crosses every now and then."""
        for key, message in super().take(count):
            if self.sent % _EVERY:
                yield key, message
                continue
            number = self._plan.first_crossing + len(self.sent_at)
            self.sent_at[number] = self.now()
            yield key, crossing_hold(number)

    def saw(self, numbers: Sequence[int]) -> None:
        """A subscriber has read of these crossings."""
        now = self.now()
        for number in numbers:
            self._last_at[number] = now
            self._readers[number] = self._readers.get(number, 0) + 1

    def waits_ms(self) -> list[float]:
        """From each crossing's sending until the last subscriber had read of it."""
        return sorted((at - self.sent_at[number]) * 1000 for number, at in self._last_at.items())

    def is_seen(self) -> bool:
        """Whether every subscriber has read of every crossing, once."""
        wanted = dict.fromkeys(self.sent_at, self._plan.subscribers)
        if not self._plan.subscribers:
            return True
        if any(self._readers.get(n, 0) > many for n, many in wanted.items()):
            raise RuntimeError("an alert came twice")
        return self._readers == wanted


class Subscriber(Http2Connection):
    """A subscriber, on a connection of its own. With a small window it never reads an alert."""

    def __init__(self, pace: Pace, port: int, window: int) -> None:
        super().__init__(pace.break_off, window)
        self._reads = window == LARGEST_WINDOW
        self._pace = pace
        self._headers = Headers(WATCH_LOW_STOCK, f"127.0.0.1:{port}")
        self._has_joined = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribes to everything."""
        super().connection_made(transport)
        self._transport.write(request_frames(1, self._headers.first, b"", b""))

    def data_received(self, data: bytes) -> None:
        """Looks for crossings. The answer's headers come with the first message, a heartbeat."""
        for kind, flags, _, body in self.frames(data):
            if kind == DATA:
                # Of an alert that does not fit into a small window, a part is sent all the same.
                if self._reads:
                    self._pace.saw([int(number) for number in _REFERENCE.findall(body)])
            elif flags & END_STREAM:
                self._pace.break_off(f"a subscriber's stream ended: {body!r}")
            elif not self._has_joined:
                self._has_joined = True
                self._pace.joined += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Subscribers stay until the end."""
        self._pace.break_off(f"a subscriber's connection was lost: {exc}")


async def _run(plan: Plan) -> Watched:
    server = plan.watch["server"]
    pace, before_mb = Pace(plan), rss_mb(server)
    placing = await _connect(plan, lambda: PacedConnection(pace, PLACE_HOLD, plan.port), 1)
    await _connect(plan, lambda: Subscriber(pace, plan.port, LARGEST_WINDOW), plan.subscribers)
    await _connect(plan, lambda: Subscriber(pace, plan.port, _SMALL_WINDOW), plan.silent)
    many = plan.subscribers + plan.silent
    await _until(pace, lambda: pace.joined == many, "everybody has subscribed")
    subscribed_mb, cpu, busy = rss_mb(server), _cpu(plan.watch), busy_us()
    pace.start()
    while pace.sent < plan.holds and not pace.finished.done():
        placing[0].send(pace.due())
        await asyncio.sleep(TICK_S)
    await _until(pace, lambda: pace.ended == pace.sent, "every hold is placed")
    await _until(pace, pace.is_seen, "every alert has come to everybody")
    seconds = pace.now() - pace.started
    spent = {name: used - cpu[name] for name, used in _cpu(plan.watch).items()}
    busy = busy_us() - busy - sum(spent.values())
    return Watched(
        seconds=seconds,
        holds=pace.sent,
        refused=pace.refused,
        last_ms=pace.waits_ms(),
        hold_ms=sorted(took_s * 1000 for took_s in pace.took_s),
        late_ms=pace.late_s * 1000,
        before_mb=before_mb,
        subscribed_mb=subscribed_mb,
        end_mb=rss_mb(server),
        cpu={name: used / seconds / 1e6 for name, used in spent.items()},
        others=max(0.0, busy / seconds / 1e6),
    )


async def _connect(plan: Plan, make: Callable[[], Any], count: int) -> list[Any]:
    """So many connections, a few at a time: the server's backlog is short."""
    loop, made = asyncio.get_running_loop(), list[Any]()
    while len(made) < count:
        several = range(min(_CONNECTING_AT_A_TIME, count - len(made)))
        opening = [loop.create_connection(make, "127.0.0.1", plan.port) for _ in several]
        made += [protocol for _, protocol in await asyncio.gather(*opening)]
    return made


async def _until(pace: Pace, is_so: Callable[[], bool], what: str) -> None:
    """Waits for it; raises what broke the run off, or RuntimeError when it takes too long."""
    give_up = pace.now() + PATIENCE_S
    while not is_so():
        if pace.finished.done():
            pace.finished.result()
        if pace.now() > give_up:
            raise RuntimeError(f"waited for {PATIENCE_S:g} s until {what}")
        await asyncio.sleep(TICK_S)


def _cpu(watch: Mapping[str, int]) -> dict[str, int]:
    return {name: cpu_us(pid) for name, pid in {**watch, "watcher": os.getpid()}.items()}


def main() -> None:
    """The watcher's process."""
    plan = Plan(**json.load(sys.stdin))
    json.dump(asdict(uvloop.run(_run(plan))), sys.stdout)


if __name__ == "__main__":
    main()
