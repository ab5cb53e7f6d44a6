"""The wheel holds all that the server and the command need, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from inventory.v1 import stock_service_pb2 as pb
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

from tests.processes import free_port, stop_process

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel; the libraries are this one's."""
    folder = tmp_path_factory.mktemp("wheel")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps")
    built = ("wheel", *quiet, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    subprocess.run([sys.executable, "-m", "pip", *built], check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    programs = folder / "venv" / "bin"
    subprocess.run([programs / "pip", "install", *quiet, str(wheel)], check=True)
    # A folder that is named here is looked into last, and its own .pth files are not read:
    # the checkout, which stands here as an editable install, is out of reach.
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


@pytest.fixture
def address(environment: Path, tmp_path: Path) -> Iterator[str]:
    """The wheel's server, with sample data, started in a folder of its own."""
    port = free_port()
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [environment / "inventory-server", "--sample-data", "--port", str(port)],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            stdout=out,
            stderr=out,
        )
    with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
        try:
            grpc.channel_ready_future(opened).result(timeout=60)
        except grpc.FutureTimeoutError:
            pytest.fail(log.read_text())
    yield f"127.0.0.1:{port}"
    stop_process(process)


def test_everything_comes_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    names = "inventory_server", "inventory_cli", "inventory_client", "inventory.v1.hold_service_pb2"
    code = (
        "import sys, importlib\nfor n in sys.argv[1:]: print(importlib.import_module(n).__file__)"
    )
    done = subprocess.run(
        [environment / "python", "-c", code, *names],
        cwd=tmp_path, env={}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = done.stdout.split()
    assert len(files) == len(names)
    assert all(name.startswith(str(environment.parent)) for name in files), files


def test_the_wheels_server_serves_its_sample_data_and_its_command_imports(
    environment: Path, address: str, tmp_path: Path
) -> None:
    with grpc.insecure_channel(address) as channel:
        request = pb.GetStockRequest(sku="SKU000001")
        levels = StockServiceStub(channel).GetStock(request, timeout=10).stock.levels
        assert len(levels) == 6
    (tmp_path / "stock.csv").write_text("sku,on_hand\nNEW1,7\n")
    command = [environment / "inventory", "stock", "import", "stock.csv", "--location", "online"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "INVENTORY_SERVER": address},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
