"""The import of a file: from the options to the exit status."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from inventory_cli.chunks import MAX_CHUNK_ROWS, ChunkReader
from inventory_cli.csv_rows import CsvFile
from inventory_cli.errors import CliError, ExitStatus, FileError, ServerError
from inventory_cli.import_stream import ImportStream, RpcOf
from inventory_cli.output import SHOWN_REFUSALS, ImportReport, ImportView, OutputForm
from inventory_cli.settings import DEFAULT_SERVER, Settings
from inventory_cli.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What every import is told."""

    file: str
    chunk_rows: int
    retries: int
    all_errors: bool
    settings: Settings

    @property
    def kept_refusals(self) -> int | None:
        """How many refused rows are shown; None for all."""
        shows_all = self.all_errors or self.settings.output is OutputForm.JSON
        return None if shows_all else SHOWN_REFUSALS

    def command(self, *words: str, last: tuple[str, ...] = ()) -> str:
        """The shell command of these words that does the import again."""
        shared: list[str] = []
        if self.chunk_rows != MAX_CHUNK_ROWS:
            shared += ["--chunk-rows", str(self.chunk_rows)]
        if self.settings.server != DEFAULT_SERVER:
            shared += ["--server", self.settings.server]
        if self.settings.actor:
            shared += ["--actor", self.settings.actor]
        return shlex.join(["inventory", *words, *shared, *last])


class ImportPlan(NamedTuple):
    """What is imported. Without a `key`, rows that come again are told as unchanged."""

    read: Callable[[CsvFile], ChunkReader]
    """The chunks of a file; raises UsageError where its header does not do."""
    rpc_of: RpcOf
    command: str
    """The shell command that goes on where the import broke off."""
    mode: str = ""
    key: str = ""


def run_import(plan: ImportPlan, options: ImportOptions, view: ImportView) -> int:
    """Runs the import and shows it; answers the exit status.

    Raises UsageError or FileError where nothing was sent.
    """
    file = CsvFile(options.file)
    tally = Tally(options.kept_refusals)
    try:
        error = _send(plan, options, file, tally, view)
    finally:
        file.close()
    if isinstance(error, FileError) and not tally.rows:
        raise error
    can_resume = error is not None and error.can_resume
    report = ImportReport(
        file=file.name,
        mode=plan.mode,
        key=plan.key,
        tally=tally,
        error="" if error is None else str(error),
        reason=error.reason if isinstance(error, ServerError) else "",
        resume_command=plan.command if can_resume else "",
    )
    view.show(report, options.settings.output)
    if error is not None:
        return error.exit_status
    return ExitStatus.REFUSED if tally.refused else ExitStatus.DONE


def _send(
    plan: ImportPlan, options: ImportOptions, file: CsvFile, tally: Tally, view: ImportView
) -> CliError | None:
    """Sends the file; answers what broke it off."""
    chunks = plan.read(file)
    with view.progress(tally, file.size) as on_progress:
        stream = ImportStream(
            chunks,
            tally,
            rpc_of=plan.rpc_of,
            key=plan.key,
            server=options.settings.server,
            actor=options.settings.actor,
            retries=options.retries,
            on_progress=on_progress,
            on_retry=view.retry,
        )
        try:
            stream.run(options.settings.timeout_flag_s)
        except CliError as error:
            return error
    return None
