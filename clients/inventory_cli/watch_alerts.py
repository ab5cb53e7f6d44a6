"""`inventory alerts watch`: what is low now, and every alert as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import nsmallest
from typing import Any, Final, cast

from inventory.v1.alert_service_pb2 import Alert
from inventory.v1.stock_level_pb2 import StockLevel
from inventory_client import AlertEvent, SnapshotEnded, SnapshotLevel, SnapshotStarted
from inventory_client.words import KindName, datetime_of
from rich.text import Text

from inventory_cli.choices import Kind
from inventory_cli.json_form import word_of
from inventory_cli.level_grid import level_grid
from inventory_cli.lines import level_text
from inventory_cli.live import Board, show_watch
from inventory_cli.movement_grid import named_words
from inventory_cli.session import Session
from inventory_cli.tables import STYLES, plain_text

RECENT_ALERTS: Final = 6
_FRAME_LINES: Final = 6
"""The title, the table's frame and header, and what tells of more."""


def watch_alerts(
    session: Session,
    *,
    skus: Sequence[str],
    locations: Sequence[str],
    kinds: Sequence[Kind],
    snapshot: bool,
    cursor: str,
    count: int,
) -> None:
    """Shows alerts until `count` of them have come; without it, for ever."""
    is_live = session.results.is_terminal and not session.is_json
    names = [cast(KindName, kind.name) for kind in kinds]
    watch = session.client.watch_low_stock(
        skus=skus,
        locations=locations,
        # A table of what is low has to hear of all that changes it.
        kinds=() if is_live else names,
        cursor=cursor,
        snapshot=snapshot and not cursor,
        heartbeats=True,
    )
    board = LowStockBoard(session.settings.server, names)
    show_watch(session, watch, board=board, line_of=alert_line, count=count)


def alert_line(event: Any) -> str:
    """An event in one line; a snapshot's level begins with NOW instead of a time."""
    match event:
        case AlertEvent(alert):
            return _line(alert, plain_text(datetime_of(alert.time)))
        case SnapshotLevel(level):
            status, at = word_of(level, "status"), level_text(level.sku, level.location)
            return f"NOW  {status:<9}  {at}  available {level.available}"
        case SnapshotStarted(cause):
            return f"SNAPSHOT  {cause}".rstrip()
        case SnapshotEnded():
            return "SNAPSHOT END"
    raise TypeError(f"no event: {event!r}")


class LowStockBoard(Board):
    """The levels that are low or out, and the last alerts."""

    def __init__(self, server: str, kinds: Sequence[str] = ()) -> None:
        super().__init__(server)
        self._kinds = frozenset(kinds)
        self._levels: dict[tuple[str, str], StockLevel] = {}
        self._recent: deque[Alert] = deque(maxlen=RECENT_ALERTS)

    def _name(self) -> str:
        words = [word_of(level, "status") for level in self._levels.values()]
        out = words.count("OUT")
        return f"{out:,} out, {len(words) - out:,} low"

    def _take(self, event: Any) -> None:
        match event:
            case SnapshotStarted():
                self._levels.clear()
            case SnapshotLevel(level):
                self._put(level, word_of(level, "status"))
            case AlertEvent(alert):
                kind = word_of(alert, "kind")
                self._put(alert.level, kind)
                if not self._kinds or kind in self._kinds:
                    self._recent.appendleft(alert)

    def _put(self, level: StockLevel, kind: str) -> None:
        place = (level.location, level.sku)
        if kind == "RECOVERED" or (self._kinds and kind not in self._kinds):
            self._levels.pop(place, None)
        else:
            self._levels[place] = level

    def _parts(self, width: int, height: int) -> list[Any]:
        recent = list(self._recent)[: max(1, height // 4)]
        room = max(1, height - _FRAME_LINES - len(recent) - bool(recent))
        shown = nsmallest(
            room, self._levels.values(), key=lambda one: (one.available, one.location, one.sku)
        )
        parts: list[Any] = [level_grid(shown).table(width)]
        if len(self._levels) > len(shown):
            parts.append(Text(f"and {len(self._levels) - len(shown):,} more", style="dim"))
        if recent:
            parts.append(Text("Last alerts", style="bold"))
            parts += [_recent_line(alert) for alert in recent]
        return parts


def _recent_line(alert: Alert) -> Text:
    time = datetime_of(alert.time).astimezone().strftime("%H:%M:%S")
    line = Text(_line(alert, time), no_wrap=True, overflow="ellipsis")
    line.highlight_words([word_of(alert, "kind")], STYLES[word_of(alert, "kind")])
    return line


def _line(alert: Alert, time: str) -> str:
    words = [
        time,
        f"{word_of(alert, 'kind'):<9}",
        level_text(alert.sku, alert.location),
        f"available {alert.available_before} -> {alert.available_after}",
        f"by {word_of(alert, 'cause')}",
        *named_words(alert.reference, alert.actor),
    ]
    return "  ".join(words)
