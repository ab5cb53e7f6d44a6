"""What the commands print: tables and JSON on stdout, everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from inventory_cli.tally import Tally

SHOWN_REFUSALS: Final = 20
PIPED_WIDTH: Final = 200
REDRAWS_PER_SECOND: Final = 5


class OutputForm(StrEnum):
    """The forms of the result on stdout."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """An import that has ended. `error` and `resume_command` are empty where it is complete.

    Under a `key` it is told whether everything was a replay; without one, how
    many rows were in already.
    """

    file: str
    mode: str
    key: str
    tally: Tally
    error: str = ""
    reason: str = ""
    resume_command: str = ""


def make_console(stream: TextIO, *, no_color: bool = False) -> Console:
    """A console that shows text as it is: no markup, no emoji codes, no colours of its own."""
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(
        file=stream, width=width, markup=False, emoji=False, highlight=False,
        no_color=True if no_color else None,
    )  # fmt: skip


class ImportView:
    """Shows an import: its result on `results`, all else on `notes`."""

    def __init__(self, results: Console, notes: Console) -> None:
        self._results = results
        self._notes = notes

    @contextmanager
    def progress(self, tally: Tally, size: int) -> Iterator[Callable[[], None]]:
        """Shows a bar on a terminal; what it yields brings it up to date.

        `size` is the file's in bytes, 0 where it is not known.
        """
        if not self._notes.is_terminal:
            yield _nothing
            return
        with _progress_bar(self._notes, is_sized=size > 0) as bar:
            task = bar.add_task("", total=size or None, rows=_rows_text(tally))
            yield lambda: bar.update(task, completed=tally.bytes_read, rows=_rows_text(tally))

    def retry(self, sentence: str, pause_s: float) -> None:
        """Says that the import goes on after a pause."""
        self._notes.print(f"inventory: {sentence}; trying again in {pause_s:.1f} s")

    def show(self, report: ImportReport, form: OutputForm) -> None:
        """Shows how an import ended."""
        if form is OutputForm.JSON:
            self._results.file.write(json.dumps(_json_of(report), ensure_ascii=False) + "\n")
        else:
            self._show_refusals(report.tally)
            self._results.print(_summary_table(report))
        if not self._notes.is_terminal:
            self._notes.print(_summary_line(report))
        if report.error:
            show_error(self._notes, report.error)
        if report.resume_command:
            if report.key:
                self._notes.print(f"The import's idempotency key is {report.key}.")
                self._notes.print("This resumes it; rows that went in are not taken again:")
            else:
                self._notes.print("This goes on with it; rows that are in already change nothing:")
            self._notes.print(f"  {report.resume_command}", soft_wrap=True)

    def _show_refusals(self, tally: Tally) -> None:
        if not tally.refused:
            return
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("Line", justify="right")
        for name in ("Field", "Reason", "Message"):
            table.add_column(name, overflow="fold")
        for row in tally.refusals:
            table.add_row(str(row.line), row.field, row.reason, printable(row.message))
        self._notes.print(table)
        more = tally.refused - len(tally.refusals)
        if more:
            self._notes.print(f"and {more:,} more (--all-errors shows them)")


def show_error(notes: Console, sentence: str) -> None:
    """Says in a sentence what went wrong."""
    notes.print(f"inventory: {printable(sentence)}", soft_wrap=True)


def _nothing() -> None:
    """Stands where there is no bar."""


def printable(text: str) -> str:
    """The text without what could move a terminal's cursor."""
    return "".join([c if c.isprintable() else repr(c)[1:-1] for c in text])


def _rows_text(tally: Tally) -> str:
    return f"{tally.rows:,} rows, {tally.rows_per_second:,.0f} rows/s"


def _progress_bar(console: Console, *, is_sized: bool) -> Progress:
    sizes = (BarColumn(), TaskProgressColumn(), DownloadColumn()) if is_sized else (BarColumn(),)
    rows = TextColumn("{task.fields[rows]}", markup=False)
    return Progress(
        *sizes, rows, console=console, refresh_per_second=REDRAWS_PER_SECOND, transient=True
    )


def _summary_table(report: ImportReport) -> Table:
    tally = report.tally
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    read = "Rows answered" if report.error else "Rows read"
    cells = {
        read: f"{tally.rows:,}",
        "Accepted": f"{tally.accepted:,}",
        **({} if report.key else {"Unchanged": f"{tally.unchanged:,}"}),
        "Refused": f"{tally.refused:,}",
        "Seconds": f"{tally.seconds:.1f}",
        "Rows/s": f"{tally.rows_per_second:,.0f}",
        **({"Replayed": "yes" if tally.replayed else "no"} if report.key else {}),
    }
    for name in cells:
        table.add_column(name, justify="right")
    table.add_row(*cells.values())
    return table


def _summary_line(report: ImportReport) -> str:
    tally = report.tally
    answered = " answered" if report.error else ""
    unchanged = "" if report.key else f" {tally.unchanged:,} were in already,"
    return (
        f"{report.file}: {tally.accepted:,} of {tally.rows:,}{answered} rows went in,"
        f"{unchanged} {tally.refused:,} refused, in {tally.seconds:.1f} s"
        f" ({tally.rows_per_second:,.0f} rows/s)"
    )


def _json_of(report: ImportReport) -> dict[str, object]:
    tally = report.tally
    return {
        "file": report.file,
        **({"mode": report.mode, "key": report.key} if report.key else {}),
        "complete": not report.error,
        "rows": tally.rows,
        "accepted_rows": tally.accepted,
        **({} if report.key else {"unchanged_rows": tally.unchanged}),
        "refused_rows": tally.refused,
        "seconds": round(tally.seconds, 3),
        "rows_per_second": round(tally.rows_per_second),
        **({"replayed": tally.replayed} if report.key else {}),
        "refusals": [row._asdict() for row in tally.refusals],
        "error": {"reason": report.reason, "message": report.error} if report.error else None,
        "resume_command": report.resume_command or None,
    }
