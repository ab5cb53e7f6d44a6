"""How a function becomes a command: its options, those of every command, and its end."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from inventory_cli.errors import CliError
from inventory_cli.output import make_console, show_error
from inventory_cli.session import Session
from inventory_cli.settings import Flags, read_settings

Work = Callable[..., int | None]

COMMON: Final[dict[str, Any]] = {
    "server": Annotated[
        str | None, typer.Option("--server", metavar="ADDR", help="The server's address.")
    ],
    "actor": Annotated[
        str | None,
        typer.Option("--actor", metavar="NAME", help="Who asks; kept in holds and movements."),
    ],
    "timeout": Annotated[
        str | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            help="Longest wait for a call, as 5s or 1m; of imports: all.",
        ),
    ],
    "output": Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="table|json",
            help="The form of the result.",
            autocompletion=lambda: ["table", "json"],
        ),
    ],
    "no_color": Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR.")],
}
"""The options of every command. They may also stand before its name."""

KeyOption = Annotated[
    str,
    typer.Option(
        "--key",
        metavar="KEY",
        help="The idempotency key. Without it one is made; it is told where it is needed.",
        show_default=False,
    ),
]
LimitOption = Annotated[
    int, typer.Option("--limit", min=0, metavar="N", help="How many are shown; 0 shows all.")
]
DEFAULT_LIMIT: Final = 100
_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY


def command(
    app: typer.Typer, name: str, *, examples: str, notes: str = ""
) -> Callable[[Work], Work]:
    """Makes a command of a function that takes a Session first, then its own options.

    The function's docstring is its help; `examples` are put below it, each a
    line that can be typed. What the function raises is told as a sentence.
    """

    def decorate(work: Work) -> Work:
        def run(ctx: typer.Context, **values: Any) -> None:
            flags = Flags(**{option: values.pop(option) for option in COMMON})
            raise typer.Exit(_run(work, flags.over(ctx.find_root().obj), values))

        own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
        run.__signature__ = _signature(own)  # type: ignore[attr-defined]
        run.__annotations__ = {}
        listed = "\n".join(f"  {line}" for line in examples.strip().splitlines())
        help_text = "\n\n".join(
            filter(None, (inspect.getdoc(work), notes, f"\b\nExamples:\n{listed}"))
        )
        app.command(name, help=help_text)(run)
        return work

    return decorate


def _run(work: Work, flags: Flags, values: dict[str, Any]) -> int:
    try:
        session = Session(read_settings(flags, os.environ))
    except CliError as error:
        show_error(make_console(sys.stderr, no_color=flags.no_color), str(error))
        return int(error.exit_status)
    return session.end(lambda: work(session, **values))


def common_parameters() -> list[inspect.Parameter]:
    """The options of every command, and the context, as parameters of a function."""
    ctx = inspect.Parameter("ctx", _KEYWORD, annotation=typer.Context)
    options = [
        inspect.Parameter(name, _KEYWORD, annotation=annotation, default=_default_of(name))
        for name, annotation in COMMON.items()
    ]
    return [ctx, *options]


def _signature(own: list[inspect.Parameter]) -> inspect.Signature:
    ctx, *common = common_parameters()
    return inspect.Signature([ctx, *(one.replace(kind=_KEYWORD) for one in own), *common])


def _default_of(name: str) -> bool | None:
    return False if name == "no_color" else None
