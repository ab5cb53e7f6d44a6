"""The processes that a run starts. Each is stopped by the run, by its own pid."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from benchmarks.options import ROOT
from inventory_server.embedded_redis import find_redis_server

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 10.0
_TICK_US: Final = 1_000_000 // os.sysconf("SC_CLK_TCK")


def cpu_us(pid: int) -> int:
    """CPU time that a process has used, all threads, user and system, in microseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_US


def busy_us() -> int:
    """CPU time that the whole machine has used, in microseconds."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _, _, interrupts, soft_interrupts, *_ = map(int, fields[1:])
    return (user + nice + system + interrupts + soft_interrupts) * _TICK_US


def rss_mb(pid: int, name: str = "VmRSS") -> float:
    """Resident memory of a process in MB; `VmHWM` is its highest ever."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


class Started:
    """A process of this run."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self.log = log
        self.port = 0
        self.socket = ""

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def redis_url(self) -> str:
        """Where redis-py reaches it."""
        return f"unix://{self.socket}"

    def wait_until(self, is_there: Callable[[], bool]) -> None:
        """Waits for the process to be ready; raises RuntimeError if it is not in time."""
        give_up = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up:
            if is_there():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.process.args!r} did not start:\n{tail}")

    def stop(self) -> None:
        """Ends it in order; kills it if it does not end."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)


class Stage:
    """A temporary folder, and the processes that live in it until the stage is left."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="inventory-bench-")
        self.folder = Path(self._folder.name)
        self._started: list[Started] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for started in reversed(self._started):
            started.stop()
        self._folder.cleanup()

    def start(
        self, name: str, command: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> Started:
        """Starts a process; what it writes goes to a file in the stage's folder.

        `variables` are added to its environment.
        """
        log = self.folder / f"{len(self._started)}-{name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=ROOT,
                env={**os.environ, **(variables or {})},
            )  # fmt: skip
        started = Started(process, log)
        self._started.append(started)
        return started

    def redis(self, *, always: bool) -> Started:
        """A redis-server of its own; with `always` it has each write on disk before it answers."""
        folder = Path(tempfile.mkdtemp(prefix="redis-", dir=self.folder))
        path = str(folder / "s")
        log = ("--appendonly", "yes", "--appendfsync", "always") if always else ()
        started = self.start(
            "redis",
            (
                find_redis_server(), "--port", "0", "--unixsocket", path, "--dir", str(folder),
                "--save", "", "--maxmemory-policy", "noeviction",
                # A rewrite in the middle of a round would be noise.
                "--auto-aof-rewrite-percentage", "0", *log,
            ),
        )  # fmt: skip
        started.socket = path
        started.wait_until(lambda: _answers_ping(path))
        return started

    def server(self, redis: Started, *flags: str, **variables: str) -> Started:
        """Our server over this redis-server, as people run it; its call log goes to a file.

        `variables` are added to its environment.
        """
        port = free_port()
        started = self.start(
            "server",
            (
                sys.executable, "-m", "inventory_server", "--redis-url", redis.redis_url,
                "--durability", "warn", "--port", str(port), *flags,
            ),
            variables,
        )  # fmt: skip
        return self._listening(started, port)

    def module(self, name: str, *arguments: str) -> Started:
        """A server of this suite: a module that takes its port as its first argument."""
        port = free_port()
        command = (sys.executable, "-m", f"benchmarks.{name}", str(port), *arguments)
        return self._listening(self.start(name, command), port)

    def _listening(self, started: Started, port: int) -> Started:
        started.port = port
        started.wait_until(lambda: listens(port))
        return started


def free_port() -> int:
    """A TCP port nobody listens on, below the ephemeral ones."""
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000")


def listens(port: int) -> bool:
    """Whether somebody listens on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers_ping(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False
