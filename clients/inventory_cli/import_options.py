"""The options that every import has, and the end of its help."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Final

import typer

from inventory_cli.errors import CliError
from inventory_cli.import_command import ImportOptions, ImportPlan, run_import
from inventory_cli.output import (
    SHOWN_REFUSALS,
    ImportView,
    OutputForm,
    make_console,
    show_error,
)

DEFAULT_RETRIES: Final = 8

EXIT_STATUS_HELP: Final = """\
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
ServerOption = Annotated[
    str, typer.Option(envvar="INVENTORY_SERVER", metavar="ADDR", help="The server's address.")
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


def end_with_import(
    make_plan: Callable[[ImportOptions], ImportPlan], options: ImportOptions
) -> None:
    """Runs an import as the command, and leaves with its exit status."""
    notes = make_console(sys.stderr)
    try:
        view = ImportView(make_console(sys.stdout), notes)
        status = run_import(make_plan(options), options, view)
    except CliError as error:
        show_error(notes, str(error))
        status = error.exit_status
    raise typer.Exit(status)
