"""The only helper that waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


def eventually(check: Callable[[], Any], timeout_s: float = 20) -> Any:
    """Calls `check` until it answers something true; raises what it raised last."""
    ends = time.monotonic() + timeout_s
    while True:
        try:
            if answer := check():
                return answer
            error: Exception = AssertionError(f"never true within {timeout_s} s")
        except Exception as raised:
            error = raised
        if time.monotonic() > ends:
            raise error
        time.sleep(0.01)


async def eventually_async(check: Callable[[], Awaitable[Any]], timeout_s: float = 20) -> Any:
    """The same for a coroutine function."""
    ends = time.monotonic() + timeout_s
    while True:
        try:
            if answer := await check():
                return answer
            error: Exception = AssertionError(f"never true within {timeout_s} s")
        except Exception as raised:
            error = raised
        if time.monotonic() > ends:
            raise error
        await asyncio.sleep(0.01)
