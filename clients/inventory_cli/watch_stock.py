"""`inventory stock watch`: every movement as it happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from inventory.v1.movement_pb2 import Movement
from inventory_client import MovementEvent, SnapshotEnded, SnapshotLevel, SnapshotStarted
from rich.text import Text

from inventory_cli.lines import level_text
from inventory_cli.live import Board, show_watch
from inventory_cli.movement_grid import movement_grid, movement_line
from inventory_cli.session import Session

KEPT_MOVEMENTS: Final = 200
_FRAME_LINES: Final = 5
"""The title, the table's frame and header."""


def watch_movements(
    session: Session,
    *,
    skus: Sequence[str],
    locations: Sequence[str],
    snapshot: bool,
    cursor: str,
    count: int,
) -> None:
    """Shows movements until `count` of them have come; without it, for ever."""
    is_live = session.results.is_terminal and not session.is_json
    watch = session.client.watch_stock(
        skus=skus,
        locations=locations,
        cursor=cursor,
        # The live view is of what moves: levels that rest have no row in it.
        snapshot=snapshot and not cursor and not is_live,
        heartbeats=True,
        snapshot_on_gap=not is_live,
    )
    board = MovementBoard(session.settings.server)
    show_watch(session, watch, board=board, line_of=stock_line, count=count)


def stock_line(event: Any) -> str:
    """An event in one line; a snapshot's level begins with NOW instead of a time."""
    match event:
        case MovementEvent(movement):
            return movement_line(movement)
        case SnapshotLevel(level):
            at = level_text(level.sku, level.location)
            counts = f"on_hand {level.on_hand}  held {level.held}  available {level.available}"
            return f"NOW  {at}  {counts}"
        case SnapshotStarted(cause):
            return f"SNAPSHOT  {cause}".rstrip()
        case SnapshotEnded():
            return "SNAPSHOT END"
    raise TypeError(f"no event: {event!r}")


class MovementBoard(Board):
    """The last movements, the newest first."""

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self._movements: deque[Movement] = deque(maxlen=KEPT_MOVEMENTS)
        self._count = 0

    def _name(self) -> str:
        return f"{self._count:,} movements"

    def _take(self, event: Any) -> None:
        if isinstance(event, MovementEvent):
            self._movements.appendleft(event.movement)
            self._count += 1

    def _parts(self, width: int, height: int) -> list[Any]:
        shown = list(self._movements)[: max(1, height - _FRAME_LINES)]
        return [movement_grid(shown).table(width)] if shown else [Text("nothing moved yet", "dim")]
