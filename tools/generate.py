"""Generates the Python stubs under `generated/` from `protos/`.

`python tools/generate.py [OUT]` writes into OUT (default: the project's
`generated/`). Stubs of files that are gone are removed, so the folder always
is what the protos say.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
WELL_KNOWN = files("grpc_tools") / "_proto"


def generate(out: Path) -> None:
    """Writes the stubs of every proto into `out`; raises on a proto that does not compile."""
    # protoc looks for its plugins on PATH: those beside this Python come first.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    package = out / "inventory"
    if package.exists():
        shutil.rmtree(package)
    out.mkdir(parents=True, exist_ok=True)
    every = sorted(str(path) for path in PROTOS.rglob("*.proto"))
    services = [path for path in every if path.endswith("_service.proto")]
    _run([f"--python_out={out}", f"--mypy_out=quiet:{out}", *every])
    _run([f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *services])
    # Type checkers of those who install the stubs look for it.
    (package / "py.typed").touch()


def _run(arguments: list[str]) -> None:
    if protoc.main(["protoc", f"-I{PROTOS}", f"-I{WELL_KNOWN}", *arguments]) != 0:
        raise SystemExit("protoc refused the protos; see above")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "generated")
