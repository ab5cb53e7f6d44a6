"""The durable copy in DynamoDB: writing it.

Everything may be written again, in any order and by several at once. A movement
is always the same item. A state of a level or hold is an item under its place in
the order of states, and of several the last one counts; what it makes needless is
removed with it. So nothing depends on who writes when, there are no transactions,
and all of it goes in batches: a request costs this process as much as 25 items do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from inventory_server.domain.copy import JournalEntry
from inventory_server.domain.errors import CatalogThrottled, StoreUnavailable
from inventory_server.stores.copy_fold import CopyFold
from inventory_server.stores.copy_records import (
    hold_state_key,
    level_state_key,
    pack_hold_state,
    pack_level_state,
    pack_movement,
    pack_span,
    placed_key,
)
from inventory_server.stores.copy_tables import CopyTableNames
from inventory_server.stores.dynamo import Dynamo, Item, LostError

COPY_ERRORS: Final = (StoreUnavailable, CatalogThrottled, LostError)
"""Why something may not be in the copy yet: it is to be written again."""
Deadline = Callable[[], float]
"""Until when a request may take that is sent now, in the loop's time."""
ITEMS_A_WRITE: Final = 25
"""What BatchWriteItem takes."""


class CopyStore:
    """Writes movements, and what follows from them. Raises COPY_ERRORS."""

    HOLD_MARGIN_S: Final = 3600
    """How much longer than its retention time the state of a hold stays."""

    def __init__(
        self, dynamo: Dynamo, names: CopyTableNames, store_id: str, *, retention_ms: int
    ) -> None:
        self._dynamo = dynamo
        self._names = names
        self._store_id = store_id
        self._retention_ms = retention_ms
        self._writing = asyncio.Semaphore(dynamo.threads)
        # Movements do not wait behind what follows from others.
        self._folding = asyncio.Semaphore(max(1, dynamo.threads // 2))

    async def put_movements(self, entries: Sequence[JournalEntry], deadline: Deadline) -> None:
        """Puts movements."""
        items = [_put(pack_movement(self._store_id, entry)) for entry in entries]
        await self._write(self._names.movements, items, deadline, self._writing)

    async def put_fold(self, fold: CopyFold, deadline: Deadline) -> None:
        """Puts what follows from movements that were put."""
        store_id = self._store_id
        spans = [_put(pack_span(store_id, *span)) for span in fold.spans()]
        levels, holds = [], []
        for state, rank_before in fold.levels.values():
            levels.append(_put(pack_level_state(store_id, state)))
            if state.packed and state.sku and rank_before > 0:
                levels.append(_remove(level_state_key(store_id, state, rank_before)))
        for hold in fold.holds.values():
            expire_at_s = (hold.last_ms + self._retention_ms) // 1000 + self.HOLD_MARGIN_S
            holds.append(_put(pack_hold_state(store_id, hold, expire_at_s)))
            placed = placed_key(store_id, hold)
            if placed != hold_state_key(store_id, hold.hold_id, hold.epoch, hold.seq):
                holds.append(_remove(placed))
        names = self._names
        await _all_of(
            [
                self._write(names.history, spans, deadline, self._folding),
                self._write(names.levels, levels, deadline, self._folding),
                self._write(names.holds, holds, deadline, self._folding),
            ]
        )

    async def _write(
        self, table: str, requests: Sequence[Any], deadline: Deadline, turn: asyncio.Semaphore
    ) -> None:
        await _all_of(
            [
                self._write_part(table, list(requests[at : at + ITEMS_A_WRITE]), deadline, turn)
                for at in range(0, len(requests), ITEMS_A_WRITE)
            ]
        )

    async def _write_part(
        self, table: str, requests: list[Any], deadline: Deadline, turn: asyncio.Semaphore
    ) -> None:
        async with turn:
            until, pause_s = deadline(), Dynamo.FIRST_PAUSE_S
            while requests:
                answer = await self._dynamo.call(
                    "batch_write_item", until, is_probe=True, RequestItems={table: requests}
                )
                requests = (answer.get("UnprocessedItems") or {}).get(table, [])
                if requests and asyncio.get_running_loop().time() + pause_s >= until:
                    raise CatalogThrottled
                if requests:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, Dynamo.LONGEST_PAUSE_S)


def _put(item: Item) -> dict[str, Any]:
    return {"PutRequest": {"Item": item}}


def _remove(key: Item) -> dict[str, Any]:
    return {"DeleteRequest": {"Key": key}}


async def _all_of(writes: Sequence[Awaitable[None]]) -> None:
    """Waits for all of them, and then raises what kept one from being done."""
    for ended in await asyncio.gather(*writes, return_exceptions=True):
        if ended is not None:
            raise ended
