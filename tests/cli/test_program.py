"""The program as it is typed: help that is true, colours where they belong, completion."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from inventory_cli.main import HELP, app

from tests.cli.conftest import Inv, invoke
from tests.cli.terminal import Terminal
from tests.client.command_line import PROGRAM, environment, run
from tests.docs import markdown

COMMANDS = {
    *("stock get", "stock list", "stock set", "stock adjust", "stock transfer", "stock import"),
    *("stock watch", "hold place", "hold get", "hold list", "hold confirm", "hold release"),
    *("hold extend", "check", "products list", "products search", "products show"),
    *("products import", "alerts watch", "alerts list", "summary", "movements", "verify"),
}


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command, with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


EVERY = dict(leaves(typer.main.get_command(app)))


def examples(command: Any) -> list[str]:
    """The lines that its help gives to be typed."""
    return re.findall(r"^  (.*inventory .*)$", command.help.partition("Examples:")[2], re.MULTILINE)


def test_the_commands_are_those_that_are_promised() -> None:
    assert {" ".join(path) for path in EVERY} == COMMANDS


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_the_examples_of_the_help_can_be_typed(path: tuple[str, ...]) -> None:
    """Nobody is at the address: what is read without a fault ends with that."""
    found = examples(EVERY[path])
    assert found
    for line in found:
        words = shlex.split(re.search(r"inventory [^)&]*", line)[0])  # type: ignore[index]
        assert tuple(words[1 : len(path) + 1]) == path
        if "import" in words:
            continue
        ended = invoke(*words[1:])
        assert ended.status == 3, (line, ended)
        assert "cannot be reached" in ended.err


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_takes_the_common_options(path: tuple[str, ...]) -> None:
    names = {name for option in EVERY[path].params for name in option.opts}
    assert names >= {"--server", "--actor", "--timeout", "--output", "--no-color"}


def test_changes_take_a_key_and_nothing_else_does() -> None:
    keyed = {
        " ".join(path)
        for path, command in EVERY.items()
        if any("--key" in option.opts for option in command.params)
    }
    assert keyed == {
        *("stock set", "stock adjust", "stock transfer", "stock import"),
        *("hold place", "hold confirm", "hold release", "hold extend"),
    }


def test_the_readme_has_the_exit_statuses_of_the_help() -> None:
    told = re.findall(r"^  (\d+) ", HELP.partition("Exit status:")[2], re.MULTILINE)
    rows = markdown.table(markdown.read("README.md"), "Exit status")
    assert [row[0] for row in rows] == told


def test_a_terminal_has_colours_and_a_pipe_has_none(inv: Inv, sku: str, address: str) -> None:
    inv("stock", "set", f"{sku}=0")
    with Terminal("stock", "get", sku, server=address) as terminal:
        assert terminal.end() == 0
        assert "\x1b[31mOUT" in terminal.raw
        assert "On hand" in terminal.text
    done = run("stock", "get", sku, server=address)
    assert "\x1b" not in done.stdout
    assert "ON_HAND" in done.stdout


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_colours_are_left_out_where_they_are_not_wanted(
    inv: Inv, sku: str, address: str, how: str
) -> None:
    inv("stock", "set", f"{sku}=0")
    flags = ("--no-color",) if how == "flag" else ()
    variables = {"NO_COLOR": "1"} if how == "variable" else {}
    with Terminal("stock", "get", sku, *flags, server=address, **variables) as terminal:
        assert terminal.end() == 0
        assert "OUT" in terminal.text
        assert "\x1b[3" not in terminal.raw


def test_a_narrow_terminal_leaves_columns_out_and_folds_no_number(
    inv: Inv, sku: str, address: str
) -> None:
    inv("stock", "set", f"{sku}=1234567")
    with Terminal("stock", "get", sku, server=address, columns=60) as terminal:
        assert terminal.end() == 0
        header, _, row = terminal.text.splitlines()[:3]
    assert header.split("  ")[0] == "SKU"
    assert "Sellable" not in header
    assert row.split() == [sku, "online", "1,234,567", "0", "1,234,567", "OK"]


def test_words_of_others_cannot_move_the_cursor(inv: Inv, sku: str, address: str) -> None:
    inv("stock", "set", f"{sku}=1")
    hold = inv("hold", "place", f"{sku}=1", "--note", "a[red]b", "-q").out.strip()
    with Terminal("hold", "get", hold, server=address) as terminal:
        assert terminal.end() == 0
        assert "a[red]b" in terminal.text


def test_what_is_piped_away_ends_quietly(inv: Inv, sku: str, address: str) -> None:
    inv("stock", "set", *[f"{sku}-{n:03}@store:{sku}=1" for n in range(400)])
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [*PROGRAM, "stock", "list", f"store:{sku}", "--limit", "0"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(INVENTORY_SERVER=address),
    ) as process:
        os.close(write)
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("st", ["stock"]),
        ("hold re", ["release"]),
        ("stock list online --status o", ["ok", "out"]),
        ("stock get A --output ", ["table", "json"]),
        ("hold place --par", ["--partial"]),
    ],
)
def test_the_shell_completes(typed: str, offered: list[str]) -> None:
    """As bash asks for it, in the way that --install-completion sets up."""
    words = f"inventory {typed}"
    done = subprocess.run(
        PROGRAM,
        capture_output=True,
        text=True,
        env=environment(
            _INVENTORY_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split()) - (not words.endswith(" "))),
        ),
        timeout=60,
    )
    assert done.stdout.split() == offered


def test_the_completion_can_be_shown() -> None:
    done = subprocess.run(
        PROGRAM,
        capture_output=True,
        text=True,
        env=environment(_INVENTORY_COMPLETE="source_bash"),
        timeout=60,
    )
    assert "complete -o default -F _inventory_completion inventory" in done.stdout
