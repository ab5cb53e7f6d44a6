"""Prints the oldest version of each library that pyproject.toml promises to run with.

`pip install -e '.[dev]' -c FILE` then installs those; the tests say whether
the promise is kept.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def lowest() -> list[str]:
    """`name==version` of each library that the server needs, in embedded mode too."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["embedded-dynamo"]
    return [re.sub(r"^([\w-]+)(?:\[.*\])?>=([^,]+),.*$", r"\1==\2", line) for line in wanted]


if __name__ == "__main__":
    print("\n".join(lowest()))
