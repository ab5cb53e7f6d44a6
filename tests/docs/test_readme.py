"""The pages say what is: their commands print what they show, the README's tables are complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import typer
from inventory.v1.catalog_service_pb2 import ListUnitsRequest
from inventory.v1.catalog_service_pb2_grpc import CatalogServiceStub
from inventory.v1.error_reason_pb2 import ErrorReason

from inventory_server import cli
from inventory_server.domain import errors
from inventory_server.servicers.status import STATUS, status_of
from tests.docs import markdown
from tests.eventually import eventually
from tests.processes import free_port, stop_process

README = markdown.read("README.md")
SHOWN_ADDRESS = "localhost:8061"
HOLD_ID = re.compile(r"\b[0-9]{1,5}-[a-z2-7]{20}\b")
MASKS = (
    (HOLD_ID, "HOLD"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r'("cursor":\s*)"[^"]+"'), r'\1"CURSOR"'),
    (re.compile(r'("movement_id":\s*)"[^"]+"'), r'\1"MOVEMENT"'),
    (re.compile(r"(x-request-id: )\S+"), r"\1REQUEST"),
    (re.compile(r'("etag":\s*)"[^"]+"'), r'\1"ETAG"'),
    # Programs that print JSON differ in how much space they put into it.
    (re.compile(r"[ \t]+"), " "),
)


def masked(output: str) -> list[str]:
    """The lines, without what differs from run to run."""
    for pattern, name in MASKS:
        output = pattern.sub(name, output)
    return [line.strip() for line in output.strip().splitlines()]


@pytest.fixture
def sample_address(tmp_path: Path) -> Iterator[str]:
    """A server as `make run` starts it, on a free port."""
    if not shutil.which("redis-server") and not os.environ.get("CI"):
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = [sys.executable, "-m", "inventory_server", "--sample-data", "--no-call-log"]
    place = ["--port", str(port), "--data-dir", str(tmp_path / "store")]
    variables = os.environ | {"INVENTORY_DYNAMODB_ENDPOINT": ""}
    process = subprocess.Popen([*command, *place], stderr=subprocess.DEVNULL, env=variables)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ready = grpc.channel_ready_future(channel)
            eventually(lambda: process.poll() is not None or _is_done(ready), timeout_s=60)
            assert process.poll() is None, "the server did not start"
            catalog = CatalogServiceStub(channel)
            eventually(lambda: _has_samples(catalog), timeout_s=90)
        yield f"localhost:{port}"
    finally:
        stop_process(process)


def _has_samples(catalog: CatalogServiceStub) -> bool:
    units = catalog.ListUnits(ListUnitsRequest()).units
    return sum(unit.products for unit in units) == 902


def _is_done(ready: grpc.Future[None]) -> bool:
    return bool(ready.done())


@pytest.fixture
def variables(sample_address: str, tmp_path: Path) -> dict[str, str]:
    """An environment in which `inventory` is this checkout's, and talks to the server."""
    program = tmp_path / "bin" / "inventory"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m inventory_cli.main "$@"\n')
    program.chmod(0o755)
    found = [str(markdown.ROOT / name) for name in ("generated", "clients")]
    return os.environ | {
        "PATH": os.pathsep.join((str(program.parent), os.environ["PATH"])),
        "PYTHONPATH": os.pathsep.join(found),
        "INVENTORY_SERVER": sample_address,
        "INVENTORY_CONFIG": os.devnull,
    }


@pytest.mark.parametrize("page", ["README.md", "docs/grpcurl.md"])
def test_commands_print_what_the_page_shows(
    sample_address: str, variables: dict[str, str], page: str
) -> None:
    if not shutil.which("grpcurl"):
        assert not os.environ.get("CI"), "grpcurl is not installed"
        pytest.skip("grpcurl is not installed")
    examples = markdown.examples(markdown.read(page))
    assert len(examples) >= 6
    ids: dict[str, str] = {}
    for example in examples:
        command = HOLD_ID.sub(lambda match: ids[match[0]], example.command)
        ran = subprocess.run(
            ["bash", "-c", command.replace(SHOWN_ADDRESS, sample_address)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            env=variables,
        )
        assert masked(ran.stdout) == masked(example.output), example.command
        shown, real = HOLD_ID.findall(example.output), HOLD_ID.findall(ran.stdout)
        ids.update(zip(shown, real, strict=True))


def test_other_commands_are_there() -> None:
    """What is not run here names targets of the Makefile and console scripts that exist."""
    targets = re.findall(r"^([a-z]+):", markdown.read("Makefile"), re.MULTILINE)
    scripts = re.findall(r'^([a-z-]+) = "\w+\.\w+:main"$', markdown.read("pyproject.toml"), re.M)
    commands = [
        line.split("#")[0].split()
        for block in markdown.blocks(README, "sh")
        for line in block.splitlines()
    ]
    assert ["make", "run"] in commands
    assert ["make", "test"] in commands
    for program, *arguments in commands:
        if program == "make":
            assert arguments[0] in targets
        else:
            assert program in scripts


def test_settings_are_those_of_the_command_line() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "inventory_server", "--help"],
        env=os.environ | {"COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = markdown.table(README, "Flag")
    flags = {flag for row in rows for flag in markdown.words(row[0])}
    listed = re.findall(r"(?<!\S)--[a-z][a-z-]*", help_text.partition("Options")[2])
    assert flags == set(listed) - {"--version", "--help"}
    variables = [word for row in rows for word in markdown.words(row[1])]
    assert len(variables) == len(rows)
    assert set(variables) == set(re.findall(r"env\s+var:\s+(INVENTORY_[A-Z_]+)", help_text))


def test_defaults_are_those_of_the_command_line() -> None:
    command = typer.main.get_command(cli.app)
    defaults = {option.opts[0]: option.default for option in command.params}
    for row in markdown.table(README, "Flag"):
        default = defaults[markdown.words(row[0])[0]]
        shown = {"on": True, "off": False, "none": ""}.get(row[2])
        if shown is None:
            assert markdown.words(row[2]) == [str(default)], row
        else:
            assert default is shown or (default or "") == shown, row


def _every_error(kind: type[errors.InventoryError]) -> Iterator[type[errors.InventoryError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _every_error(below)


def test_the_table_of_errors_is_complete() -> None:
    kinds = {
        kind.reason: kind for kind in _every_error(errors.InventoryError) if hasattr(kind, "reason")
    }
    rows = {markdown.words(row[1])[0]: row[0] for row in markdown.table(README, "Status")}
    prefix = "ERROR_REASON_"
    named = {name.removeprefix(prefix) for name in ErrorReason.keys()}  # noqa: SIM118 - an enum
    assert set(rows) == named - {"UNSPECIFIED"}
    for reason, status in rows.items():
        kind = kinds[reason]
        assert status == next(STATUS[base] for base in kind.__mro__ if base in STATUS).name
    assert status_of(errors.StoreFull()).name == rows["STORE_FULL"]


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/grpcurl.md", "docs/backup.md"),
        *(
            f"docs/design/{name}.md"
            for name in ("store", "catalogue", "copy", "client", "decisions")
        ),
        "clients/other_languages/README.md",
        "inventory_server/scripts/README.md",
    ],
)
def test_links_lead_somewhere(name: str) -> None:
    folder = (markdown.ROOT / name).parent
    for link in re.findall(r"\]\(([^)#]+)(?:#[\w-]*)?\)", markdown.read(name)):
        assert (folder / link).exists(), link
