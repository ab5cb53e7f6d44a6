"""`inventory stock import`: from the options to the exit status."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from inventory.v1 import stock_service_pb2 as pb

from inventory_cli.chunks import MAX_CHUNK_ROWS, ChunkReader
from inventory_cli.csv_rows import CsvFile, find_columns
from inventory_cli.errors import CliError, ExitStatus, FileError, ServerError, UsageError
from inventory_cli.import_stock import StockImport
from inventory_cli.output import SHOWN_REFUSALS, ImportReport, ImportView, OutputForm
from inventory_cli.tally import Tally

DEFAULT_SERVER: Final = "127.0.0.1:8061"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the command is told. An empty `key` is for a made one."""

    file: str
    location: str | None
    adds: bool
    key: str
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

    def command(self, key: str) -> str:
        """The shell command of this import under a key: everything that the server compares."""
        words = ["inventory", "stock", "import", self.file, "--add" if self.adds else "--set"]
        if self.location is not None:
            words += ["--location", self.location]
        if self.chunk_rows != MAX_CHUNK_ROWS:
            words += ["--chunk-rows", str(self.chunk_rows)]
        if self.server != DEFAULT_SERVER:
            words += ["--server", self.server]
        return shlex.join([*words, "--key", key])


def run_import(options: ImportOptions, view: ImportView) -> int:
    """Runs the import and shows it; answers the exit status.

    Raises UsageError or FileError where nothing was sent.
    """
    key = options.key or uuid4().hex
    if not _KEY.fullmatch(key):
        raise UsageError("--key takes 1 to 255 visible ASCII characters, without spaces")
    file = CsvFile(options.file)
    tally = Tally(options.kept_refusals)
    try:
        error = _send(options, key, file, tally, view)
    finally:
        file.close()
    if isinstance(error, FileError) and not tally.rows:
        raise error
    can_resume = error is not None and error.can_resume
    report = ImportReport(
        file=file.name,
        mode="add" if options.adds else "set",
        key=key,
        tally=tally,
        error="" if error is None else str(error),
        reason=error.reason if isinstance(error, ServerError) else "",
        resume_command=options.command(key) if can_resume else "",
    )
    view.show(report, options.output)
    if error is not None:
        return error.exit_status
    return ExitStatus.ROWS_REFUSED if tally.refused else ExitStatus.DONE


def _send(
    options: ImportOptions, key: str, file: CsvFile, tally: Tally, view: ImportView
) -> CliError | None:
    """Sends the file; answers what broke it off."""
    columns = find_columns(file.header(), options.location, file.name)
    mode = pb.IMPORT_MODE_ADD if options.adds else pb.IMPORT_MODE_SET
    chunks = ChunkReader(file, columns, mode, options.chunk_rows)
    with view.progress(tally, file.size) as on_progress:
        stock_import = StockImport(
            chunks,
            tally,
            server=options.server,
            key=key,
            retries=options.retries,
            on_progress=on_progress,
            on_retry=view.retry,
        )
        try:
            stock_import.run(options.timeout_s)
        except CliError as error:
            return error
    return None
