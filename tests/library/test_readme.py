"""The library's README: every block of code runs and prints what stands below it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.client.command_line import environment
from tests.docs import markdown
from tests.processes import free_port, stop_process

NAME = "clients/inventory_client/README.md"
README = markdown.read(NAME)
PAIR = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00:00")


@pytest.fixture
def sample_server(tmp_path: Path) -> Iterator[str]:
    """The server that `make run` starts, but for its catalogue."""
    port = free_port()
    command = [sys.executable, "-m", "inventory_server", "--sample-data", "--no-call-log"]
    place = ["--port", str(port), "--data-dir", str(tmp_path / "store")]
    process = subprocess.Popen([*command, *place], stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
        yield f"127.0.0.1:{port}"
    finally:
        stop_process(process)


@pytest.mark.timeout(300)
def test_every_block_of_code_prints_what_stands_below_it(sample_server: str) -> None:
    pairs = PAIR.findall(README)
    assert len(pairs) == len(markdown.blocks(README, "python")) >= 6
    for code, shown in pairs:
        done = subprocess.run(
            [sys.executable, "-c", code.replace("localhost:8061", sample_server)],
            env=environment(),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert TIME.sub("TIME", done.stdout) == shown


def test_links_lead_somewhere() -> None:
    folder = (markdown.ROOT / NAME).parent
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (folder / link).exists(), link
