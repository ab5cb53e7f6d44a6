"""The DynamoDB of embedded mode: a process that is there when asked, and never longer than us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from inventory_server import dynamo_double
from inventory_server.dynamo_double import OneAtATime
from inventory_server.embedded_dynamo import EmbeddedDynamo, EmbeddedDynamoError
from tests.dynamo import dynamo_client, make_table
from tests.eventually import eventually, eventually_async
from tests.processes import is_running

is_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into Linux's /proc")


@pytest.fixture
async def dynamo() -> AsyncIterator[EmbeddedDynamo]:
    started = EmbeddedDynamo()
    await started.start()
    yield started
    await started.stop()


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    files = Path("/proc/self/task").glob("*/children")
    pids = {int(pid) for file in files for pid in file.read_text().split()}
    return {pid for pid in pids if is_running(pid)}


# What it does


async def test_it_answers_as_dynamodb_does(
    dynamo: EmbeddedDynamo, caplog: pytest.LogCaptureFixture
) -> None:
    def writes_and_reads() -> dict[str, Any]:
        client = dynamo_client(dynamo.endpoint)
        make_table(client, "t", "k")
        item = {"k": {"S": "a"}, "n": {"N": "1"}}
        unless_there = "attribute_not_exists(k)"
        client.put_item(TableName="t", Item=item, ConditionExpression=unless_there)
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.put_item(TableName="t", Item=item, ConditionExpression=unless_there)
        answer = client.get_item(TableName="t", Key={"k": {"S": "a"}}, ConsistentRead=True)
        client.close()
        return answer["Item"]

    assert await asyncio.to_thread(writes_and_reads) == {"k": {"S": "a"}, "n": {"N": "1"}}
    assert not caplog.records, "it works without a word"


def test_it_works_on_one_request_at_a_time() -> None:
    inside, most = 0, 0

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        nonlocal inside, most
        inside += 1
        for _ in range(20):
            time.sleep(0)  # whoever else is let in comes in now
            most = max(most, inside)
        inside -= 1
        return [environ["wsgi.input"].read()]

    def asks(number: int) -> Iterable[bytes]:
        body = str(number).encode()
        environ = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}
        return alone(environ, None)

    alone = OneAtATime(app)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(asks, range(200))) == [[str(n).encode()] for n in range(200)]
    assert most == 1


async def test_a_request_that_breaks_off_keeps_nobody_waiting(dynamo: EmbeddedDynamo) -> None:
    port = int(dynamo.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        tables = await asyncio.to_thread(dynamo_client(dynamo.endpoint).list_tables)
        assert tables["TableNames"] == []
        slow.shutdown(socket.SHUT_WR)
        assert b" 400 " in slow.recv(64)


async def test_a_web_page_is_turned_away(dynamo: EmbeddedDynamo) -> None:
    headers = {"Origin": "http://page.example", "X-Amz-Target": "DynamoDB_20120810.ListTables"}
    request = Request(dynamo.endpoint, b"{}", headers)
    with pytest.raises(HTTPError) as refusal:
        await asyncio.to_thread(urlopen, request)
    refusal.value.close()
    assert refusal.value.code == 400


@is_linux
async def test_it_listens_on_loopback_alone(dynamo: EmbeddedDynamo) -> None:
    address, _, port = dynamo.endpoint.rpartition(":")
    assert address == "http://127.0.0.1"
    # Another address's port would be taken too if it listened on all of them.
    with socket.socket() as other:
        other.bind(("127.0.0.2", int(port)))


@is_linux
async def test_it_knows_nothing_of_the_users_aws_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-mine")
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-is-not-there")
    dynamo = EmbeddedDynamo()
    await dynamo.start()
    variables = Path(f"/proc/{dynamo.pid}/environ").read_bytes()
    await dynamo.stop()
    assert b"secret-of-mine" not in variables
    assert b"AWS_PROFILE" not in variables


# How it ends


async def test_a_stop_leaves_nothing(dynamo: EmbeddedDynamo) -> None:
    pid, port = dynamo.pid, int(dynamo.endpoint.rpartition(":")[2])
    assert pid is not None
    assert is_running(pid)
    await dynamo.stop()
    assert not is_running(pid)
    assert (dynamo.endpoint, dynamo.pid) == ("", None)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    await dynamo.stop()


@is_linux
async def test_a_start_that_is_given_up_leaves_nothing() -> None:
    before = children()
    # The process's beginning takes some turns of the loop: it is given up in each of them.
    for turns in range(20):
        starting = asyncio.create_task(EmbeddedDynamo().start())
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    await eventually_async(lambda: asyncio.to_thread(lambda: children() <= before))


@is_linux
@pytest.mark.parametrize("runner", ["asyncio", "uvloop"])
def test_it_ends_when_its_server_is_killed(runner: str) -> None:
    code = (
        f"import asyncio, {runner}\n"
        "from inventory_server.embedded_dynamo import EmbeddedDynamo\n"
        "async def main():\n"
        "    dynamo = EmbeddedDynamo()\n"
        "    await dynamo.start()\n"
        "    print(dynamo.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        f"{runner}.run(main())\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert is_running(pid)
        server.kill()
    eventually(lambda: not is_running(pid))


def test_it_ends_with_its_stdin_also_before_it_has_begun() -> None:
    command = [sys.executable, "-P", dynamo_double.__file__]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@is_linux
async def test_ctrl_c_is_left_to_the_server(dynamo: EmbeddedDynamo) -> None:
    assert dynamo.pid is not None
    assert os.getsid(dynamo.pid) == dynamo.pid


async def test_its_death_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    ends = 0
    ended = asyncio.Event()

    def counts() -> None:
        nonlocal ends
        ends += 1
        ended.set()

    dynamo = EmbeddedDynamo(on_exit=counts)
    await dynamo.start()
    assert dynamo.pid is not None
    os.kill(dynamo.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        await ended.wait()
    assert dynamo.endpoint == ""
    await dynamo.stop()
    assert ends == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "ended by itself with status -9" in caplog.text


async def test_a_stop_is_no_death(caplog: pytest.LogCaptureFixture) -> None:
    ends: list[None] = []
    dynamo = EmbeddedDynamo(on_exit=lambda: ends.append(None))
    await dynamo.start()
    await dynamo.stop()
    assert (ends, caplog.records) == ([], [])


# How it does not begin


@pytest.mark.parametrize("missing", ["moto", "flask"])
async def test_without_moto_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    (tmp_path / f"{missing}.py").write_text(
        f'raise ModuleNotFoundError("No module named {missing!r}")\n'
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EmbeddedDynamoError) as refusal:
        await EmbeddedDynamo().start()
    sentence = str(refusal.value)
    assert f"No module named '{missing}'" in sentence
    assert "pip install 'inventory-service[embedded]'" in sentence
    assert "\n" not in sentence


async def test_a_start_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "moto.py").write_text("print('a line')\nraise OSError('the disk is gone')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    dynamo = EmbeddedDynamo()
    with pytest.raises(EmbeddedDynamoError, match="ended with status 1: OSError: the disk is gone"):
        await dynamo.start()
    assert (dynamo.endpoint, dynamo.pid) == ("", None)
    monkeypatch.delenv("PYTHONPATH")
    await dynamo.start()
    with contextlib.closing(dynamo_client(dynamo.endpoint)) as client:
        assert await asyncio.to_thread(client.list_tables)
    await dynamo.stop()
