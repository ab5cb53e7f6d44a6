"""An import that breaks off: it goes on by itself, or tells how; nothing goes in twice."""

from __future__ import annotations

import asyncio
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.command_line import (
    PROGRAM,
    counts,
    environment,
    import_result,
    on_hand,
    run,
    run_import,
)
from tests.client.cutting_proxy import CuttingProxy
from tests.eventually import eventually
from tests.processes import free_port

SKUS = [f"SKU{i}" for i in range(400)]
IN_SMALL_CHUNKS = ("--add", "--chunk-rows", "2", "--key", "k1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Rows that are all different, a bad one in every tenth place; more than is read at once."""
    note = "n" * 300
    rows = [f"{sku},online,{i if i % 10 else 'x'},{note}\n" for i, sku in enumerate(SKUS)]
    path = tmp_path / "stock.csv"
    path.write_text("sku,location,qty,note\n" + "".join(rows))
    return path


def assert_every_good_row_went_in_once(server: str) -> None:
    assert counts(server, SKUS) == {sku: i for i, sku in enumerate(SKUS) if i % 10}


def test_the_same_key_is_answered_from_the_record(server_address: str, file: Path) -> None:
    first = import_result(file, *IN_SMALL_CHUNKS, server=server_address)
    again = import_result(file, *IN_SMALL_CHUNKS, server=server_address)
    assert (first["replayed"], again["replayed"]) == (False, True)
    for result in (first, again):
        assert result["status"] == 1
        assert [row["line"] for row in result["refusals"]] == list(range(2, 402, 10))
    assert_every_good_row_went_in_once(server_address)


def test_a_key_of_another_import_is_refused(server_address: str, file: Path) -> None:
    run_import(file, *IN_SMALL_CHUNKS, server=server_address)
    done = run_import(file, "--set", *IN_SMALL_CHUNKS[1:], server=server_address)
    assert done.returncode == 3
    sentence = "the idempotency key was used before, for another request"
    assert f"inventory: IDEMPOTENCY_KEY_REUSED: {sentence}\n" in done.stderr
    assert "resumes" not in done.stderr


def test_a_file_that_gets_wrong_later_is_resumed_once_it_is_right(
    server_address: str, file: Path
) -> None:
    right = file.read_bytes()
    file.write_bytes(right.replace(b"SKU391,", b"SKU391,\xff"))
    result = import_result(file, *IN_SMALL_CHUNKS, server=server_address)
    assert result["status"] == 2
    assert f"line 393 of {file} is not UTF-8" in result["error"]["message"]
    assert not result["complete"]
    assert 0 < result["rows"] < 390
    file.write_bytes(right)
    assert run(*shlex.split(result["resume_command"])[1:]).returncode == 1
    assert_every_good_row_went_in_once(server_address)


def test_a_server_that_is_not_there_is_told_with_the_key(file: Path) -> None:
    server = f"127.0.0.1:{free_port()}"
    done = run_import(file, "--add", "--chunk-rows", "2", server=server)
    assert done.returncode == 3
    assert f"the server at {server} cannot be reached" in done.stderr
    command = done.stderr.splitlines()[-1].strip()
    start = f"inventory stock import {file} --add --chunk-rows 2 --server {server} --key "
    assert command.startswith(start)
    assert f"key is {command.removeprefix(start)}." in done.stderr


async def test_a_broken_connection_is_made_again(server_address: str, file: Path) -> None:
    async with CuttingProxy(server_address, cut_after_bytes=4000) as proxy:
        done = await asyncio.to_thread(run_import, file, *IN_SMALL_CHUNKS, server=proxy.address)
    assert done.returncode == 1, done.stderr
    # Each attempt sees first whether somebody answers.
    assert proxy.connections == 2 * 2
    assert f"the connection to the server at {proxy.address} broke; trying again" in done.stderr
    assert "360 of 400 rows went in" in done.stderr
    assert_every_good_row_went_in_once(server_address)


async def test_a_server_that_stays_away_is_given_up(server_address: str, file: Path) -> None:
    options = (*IN_SMALL_CHUNKS, "--retries", "2")
    async with CuttingProxy(server_address, cut_after_bytes=4000, is_last=True) as proxy:
        done = await asyncio.to_thread(run_import, file, *options, server=proxy.address)
    assert done.returncode == 3
    assert done.stderr.count("trying again") == 2
    assert f"inventory: the server at {proxy.address} cannot be reached" in done.stderr
    *command, server, _, key = shlex.split(done.stderr.splitlines()[-1])
    assert (server, key) == (proxy.address, "k1")
    assert 0 < len(counts(server_address, SKUS)) < 360
    assert run(*command[1:], server_address, "--key", key).returncode == 1
    assert_every_good_row_went_in_once(server_address)


@contextmanager
def waiting_import(server: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """An import from a pipe, whose first row has gone in and whose next one does not come."""
    arguments = ["stock", "import", "-", "--location", "online", "--chunk-rows", "1", *options]
    with subprocess.Popen(
        [*PROGRAM, *arguments, "--server", server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        process.stdin.write("sku,qty\nA,5\n")
        process.stdin.flush()
        eventually(lambda: on_hand(server, "A") == 5)
        yield process


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_import_tells_how_to_resume(
    server_address: str, number: signal.Signals, status: int
) -> None:
    with waiting_import(server_address) as process:
        process.send_signal(number)
        assert process.wait(timeout=10) == status
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert "inventory: stopped by " in lines[1]
    assert lines[-1].startswith("  inventory stock import - --set --location online --chunk-rows 1")


@pytest.mark.parametrize("attempt", range(3))
def test_an_impatient_ctrl_c_ends_the_import_and_its_hint_is_whole(
    server_address: str, attempt: int
) -> None:
    with waiting_import(server_address) as process:

        def ended() -> bool:
            process.send_signal(signal.SIGINT)
            return process.poll() is not None

        eventually(ended)
        assert process.returncode == 130
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert lines[-1].startswith("  inventory stock import - --set --location online --chunk-rows 1")


def test_an_import_has_no_longer_than_its_time_limit(server_address: str) -> None:
    with waiting_import(server_address, "--timeout", "2") as process:
        assert process.wait(timeout=10) == 3
        assert process.stderr is not None
        assert "inventory: the time limit is over\n" in process.stderr.read()
