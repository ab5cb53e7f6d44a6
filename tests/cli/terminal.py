"""The program on a terminal of a fixed size, as somebody in front of it has it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
from types import TracebackType
from typing import Self

from tests.client.command_line import PROGRAM, environment
from tests.eventually import eventually

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")


class Terminal:
    """`inventory` on a terminal of `columns` by `rows` characters."""

    def __init__(
        self, *arguments: str, server: str, columns: int = 100, rows: int = 24, **variables: str
    ) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.raw = ""
        given = environment(INVENTORY_SERVER=server, TERM="xterm-256color", **variables)
        for name in ("NO_COLOR", "COLUMNS"):
            if name not in variables:
                given.pop(name)
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=given,
            cwd="/",
            start_new_session=True,
            # So that Ctrl-C is a signal to it.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """All that was written, without the codes that move the cursor and colour."""
        return _CONTROL.sub("", self.raw)

    def has(self, text: str, since: int = 0) -> bool:
        """Whether this has been written, after so many characters."""
        self._read()
        return text in _CONTROL.sub("", self.raw[since:])

    def wait_for(self, text: str, since: int = 0) -> None:
        eventually(lambda: self.has(text, since), timeout_s=40)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Reads what still comes; answers the exit status."""

        def has_ended() -> bool:
            self._read()
            return self.process.poll() is not None

        eventually(has_ended, timeout_s=40)
        self._read()
        return self.process.returncode

    def _read(self) -> None:
        while select.select([self._ours], [], [], 0)[0]:
            try:
                self.raw += os.read(self._ours, 65536).decode("utf-8", "replace")
            except OSError:
                # The program has left the terminal.
                return
