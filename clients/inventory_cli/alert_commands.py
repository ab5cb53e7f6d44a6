"""`inventory alerts`: commands on stock that runs low."""

from __future__ import annotations

from typing import Annotated

import typer

from inventory_cli.choices import Kind, choice
from inventory_cli.command import DEFAULT_LIMIT, LimitOption, command
from inventory_cli.level_grid import level_grid
from inventory_cli.session import Session, page_size_of
from inventory_cli.watch_alerts import watch_alerts
from inventory_cli.watch_options import (
    CountOption,
    CursorOption,
    LocationsOption,
    SkusOption,
    SnapshotOption,
)

app = typer.Typer(no_args_is_help=True)


@app.callback()
def alerts() -> None:
    """Stock that runs low or out."""


@command(
    app,
    "list",
    examples="""
inventory alerts list
inventory alerts list --location online --threshold 20
""",
)
def list_(
    session: Session,
    location: Annotated[
        str, typer.Option(metavar="LOCATION", help="Only here.", show_default=False)
    ] = "",
    threshold: Annotated[
        int | None,
        typer.Option(metavar="N", help="Levels with at most N available, whatever their own is."),
    ] = None,
    limit: LimitOption = DEFAULT_LIMIT,
) -> None:
    """Lists what is low or out now."""
    levels = session.client.list_low_stock(
        location=location, threshold=threshold, page_size=page_size_of(limit)
    )
    session.show_list("levels", levels, limit, level_grid)


@command(
    app,
    "watch",
    examples="""
inventory alerts watch
inventory alerts watch --location online --kind out
inventory alerts watch --output json --no-snapshot --count 1
""",
)
def watch(
    session: Session,
    sku: SkusOption = None,
    location: LocationsOption = None,
    kind: Annotated[
        list[Kind] | None, choice("--kind", help="Only alerts of this kind; several times: these.")
    ] = None,
    snapshot: SnapshotOption = True,
    cursor: CursorOption = "",
    count: CountOption = 0,
) -> None:
    """Shows what is low, and every alert as it comes, until Ctrl-C.

    On a terminal what is low stands in a table that moves; elsewhere each
    level and each alert is a line. A lost connection is made again, and
    nothing is left out or told twice. With --cursor there is no snapshot.
    """
    watch_alerts(
        session,
        skus=sku or (),
        locations=location or (),
        kinds=kind or (),
        snapshot=snapshot,
        cursor=cursor,
        count=count,
    )
