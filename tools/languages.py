"""Builds the clients in other languages from the protos, and runs them against a server.

`python tools/languages.py` needs node with npm, go, and a redis-server. What is
built goes to a temporary folder; packages come from the languages' own registries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

import grpc
from inventory.v1 import stock_service_pb2 as stock_pb
from inventory.v1.stock_service_pb2_grpc import StockServiceStub

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
CLIENTS = ROOT / "clients" / "other_languages"
EXPECTED = ["MOVEMENT_KIND_HOLD", "MOVEMENT_KIND_CONFIRM"]
GO_MODULE = "inventory.example/agent"
NODE_PACKAGES = ("@grpc/grpc-js@1", "@grpc/proto-loader@0.8")
GO_PLUGINS = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1",
)


def main() -> None:
    """Runs every client; raises SystemExit where one cannot be built or does not do it."""
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="languages-")))
        node, go = _build_node(folder / "node"), _build_go(folder / "go")
        address = _start_server(folder, undo)
        _check("Node", [*node, address, str(PROTOS), "NODE-1"], address, "NODE-1", folder / "node")
        _check("Go", [*go, address, "GO-1"], address, "GO-1", folder / "go")


def _build_node(folder: Path) -> list[str]:
    shutil.copytree(CLIENTS / "node", folder)
    _run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", *NODE_PACKAGES], folder)
    return ["node", "agent.mjs"]


def _build_go(folder: Path) -> list[str]:
    shutil.copytree(CLIENTS / "go", folder)
    stubs = folder / "inventoryv1"
    stubs.mkdir()
    bin_folder = folder / "bin"
    for plugin in GO_PLUGINS:
        _run(["go", "install", plugin], folder, GOBIN=str(bin_folder))
    names = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
    mapped = ["module=" + GO_MODULE, *(f"M{name}={GO_MODULE}/inventoryv1" for name in names)]
    options = [f"--{kind}_opt={option}" for kind in ("go", "go-grpc") for option in mapped]
    outs = [f"--go_out={folder}", f"--go-grpc_out={folder}"]
    includes = [f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}"]
    path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    _run([*protoc, *includes, *outs, *options, *names], folder, PATH=path)
    _run(["go", "mod", "init", GO_MODULE], folder)
    _run(["go", "mod", "tidy"], folder)
    _run(["go", "build", "-o", "agent", "."], folder)
    return ["./agent"]


def _start_server(folder: Path, undo: ExitStack) -> str:
    command = [sys.executable, "-m", "inventory_server", "--port", "0", "--no-call-log"]
    place = ["--data-dir", str(folder / "data"), "--dynamodb-endpoint", "off"]
    process = subprocess.Popen(
        [*command, *place], stderr=subprocess.PIPE, text=True, cwd=ROOT, env=_environment()
    )
    undo.callback(process.wait, 15)
    undo.callback(process.terminate)
    assert process.stderr is not None
    for line in process.stderr:
        sys.stderr.write(line)
        if "serving on" in line:
            return line.split("serving on ")[1].split(",")[0]
    raise SystemExit("the server did not start")


def _check(language: str, command: Sequence[str], address: str, sku: str, folder: Path) -> None:
    with grpc.insecure_channel(address) as channel:
        stock = StockServiceStub(channel)
        line = stock_pb.SetStockLine(sku=sku, location="online", on_hand=5)
        stock.SetStock(stock_pb.SetStockRequest(lines=[line], reason=1), timeout=5)
        said = _run(command, folder).split()
        level = stock.GetStock(stock_pb.GetStockRequest(sku=sku), timeout=5).stock.levels[0]
    if said != EXPECTED or (level.on_hand, level.held) != (3, 0):
        raise SystemExit(f"{language}: it said {said}, and the level is {level}")
    print(f"{language}: placed, confirmed and watched")


def _run(command: Sequence[str], folder: Path, **variables: str) -> str:
    ran = subprocess.run(
        command, cwd=folder, env=_environment() | variables, capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {ran.returncode}\n{ran.stderr}")
    return ran.stdout


def _environment() -> dict[str, str]:
    paths = [str(ROOT / name) for name in ("", "generated", "clients")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "GOFLAGS": "-mod=mod"}


if __name__ == "__main__":
    main()
