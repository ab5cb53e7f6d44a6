"""The store: runs scripts, and knows what became of each.

A mutation whose reply is lost is settled by asking again under its own
idempotency record, which makes the second run a replay; nothing else is ever
sent twice. What cannot be settled in time is OutcomeUnknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

import hiredis

from inventory_server.domain.errors import (
    OutcomeUnknown,
    StoreFull,
    StoreRewound,
    StoreUnavailable,
)
from inventory_server.domain.model import Origin
from inventory_server.stores.connection import PipelinedConnection
from inventory_server.stores.keys import Keyspace
from inventory_server.stores.operation_id import operation_id
from inventory_server.stores.partition import Partition, meet_all
from inventory_server.stores.pipeline import (
    Argument,
    Call,
    LostError,
    NotSentError,
    Reply,
    pack,
)
from inventory_server.stores.script_errors import (
    ScriptError,
    UnknownScriptError,
    error_of,
    is_unknown_script,
)
from inventory_server.stores.scripts import Script

log = logging.getLogger(__name__)

LATE_S: Final = 0.03
"""How long before a deadline an answer has to be on its way."""
SETTLE_PAUSE_S: Final = 0.005
"""Before a lost call is asked for again; others run meanwhile."""
ABANDONED_S: Final = 5.0
"""How long the end of a call is waited for that its caller has left."""


class Command(NamedTuple):
    """A script call. `arguments` is asked anew before each run, for the guards in it."""

    script: str
    keys: Sequence[str]
    arguments: Callable[[], Sequence[Argument]]


class Started(NamedTuple):
    """A mutation that was sent, and how many epochs this server had taken over by then."""

    command: Command
    origin: Origin
    call: Call
    epochs: int


class RedisStore:
    """Runs scripts for the typed stores, which know what they mean."""

    def __init__(
        self,
        connection: PipelinedConnection,
        scripts: dict[str, Script],
        keys: Keyspace,
        *,
        store_id: str,
        secret: bytes,
        partitions: Sequence[Partition],
        connect_wait_s: float = 1.0,
    ) -> None:
        self.keys = keys
        self.store_id = store_id
        self.partitions = tuple(partitions)
        self.now_ms = ""
        """The time that scripts are given; empty means Redis's own. Tests set it."""
        self._connection = connection
        self._scripts = scripts
        self.secret = secret
        self._connect_wait_s = connect_wait_s
        self._loop = asyncio.get_running_loop()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._epochs = 0

    @property
    def is_ready(self) -> bool:
        """Whether the store can be reached, and has not gone back in time."""
        return self._connection.is_ready and not any(p.rewound for p in self.partitions)

    @property
    def is_connected(self) -> bool:
        """Whether a command would be sent at once."""
        return self._connection.is_ready

    async def look(self, deadline: float) -> None:
        """Compares all partitions with what this server has seen of them."""
        seen, epochs = self.seen(), self._epochs
        metas = [self.keys.meta(partition.number) for partition in self.partitions]
        reply = await self.read(Command("read_places", metas, tuple), deadline)
        if epochs == self._epochs:
            self.compare(seen, reply)

    def seen(self) -> list[int]:
        """The highest seq of each partition that this server has seen by now."""
        return [partition.seq for partition in self.partitions]

    def compare(self, seen: Sequence[int], reply: Sequence[str]) -> None:
        """Takes in what `read_places` says, which was asked for after these seqs were seen."""
        self._epochs += meet_all(self.partitions, self.store_id, seen, reply[1:])

    def operation_id(self, method: str, origin: Origin, part: str = "") -> str:
        """The id of what this caller asks for under its key, or of a part of that."""
        return operation_id(self.secret, method, origin.caller, origin.key + part)

    def guards(self) -> str:
        """`store_id n=epoch:seq …` of all, for scripts that find their partitions themselves."""
        places = [f" {p.number}={p.epoch}:{p.seq}" for p in self.partitions]
        return self.store_id + "".join(places)

    async def read(self, command: Command, deadline: float) -> list[Any]:
        """Runs a script that changes nothing; a lost reply is StoreUnavailable."""
        return await self._run_once(command, deadline)

    async def command(self, *arguments: Argument, deadline: float) -> Reply:
        """Runs a plain command that changes nothing."""
        return await self._ask(pack(arguments), deadline)

    async def sweep(self, command: Command, deadline: float) -> list[Any]:
        """Runs a script that changes things and may run any number of times."""
        while True:
            epochs = self._epochs
            reply = await self._run_once(command, deadline)
            if reply[0] != "rewound":
                return reply
            if not self._adopt(reply, epochs):
                raise StoreRewound(int(reply[1]))

    async def mutate(self, command: Command, origin: Origin) -> list[Any]:
        """Runs a script that keeps an idempotency record.

        Raises StoreUnavailable (certainly not applied), OutcomeUnknown,
        StoreFull or StoreRewound. A caller that goes away does not stop what
        was sent; how that ended is then logged.
        """
        if not self._connection.is_ready:
            await self.wait_ready(origin.deadline)
        return await self.finish(self.start(command, origin))

    def start(self, command: Command, origin: Origin) -> Started:
        """Sends what `mutate` would; raises StoreUnavailable where there is no connection."""
        call = self._start(self._pack(command), origin.deadline)
        return Started(command, origin, call, self._epochs)

    async def finish(self, started: Started) -> list[Any]:
        """The reply to what was started, as `mutate` answers it."""
        command, origin, call, epochs = started
        try:
            try:
                reply = await call.future
            except LostError:
                reply = await self._settle(command, origin)
        except asyncio.CancelledError:
            self.abandon(started)
            raise
        if isinstance(reply, hiredis.ReplyError):
            if not is_unknown_script(reply):
                raise error_of(reply)
            await self._load(command.script, origin.deadline)
            return await self.mutate(command, origin)
        if reply[0] == "rewound":
            if self._adopt(reply, epochs):
                return await self.mutate(command, origin)
            raise StoreRewound(int(reply[1]))
        return reply  # type: ignore[no-any-return]

    def abandon(self, started: Started) -> None:
        """Lets what was started end without its caller; how it ended is logged."""
        self.background(self._log_end(*started[:3]))

    def see(self, places: str) -> None:
        """Remembers how far the journals reach, so that a store put back is noticed."""
        for place in places.split(",") if places else ():
            number, _, text = place.partition(":")
            partition, seq = self.partitions[int(number)], int(text)
            if seq > partition.seq:
                partition.seq = seq

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Lets work go on that nobody waits for."""
        task = self._loop.create_task(work)
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    async def drain(self) -> None:
        """Waits for the work that nobody waits for."""
        await asyncio.gather(*self._abandoned, return_exceptions=True)

    def _pack(self, command: Command) -> bytes:
        sha = self._scripts[command.script].sha
        return pack(("EVALSHA", sha, len(command.keys), *command.keys, *command.arguments()))

    async def wait_ready(self, deadline: float) -> None:
        """Waits a while for a connection; raises StoreUnavailable."""
        left = deadline - LATE_S - self._loop.time()
        if not await self._connection.wait_ready(max(0.0, min(left, self._connect_wait_s))):
            raise StoreUnavailable("the store is out of reach")

    def _start(self, packed: bytes, deadline: float) -> Call:
        try:
            return self._connection.start(packed, deadline - LATE_S)
        except NotSentError as error:
            raise StoreUnavailable(str(error)) from error

    async def _ask(self, packed: bytes, deadline: float) -> Reply:
        """Sends what changes nothing, or may be done twice."""
        if not self._connection.is_ready:
            await self.wait_ready(deadline)
        try:
            reply = await self._start(packed, deadline).future
        except LostError as error:
            raise StoreUnavailable(str(error)) from error
        if isinstance(reply, hiredis.ReplyError):
            raise error_of(reply)
        return reply

    async def _run_once(self, command: Command, deadline: float) -> list[Any]:
        while True:
            try:
                return await self._ask(self._pack(command), deadline)  # type: ignore[no-any-return]
            except UnknownScriptError:
                await self._load(command.script, deadline)

    async def _load(self, script: str, deadline: float) -> None:
        log.info("the store does not know the script %s; loading it", script)
        text = self._scripts[script].text
        await self.command("SCRIPT", "LOAD", text, deadline=deadline)

    async def _settle(self, command: Command, origin: Origin) -> Reply:
        """Asks again under the same idempotency record, until the deadline."""
        while True:
            left = origin.deadline - LATE_S - self._loop.time()
            if left <= 0 or not await self._connection.wait_ready(left):
                raise OutcomeUnknown(origin.key)
            try:
                epochs = self._epochs
                call = self._connection.start(self._pack(command), origin.deadline - LATE_S)
                reply = await call.future
                if isinstance(reply, hiredis.ReplyError) and is_unknown_script(reply):
                    await self._load(command.script, origin.deadline)
                elif isinstance(reply, hiredis.ReplyError) or reply[0] == "rewound":
                    if isinstance(reply, list) and self._adopt(reply, epochs):
                        continue
                    # Refused now; what became of the first sending stays open.
                    log.warning("could not settle %s: %s", command.script, reply)
                    raise OutcomeUnknown(origin.key)
                else:
                    return reply
            except (NotSentError, LostError, StoreUnavailable) as error:
                log.info("asking again for %s: %s", command.script, error)
                await asyncio.sleep(SETTLE_PAUSE_S)
            except (ScriptError, StoreFull) as error:
                log.warning("could not settle %s: %s", command.script, error)
                raise OutcomeUnknown(origin.key) from error

    async def _log_end(self, command: Command, origin: Origin, call: Call) -> None:
        """Finds out how a call ended that its caller did not wait for."""
        later = origin.until(self._loop.time() + ABANDONED_S)
        call.deadline = later.deadline
        try:
            reply = await call.wait_again()
        except LostError:
            try:
                reply = await self._settle(command, later)
            except OutcomeUnknown:
                reply = ["unknown"]
        ended = str(reply) if isinstance(reply, hiredis.ReplyError) else reply[0]
        log.info("%s, left by its caller: %s, key %s", command.script, ended, origin.key)

    def _adopt(self, refusal: list[Any], epochs: int) -> bool:
        """Whether to ask again: a newer epoch of this store is taken over, now or since that was
        sent. False where the store really went back.
        """
        if epochs == self._epochs:
            self._epochs += self.partitions[int(refusal[1])].meet(self.store_id, *refusal[2:5])
        return epochs != self._epochs
