"""Holds in Redis: one typed call a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from inventory_server.domain.errors import HoldNotFound, StoreUnavailable
from inventory_server.domain.limits import (
    EXPIRE_HOLDS_A_RUN,
    EXPIRE_LINES_A_RUN,
    HOLDS_A_SCRIPT,
)
from inventory_server.domain.model import (
    ConfirmRequest,
    Hold,
    HoldChange,
    Level,
    Line,
    Origin,
    PlaceRequest,
    ReleaseRequest,
)
from inventory_server.stores.cursor import make_cursor
from inventory_server.stores.keys import home_of, is_hold_id
from inventory_server.stores.outcomes import Due, due_levels, hold_error, lines_error
from inventory_server.stores.pipeline import Argument
from inventory_server.stores.records import pack_lines, parse_hold, parse_levels, parse_placed
from inventory_server.stores.redis_store import Command, RedisStore, Started
from inventory_server.stores.scope import Scope


class PlaceCommand(NamedTuple):
    """A PlaceHold to be sent: the hold that it makes, and the lines that it asks for."""

    command: Command
    hold_id: str
    lines: Sequence[Line]


class HoldStore:
    """What the scripts do with holds. Raises InventoryError; answers Due where
    holds have to be expired before the script can judge.

    The verbs that come in batches are a command and a reading of its reply, so
    that many can be sent together.
    """

    def __init__(self, store: RedisStore, *, retention_ms: int, max_hold_life_ms: int) -> None:
        self._store = store
        self._retention_ms = retention_ms
        self._max_hold_life_ms = max_hold_life_ms

    async def run(self, command: Command, origin: Origin) -> list[Any]:
        """Runs a verb's command; the reply is for the reading that belongs to it."""
        return await self._store.mutate(command, origin)

    def start(self, command: Command, origin: Origin) -> Started:
        """Sends a verb's command; `finish` has the reply."""
        return self._store.start(command, origin)

    async def finish(self, started: Started) -> list[Any]:
        """The reply to what was started."""
        return await self._store.finish(started)

    def abandon(self, started: Started) -> None:
        """Lets what was started end without its caller; how it ended is logged."""
        self._store.abandon(started)

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return self._store.keys.partitions

    @property
    def is_ready(self) -> bool:
        """Whether a command would be sent at once."""
        return self._store.is_connected

    async def wait_ready(self, deadline: float) -> None:
        """Waits a while for a connection; raises StoreUnavailable."""
        await self._store.wait_ready(deadline)

    def place_command(
        self, request: PlaceRequest, fingerprint: str, origin: Origin
    ) -> PlaceCommand:
        """The command that holds lines, which are summed and sorted; `placed` reads its reply."""
        store, lines = self._store, request.lines
        scope = Scope(store, lines)
        home = scope.partitions[0]
        op = store.operation_id("PlaceHold", origin)
        hold_id = f"{home}-{op}"
        keys = store.keys
        scope.keys = [keys.hold(hold_id), keys.due(home), keys.refs(home), *scope.keys]
        scope.fixed = (
            store.now_ms, op, fingerprint, origin.actor, request.reference, request.note, hold_id,
            request.ttl_ms or 0, origin.caller, "1" if request.allow_partial else "",
            scope.counts,
        )  # fmt: skip
        return PlaceCommand(Command("place_hold", scope.keys, scope.arguments), hold_id, lines)

    def placed(self, command: PlaceCommand, reply: list[Any], origin: Origin) -> HoldChange | Due:
        """The hold that was placed, or Due."""
        if reply[0] in ("ok", "replay"):
            hold, levels, epoch, places = parse_placed(command.hold_id, reply[1])
            return self._change(hold, levels, epoch, places, reply)
        return lines_error(reply, command.lines, origin)

    def confirm_command(self, request: ConfirmRequest, fingerprint: str, origin: Origin) -> Command:
        """The command that sells a hold's units; `changed` reads its reply."""
        own = (pack_lines(request.lines), "1" if request.keep_rest else "")
        return self._command(
            "confirm_hold", "ConfirmHold", request.hold_id, fingerprint, origin, own
        )

    def release_command(self, request: ReleaseRequest, fingerprint: str, origin: Origin) -> Command:
        """The command that gives a hold's units back; `changed` reads its reply."""
        own = (pack_lines(request.lines),)
        return self._command(
            "release_hold", "ReleaseHold", request.hold_id, fingerprint, origin, own
        )

    def changed(
        self, reply: list[Any], hold_id: str, lines: Sequence[Line], origin: Origin
    ) -> HoldChange:
        """What became of a hold, by a verb that named these lines."""
        if reply[0] not in ("ok", "replay"):
            raise hold_error(reply, hold_id, origin, lines)
        _, record, state, outcome, verb = reply
        _, epoch, places, packed = outcome.split(" ", 3)
        hold = parse_hold(hold_id, record, state)
        levels = parse_levels(hold.lines, packed) if packed != "-" else ()
        change = self._change(hold, levels, epoch, places, reply)
        return change._replace(reheld=True) if verb == "REHOLD" else change

    async def extend(
        self, hold_id: str, *, ttl_ms: int, fingerprint: str, origin: Origin
    ) -> HoldChange:
        """Moves a hold's deadline."""
        own = (ttl_ms, self._max_hold_life_ms)
        command = self._command("extend_hold", "ExtendHold", hold_id, fingerprint, origin, own)
        return self.changed(await self._store.mutate(command, origin), hold_id, (), origin)

    async def rehold(self, hold_id: str, *, fingerprint: str, origin: Origin) -> HoldChange | Due:
        """Takes the units of an expired hold again, and sells them."""
        own = (self._retention_ms,)
        command = self._command("rehold_hold", "ConfirmHold", hold_id, fingerprint, origin, own)
        reply = await self._store.mutate(command, origin)
        if reply[0] == "due":
            return due_levels(reply)
        if reply[0] == "not_expired":
            raise StoreUnavailable("the store's clock was set back past the hold's deadline")
        return self.changed(reply, hold_id, (), origin)

    async def read(self, hold_id: str, deadline: float) -> Hold | Due:
        """Reads a hold as it is now."""
        self._check_id(hold_id)
        found = await self.read_many([hold_id], deadline)
        if isinstance(found, Due):
            return found
        if found[0] is None:
            raise HoldNotFound(hold_id)
        return found[0]

    async def read_many(self, hold_ids: Sequence[str], deadline: float) -> list[Hold | None] | Due:
        """Reads holds as they are at one instant; None where there is none."""
        store = self._store
        keys = [store.keys.hold(hold_id) for hold_id in hold_ids]
        arguments = (store.now_ms, *hold_ids)
        reply = await store.read(Command("read_holds", keys, lambda: arguments), deadline)
        if reply[0] == "due":
            return due_levels(reply)
        return [
            parse_hold(hold_id, record, state) if record else None
            for hold_id, record, state in zip(hold_ids, reply[1::2], reply[2::2], strict=True)
        ]

    async def count_lines(self, hold_ids: Sequence[str], most: int, deadline: float) -> int:
        """How many lines these holds have together; past `most` it stops counting."""
        store, total = self._store, 0
        known = [hold_id for hold_id in hold_ids if is_hold_id(hold_id)]
        for at in range(0, len(known), HOLDS_A_SCRIPT):
            keys = [store.keys.hold(hold_id) for hold_id in known[at : at + HOLDS_A_SCRIPT]]
            reply = await store.read(Command("count_lines", keys, lambda: (most,)), deadline)
            total += reply[1]
        return total

    async def ids_of_reference(
        self, partition: int, reference: str, after: str, count: int, deadline: float
    ) -> list[str]:
        """The next holds with this reference, open and ended, that are at home here, by id."""
        low = f"({reference}\0{after}" if after else f"[{reference}\0"
        members: list[str] = await self._store.command(
            "ZRANGEBYLEX", self._store.keys.refs(partition), low, f"({reference}\1",
            "LIMIT", 0, count, deadline=deadline,
        )  # fmt: skip
        return [member.rpartition("\0")[2] for member in members]

    async def ids_of_level(
        self, location: str, sku: str, after: tuple[int, str], count: int, deadline: float
    ) -> tuple[list[tuple[int, str]], bool]:
        """The level's next open holds, as (deadline_ms, hold_id), soonest first; and whether
        these are the last.
        """
        command, key = self._store.command, self._store.keys.level_due(location, sku)
        time_ms, offset = after[0], 0
        while True:
            flat: list[str] = await command(
                "ZRANGEBYSCORE", key, time_ms, "+inf", "WITHSCORES", "LIMIT", offset, count,
                deadline=deadline,
            )  # fmt: skip
            found = [(int(t), id_) for id_, t in zip(flat[::2], flat[1::2], strict=True)]
            later = [entry for entry in found if entry > after]
            # Those of the millisecond that it goes on from come again, and are passed over.
            if later or len(found) < count:
                return later, len(found) < count
            offset += count

    async def expire(self, key: str, deadline: float) -> tuple[int, bool]:
        """Expires what is due in this index; answers (expired, more is due)."""
        store = self._store

        def arguments() -> Sequence[Argument]:
            return (store.now_ms, EXPIRE_HOLDS_A_RUN, EXPIRE_LINES_A_RUN, store.guards())

        reply = await store.sweep(Command("expire_holds", (key,), arguments), deadline)
        store.see(reply[3])
        return reply[1], bool(reply[2])

    async def remove(self, partition: int, deadline: float) -> tuple[int, bool]:
        """Removes ended holds past their retention; answers (removed, others may be past it)."""
        store = self._store
        keys = (store.keys.ended(partition), store.keys.refs(partition))
        arguments = (store.now_ms, partition, self._retention_ms, EXPIRE_HOLDS_A_RUN)
        reply = await store.sweep(Command("remove_holds", keys, lambda: arguments), deadline)
        return reply[1], bool(reply[2])

    async def read_due(self, deadline: float) -> list[int]:
        """How long ago each partition's oldest due entry was due, in ms; -1: nothing is."""
        store = self._store
        keys = [store.keys.due(n) for n in range(store.keys.partitions)]
        reply = await store.read(Command("read_due", keys, lambda: (store.now_ms,)), deadline)
        return reply[1:]

    def _command(
        self,
        script: str,
        method: str,
        hold_id: str,
        fingerprint: str,
        origin: Origin,
        own: tuple[Argument, ...],
    ) -> Command:
        store = self._store
        self._check_id(hold_id)
        op = store.operation_id(method, origin)
        fixed = (store.now_ms, op, fingerprint, origin.actor, hold_id)
        home = home_of(hold_id)
        keys: list[str] = [store.keys.hold(hold_id)]
        if script != "rehold_hold":
            keys.append(store.keys.due(home))
        if script != "extend_hold":
            keys.append(store.keys.ended(home))
        return Command(script, keys, lambda: (*fixed, store.guards(), *own))

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
