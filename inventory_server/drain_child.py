"""The server's side of the drainer's process: starts it, keeps it, ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process
from typing import Final

from inventory_server import drain_process
from inventory_server.domain.copy import CopyReport

log = logging.getLogger(__name__)


class DrainChild:
    """One drainer, started again when it ends by itself."""

    MODULE: Final = drain_process.__name__
    """The program."""
    FIRST_PAUSE_S: Final = 1.0
    LONGEST_PAUSE_S: Final = 10.0

    def __init__(self, order: bytes) -> None:
        """`order` is what `drain_process.pack_order` makes."""
        self._order = order
        self.report = CopyReport()
        """How the copy stands, as it has said last."""
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Has it run in the background."""
        self._keeper = asyncio.create_task(self._keep(), name="drainer")

    async def stop(self) -> None:
        """Lets it copy what it has begun, and ends it."""
        self._stopping.set()
        if self._keeper is not None:
            await self._keeper

    async def _keep(self) -> None:
        pause_s = self.FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            status = await self._run()
            if self._stopping.is_set():
                return
            if loop.time() - began > self.LONGEST_PAUSE_S:
                pause_s = self.FIRST_PAUSE_S
            log.warning("the drainer ended with status %s, and is started again", status)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
            pause_s = min(2 * pause_s, self.LONGEST_PAUSE_S)

    async def _run(self) -> int | str:
        """Runs one to its end, or until it is to stop; answers its status."""
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.MODULE),
                stdin=PIPE,
                stdout=PIPE,
                # Its own session: Ctrl-C is for the server, which then stops it.
                start_new_session=True,
            )
        except OSError as error:
            return str(error)
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.write(self._order)
        ended = asyncio.ensure_future(self._listen(process))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        process.stdin.close()
        # It ends itself in that time.
        await asyncio.wait((ended,), timeout=drain_process.STOP_S + 5)
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        return await ended

    async def _listen(self, process: Process) -> int:
        """Takes in what it says, until it ends; answers its status."""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while line := await process.stdout.readline():
            self.report = drain_process.parse_report(line)
        return await process.wait()
