"""`inventory stock`: commands on stock levels."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Final
from uuid import uuid4

import typer
from inventory.v1 import stock_service_pb2 as pb
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_cli.chunks import MAX_CHUNK_ROWS
from inventory_cli.csv_rows import CsvFile
from inventory_cli.errors import UsageError
from inventory_cli.import_command import DEFAULT_SERVER, ImportOptions, ImportPlan
from inventory_cli.import_options import (
    DEFAULT_RETRIES,
    EXIT_STATUS_HELP,
    AllErrorsOption,
    FileArgument,
    OutputOption,
    RetriesOption,
    ServerOption,
    TimeoutOption,
    end_with_import,
)
from inventory_cli.output import OutputForm
from inventory_cli.stock_rows import StockChunks, find_columns

IMPORT_HELP: Final = f"""\
Takes stock levels in from a CSV file.

The first line names the columns, in any order; other columns are ignored:

\b
  sku                          required
  qty, quantity or on_hand     required; the first one that is there
  location                     'online' or 'store:<id>'
  store_id                     the same without 'store:'

A file that has neither location nor store_id needs --location. The file is
UTF-8, with or without a byte order mark, and separated by commas.

Good rows go in, bad ones are listed by their line. Everything goes under one
idempotency key, which the server keeps for a day: an import that broke off is
resumed by the same command with the same --key, and no row goes in twice.

{EXIT_STATUS_HELP}"""

LocationOption = Annotated[
    str | None,
    typer.Option(help="The location of all rows, for a file that has no column for it."),
]
AddOption = Annotated[
    bool,
    typer.Option(
        "--add/--set", help="Add the quantities to the counts, or make them the new counts."
    ),
]
KeyOption = Annotated[
    str,
    typer.Option(
        help="The idempotency key. Without it one is made; it is told if the import breaks off.",
        show_default=False,
    ),
]
ChunkRowsOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=MAX_CHUNK_ROWS,
        help="Rows that go in together; the same in every run under one key.",
    ),
]

app = typer.Typer(no_args_is_help=True)
_is_key = re.compile(r"[\x21-\x7e]{1,255}").fullmatch


@app.callback()
def stock() -> None:
    """Stock levels."""


@app.command("import", help=IMPORT_HELP)
def import_(
    file: FileArgument,
    location: LocationOption = None,
    add: AddOption = False,
    key: KeyOption = "",
    server: ServerOption = DEFAULT_SERVER,
    chunk_rows: ChunkRowsOption = MAX_CHUNK_ROWS,
    timeout_s: TimeoutOption = None,
    retries: RetriesOption = DEFAULT_RETRIES,
    all_errors: AllErrorsOption = False,
    output: OutputOption = OutputForm.TABLE,
) -> None:
    """Takes stock levels in from a CSV file."""
    options = ImportOptions(
        file=file, server=server, chunk_rows=chunk_rows, timeout_s=timeout_s, retries=retries,
        all_errors=all_errors, output=output,
    )  # fmt: skip
    make_plan = partial(_plan, location=location, adds=add, key=key or uuid4().hex)
    end_with_import(make_plan, options)


def _plan(options: ImportOptions, *, location: str | None, adds: bool, key: str) -> ImportPlan:
    if not _is_key(key):
        raise UsageError("--key takes 1 to 255 visible ASCII characters, without spaces")

    def read(file: CsvFile) -> StockChunks:
        columns = find_columns(file.header(), location, file.name)
        mode = pb.IMPORT_MODE_ADD if adds else pb.IMPORT_MODE_SET
        return StockChunks(file, columns, mode, options.chunk_rows)

    # Everything that the server compares under a key.
    words = ["stock", "import", options.file, "--add" if adds else "--set"]
    if location is not None:
        words += ["--location", location]
    return ImportPlan(
        read,
        rpc_of=lambda channel: StockServiceStub(channel).ImportStock,
        command=options.command(*words, last=("--key", key)),
        mode="add" if adds else "set",
        key=key,
    )
