"""Writes what the commands of a page print into the page: `python tools/fill_examples.py PAGE`.

The page's `console` blocks are run one after another against a server with
fresh sample data on localhost:8061. Ids of holds in a command are those of the
page; they stand for what the server answered before.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.docs import markdown  # noqa: E402

HOLD_ID = re.compile(r"\b[0-9]{1,5}-[a-z2-7]{20}\b")


def main() -> None:
    """Runs the commands, and writes the page anew."""
    page = Path(sys.argv[1])
    ids: dict[str, str] = {}
    last = ""

    def real(match: re.Match[str]) -> str:
        return ids.setdefault(match[0], last)

    def fill(block: re.Match[str]) -> str:
        nonlocal last
        filled = ["```console"]
        for example in markdown.examples(block[0]):
            command = HOLD_ID.sub(real, example.command)
            ran = subprocess.run(
                ["bash", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=30,
            )
            found = HOLD_ID.findall(ran.stdout)
            last = found[-1] if found else last
            filled += [f"$ {command}", *ran.stdout.rstrip().splitlines()]
            print(f"{ran.returncode} {command.splitlines()[0]}")
        return "\n".join([*filled, "```"])

    text = page.read_text("utf-8")
    page.write_text(re.sub(r"^```console\n.*?^```$", fill, text, flags=re.M | re.S), "utf-8")


if __name__ == "__main__":
    main()
