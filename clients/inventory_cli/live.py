"""A watch shown: a table that moves on a terminal, else a line or a JSON document an event."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

from inventory_client import (
    AlertEvent,
    HeartbeatEvent,
    MovementEvent,
    SnapshotEnded,
    SnapshotLevel,
    SnapshotStarted,
    Watch,
)
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.text import Text

from inventory_cli.json_form import json_of
from inventory_cli.output import REDRAWS_PER_SECOND
from inventory_cli.session import Session

WATCH_LOGGER: Final = "inventory_client.watching"
"""Here the client library says why a watch is begun anew."""


class Board(ABC):
    """What a live view shows. Events come in one thread, and it is drawn in another."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._trouble = ""
        self._lock = Lock()

    def take(self, event: Any) -> None:
        """Takes an event in."""
        with self._lock:
            self._trouble = ""
            self._take(event)

    def break_off(self, sentence: str) -> None:
        """Says that nothing comes for the moment."""
        self._trouble = sentence

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws it, no higher than the terminal."""
        with self._lock:
            parts = self._parts(console.size.width, console.size.height)
        yield Group(self._title(), *parts)

    def _title(self) -> Text:
        title = Text.assemble((self._name(), "bold"), f" at {self._server}", overflow="ellipsis")
        title.no_wrap = True
        if self._trouble:
            title.append(f" - {self._trouble}", "red")
        else:
            title.append(" - Ctrl-C ends it", "dim")
        return title

    @abstractmethod
    def _name(self) -> str:
        """What stands above the table."""

    @abstractmethod
    def _take(self, event: Any) -> None:
        """Takes an event in."""

    @abstractmethod
    def _parts(self, width: int, height: int) -> list[Any]:
        """What stands below the title, in at most `height` - 1 lines."""


def show_watch(
    session: Session,
    watch: Watch[Any],
    *,
    board: Board,
    line_of: Callable[[Any], str],
    count: int,
) -> None:
    """Shows a watch until it has told `count` changes, for ever where that is 0."""
    with watch:
        if session.is_json:
            _follow(session, watch, lambda event: session.write(event_json(event)), count)
        elif session.results.is_terminal:
            with Live(board, console=session.results, refresh_per_second=REDRAWS_PER_SECOND):
                _follow(session, watch, board.take, count, board.break_off, with_heartbeats=True)
        else:
            _follow(session, watch, lambda event: _print_line(session, line_of(event)), count)


def event_json(event: Any) -> dict[str, Any]:
    """An event as a document; `cursor` is where to go on after it."""
    match event:
        case AlertEvent(alert, cursor):
            return {"event": "alert", "cursor": cursor, "alert": json_of(alert)}
        case MovementEvent(movement, cursor):
            return {"event": "movement", "cursor": cursor, "movement": json_of(movement)}
        case SnapshotLevel(level):
            return {"event": "snapshot_level", "cursor": None, "level": json_of(level)}
        case SnapshotEnded(cursor):
            return {"event": "snapshot_ended", "cursor": cursor}
        case SnapshotStarted(cause):
            return {"event": "snapshot_started", "cursor": None, "cause": cause or None}
    raise TypeError(f"no event: {event!r}")


def _follow(
    session: Session,
    watch: Watch[Any],
    take: Callable[[Any], None],
    count: int,
    break_off: Callable[[str], None] | None = None,
    *,
    with_heartbeats: bool = False,
) -> None:
    def note(sentence: str) -> None:
        session.note(f"inventory: {sentence}")

    told = 0
    sentence = f"the connection to {session.settings.server} broke; trying again"
    with _listening(_BreakHandler(sentence, break_off or note)) as breaks:
        for event in watch:
            breaks.is_told = False
            if isinstance(event, HeartbeatEvent) and not with_heartbeats:
                continue
            take(event)
            told += isinstance(event, AlertEvent | MovementEvent)
            if count and told >= count:
                return


class _BreakHandler(logging.Handler):
    """Tells once that a watch has to be begun anew, until something comes again."""

    def __init__(self, sentence: str, tell: Callable[[str], None]) -> None:
        super().__init__()
        self.is_told = False
        self._sentence = sentence
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tells it in the words of the command line."""
        if not self.is_told:
            self.is_told = True
            self._tell(self._sentence)


@contextmanager
def _listening(handler: _BreakHandler) -> Iterator[_BreakHandler]:
    """Gives the handler, while the block runs, what the client library logs of its watches."""
    logger = logging.getLogger(WATCH_LOGGER)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def _print_line(session: Session, line: str) -> None:
    session.results.file.write(line + "\n")
    session.results.file.flush()
