"""The pictures of the docs load nothing from anywhere, and are drawn by the program itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.docs import markdown

IMAGES = sorted((markdown.ROOT / "docs" / "images").glob("*.svg"))
DRAWN = ("error", "live", "table")


def words(path: Path) -> str:
    """The text of a drawing."""
    return " ".join(" ".join(ET.parse(path).getroot().itertext()).replace("\xa0", " ").split())


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_a_picture_loads_nothing(path: Path) -> None:
    text = path.read_text("utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert not re.search(r"href=[\"'](?!#)", text)


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_every_picture_is_shown_somewhere(path: Path) -> None:
    pages = [markdown.read(name) for name in ("README.md", "ARCHITECTURE.md")]
    assert any(f"](docs/images/{path.name})" in page for page in pages)


def test_screenshots_are_what_the_program_prints(redis_url: str, tmp_path: Path) -> None:
    """Drawn anew, they have the same words, but for ids and times."""
    tool = markdown.ROOT / "tools" / "screenshots.py"
    done = subprocess.run(
        [sys.executable, str(tool), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    for name in DRAWN:
        kept = markdown.ROOT / "docs" / "images" / f"{name}.svg"
        assert masked(words(tmp_path / f"{name}.svg")) == masked(words(kept)), name


def masked(text: str) -> str:
    text = re.sub(r"\b\d{1,5}-[a-z2-7]{20}\b", "HOLD", text)
    text = re.sub(r"\d{4}-\d\d-\d\d", "DATE", text)
    text = re.sub(r"\d\d:\d\d:\d\d", "TIME", text)
    # How wide a drawn text is depends on what it says.
    return re.sub(r"[.\d]+px|-?[.\d]+", "N", text)
