"""`inventory stock import`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final
from uuid import uuid4

import typer
from inventory.v1 import stock_service_pb2 as pb
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from inventory_cli.chunks import MAX_CHUNK_ROWS
from inventory_cli.command import KeyOption, command
from inventory_cli.csv_rows import CsvFile
from inventory_cli.import_command import ImportOptions, ImportPlan
from inventory_cli.import_options import (
    DEFAULT_RETRIES,
    EXIT_STATUS_HELP,
    AllErrorsOption,
    FileArgument,
    RetriesOption,
    end_with_import,
)
from inventory_cli.keys import checked_key
from inventory_cli.session import Session
from inventory_cli.stock_rows import StockChunks, find_columns

IMPORT_NOTES: Final = f"""\
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
ChunkRowsOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=MAX_CHUNK_ROWS,
        help="Rows that go in together; the same in every run under one key.",
    ),
]

EXAMPLES: Final = """
inventory stock import count.csv --location store:S1
inventory stock import delivery.csv --add --output json
"""


def add_to(app: typer.Typer) -> None:
    """Makes it a command of this group."""
    command(app, "import", examples=EXAMPLES, notes=IMPORT_NOTES)(import_)


def import_(
    session: Session,
    file: FileArgument,
    location: LocationOption = None,
    add: AddOption = False,
    key: KeyOption = "",
    chunk_rows: ChunkRowsOption = MAX_CHUNK_ROWS,
    retries: RetriesOption = DEFAULT_RETRIES,
    all_errors: AllErrorsOption = False,
) -> int:
    """Takes stock levels in from a CSV file."""
    options = ImportOptions(
        file=file, chunk_rows=chunk_rows, retries=retries, all_errors=all_errors,
        settings=session.settings,
    )  # fmt: skip
    make_plan = partial(_plan, location=location, adds=add, key=key or uuid4().hex)
    return end_with_import(make_plan, options, session)


def _plan(options: ImportOptions, *, location: str | None, adds: bool, key: str) -> ImportPlan:
    checked_key(key)

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
