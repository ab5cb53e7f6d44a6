"""The library is a package of its own: it brings its stubs, and nothing of the server."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.project.test_wheel import ROOT

SERVER_ONLY = ("redis", "hiredis", "boto3", "typer", "rich", "uvloop", "inventory_server")
PROGRAM = """
import sys
for name in {forbidden!r}:
    sys.modules[name] = None
from inventory_client import InventoryClient
import inventory.v1.hold_service_pb2 as pb
with InventoryClient({address!r}) as client:
    client.set_stock([("A", "online", 5)])
    with client.hold([("A", "online", 2)]) as hold:
        hold.confirm()
    on_hand = client.get_stock("A").total.on_hand
print(on_hand, pb.__file__, sys.modules["inventory_client"].__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client-wheel")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    built = ("wheel", *quiet, "--wheel-dir", str(folder), str(ROOT / "clients"))
    subprocess.run([sys.executable, "-m", "pip", *built], check=True)
    (found,) = folder.glob("inventory_client-*.whl")
    return found


def test_the_wheel_holds_the_library_its_types_and_the_stubs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"inventory_client/py.typed", "inventory_client/sync_client.py"} <= names
    stubs = {
        str(path.relative_to(ROOT / "generated"))
        for path in (ROOT / "generated").rglob("*.py*")
        if "__pycache__" not in path.parts
    }
    assert stubs <= names
    packages = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"inventory", "inventory_client"}


def test_it_promises_the_versions_that_the_server_is_tested_with(wheel: Path) -> None:
    def wanted(path: str) -> set[str]:
        return set(tomllib.loads((ROOT / path).read_text())["project"]["dependencies"])

    mine = wanted("clients/pyproject.toml")
    assert {line.partition(">")[0] for line in mine} == {"grpcio", "grpcio-status", "protobuf"}
    assert mine <= wanted("pyproject.toml"), "the lowest ones are tested by `make lowest`"
    metadata = next(
        name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA")
    )
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    assert text.count("Requires-Dist: ") == len(mine)


def test_it_works_without_the_server_and_its_libraries(
    wheel: Path, server_address: str, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    programs = tmp_path / "venv" / "bin"
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps")
    subprocess.run([programs / "pip", "install", *quiet, str(wheel)], check=True)
    # The libraries are this environment's; the checkout stays out of reach.
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    code = PROGRAM.format(forbidden=SERVER_ONLY, address=server_address)
    done = subprocess.run(
        [programs / "python", "-c", code],
        cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    count, *files = done.stdout.split()
    assert count == "3"
    assert all(file.startswith(str(tmp_path)) for file in files), files
