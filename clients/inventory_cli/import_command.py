"""The import of a file: from the options to the exit status."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from inventory_cli.chunks import MAX_CHUNK_ROWS, ChunkReader
from inventory_cli.csv_rows import CsvFile
from inventory_cli.errors import CliError, ExitStatus, FileError, ServerError
from inventory_cli.import_stream import ImportStream, RpcOf
from inventory_cli.output import SHOWN_REFUSALS, ImportReport, ImportView, OutputForm
from inventory_cli.tally import Tally

DEFAULT_SERVER: Final = "127.0.0.1:8061"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What every import is told."""

    file: str
    server: str
    chunk_rows: int
    timeout_s: float | None
    retries: int
    all_errors: bool
    output: OutputForm

    @property
    def kept_refusals(self) -> int | None:
        """How many refused rows are shown; None for all."""
        return None if self.all_errors or self.output is OutputForm.JSON else SHOWN_REFUSALS

    def command(self, *words: str, last: tuple[str, ...] = ()) -> str:
        """The shell command of these words that does the import again."""
        shared: list[str] = []
        if self.chunk_rows != MAX_CHUNK_ROWS:
            shared += ["--chunk-rows", str(self.chunk_rows)]
        if self.server != DEFAULT_SERVER:
            shared += ["--server", self.server]
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
    view.show(report, options.output)
    if error is not None:
        return error.exit_status
    return ExitStatus.ROWS_REFUSED if tally.refused else ExitStatus.DONE


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
            server=options.server,
            retries=options.retries,
            on_progress=on_progress,
            on_retry=view.retry,
        )
        try:
            stream.run(options.timeout_s)
        except CliError as error:
            return error
    return None
