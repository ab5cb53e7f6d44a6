"""The only helper that waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.1
"""Who waits long looks less often: what is waited for needs the processor itself."""


def eventually(check: Callable[[], Any], timeout_s: float = 20) -> Any:
    """Calls `check` until it answers something true; raises what it raised last."""
    ends, pause_s = time.monotonic() + timeout_s, FIRST_PAUSE_S
    while True:
        try:
            if answer := check():
                return answer
            error: Exception = AssertionError(f"never true within {timeout_s} s")
        except Exception as raised:
            error = raised
        if time.monotonic() > ends:
            raise error
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, LONGEST_PAUSE_S)


async def eventually_async(check: Callable[[], Awaitable[Any]], timeout_s: float = 20) -> Any:
    """The same for a coroutine function."""
    ends, pause_s = time.monotonic() + timeout_s, FIRST_PAUSE_S
    while True:
        try:
            if answer := await check():
                return answer
            error: Exception = AssertionError(f"never true within {timeout_s} s")
        except Exception as raised:
            error = raised
        if time.monotonic() > ends:
            raise error
        await asyncio.sleep(pause_s)
        pause_s = min(1.3 * pause_s, LONGEST_PAUSE_S)
