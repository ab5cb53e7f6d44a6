"""`inventory-server verify`: what it prints, and what it leaves with."""

from __future__ import annotations

import contextlib
import subprocess
from typing import Any

from tests.processes import free_port
from tests.serving import PROGRAM, Running


def verify(*flags: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [*PROGRAM, "verify", *flags], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_good_store_is_said_to_be_good(start: Any) -> None:
    server: Running = start("--sample-data")
    server.set_stock(10)
    server.place("k")
    ended = verify("--port", str(server.port))
    assert ended.returncode == 0, ended
    assert ended.stdout.strip() == (
        "5413 levels, 1 holds, 5414 movements: no discrepancies, 0 unsettled"
    )


def test_a_damaged_store_is_told_in_a_table_and_by_the_exit_status(start: Any) -> None:
    server: Running = start()
    server.set_stock(10)
    hold_id = server.place("k")
    with contextlib.closing(server.redis()) as db:
        db.zrem("inv:{3}:due:online:SKU1", hold_id)
    ended = verify("--server", f"127.0.0.1:{server.port}")
    assert ended.returncode == 1
    table = [line.split() for line in ended.stdout.splitlines()]
    assert table[0] == ["what", "location", "sku", "hold", "found"]
    assert ["HELD", "online", "SKU1", "held", "is", "1,", "the"] in [row[:7] for row in table]
    assert any(row[:2] == ["INDEX", hold_id] for row in table)
    assert ended.stdout.splitlines()[-1].endswith("2 discrepancies, 0 unsettled")


def test_a_server_that_is_not_there_is_neither_good_nor_bad() -> None:
    port = free_port()
    ended = verify("--port", str(port), "--timeout-s", "5")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"inventory-server: 127.0.0.1:{port}: ")
    assert ended.stdout == ""
