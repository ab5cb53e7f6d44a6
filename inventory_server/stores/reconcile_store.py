"""Giving a store back, from its durable copy, what it lost when it was put back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from inventory_server.domain.copy import JournalEntry, Place
from inventory_server.domain.errors import StoreUnavailable
from inventory_server.domain.model import Level
from inventory_server.stores.copy_records import FIELDS
from inventory_server.stores.keys import Keyspace
from inventory_server.stores.opening import RECONCILING, SCHEMA
from inventory_server.stores.pipeline import Argument
from inventory_server.stores.records import parse_level
from inventory_server.stores.redis_store import Command, RedisStore


class Begun(NamedTuple):
    """A partition that is being reconciled: where it was put back to, and where it is now."""

    place: Place
    seq: int


class DoesNotFollowError(Exception):
    """A movement changed another level than the one that is there."""

    def __init__(self, number: int, seq: str) -> None:
        super().__init__(
            f"movement {seq} of partition {number} does not follow from what this Redis has"
        )


class ReconcileStore:
    """Writes what was lost. Raises StoreUnavailable; then it can be gone on with."""

    A_WRITE: Final = 100
    """Movements that one script makes."""
    TIMEOUT_S: Final = 30.0

    def __init__(self, store: RedisStore, partitions: int) -> None:
        self._store = store
        self._keys = Keyspace(partitions)
        self._metas = [self._keys.meta(n) for n in range(partitions)]

    async def begun(self) -> bool | None:
        """Whether it was begun and is not finished; None where Redis has no store that could be."""
        found = await self._store.command("HGET", self._metas[0], "schema", deadline=self._soon())
        if found == SCHEMA:
            return False
        return True if (found or "").startswith(RECONCILING) else None

    async def begin(self, store_id: str) -> list[Begun] | None:
        """Marks the store: until it is finished, no server uses it. Answers its partitions, or
        None where it is not this store. May be repeated.
        """
        arguments = (len(self._metas), SCHEMA, store_id)
        reply = await self._run("begin_reconcile", self._metas, arguments)
        if reply[0] == "other_store":
            return None
        facts = iter(reply[1:])
        return [
            Begun(Place(int(epoch), int(seq)), int(now))
            for epoch, seq, now in zip(facts, facts, facts, strict=True)
        ]

    async def replay(self, number: int, entries: Sequence[JournalEntry]) -> None:
        """Makes movements of a partition once more, which follow its last.

        Raises DoesNotFollowError, and then the store is as it was before.
        """
        keys = self._keys
        own = (
            keys.meta(number), keys.journal(number), keys.alerts(number), keys.locations(number),
            keys.due(number), keys.ended(number), keys.refs(number),
        )  # fmt: skip
        named: dict[str, None] = {}
        flat: list[Argument] = []
        for entry in entries:
            fields = entry.fields
            flat += [fields[name] for name in FIELDS]
            if location := fields["location"]:
                named |= dict.fromkeys((keys.low(location), keys.skus(location)))
                if fields["sku"]:
                    named[keys.level(location, fields["sku"])] = None
            if fields["hold"]:
                named[keys.hold(fields["hold_id"])] = None
        arguments = (number, entries[0].seq, *flat)
        reply = await self._run("replay_movements", (*own, *named), arguments)
        if reply[0] == "does_not_follow":
            raise DoesNotFollowError(number, reply[1])

    async def finish(self, store_id: str, epoch: int, copied: Sequence[int | None]) -> None:
        """Gives it back in a new epoch. `copied`: up to which seq each partition is in the
        copy; None where that is what it says itself.
        """
        places = ["" if seq is None else seq for seq in copied]
        await self._run("finish_reconcile", self._metas, (SCHEMA, store_id, epoch, *places))

    async def hold(self, hold_id: str) -> tuple[str, str] | None:
        """A hold's state and record; None where there is none."""
        found = await self._store.command("GET", self._keys.hold(hold_id), deadline=self._soon())
        if not found:
            return None
        state, _, record = found.split("\n", 2)
        return state, record

    async def level(self, location: str, sku: str) -> Level | None:
        """A level; None where there is none."""
        found = await self._store.command(
            "GET", self._keys.level(location, sku), deadline=self._soon()
        )
        return parse_level(sku, location, found) if found else None

    async def _run(
        self, script: str, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> list[str]:
        reply = await self._store.read(Command(script, keys, lambda: arguments), self._soon())
        if reply[0] in ("not_reconciling", "elsewhere"):
            raise StoreUnavailable(f"somebody else has written to this Redis: {reply[0]}")
        return reply

    def _soon(self) -> float:
        return asyncio.get_running_loop().time() + self.TIMEOUT_S
