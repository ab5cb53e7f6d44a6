"""The client as its users have it: a process, its streams and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
from inventory.v1 import stock_service_pb2 as pb
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "inventory_cli.main"]


def environment(**more: str) -> dict[str, str]:
    """The environment of the client: it finds its own package and the stubs, not the server."""
    path = os.pathsep.join((str(ROOT / "generated"), str(ROOT / "clients")))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "INVENTORY_CONFIG": os.devnull,
        **more,
    }


def run(*arguments: str, server: str = "", stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Runs `inventory`; an empty `server` is an address where nobody is."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        input=stdin,
        capture_output=True,
        env=environment(INVENTORY_SERVER=server or "127.0.0.1:1"),
        cwd="/",
        timeout=30,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def run_import(
    path: Path, *options: str, server: str = "", what: str = "stock"
) -> subprocess.CompletedProcess[str]:
    return run(what, "import", str(path), *options, server=server)


def import_result(path: Path, *options: str, server: str, what: str = "stock") -> dict[str, Any]:
    """What the import says in JSON, with its exit status."""
    done = run_import(path, *options, "--output", "json", server=server, what=what)
    assert "Traceback" not in done.stderr
    return {**json.loads(done.stdout), "status": done.returncode}


def on_hand(server: str, sku: str, location: str = "online") -> int | None:
    """The count that a server has, None without a level."""
    return counts(server, [sku], location).get(sku)


def counts(server: str, skus: Iterable[str], location: str = "online") -> dict[str, int]:
    """The counts that a server has, at one location."""
    with grpc.insecure_channel(server) as channel:
        request = pb.BatchGetStockRequest(skus=skus, locations=[location])
        answer = StockServiceStub(channel).BatchGetStock(request)
    return {stock.sku: stock.levels[0].on_hand for stock in answer.stocks}
