"""The library is a package of its own: it brings its stubs, and nothing of the server."""

from __future__ import annotations

import re
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


USER = """
from inventory_client import AsyncInventoryClient, InsufficientStock, InventoryClient

client = InventoryClient()
reveal_type(client.place_hold([("A", "online", 1)]).hold.hold_id)
reveal_type([level.on_hand for level in client.list_stock_levels("online", status="LOW")])
with client.hold([("A", "online", 1)], ttl=5) as hold:
    reveal_type(hold.confirm().reheld)

async def read(client: AsyncInventoryClient, error: InsufficientStock) -> None:
    reveal_type((await client.get_stock("A")).total.available)
    reveal_type(error.lines[0].available)
    await client.adjust_stock([("A", "online", 1)], reason="WRONG")
"""
TYPES = ("str", "list[int]", "bool", "int", "int")


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
    assert_types_are_known(programs / "python", tmp_path)
    code = PROGRAM.format(forbidden=SERVER_ONLY, address=server_address)
    done = subprocess.run(
        [programs / "python", "-c", code],
        cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    count, *files = done.stdout.split()
    assert count == "3"
    assert all(file.startswith(str(tmp_path)) for file in files), files


def assert_types_are_known(python: Path, folder: Path) -> None:
    """A user's type checker sees what the methods answer, and wrong arguments."""
    (folder / "user.py").write_text(USER)
    flags = ("--strict", "--python-executable", str(python), "--cache-dir", str(folder / "cache"))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, "user.py"],
        cwd=folder, env={}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    shown = done.stdout.replace("builtins.", "")
    assert tuple(re.findall(r'Revealed type is "([^"]+)"', shown)) == TYPES, shown + done.stderr
    assert done.stdout.count("error: ") == 1, done.stdout
    assert 'Argument "reason"' in done.stdout
