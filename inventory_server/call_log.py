"""The call log: one JSON line a call, written in batches.

Lines are gathered for a tenth of a second and written together; a log record
of the standard library costs more than the rest of a call's bookkeeping.
Nothing of a request or its metadata is written but the ids named here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter, time
from typing import Any, Final, TextIO

log = logging.getLogger(__name__)


class CallLog:
    """Writes call lines to a stream; without one it writes nothing."""

    FLUSH_S: Final = 0.1

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._lines: list[str] = []
        self._quote: Callable[[str], str] = json.encoder.encode_basestring_ascii

    def write(self, method: str, status: str, call: Any, started: float, reason: str = "") -> None:
        """Notes a call that ended. `started` is perf_counter() at its start."""
        if self._stream is None:
            return
        took_ms = (perf_counter() - started) * 1000
        why = f',"reason":"{reason}"' if reason else ""
        replayed = ',"replayed":true' if call.replayed else ""
        actor = f',"actor":{self._quote(call.actor)}' if call.actor else ""
        if not self._lines:
            self._loop.call_later(self.FLUSH_S, self.flush)
        self._lines.append(
            f'{{"at":{time():.3f},"method":"{method}","status":"{status}"{why},'
            f'"ms":{took_ms:.2f},"request_id":{self._quote(call.request_id)}{actor}{replayed}}}\n'
        )

    def flush(self) -> None:
        """Writes what was gathered."""
        if self._stream is None or not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except OSError as error:
            log.warning("%d call lines were lost: %s", len(lines), error)


class JsonFormatter(logging.Formatter):
    """Log records as JSON lines, like the call lines."""

    def format(self, record: logging.LogRecord) -> str:
        """One line for the record; a traceback goes into its `error`."""
        entry = {
            "at": round(record.created, 3),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class TextFormatter(logging.Formatter):
    """Log records for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """`12:34:56 level  message`, and the traceback below it."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        line = f"{moment:%H:%M:%S} {record.levelname.lower():7} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(log_format: str) -> None:
    """Has a process log to stderr, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
