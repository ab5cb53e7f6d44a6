"""`inventory stock`: commands on stock levels."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from inventory_cli.chunks import MAX_CHUNK_ROWS
from inventory_cli.errors import CliError
from inventory_cli.import_command import DEFAULT_SERVER, ImportOptions, run_import
from inventory_cli.output import (
    SHOWN_REFUSALS,
    ImportView,
    OutputForm,
    make_console,
    show_error,
)

DEFAULT_RETRIES: Final = 8

IMPORT_HELP: Final = """\
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

\b
Exit status:
  0    all rows went in
  1    some rows were refused, all others went in
  2    wrong usage, or the file cannot be read
  3    the server cannot be reached, or the import broke off
  130  stopped by Ctrl-C
"""

FileArgument = Annotated[
    str,
    typer.Argument(metavar="FILE", help="The CSV file; - is the standard input."),
]
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
ServerOption = Annotated[
    str, typer.Option(envvar="INVENTORY_SERVER", metavar="ADDR", help="The server's address.")
]
ChunkRowsOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=MAX_CHUNK_ROWS,
        help="Rows that go in together; the same in every run under one key.",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(min=0.001, help="Longest time for the whole import. Without it: no limit."),
]
RetriesOption = Annotated[
    int,
    typer.Option(min=0, help="How often to try again after a lost connection without an answer."),
]
AllErrorsOption = Annotated[
    bool,
    typer.Option("--all-errors", help=f"List all refused rows, not the first {SHOWN_REFUSALS}."),
]
OutputOption = Annotated[
    OutputForm, typer.Option(help="The form of the result; json lists all refused rows.")
]

app = typer.Typer(no_args_is_help=True)


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
        file=file,
        location=location,
        adds=add,
        key=key,
        server=server,
        chunk_rows=chunk_rows,
        timeout_s=timeout_s,
        retries=retries,
        all_errors=all_errors,
        output=output,
    )
    notes = make_console(sys.stderr)
    try:
        status = run_import(options, ImportView(make_console(sys.stdout), notes))
    except CliError as error:
        show_error(notes, str(error))
        status = error.exit_status
    raise typer.Exit(status)
