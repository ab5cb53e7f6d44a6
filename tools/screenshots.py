"""Draws docs/images: runs the command line against a server with sample data, and keeps it as SVG.

python tools/screenshots.py [FOLDER]
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import grpc
from inventory_cli import session as cli_session
from inventory_cli.main import app
from inventory_cli.watch_alerts import LowStockBoard
from inventory_client import InventoryClient
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
SHOWN_ADDRESS = "127.0.0.1:8061"
WIDTH = 92
"""Columns of the terminal that is drawn."""

_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def sample_server() -> Iterator[str]:
    """The address of a server with sample data, in a folder that is forgotten."""
    port = str(free_port())
    address = f"127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "inventory_server", "--sample-data", "--no-call-log"]
        place = ["--port", port, "--data-dir", f"{folder}/data", "--dynamodb-endpoint", "off"]
        process = subprocess.Popen([*command, *place], stderr=subprocess.DEVNULL)
        try:
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(timeout=120)
            yield address
        finally:
            process.terminate()
            process.wait()


class Screen:
    """A terminal whose contents are kept."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.console = Console(
            file=StringIO(), width=WIDTH, height=20, force_terminal=True, record=True,
            color_system="truecolor", markup=False, emoji=False, highlight=False,
        )  # fmt: skip

    def run(self, *arguments: str, typed: str = "") -> None:
        """Types a command and shows what it prints, both on this screen."""
        self.prompt(typed or f"inventory {' '.join(arguments)}")
        before = cli_session.make_console
        cli_session.make_console = lambda *_stream, **_options: self.console
        try:
            given = {"INVENTORY_CONFIG": os.devnull, "INVENTORY_SERVER": self.address, "TZ": "UTC"}
            CliRunner().invoke(app, list(arguments), env=given)
        finally:
            cli_session.make_console = before

    def prompt(self, typed: str) -> None:
        """Shows what is typed."""
        if self.console.file.getvalue():  # type: ignore[attr-defined]
            self.console.print()
        self.console.print(Text.assemble(("$ ", "green"), typed))

    def save(self, path: Path, title: str) -> None:
        """Writes it as an SVG that loads nothing from anywhere."""
        svg = self.console.export_svg(title=title, unique_id=path.stem)
        svg = _COMMENT.sub("", _FONT_FACE.sub("", svg)).replace("Fira Code, monospace", _FONTS)
        path.write_text(svg.replace(self.address, SHOWN_ADDRESS) + "\n", "utf-8")


def draw_table(screen: Screen) -> None:
    """Levels, a basket and a hold."""
    screen.run("stock", "get", "SKU000001")
    screen.run("check", "SKU000001=2", "SKU000002@store:STORE_DELHI=500")
    screen.run(
        *("hold", "place", "SKU000001=2", "--ttl", "10m", "--reference", "order-17"),
        *("--actor", "agent-7", "--key", "screenshot"),
        typed="inventory hold place SKU000001=2 --ttl 10m --reference order-17",
    )


def draw_live(screen: Screen) -> None:
    """What is low, and the last alerts."""
    with InventoryClient(screen.address, actor="agent-7") as client:
        board = LowStockBoard(SHOWN_ADDRESS)
        with client.watch_low_stock(snapshot=True) as watch:
            events = 0
            for sku, left in (("SKU000014", 41), ("SKU000201", 7), ("SKU000077", 0)):
                lines = [(sku, "online", 500 - left)]
                client.place_hold(lines, reference=f"order-{sku[-2:]}")
                events += 1
            for event in watch:
                board.take(event)
                events -= type(event).__name__ == "AlertEvent"
                if not events:
                    break
    screen.prompt("inventory alerts watch")
    screen.console.print(board)


def draw_error(screen: Screen) -> None:
    """Refusals with their hints, and an address where nobody is."""
    screen.run("hold", "place", "SKU000003=501")
    screen.run("hold", "confirm", "3-2gizxps6n7gyscqaxr4y")
    screen.run("stock", "adjust", "SKU000003=5", "--reason", "receipt")
    screen.run(
        *("stock", "get", "SKU000003", "--server", "127.0.0.1:1"),
        typed="inventory stock get SKU000003 --server 127.0.0.1:1",
    )


DRAWINGS: dict[str, Callable[[Screen], None]] = {
    "table": draw_table,
    "live": draw_live,
    "error": draw_error,
}


def main() -> None:
    """Draws them all."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with sample_server() as address:
        for name, draw in DRAWINGS.items():
            screen = Screen(address)
            draw(screen)
            screen.save(folder / f"{name}.svg", f"inventory - {name}")


if __name__ == "__main__":
    main()
