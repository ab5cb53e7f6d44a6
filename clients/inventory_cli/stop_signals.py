"""Ctrl-C, SIGTERM and a time limit, as an error that can still say how to resume."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from inventory_cli.errors import CliError, ExitStatus

_SENTENCES: Final = {
    signal.SIGINT: "stopped by Ctrl-C",
    signal.SIGTERM: "stopped by SIGTERM",
    signal.SIGALRM: "the time limit is over",
}


class StoppedError(CliError):
    """A signal, or the time limit, ended the work."""

    def __init__(self, number: int) -> None:
        super().__init__(_SENTENCES[signal.Signals(number)])
        self.exit_status = int(ExitStatus.UNAVAILABLE) if number == signal.SIGALRM else 128 + number


@contextmanager
def stop_signals(limit_s: float | None) -> Iterator[None]:
    """Raises StoppedError in the main thread at a signal, and after `limit_s` seconds."""
    numbers = [number for number in _SENTENCES if limit_s or number != signal.SIGALRM]
    before = {number: signal.signal(number, _stop) for number in numbers}
    if limit_s:
        signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        if limit_s:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in () if _stopped_by else before.items():
            signal.signal(number, handler)


def was_stopped() -> bool:
    """Whether a signal, or the time limit, has ended the command's work."""
    return bool(_stopped_by)


_stopped_by: list[int] = []


def _stop(number: int, _frame: FrameType | None) -> None:
    # One is enough: a second one must not interrupt what is said of the first.
    if not _stopped_by:
        _stopped_by.append(number)
        raise StoppedError(number)
