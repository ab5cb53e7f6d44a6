"""Holds in Redis: one typed call a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inventory_server.domain.errors import HoldNotFound
from inventory_server.domain.limits import EXPIRE_HOLDS_A_RUN, EXPIRE_LINES_A_RUN
from inventory_server.domain.model import Hold, HoldChange, Level, Line, Origin
from inventory_server.stores.cursor import make_cursor
from inventory_server.stores.keys import home_of, is_hold_id
from inventory_server.stores.outcomes import Due, hold_error, lines_error
from inventory_server.stores.pipeline import Argument
from inventory_server.stores.records import (
    pack_lines,
    parse_hold,
    parse_levels,
    parse_lines,
    parse_placed,
)
from inventory_server.stores.redis_store import Command, RedisStore
from inventory_server.stores.scope import Scope


class HoldStore:
    """What the scripts do with holds. Raises InventoryError; answers Due where
    holds have to be expired before the script can judge.
    """

    def __init__(self, store: RedisStore, *, retention_ms: int, max_hold_life_ms: int) -> None:
        self._store = store
        self._retention_ms = retention_ms
        self._max_hold_life_ms = max_hold_life_ms

    async def place(
        self,
        lines: Sequence[Line],
        ttl_ms: int,
        reference: str,
        note: str,
        fingerprint: str,
        origin: Origin,
    ) -> HoldChange | Due:
        """Holds lines that are summed and sorted."""
        store = self._store
        scope = Scope(store, lines)
        home = scope.partitions[0]
        op = store.operation_id("PlaceHold", origin)
        hold_id = f"{home}-{op}"
        keys = store.keys
        scope.keys = [keys.hold(hold_id), keys.due(home), keys.refs(home), *scope.keys]
        scope.fixed = (
            store.now_ms, op, fingerprint, origin.actor, reference, note, hold_id, ttl_ms,
            origin.caller, pack_lines(lines, scope.numbers), scope.counts,
        )  # fmt: skip
        reply = await store.mutate(Command("place_hold", scope.keys, scope.arguments), origin)
        if reply[0] in ("ok", "replay"):
            return self._change(*parse_placed(hold_id, reply[1]), reply)
        return lines_error(reply, lines, origin)

    async def confirm(self, hold_id: str, *, fingerprint: str, origin: Origin) -> HoldChange:
        """Sells a hold's units."""
        return await self._end("confirm_hold", "ConfirmHold", hold_id, fingerprint, origin)

    async def release(self, hold_id: str, *, fingerprint: str, origin: Origin) -> HoldChange:
        """Gives a hold's units back."""
        return await self._end("release_hold", "ReleaseHold", hold_id, fingerprint, origin)

    async def extend(
        self, hold_id: str, *, ttl_ms: int, fingerprint: str, origin: Origin
    ) -> HoldChange:
        """Moves a hold's deadline."""
        times = (ttl_ms, self._max_hold_life_ms)
        reply = await self._run("extend_hold", "ExtendHold", hold_id, fingerprint, origin, times)
        _, epoch, places, deadline = reply[3].split(" ")
        hold = parse_hold(hold_id, reply[1], f"HELD {deadline}")
        return self._change(hold, (), epoch, places, reply)

    async def read(self, hold_id: str, deadline: float) -> Hold | Due:
        """Reads a hold as it is now."""
        store = self._store
        self._check_id(hold_id)
        arguments = (store.now_ms, hold_id)
        reply = await store.read(
            Command("read_hold", (store.keys.hold(hold_id),), lambda: arguments), deadline
        )
        if reply[0] == "ok":
            return parse_hold(hold_id, reply[1], reply[2])
        if reply[0] == "due":
            return Due(((reply[2], reply[3]),))
        raise hold_error(reply, hold_id, None, ())

    async def expire(self, key: str, deadline: float) -> tuple[int, int, bool]:
        """Expires what is due in this index; answers (expired, removed, more is due)."""
        store = self._store

        def arguments() -> Sequence[Argument]:
            limits = (EXPIRE_HOLDS_A_RUN, EXPIRE_LINES_A_RUN)
            return (store.now_ms, self._retention_ms, *limits, store.guards())

        reply = await store.sweep(Command("expire_holds", (key,), arguments), deadline)
        store.see(reply[4])
        return reply[1], reply[2], bool(reply[3])

    async def read_due(self, deadline: float) -> list[int]:
        """How long ago each partition's oldest due entry was due, in ms; -1: nothing is."""
        store = self._store
        keys = [store.keys.due(n) for n in range(store.keys.partitions)]
        reply = await store.read(Command("read_due", keys, lambda: (store.now_ms,)), deadline)
        return reply[1:]

    async def _end(
        self, script: str, method: str, hold_id: str, fingerprint: str, origin: Origin
    ) -> HoldChange:
        times = (self._retention_ms,)
        reply = await self._run(script, method, hold_id, fingerprint, origin, times)
        _, epoch, places, levels = reply[3].split(" ", 3)
        hold = parse_hold(hold_id, reply[1], reply[2])
        return self._change(hold, parse_levels(hold.lines, levels), epoch, places, reply)

    async def _run(
        self,
        script: str,
        method: str,
        hold_id: str,
        fingerprint: str,
        origin: Origin,
        times: tuple[int, ...],
    ) -> list[Any]:
        store = self._store
        self._check_id(hold_id)
        op = store.operation_id(method, origin)
        fixed: tuple[Argument, ...] = (store.now_ms, op, fingerprint, origin.actor, hold_id, *times)
        keys = (store.keys.hold(hold_id), store.keys.due(home_of(hold_id)))
        reply = await store.mutate(Command(script, keys, lambda: (*fixed, store.guards())), origin)
        if reply[0] in ("ok", "replay"):
            return reply
        lines = parse_lines(reply[1]) if reply[0] == "short_on_hand" else ()
        raise hold_error(reply, hold_id, origin, lines)

    def _check_id(self, hold_id: str) -> None:
        """An id that this store cannot have given is an unknown one."""
        if not is_hold_id(hold_id) or home_of(hold_id) >= self._store.keys.partitions:
            raise HoldNotFound(hold_id)

    def _change(
        self, hold: Hold, levels: tuple[Level, ...], epoch: str, places: str, reply: list[Any]
    ) -> HoldChange:
        self._store.see(places)
        cursor = make_cursor(self._store.store_id, epoch, "journal", places)
        return HoldChange(hold, levels, cursor, reply[0] == "replay")
