"""The options that both watches have, and some lists."""

from __future__ import annotations

from typing import Annotated

import typer

SkusOption = Annotated[
    list[str] | None,
    typer.Option("--sku", metavar="SKU", help="Only this SKU; several times: these."),
]
LocationsOption = Annotated[
    list[str] | None,
    typer.Option("--location", metavar="LOCATION", help="Only here; several times: these."),
]
SnapshotOption = Annotated[
    bool,
    typer.Option("--snapshot/--no-snapshot", help="Begin with what is there now."),
]
CursorOption = Annotated[
    str,
    typer.Option(
        metavar="CURSOR", help="Go on after this place, which an event told.", show_default=False
    ),
]
CountOption = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="End after so many; 0 is never.", show_default=False),
]
