"""`inventory`: the command-line client of the inventory service."""

from __future__ import annotations

import os
import sys

import typer

from inventory_cli import product_commands, stock_commands
from inventory_cli.stop_signals import was_stopped

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(stock_commands.app, name="stock")
app.add_typer(product_commands.app, name="products")


@app.callback()
def inventory() -> None:
    """The command-line client of the inventory service."""


def main() -> None:
    """The console script."""
    try:
        app(prog_name="inventory")
    except SystemExit as end:
        if was_stopped():
            # An interrupted gRPC call can wait for ever for a lock when Python clears up.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)
        raise


if __name__ == "__main__":
    main()
