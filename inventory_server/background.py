"""Work that goes on beside the calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Starts it. Nobody waits for it before the server stops, so a failure is said here."""
    task = asyncio.get_running_loop().create_task(work, name=getattr(work, "__qualname__", None))
    task.add_done_callback(_tell_failure)
    return task


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical(
            "%s has failed, and is not done any more until the server starts again",
            task.get_name(), exc_info=error,
        )  # fmt: skip
