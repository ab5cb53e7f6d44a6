"""One run of a command: its settings, its connection, what it prints, and how it ends."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

from google.protobuf.message import Message
from inventory_client import InventoryClient, InventoryError

from inventory_cli.connecting import connect
from inventory_cli.errors import CliError, ExitStatus
from inventory_cli.json_form import document, json_of
from inventory_cli.keys import checked_key
from inventory_cli.output import OutputForm, make_console, show_error
from inventory_cli.refusals import Refusal, facts_of, plain_facts, refusal_of
from inventory_cli.settings import Settings
from inventory_cli.stop_signals import StoppedError, stop_signals
from inventory_cli.tables import Grid

Item = TypeVar("Item", bound=Message)

PAGE_SIZE: Final = 1000
"""The most that the server puts into one page."""


class Session:
    """What a command works with. To be used as a `with` block, which closes the connection."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.results = make_console(sys.stdout, no_color=settings.no_color)
        self.notes = make_console(sys.stderr, no_color=settings.no_color)
        self.key = ""
        """The idempotency key of the change that was begun."""
        self._is_key_given = False
        self._is_settled = True
        self._client: InventoryClient | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._closing.close()

    @property
    def is_json(self) -> bool:
        """Whether the result is for scripts."""
        return self.settings.output is OutputForm.JSON

    @property
    def client(self) -> InventoryClient:
        """The connection, made when it is first asked for.

        Raises ServerError where nobody answers at the address.
        """
        if self._client is None:
            settings = self.settings
            client = InventoryClient(
                settings.server, timeout=settings.timeout_s, actor=settings.actor
            )
            self._closing.callback(client.close)
            connect(settings.server, settings.timeout_s)
            self._client = client
        return self._client

    def begin_change(self, given: str) -> str:
        """The key of a change: the one given, or one that is made. Raises UsageError."""
        self.key = checked_key(given) if given else uuid4().hex
        self._is_key_given = bool(given)
        return self.key

    def change(self, given: str, work: Callable[[InventoryClient, str], Item]) -> Item:
        """Makes a change under the key `given`, or one that is made; a failure tells it."""
        key, client = self.begin_change(given), self.client
        self._is_settled = False
        answer = work(client, key)
        self._is_settled = True
        return answer

    # What is printed

    def write(self, value: Any) -> None:
        """Writes one JSON document, in one line, at once."""
        self.results.file.write(document(value) + "\n")
        self.results.file.flush()

    def show(self, grid: Grid, nothing: str) -> None:
        """Shows a table; on a terminal an empty one is told as `nothing` instead."""
        if grid.rows or not self.results.is_terminal:
            grid.show(self.results)
        if not grid.rows:
            self.note(nothing)

    def show_list(
        self, name: str, items: Iterable[Item], limit: int, grid_of: Callable[[list[Item]], Grid]
    ) -> None:
        """Shows the first `limit` items, all where that is 0, and says whether there are more."""
        iterator = iter(items)
        shown = list(islice(iterator, limit or None))
        has_more = bool(limit) and next(iterator, None) is not None
        if self.is_json:
            self.write({name: [json_of(item) for item in shown], "more": has_more})
            return
        self.show(grid_of(shown), f"no {name.replace('_', ' ')}")
        if has_more:
            self.note(f"the first {limit:,}; --limit shows more, --limit 0 all")

    def note(self, text: str) -> None:
        """Says something beside the result."""
        self.notes.print(text, soft_wrap=True)

    # How it ends

    def end(self, work: Callable[[], int | None]) -> int:
        """Does the work; answers the exit status, and says what went wrong."""
        try:
            try:
                with self, stop_signals(None):
                    status = work() or ExitStatus.DONE
                self.results.file.flush()
                return int(status)
            except InventoryError as error:
                return self._tell_call(error)
            except CliError as error:
                return self._tell(error)
        except BrokenPipeError:
            # Who read the output has left. What is still buffered goes nowhere, so that
            # Python does not complain of it at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return int(ExitStatus.BROKEN_PIPE)

    def _tell_call(self, error: InventoryError) -> int:
        refusal = refusal_of(error, self.settings.server, self.settings.timeout_s)
        self._show_error(refusal, facts_of(error, refusal))
        if error.maybe_applied:
            self._show_repeating()
        return int(refusal.status)

    def _tell(self, error: CliError) -> int:
        if not isinstance(error, StoppedError):
            refusal = Refusal(str(error), error.hint, error.exit_status)
            self._show_error(refusal, plain_facts(error.reason, refusal))
        elif not self._is_settled:
            show_error(self.notes, str(error))
            self._show_repeating()
        return int(error.exit_status)

    def _show_error(self, refusal: Refusal, facts: dict[str, Any]) -> None:
        show_error(self.notes, refusal.sentence)
        if refusal.hint:
            self.note(f"hint: {refusal.hint}")
        if self.is_json:
            self.write({"error": facts})

    def _show_repeating(self) -> None:
        words = ["inventory", *sys.argv[1:]]
        if not self._is_key_given:
            words += ["--key", self.key]
        self.note(f"Perhaps it was done. Its idempotency key is {self.key}; this settles it,")
        self.note("and does nothing twice:")
        self.note(f"  {shlex.join(words)}")


def page_size_of(limit: int) -> int:
    """How many items a page needs, to show `limit` and know whether there are more."""
    return min(limit + 1, PAGE_SIZE) if limit else PAGE_SIZE
