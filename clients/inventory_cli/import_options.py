"""The options that every import has, and the end of its help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import typer

from inventory_cli.import_command import ImportOptions, ImportPlan, run_import
from inventory_cli.output import SHOWN_REFUSALS, ImportView
from inventory_cli.session import Session

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
RetriesOption = Annotated[
    int,
    typer.Option(min=0, help="How often to try again after a lost connection without an answer."),
]
AllErrorsOption = Annotated[
    bool,
    typer.Option("--all-errors", help=f"List all refused rows, not the first {SHOWN_REFUSALS}."),
]


def end_with_import(
    make_plan: Callable[[ImportOptions], ImportPlan], options: ImportOptions, session: Session
) -> int:
    """Runs an import as the command; answers its exit status."""
    view = ImportView(session.results, session.notes)
    return run_import(make_plan(options), options, view)
