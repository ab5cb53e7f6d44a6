"""Redis without a server in front: packed calls, pipelined on one raw connection."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from itertools import islice
from time import perf_counter
from typing import Final

import hiredis

from benchmarks.load import Measured
from benchmarks.processes import Started, busy_us, cpu_us
from inventory_server.stores.pipeline import pack

_TIMEOUT_S: Final = 30.0
_READ_BYTES: Final = 65_536


class RawConnection:
    """A connection that sends packed commands and reads their replies."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.connect(path)

    def close(self) -> None:
        """Closes it."""
        self._socket.close()

    def command(self, *arguments: str | int) -> object:
        """Runs one command; raises RuntimeError for an error."""
        reader = hiredis.Reader(encoding="utf-8")
        self._socket.sendall(pack(arguments))
        while (reply := reader.gets()) is False:
            reader.feed(self._socket.recv(_READ_BYTES))
        if isinstance(reply, Exception):
            raise RuntimeError(f"{arguments[0]}: {reply}")
        return reply

    def pipeline(self, commands: Iterable[bytes], window: int, seconds: float = 3600.0) -> int:
        """Sends script calls, `window` of them in flight, until they or the time run out.

        Answers how many were run. Raises RuntimeError for one that is not "ok".
        """
        reader, waiting = hiredis.Reader(encoding="utf-8"), iter(commands)
        give_up = perf_counter() + seconds
        sent = self._send(islice(waiting, window))
        ended = 0
        while ended < sent:
            reader.feed(self._socket.recv(_READ_BYTES))
            before = ended
            while (reply := reader.gets()) is not False:
                if isinstance(reply, Exception) or reply[0] != "ok":
                    raise RuntimeError(f"a script answered {reply!r}")
                ended += 1
            if perf_counter() < give_up:
                sent += self._send(islice(waiting, ended - before))
        return ended

    def _send(self, commands: Iterable[bytes]) -> int:
        batch = list(commands)
        if batch:
            self._socket.sendall(b"".join(batch))
        return len(batch)


def measure(redis: Started, commands: Iterable[bytes], *, window: int, seconds: float) -> Measured:
    """Runs the commands for so long, and measures as the load generator does."""
    connection = RawConnection(redis.socket)
    try:
        pids = {"redis": redis.pid, "generator": os.getpid()}
        busy, cpu = busy_us(), {name: cpu_us(pid) for name, pid in pids.items()}
        started = perf_counter()
        calls = connection.pipeline(commands, window, seconds)
        took = perf_counter() - started
        spent = {name: cpu_us(pid) - cpu[name] for name, pid in pids.items()}
        others = (busy_us() - busy - sum(spent.values())) / took / 1e6
    finally:
        connection.close()
    return Measured(
        calls=calls,
        seconds=took,
        sent=calls,
        refused=0,
        cpu_us={name: used / calls for name, used in spent.items()},
        p50_ms=0.0,
        p99_ms=0.0,
        others=max(0.0, others),
    )
