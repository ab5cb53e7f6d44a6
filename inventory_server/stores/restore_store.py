"""Making a store in an empty Redis from what its durable copy has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from inventory_server.domain.copy import CopiedStore, HoldState
from inventory_server.domain.errors import StoreUnavailable
from inventory_server.domain.model import Level
from inventory_server.stores.keys import Keyspace
from inventory_server.stores.opening import RESTORING, SCHEMA
from inventory_server.stores.pipeline import Argument
from inventory_server.stores.records import pack_level
from inventory_server.stores.redis_store import Command, RedisStore


class Repair(NamedTuple):
    """What a level was changed by so that it fits the holds, or one of them, and what it became."""

    level: Level
    on_hand_delta: int
    held_delta: int
    hold_id: str = ""


class RestoreStore:
    """Writes what was copied. Raises StoreUnavailable; then begin anew."""

    A_WRITE: Final = 100
    """Levels or holds that one script writes."""
    TIMEOUT_S: Final = 30.0

    def __init__(self, store: RedisStore, partitions: int) -> None:
        self._store = store
        self._keys = Keyspace(partitions)
        self._all = range(partitions)

    async def is_empty(self) -> bool:
        """Whether Redis has no key at all."""
        return not await self._store.command("DBSIZE", deadline=self._soon())

    async def is_half_restored(self) -> bool:
        """Whether Redis has nothing but what a restore wrote that was not finished."""
        schema = await self._store.command(
            "HGET", self._keys.meta(0), "schema", deadline=self._soon()
        )
        return bool(schema == RESTORING)

    async def clear(self) -> None:
        """Removes what a restore wrote that was not finished; the marks last."""
        place, metas = "0", {self._keys.meta(n) for n in self._all}
        while True:
            place, keys = await self._store.command(
                "SCAN", place, "MATCH", "inv:*", "COUNT", 1000, deadline=self._soon()
            )
            if gone := [key for key in keys if key not in metas]:
                await self._store.command("UNLINK", *gone, deadline=self._soon())
            if int(place) == 0:
                break
        await self._store.command("UNLINK", *metas, deadline=self._soon())

    async def now_ms(self) -> int:
        """The time of this Redis."""
        if self._store.now_ms:
            return int(self._store.now_ms)
        seconds, micros = await self._store.command("TIME", deadline=self._soon())
        return int(seconds) * 1000 + int(micros) // 1000

    async def begin(self) -> None:
        """Marks Redis: until it is finished, no server uses it."""
        metas = [self._keys.meta(n) for n in self._all]
        await self._run("begin_restore", metas, (len(metas),))

    async def put_levels(self, location: str, policy: str, levels: Sequence[Level]) -> None:
        """Writes a location, its default policy (packed; may be empty) and its levels."""
        keys, number = self._keys, self._keys.partition(location)
        own = (keys.meta(number), keys.locations(number), keys.skus(location), keys.low(location))
        for at in range(0, max(1, len(levels)), self.A_WRITE):
            part = levels[at : at + self.A_WRITE]
            packed = [text for level in part for text in (level.sku, pack_level(level))]
            names = [*own, *[keys.level(location, level.sku) for level in part]]
            await self._run("restore_levels", names, (number, location, policy, *packed))

    async def put_holds(self, home: int, holds: Sequence[HoldState]) -> None:
        """Writes holds of one home; those that have ended in the order in which they did."""
        keys = self._keys
        own = (keys.meta(home), keys.due(home), keys.ended(home), keys.refs(home))
        for at in range(0, len(holds), self.A_WRITE):
            part = holds[at : at + self.A_WRITE]
            packed = [text for hold in part for text in (hold.hold_id, hold.state, hold.record)]
            names = [*own, *[keys.hold(hold.hold_id) for hold in part]]
            await self._run("restore_holds", names, (home, *packed))

    async def put_repairs(
        self, number: int, seq: int, repairs: Sequence[Repair], *, op: str, at_ms: int
    ) -> None:
        """Journals repairs of a partition's levels, from this seq on."""
        names = (self._keys.meta(number), self._keys.journal(number))
        for at in range(0, len(repairs), self.A_WRITE):
            packed: list[Argument] = []
            for level, on_hand_delta, held_delta, hold_id in repairs[at : at + self.A_WRITE]:
                packed += [level.location, level.sku, on_hand_delta, held_delta, hold_id]
                packed.append(pack_level(level))
            own = (number, at_ms, f"{op}-{at // self.A_WRITE}", seq + at)
            await self._run("restore_repairs", names, (*own, *packed))

    async def finish(self, store: CopiedStore, places: Sequence[tuple[int, int]]) -> None:
        """Makes it a store. `places`: of each partition, up to which seq it came from the copy,
        and where it is with its repairs.
        """
        metas = [self._keys.meta(n) for n in self._all]
        flat = [seq for place in places for seq in place]
        own = (SCHEMA, store.store_id, store.secret, store.epoch)
        await self._run("finish_restore", metas, (*own, *flat))

    async def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> None:
        reply = await self._store.read(Command(script, keys, lambda: arguments), self._soon())
        if reply[0] in ("not_empty", "not_restoring"):
            raise StoreUnavailable(f"somebody else has written to this Redis: {reply[0]}")

    def _soon(self) -> float:
        return asyncio.get_running_loop().time() + self.TIMEOUT_S
