"""`inventory`: the command-line client of the inventory service."""

from __future__ import annotations

import typer

from inventory_cli import stock_commands

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(stock_commands.app, name="stock")


@app.callback()
def inventory() -> None:
    """The command-line client of the inventory service."""


def main() -> None:
    """The console script."""
    app(prog_name="inventory")


if __name__ == "__main__":
    main()
