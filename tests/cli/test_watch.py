"""`alerts watch` and `stock watch`: lines, JSON, and a table that moves on a terminal."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from inventory_cli.live import Board
from inventory_cli.watch_alerts import LowStockBoard
from inventory_cli.watch_stock import MovementBoard
from inventory_client import InventoryClient, SetStockPolicyLine, SnapshotLevel
from rich.console import Console

from tests.cli.conftest import Inv, invoke
from tests.cli.terminal import Terminal
from tests.client.command_line import PROGRAM, environment
from tests.eventually import eventually
from tests.library.servers import ServerProcess

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
LOCAL_TIME = r"\d\d:\d\d:\d\d"


@pytest.fixture
def low(inv: Inv, sku: str, address: str) -> str:
    """A SKU that is low at 5, and has 9."""
    inv("stock", "set", f"{sku}=9")
    with InventoryClient(address) as client:
        line = SetStockPolicyLine(sku=sku, location="online", reorder_point=5)
        client.set_stock_policy([line])
    return sku


def start_watch(*arguments: str, server: str) -> subprocess.Popen[str]:
    """A watch in a process of its own, whose lines are read through a pipe."""
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(INVENTORY_SERVER=server),
    )


def screen(board: Board, *, width: int = 72, height: int = 12) -> list[str]:
    """What stands on a terminal of this size."""
    console = Console(
        file=StringIO(), width=width, height=height, force_terminal=True, color_system=None
    )
    console.print(board)
    text = re.sub(LOCAL_TIME, "15:31:40", console.file.getvalue())  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def test_alerts_are_lines_where_nobody_looks(inv: Inv, low: str, address: str) -> None:
    with start_watch("alerts", "watch", "--sku", low, "--count", "2", server=address) as watch:
        assert watch.stdout is not None
        begun = [watch.stdout.readline() for _ in range(2)]
        assert begun == ["SNAPSHOT\n", "SNAPSHOT END\n"]
        inv("hold", "place", f"{low}=5", "--reference", "order-1", "--actor", "till-4")
        inv("stock", "set", f"{low}=20")
        lines = [re.sub(TIME, "TIME", line) for line in watch.stdout]
        assert lines == [
            f"TIME  LOW        {low}@online  available 9 -> 4  by HOLD"
            "  reference=order-1  actor=till-4\n",
            f"TIME  RECOVERED  {low}@online  available 4 -> 15  by SET  actor=anonymous\n",
        ]
        assert watch.wait(30) == 0


def test_what_is_low_already_is_told_first_unless_it_is_not_wanted(
    inv: Inv, low: str, address: str
) -> None:
    inv("stock", "set", f"{low}=3")
    with start_watch("alerts", "watch", "--sku", low, "--count", "1", server=address) as watch:
        assert watch.stdout is not None
        begun = [watch.stdout.readline() for _ in range(3)]
        assert begun == [
            "SNAPSHOT\n",
            f"NOW  LOW        {low}@online  available 3\n",
            "SNAPSHOT END\n",
        ]
        watch.kill()
    command = ("alerts", "watch", "--sku", low, "--count", "1", "--no-snapshot")
    with start_watch(*command, server=address) as watch:

        def has_told() -> bool:
            inv("stock", "set", f"{low}=20")
            inv("stock", "set", f"{low}=3")
            return watch.poll() is not None

        eventually(has_told, timeout_s=60)
        assert watch.stdout is not None
        assert "SNAPSHOT" not in watch.stdout.read()


def test_events_are_json_documents_from_whose_cursor_it_goes_on(
    inv: Inv, low: str, address: str
) -> None:
    command = ("alerts", "watch", "--sku", low, "-o", "json", "--count", "1")
    with start_watch(*command, server=address) as watch:
        assert watch.stdout is not None
        begun = [json.loads(watch.stdout.readline()) for _ in range(2)]
        assert begun[0] == {"event": "snapshot_started", "cursor": None, "cause": None}
        assert begun[1]["event"] == "snapshot_ended"
        inv("stock", "set", f"{low}=3")
        inv("stock", "set", f"{low}=0")
        (alert,) = [json.loads(line) for line in watch.stdout]
        assert watch.wait(30) == 0
    assert (alert["event"], alert["alert"]["kind"]) == ("alert", "LOW")
    assert alert["alert"]["available_after"] == 3
    following = inv(*command, "--cursor", alert["cursor"]).json
    assert (following["event"], following["alert"]["kind"]) == ("alert", "OUT")


def test_movements_are_lines_and_documents(inv: Inv, sku: str) -> None:
    cursor = inv("stock", "set", f"{sku}=9", "-o", "json").json["cursor"]
    inv("hold", "place", f"{sku}=2", "--reference", "r 1")
    watch = ("stock", "watch", "--sku", sku, "--cursor", cursor, "--count", "1")
    line = re.sub(TIME, "TIME", inv(*watch).out)
    assert line == (
        f"TIME  HOLD          {sku}@online  held +2  available 7  reference=r 1  actor=anonymous\n"
    )
    told = inv(*watch, "-o", "json").json
    assert (told["event"], told["movement"]["held_delta"]) == ("movement", 2)


def test_a_watch_that_is_stopped_ends_quietly(low: str, address: str) -> None:
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with start_watch("alerts", "watch", "--sku", low, server=address) as watch:
            assert watch.stdout is not None
            assert watch.stdout.readline() == "SNAPSHOT\n"
            watch.send_signal(number)
            assert watch.wait(30) == status
            assert watch.stderr is not None
            assert watch.stderr.read() == ""


def test_a_watch_whose_reader_has_left_ends_quietly(inv: Inv, low: str, address: str) -> None:
    with start_watch("alerts", "watch", "--sku", low, server=address) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == "SNAPSHOT\n"
        assert watch.stdout.readline() == "SNAPSHOT END\n"
        watch.stdout.close()
        inv("stock", "set", f"{low}=3")
        assert watch.wait(30) == 141
        assert watch.stderr is not None
        assert watch.stderr.read() == ""


# The live view


@pytest.fixture
def events(inv: Inv, low: str, address: str) -> Iterator[Any]:
    """Events of a real watch of a SKU that was low, and ran out."""
    inv("stock", "set", f"{low}=3")
    with InventoryClient(address) as client:
        with client.watch_low_stock(skus=[low], snapshot=True) as watch:
            found = [next(watch) for _ in range(3)]
            inv("stock", "set", f"{low}=0", "--actor", "till-4")
            found.append(next(watch))
            inv("stock", "set", f"{low}=20")
            found.append(next(watch))
        yield found


def test_the_live_table_has_what_is_low_and_the_last_alerts(low: str, events: list[Any]) -> None:
    board = LowStockBoard("there:8061")
    for event in events[:2]:
        board.take(event)
    assert screen(board) == [
        "0 out, 1 low at there:8061 - Ctrl-C ends it",
        "SKU         Location  On hand  Held  Available  Reorder at  Status",
        "─" * 66,
        f"{low}  online          3     0          3           5  LOW",
    ]
    board.take(events[3])
    assert screen(board)[0] == "1 out, 0 low at there:8061 - Ctrl-C ends it"
    assert screen(board)[3:] == [
        f"{low}  online          0     0          0           5  OUT",
        "Last alerts",
        f"15:31:40  OUT        {low}@online  available 3 -> 0  by SET  actor…",
    ]
    board.break_off("the connection to there:8061 broke; trying again")
    assert screen(board)[0] == (
        "1 out, 0 low at there:8061 - the connection to there:8061 broke; trying…"
    )
    board.take(events[4])
    assert screen(board)[0] == "0 out, 0 low at there:8061 - Ctrl-C ends it"
    assert low not in "".join(screen(board)[:3])


def test_a_live_table_is_no_higher_than_the_terminal(inv: Inv, sku: str, address: str) -> None:
    inv("stock", "set", *[f"{sku}-{n:02}@store:{sku}=0" for n in range(30)])
    board = LowStockBoard("there:8061")
    with InventoryClient(address) as client:
        for level in client.list_low_stock(location=f"store:{sku}"):
            board.take(SnapshotLevel(level))
    lines = screen(board, height=12)
    assert len(lines) <= 12
    assert lines[-1] == "and 24 more"


def test_the_live_table_of_movements_has_the_newest_first(inv: Inv, sku: str, address: str) -> None:
    board = MovementBoard("there:8061")
    assert screen(board)[1:] == ["nothing moved yet"]
    with InventoryClient(address) as client, client.watch_stock(skus=[sku]) as watch:
        for count in range(30):
            inv("stock", "set", f"{sku}={count}")
            board.take(next(watch))
    lines = screen(board, width=90)
    assert lines[0] == "30 movements at there:8061 - Ctrl-C ends it"
    assert [line.split()[5] for line in lines[3:]] == [str(29 - n) for n in range(7)]
    assert len(lines) <= 12


def test_on_a_terminal_the_table_moves_until_ctrl_c(inv: Inv, low: str, address: str) -> None:
    with Terminal("alerts", "watch", "--sku", low, server=address) as terminal:
        terminal.wait_for("0 out, 0 low")
        inv("stock", "set", f"{low}=3")
        terminal.wait_for("0 out, 1 low")
        inv("stock", "set", f"{low}=0")
        terminal.wait_for("1 out, 0 low")
        terminal.type("\x03")
        assert terminal.end() == 130
        assert "Traceback" not in terminal.text
        # The cursor is there again.
        assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")


def test_a_watch_goes_on_when_the_server_was_started_again(
    redis_url: str, tmp_path: Path, sku: str
) -> None:
    with ServerProcess(redis_url, tmp_path / "log") as server:
        where = {"INVENTORY_SERVER": server.address}
        invoke("stock", "set", f"{sku}=1", **where)
        command = ("stock", "watch", "--sku", sku, "--snapshot", "--count", "1")
        with start_watch(*command, server=server.address) as watch:
            assert watch.stdout is not None
            assert watch.stderr is not None
            begun = [watch.stdout.readline() for _ in range(3)]
            assert begun[1:] == [
                f"NOW  {sku}@online  on_hand 1  held 0  available 1\n",
                "SNAPSHOT END\n",
            ]
            server.kill()
            assert watch.stderr.readline() == (
                f"inventory: the connection to {server.address} broke; trying again\n"
            )
            server.start()
            invoke("stock", "set", f"{sku}=2", **where)
            (line,) = watch.stdout
            assert line.endswith(
                f"SET           {sku}@online  on_hand +1  available 2  actor=anonymous\n"
            )
            assert watch.wait(60) == 0
            assert watch.stderr.read() == ""
