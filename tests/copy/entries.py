"""Journal entries as tests make them, and short words for reading the copy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from inventory_server.domain.copy import JournalEntry
from inventory_server.stores.copy_records import FIELDS
from tests.eventually import eventually_async

STORE = "a1b2c3"
NOW = 1_800_000_000_000
T = TypeVar("T")


def entry(
    seq: int, *, sku: str = "A", op: str = "", epoch: int = 1, partition: int = 3, **fields: str
) -> JournalEntry:
    """A movement of a level, by default one that sets it."""
    own = {"kind": "SET", "location": "online", "sku": sku, "delta": "1 0"}
    own |= {"id": f"{op or f'op{seq}'}.1", "at_ms": str(NOW + seq), "level": f"{seq} 0 {seq}"}
    return JournalEntry(epoch, partition, seq, {**dict.fromkeys(FIELDS, ""), **own, **fields})


def soon() -> float:
    return asyncio.get_running_loop().time() + 20


async def all_of(pages: AsyncIterator[list[T]]) -> list[T]:
    return [thing async for page in pages for thing in page]


async def until(check: Callable[[], Any]) -> None:
    """Waits until it answers something true, while others run."""

    async def asked() -> Any:
        return check()

    await eventually_async(asked, timeout_s=60)
