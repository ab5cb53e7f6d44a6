"""The contract: stubs are what the protos say, and error reasons mean one thing everywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from grpc import StatusCode
from inventory.v1.error_reason_pb2 import ErrorReason

from inventory_server.domain import errors
from inventory_server.server import CATALOG, SERVICES
from inventory_server.servicers.status import RETRY_AFTER_MS, STATUS, status_of

ROOT = Path(__file__).resolve().parents[2]
PROTOS = sorted((ROOT / "protos").rglob("*.proto"))


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def error_classes(base: type[errors.InventoryError] = errors.InventoryError) -> Iterator[type]:
    """Every class of the tree that has a reason, so that it can be raised."""
    if "reason" in vars(base):
        yield base
    for child in base.__subclasses__():
        yield from error_classes(child)


def test_the_stubs_are_what_the_protos_say(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "tools" / "generate.py"), str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert files_below(tmp_path) == files_below(ROOT / "generated")


def test_the_protos_are_clean_and_every_element_is_explained() -> None:
    buf = Path(sys.executable).parent / "buf"
    if not buf.exists():
        assert not os.environ.get("CI"), "buf is not installed beside this Python"
        pytest.skip("buf is not installed beside this Python")
    done = subprocess.run([buf, "lint"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.name)
def test_a_proto_needs_nothing_that_a_caller_has_to_fetch(proto: Path) -> None:
    for name in re.findall(r'^import\s+(?:public\s+)?"([^"]+)"', proto.read_text("utf-8"), re.M):
        assert name.startswith(("google/protobuf/", "inventory/v1/")), name


@pytest.mark.parametrize(
    "method",
    [method for service in SERVICES for method in service.methods],
    ids=lambda method: method.name,
)
def test_every_rpc_says_whether_it_may_be_repeated(method: MethodDescriptor) -> None:
    level = method.GetOptions().idempotency_level
    assert level in (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)
    verbs = ("Get", "BatchGet", "List", "Check", "Search", "Watch", "Verify")
    reads = method.name.startswith(verbs)
    assert (level == MethodOptions.NO_SIDE_EFFECTS) is reads


def test_every_service_of_the_protos_is_served() -> None:
    declared = {
        name
        for proto in PROTOS
        for name in re.findall(r"^service (\w+) \{", proto.read_text("utf-8"), re.M)
    }
    assert declared == {service.name for service in (*SERVICES, CATALOG)}


def test_every_reason_has_one_error_and_every_error_a_reason() -> None:
    reasons = [kind.reason for kind in error_classes()]
    assert len(reasons) == len(set(reasons))
    named = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118
    assert set(reasons) == named - {"UNSPECIFIED"}


@pytest.mark.parametrize("kind", list(error_classes()), ids=lambda kind: kind.__name__)
def test_every_error_leaves_with_the_status_that_its_reason_tells(kind: type) -> None:
    error = kind.__new__(kind)
    text = (ROOT / "protos/inventory/v1/error_reason.proto").read_text("utf-8")
    told = re.search(rf"  // ([A-Z_]+)\.[^=]*\n  ERROR_REASON_{kind.reason} = \d+;", text)
    assert told, f"the comment of {kind.reason} begins with its status"
    assert status_of(error) is StatusCode[told[1]]


def test_the_tables_of_statuses_name_no_error_that_nobody_raises() -> None:
    raised = set(error_classes())
    for kind in {**STATUS, **RETRY_AFTER_MS}:
        assert any(issubclass(error, kind) for error in raised), kind


def test_the_tree_at_the_top_of_the_errors_is_the_tree() -> None:
    def drawn(kind: type, indent: str) -> Iterator[str]:
        # A store may tell a case of its own apart; callers see the error that it is one of.
        children = [
            child
            for child in kind.__subclasses__()
            if child.__module__.startswith("inventory_server.domain")
        ]
        for child in children:
            is_last = child is children[-1]
            yield indent + ("└── " if is_last else "├── ") + child.__name__
            yield from drawn(child, indent + ("    " if is_last else "│   "))

    tree = "\n".join(["InventoryError", *drawn(errors.InventoryError, "")])
    assert tree in (errors.__doc__ or "")


def test_every_reason_that_an_rpc_names_exists() -> None:
    known = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118
    for proto in PROTOS:
        comments = re.sub(r"\n\s*//", " ", proto.read_text("utf-8"))
        for told in re.findall(r"Errors: (.*?)\.\s", comments):
            named = set(re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b", told))
            assert named
            assert named <= known, proto
