"""The store seen from behind: every key, every index, every journal entry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from inventory_server.domain.audit import Discrepancy, LevelHold, Repair
from inventory_server.domain.errors import LevelBusy
from inventory_server.domain.limits import (
    MAX_REPAIR_HOLDS,
    VERIFY_HOLDS_A_SCRIPT,
    VERIFY_KEYS_A_READ,
    WIDE_HOLDS_A_SCRIPT,
)
from inventory_server.domain.model import Level, Line, Origin
from inventory_server.stores.cursor import make_cursor
from inventory_server.stores.keys import home_of, is_hold_id
from inventory_server.stores.outcomes import lines_error
from inventory_server.stores.records import parse_level, parse_reference
from inventory_server.stores.redis_store import Command, RedisStore
from inventory_server.stores.scope import Scope
from inventory_server.stores.script_errors import ScriptError


class AuditStore:
    """Reads for a check of the store, and repairs levels. Raises InventoryError."""

    TIMEOUT_S: Final = 10.0
    """How long one read may take; a check is made of many."""

    def __init__(self, store: RedisStore, *, retention_ms: int) -> None:
        self._store = store
        self._retention_ms = retention_ms

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return self._store.keys.partitions

    async def count_keys(self) -> int:
        """How many keys the database has, ours or not."""
        return int(await self._command("DBSIZE"))

    async def keys(self, pattern: str = "inv:*") -> AsyncIterator[list[str]]:
        """Every key that is there throughout, in pages; some may come twice."""
        place = "0"
        while True:
            place, found = await self._command(
                "SCAN", place, "MATCH", pattern, "COUNT", VERIFY_KEYS_A_READ
            )
            yield found
            if place == "0":
                return

    async def kind_of(self, key: str) -> str:
        """What type of value the key has, in Redis's words; `none` where there is none."""
        return str(await self._command("TYPE", key))

    async def members(self, key: str, kind: str) -> AsyncIterator[list[str]]:
        """The members of a `zset` or a `set` that are there throughout, in pages."""
        place, scan = "0", "ZSCAN" if kind == "zset" else "SSCAN"
        while True:
            place, found = await self._command(scan, key, place, "COUNT", VERIFY_KEYS_A_READ)
            yield found[::2] if scan == "ZSCAN" else found
            if place == "0":
                return

    async def ended(self, partition: int) -> AsyncIterator[list[str]]:
        """The ids in the list of ended holds, in pages; it may move meanwhile.

        One that was taken again stands there a second time, with a "+" behind it.
        """
        key, end = self._store.keys.ended(partition), -1
        # From its end: what is removed at the front meanwhile moves nothing.
        while found := await self._command("LRANGE", key, end - VERIFY_KEYS_A_READ + 1, end):
            yield [entry.removesuffix("+") for entry in found]
            end -= VERIFY_KEYS_A_READ

    async def has_journal(self, partition: int) -> bool:
        """Whether the partition has a journal that can be read, or should have one."""
        kind = await self.kind_of(self._store.keys.journal(partition))
        return kind == "stream" or (kind == "none" and await self.seq(partition) > 0)

    async def is_indexed(self, partition: int, index: str, member: str) -> bool:
        """Whether `due`, `refs` or `ended` of the partition has this member, now."""
        if index == "ended":
            return await self.is_ended(member)
        keys = self._store.keys
        key = keys.due(partition) if index == "due" else keys.refs(partition)
        return await self._command("ZSCORE", key, member) is not None

    async def is_ended(self, hold_id: str) -> bool:
        """Whether the list of ended holds has this one, now."""
        key = self._store.keys.ended(home_of(hold_id))
        for entry in (hold_id, f"{hold_id}+"):
            if await self._command("LPOS", key, entry, "RANK", -1) is not None:
                return True
        return False

    async def missing_levels(self, location: str, skus: Sequence[str]) -> list[str]:
        """Those SKUs that have no level at the location."""
        keys = [self._store.keys.level(location, sku) for sku in skus]
        return [skus[i] for i in await self._missing(keys)]

    async def missing_holds(self, hold_ids: Sequence[str]) -> list[str]:
        """Those holds that are not there."""
        keys = [self._store.keys.hold(hold_id) for hold_id in hold_ids]
        return [hold_ids[i] for i in await self._missing(keys)]

    async def has_location(self, location: str) -> bool:
        """Whether the location is registered."""
        key = self._store.keys.locations(self._store.keys.partition(location))
        with suppress(ScriptError):
            return bool(await self._command("HEXISTS", key, location))
        return False

    async def seq(self, partition: int) -> int:
        """How far the partition says that it has come."""
        key = self._store.keys.meta(partition)
        with suppress(ScriptError, ValueError):
            return int(await self._command("HGET", key, "seq") or 0)
        return 0

    async def last_seq(self, partition: int) -> int:
        """The seq of the journal's last entry; 0 where there is none."""
        key = self._store.keys.journal(partition)
        found = await self._command("XREVRANGE", key, "+", "-", "COUNT", 1)
        return int(found[0][0].partition("-")[0]) if found else 0

    async def metas(self) -> list[tuple[str, str, str]]:
        """The store id, epoch and seq of each partition, as they stand; "" where they do not."""
        names = self._store.keys
        found = []
        for n in range(names.partitions):
            values: list[str | None] = [None] * 3
            with suppress(ScriptError):
                values = await self._command("HMGET", names.meta(n), "store_id", "epoch", "seq")
            store_id, epoch, seq = [value or "" for value in values]
            found.append((store_id, epoch, seq))
        return found

    def is_own_meta(self, meta: tuple[str, str, str]) -> bool:
        """Whether a partition's meta is that of this store."""
        return meta[0] == self._store.store_id and meta[1].isdecimal() and meta[2].isdecimal()

    async def references(self, hold_ids: Sequence[str]) -> dict[str, str]:
        """The references of those holds that are there and can be read."""
        keys = [self._store.keys.hold(hold_id) for hold_id in hold_ids]
        values = await self._command("MGET", *keys) if keys else []
        return {
            hold_id: reference
            for hold_id, value in zip(hold_ids, values, strict=True)
            if value and (reference := parse_reference(value)) is not None
        }

    async def levels(
        self, places: Sequence[tuple[str, str]]
    ) -> tuple[list[Level], list[tuple[str, str]]]:
        """The levels, named (location, sku), that can be read; and those that are not there."""
        keys = [self._store.keys.level(location, sku) for location, sku in places]
        packed = await self._command("MGET", *keys) if keys else []
        found: list[Level] = []
        missing: list[tuple[str, str]] = []
        for (location, sku), value in zip(places, packed, strict=True):
            if value is None:
                missing.append((location, sku))
                continue
            with suppress(ValueError):
                found.append(parse_level(sku, location, value))
        return found, missing

    async def _missing(self, keys: Sequence[str]) -> list[int]:
        if not keys or await self._command("EXISTS", *keys) == len(keys):
            return []
        there = await asyncio.gather(*[self._command("EXISTS", key) for key in keys])
        return [i for i, is_there in enumerate(there) if not is_there]

    async def verify_levels(self, levels: Sequence[tuple[str, str]]) -> list[Discrepancy]:
        """What is wrong with levels, named (location, sku). LARGE: to be read in pages."""
        discrepancies: list[Discrepancy] = []
        names = self._store.keys
        while levels:
            keys: list[str] = []
            for location, sku in levels:
                keys += (
                    names.level(location, sku), names.level_due(location, sku),
                    names.low(location), names.skus(location),
                )  # fmt: skip
            given = (VERIFY_HOLDS_A_SCRIPT, *[name for level in levels for name in level])
            reply = await self._read("verify_levels", keys, given)
            for number, kind, hold_id, message in _groups(reply[2:], 4):
                location, sku = levels[number - 1]
                discrepancies.append(Discrepancy(kind, message, sku, location, hold_id))
            levels = levels[reply[1] :]
        return discrepancies

    async def verify_holds(self, home: int, hold_ids: Sequence[str]) -> list[Discrepancy]:
        """What is wrong with holds that are at home in this partition."""
        names, discrepancies = self._store.keys, []
        for at in range(0, len(hold_ids), WIDE_HOLDS_A_SCRIPT):
            part = hold_ids[at : at + WIDE_HOLDS_A_SCRIPT]
            keys = [names.due(home), names.refs(home), *[names.hold(id_) for id_ in part]]
            reply = await self._read("verify_holds", keys, tuple(part))
            discrepancies += [
                Discrepancy(kind, message, hold_id=part[number - 1])
                for number, kind, message in _groups(reply[1:], 3)
            ]
        return discrepancies

    async def level_holds(
        self, location: str, sku: str, after: LevelHold | None, count: int
    ) -> tuple[int, int | None, list[LevelHold]]:
        """A page of a level's open holds by deadline and id: (the journal's seq, held, holds)."""
        names = self._store.keys
        keys = (
            names.level(location, sku), names.level_due(location, sku),
            names.meta(names.partition(location)),
        )  # fmt: skip
        place = (after.deadline_ms, after.hold_id) if after else (0, "")
        reply = await self._read("read_level_holds", keys, (location, sku, *place, count))
        held = parse_level(sku, location, reply[2]).held if reply[2] else None
        holds = [
            LevelHold(id_, int(deadline), units if units >= 0 else None)
            for id_, deadline, units in _groups(reply[3:], 3)
        ]
        return int(reply[1]), held, holds

    async def open_holds(self, location: str, sku: str) -> list[str]:
        """The ids of every open hold whose record names the level, indexed or not."""
        found: list[str] = []
        async for keys in self.keys("inv:*:hold:*"):
            reply = await self._read("find_open_holds", keys, (location, sku)) if keys else ["ok"]
            ids = [keys[int(number) - 1].rpartition(":")[2] for number in reply[1:]]
            found += [hold_id for hold_id in ids if is_hold_id(hold_id)]
        return sorted(set(found))

    async def repair(
        self,
        level: Line,
        hold_ids: Sequence[str],
        *,
        validate_only: bool,
        fingerprint: str,
        origin: Origin,
    ) -> Repair:
        """Sets a level's held and indexes to what the open holds say; raises LevelBusy."""
        store, location, sku = self._store, level.location, level.sku
        if len(hold_ids) > MAX_REPAIR_HOLDS:
            raise LevelBusy(sku, location, len(hold_ids))
        scope = Scope(store, [level], makes_levels=True, amounts=False)
        op = store.operation_id("RepairLevel", origin)
        scope.fixed = (
            store.now_ms, op, fingerprint, origin.actor, self._retention_ms, MAX_REPAIR_HOLDS,
            "1" if validate_only else "", ",".join(hold_ids), scope.counts,
        )  # fmt: skip
        keys = [store.keys.record(scope.partitions[0], op), *scope.keys]
        reply = await store.mutate(Command("repair_level", keys, scope.arguments), origin)
        if reply[0] == "level_busy":
            raise LevelBusy(sku, location, reply[1])
        if reply[0] == "unchanged":
            unchanged = parse_level(sku, location, reply[1])
            return Repair(unchanged, unchanged, (), "", False)
        if reply[0] == "valid":
            before, after, text = reply[1:]
            cursor = ""
        elif reply[0] in ("ok", "replay"):
            _, epoch, places, packed = reply[1].split(" ", 3)
            before, after, text = packed.split("|")
            store.see(places)
            cursor = make_cursor(store.store_id, epoch, "journal", places)
        else:
            lines_error(reply, [level], origin)
        return Repair(
            parse_level(sku, location, before),
            parse_level(sku, location, after),
            tuple(text.split(";")),
            cursor,
            reply[0] == "replay",
        )

    async def _read(
        self, script: str, keys: Sequence[str], arguments: tuple[Any, ...]
    ) -> list[Any]:
        return await self._store.read(Command(script, keys, lambda: arguments), self._deadline())

    async def _command(self, *arguments: Any) -> Any:
        return await self._store.command(*arguments, deadline=self._deadline())

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self.TIMEOUT_S


def _groups(facts: Sequence[Any], width: int) -> Iterator[Sequence[Any]]:
    """A reply's facts, so many a group."""
    return (facts[at : at + width] for at in range(0, len(facts), width))
