"""`inventory`: the command-line client of the inventory service."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from typing import Any, Final

import typer

from inventory_cli import (
    alert_commands,
    hold_commands,
    product_commands,
    product_import,
    report_commands,
    stock_commands,
    stock_import,
    verify_command,
)
from inventory_cli.command import common_parameters
from inventory_cli.settings import Flags
from inventory_cli.stop_signals import was_stopped

HELP: Final = """\
The command-line client of the inventory service.

A line is written SKU[@LOCATION]=QUANTITY, a level SKU[@LOCATION]; without a
location it is 'online'. Times are written 90s, 10m or 1h30m.

The options of every command may stand before or after its name. Each has an
environment variable and a name in the config file; a flag wins over the
variable, and that over the file:

\b
  --server    INVENTORY_SERVER    server     127.0.0.1:8061
  --actor     INVENTORY_ACTOR     actor      none
  --timeout   INVENTORY_TIMEOUT   timeout    20s
  --output    INVENTORY_OUTPUT    output     table

The file is ~/.config/inventory/config.toml, or what INVENTORY_CONFIG names.
With --output json the result is one document in a line, of a watch one a line
for each event; numbers are JSON numbers.

\b
Exit status:
  0    done
  1    refused by a rule (not enough stock, a hold has ended, rows refused),
       or the answer is no (check, verify)
  2    wrong usage, or a wrong field
  3    the server is out of reach or cannot serve now; an import broke off
  4    not found
  5    the outcome is unknown: the same again with --key settles it
  130  stopped by Ctrl-C, also a watch; 143 by SIGTERM
  141  nobody read the output any more
"""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
stock_import.add_to(stock_commands.app)
product_import.add_to(product_commands.app)
app.add_typer(stock_commands.app, name="stock")
app.add_typer(hold_commands.app, name="hold")
app.add_typer(product_commands.app, name="products")
app.add_typer(alert_commands.app, name="alerts")
report_commands.add_to(app)
verify_command.add_to(app)


def inventory(ctx: typer.Context, **values: Any) -> None:
    """Keeps the options that stand before the command's name."""
    ctx.obj = Flags(**values)


inventory.__signature__ = inspect.Signature(common_parameters())  # type: ignore[attr-defined]
app.callback(help=HELP)(inventory)


def main() -> None:
    """The console script."""
    try:
        app(prog_name="inventory")
    except SystemExit as end:
        if was_stopped():
            # An interrupted gRPC call can wait for ever for a lock when Python clears up.
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)
        raise


if __name__ == "__main__":
    main()
