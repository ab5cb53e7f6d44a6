"""Many verbs on holds at once: each on its own, all sent together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from inventory_server.domain.errors import HoldExpired, InvalidRequest, InventoryError
from inventory_server.domain.limits import MAX_BATCH_LINES
from inventory_server.domain.model import (
    ConfirmRequest,
    HoldChange,
    Origin,
    PlaceRequest,
    ReleaseRequest,
)
from inventory_server.domain.rules import sum_lines
from inventory_server.operations.holds import HoldOperations
from inventory_server.stores.hold_store import HoldStore
from inventory_server.stores.outcomes import Due
from inventory_server.stores.redis_store import Started

log = logging.getLogger(__name__)

Request = TypeVar("Request", PlaceRequest, ConfirmRequest, ReleaseRequest)
Item = tuple[Request, Origin] | InventoryError
"""What is asked and by whom; or why it cannot be asked."""
Result = HoldChange | Exception
"""What an item came to. An exception that is no InventoryError is a bug, and logged."""


class _Begun(NamedTuple):
    """An item that was sent: how its reply is read, and how it is done on its own."""

    started: Started
    read: Callable[[list[Any]], HoldChange | Due]
    alone: Callable[[], Awaitable[HoldChange]]


class HoldBatches:
    """Runs the verbs of HoldOperations on many items; results are in their order.

    Items are independent. What cannot be settled with one reply (holds that
    are due in its way, a hold to be taken again) is asked for alone, under the
    same key.
    """

    SLICE: Final = 20
    """So many items are sent before other calls get their turn, and the store its work."""

    def __init__(self, holds: HoldStore, operations: HoldOperations) -> None:
        self._holds = holds
        self._operations = operations

    async def place(self, items: Sequence[Item[PlaceRequest]]) -> list[Result]:
        """Places a hold an item."""
        operations = self._operations

        def begin(request: PlaceRequest, origin: Origin) -> _Begun:
            command = operations.place_command(request, origin)
            return _Begun(
                self._holds.start(command.command, origin),
                lambda reply: operations.placed(command, request, reply, origin),
                lambda: operations.place(request, origin),
            )

        return await self._run(items, begin)

    async def confirm(self, items: Sequence[Item[ConfirmRequest]]) -> list[Result]:
        """Confirms a hold an item."""
        holds, operations = self._holds, self._operations
        await self._check_lines(items)

        def begin(request: ConfirmRequest, origin: Origin) -> _Begun:
            hold_id, lines = request.hold_id, sum_lines(request.lines)

            def read(reply: list[Any]) -> HoldChange | Due:
                try:
                    return holds.changed(reply, hold_id, lines, origin)
                except HoldExpired:
                    if request.rehold_if_expired:
                        return Due(())
                    raise

            started = holds.start(operations.confirm_command(request, origin), origin)
            return _Begun(started, read, lambda: operations.confirm(request, origin))

        return await self._run(items, begin)

    async def release(self, items: Sequence[Item[ReleaseRequest]]) -> list[Result]:
        """Releases a hold an item."""
        holds, operations = self._holds, self._operations
        await self._check_lines(items)

        def begin(request: ReleaseRequest, origin: Origin) -> _Begun:
            hold_id, lines = request.hold_id, sum_lines(request.lines)
            return _Begun(
                holds.start(operations.release_command(request, origin), origin),
                lambda reply: holds.changed(reply, hold_id, lines, origin),
                lambda: operations.release(request, origin),
            )

        return await self._run(items, begin)

    async def _check_lines(
        self, items: Sequence[Item[ConfirmRequest]] | Sequence[Item[ReleaseRequest]]
    ) -> None:
        """Raises InvalidRequest where the holds have more lines than a batch may have.

        They are all in the answer; what is too large to be received must not be done.
        """
        asked = [item for item in items if not isinstance(item, InventoryError)]
        if asked:
            deadline = asked[0][1].deadline
            ids = [item[0].hold_id for item in asked]
            lines = await self._holds.count_lines(ids, MAX_BATCH_LINES, deadline)
            if lines > MAX_BATCH_LINES:
                sentence = (
                    f"at most {MAX_BATCH_LINES} lines in all; these holds have {lines} or more"
                )
                raise InvalidRequest(("items", sentence))

    async def _run(
        self, items: Sequence[Item[Request]], begin: Callable[[Request, Origin], _Begun]
    ) -> list[Result]:
        begun: list[_Begun | Exception] = []
        results: list[Result] = []
        waited_for = 0
        try:
            for number, item in enumerate(items, 1):
                begun.append(await self._begin(item, begin))
                if number % self.SLICE == 0:
                    await asyncio.sleep(0)
            for entry in begun:
                waited_for += 1
                results.append(entry if isinstance(entry, Exception) else await self._end(entry))
        except asyncio.CancelledError:
            # The one that was being waited for looks after itself.
            for entry in begun[waited_for:]:
                if isinstance(entry, _Begun):
                    self._holds.abandon(entry.started)
            raise
        return results

    async def _begin(
        self, item: Item[Request], begin: Callable[[Request, Origin], _Begun]
    ) -> _Begun | Exception:
        if isinstance(item, InventoryError):
            return item
        request, origin = item
        try:
            if not self._holds.is_ready:
                await self._holds.wait_ready(origin.deadline)
            return begin(request, origin)
        except InventoryError as error:
            return error

    async def _end(self, entry: _Begun) -> Result:
        try:
            answer = entry.read(await self._holds.finish(entry.started))
            return await entry.alone() if isinstance(answer, Due) else answer
        except InventoryError as error:
            return error
        except Exception as error:
            log.exception("an item of a batch failed")
            return error
