"""Embedded mode: a DynamoDB of our own, moto's server in a child process on loopback.

It keeps everything in memory, and dies with the server. It is not started
again when it dies alone: its tables are gone with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Final

from inventory_server import dynamo_double

log = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 60.0
"""Its libraries take half a second to load; a busy machine takes longer."""
_READ_BYTES: Final = 1 << 16


class EmbeddedDynamoError(Exception):
    """The double of DynamoDB could not be started; the sentence says why."""


class EmbeddedDynamo:
    """A DynamoDB in a child process. `on_exit` is called when it ends by itself."""

    def __init__(self, on_exit: Callable[[], None] | None = None) -> None:
        self.endpoint = ""
        """Where it answers; empty while it does not run."""
        self._on_exit = on_exit
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._last_line = ""

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Starts it and waits until it answers; raises EmbeddedDynamoError."""
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-W", "ignore", dynamo_double.__file__),
                # It ends when this pipe does, so also when this process is killed.
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                # Its own session: Ctrl-C is for the server, which then stops it.
                start_new_session=True,
                env=_environment(),
            )
        except OSError as error:
            raise EmbeddedDynamoError(f"cannot start moto's server: {error}") from error
        self._keeper = asyncio.create_task(self._keep(process), name="embedded-dynamo")
        try:
            port = await self._read_port(process, self._keeper)
        except BaseException:
            await self.stop()
            raise
        self.endpoint = f"http://{dynamo_double.HOST}:{port}"

    async def stop(self) -> None:
        """Ends it; what it kept is gone. Who runs `start` in the background cancels that first."""
        self.endpoint = ""
        process, keeper = self._process, self._keeper
        self._process = self._keeper = None
        if process is not None and process.returncode is None:
            # It has nothing to put in order first.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if keeper is not None:
            await keeper

    async def _read_port(self, process: Process, keeper: asyncio.Task[None]) -> int:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await process.stdout.readline()
        except TimeoutError as error:
            raise EmbeddedDynamoError(
                f"moto's server has not begun to answer after {START_TIMEOUT_S:.0f} s"
            ) from error
        if line and not keeper.done():
            return int(line)
        await keeper
        if process.returncode == dynamo_double.MOTO_MISSING:
            raise EmbeddedDynamoError(
                f"embedded mode keeps the catalogue in moto, which is not there"
                f" ({self._last_line}): pip install 'inventory-service[embedded]'"
            )
        raise EmbeddedDynamoError(
            f"moto's server ended with status {process.returncode}: {self._last_line}"
        )

    async def _keep(self, process: Process) -> None:
        """Passes on what it complains of, and says when it ends by itself."""
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        rest = b""
        while said := await process.stderr.read(_READ_BYTES):
            # What is written bit by bit is read so; a line without an end is not kept for ever.
            *lines, rest = (rest + said).split(b"\n")
            if len(rest) > _READ_BYTES:
                lines, rest = [*lines, rest], b""
            self._pass_on(lines)
        self._pass_on([rest])
        status = await process.wait()
        if not self.endpoint:
            return
        self.endpoint = ""
        log.error("moto's server ended by itself with status %s: %s", status, self._last_line)
        if self._on_exit is not None:
            self._on_exit()

    def _pass_on(self, lines: list[bytes]) -> None:
        for said in lines:
            if line := said.decode(errors="replace").rstrip():
                self._last_line = line
                log.warning("moto: %s", line)


def _environment() -> dict[str, str]:
    """The environment without AWS's settings and secrets, which are none of its business."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "BOTO_", "MOTO_"))
    }
    return kept | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
