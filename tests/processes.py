"""Real processes for tests: redis-server, and whatever else is started."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import redis

from tests.eventually import eventually


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: int) -> list[int]:
    """The processes that this one has started; none where it has ended."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def command_of(pid: int) -> bytes:
    """What a process was started as; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def start_redis(*arguments: str) -> subprocess.Popen[bytes]:
    """A redis-server without a file of its own, unless the arguments give it one."""
    return subprocess.Popen(
        ["redis-server", "--save", "", "--appendonly", "no", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Ends it in order, and not in order if it does not."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class DurableRedis:
    """A redis-server that has every change on disk before it answers."""

    def __init__(self, folder: str) -> None:
        self._folder, self.socket = folder, f"{folder}/redis.sock"
        self.url = f"unix://{self.socket}"
        self.db = self.connect(timeout_s=30)
        self.process: subprocess.Popen[bytes]
        self.start()

    def connect(self, timeout_s: float) -> redis.Redis:
        """A client that does not wait for ever where a death has cost it an answer."""
        return redis.Redis(
            unix_socket_path=self.socket, decode_responses=True, socket_timeout=timeout_s
        )

    def start(self) -> None:
        self.process = start_redis(
            *("--unixsocket", self.socket, "--port", "0", "--dir", self._folder),
            *("--appendonly", "yes", "--appendfsync", "always"),
        )
        with self.connect(timeout_s=1) as asking:
            eventually(asking.ping)

    def die(self) -> None:
        self.process.kill()
        self.process.wait()
