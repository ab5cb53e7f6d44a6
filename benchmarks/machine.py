"""Where a run took place: the machine, and the versions of what ran."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inventory_server.embedded_redis import find_redis_server

PACKAGES = (
    "grpcio", "protobuf", "redis", "hiredis", "uvloop", "fastapi", "uvicorn", "httptools",
)  # fmt: skip


def describe() -> dict[str, str]:
    """The machine, in words, one fact an entry."""
    facts = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "temporary folder on": _file_system(tempfile.gettempdir()),
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "redis-server": _redis_version(),
    }
    return facts | {name: _version(name) for name in PACKAGES}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: str) -> str:
    """The kind of file system: on tmpfs an fsync costs nothing, and `always` means little."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, type_, *_ = line.split(" ")
        if os.path.commonpath([mount, folder]) == mount and len(mount) >= len(best):
            best, kind = mount, type_
    return kind


def _redis_version() -> str:
    answer = subprocess.run(
        [find_redis_server(), "--version"], capture_output=True, text=True, check=True, timeout=10
    )
    return answer.stdout.partition("v=")[2].partition(" ")[0]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
