"""Where a command's settings come from, which one wins, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from inventory_cli.errors import UsageError
from inventory_cli.output import OutputForm
from inventory_cli.settings import Flags, config_path, read_settings

from tests.cli.conftest import invoke
from tests.client.command_line import run

FILE = 'server = "file:1"\nactor = "f"\ntimeout = "3s"\noutput = "json"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return path


def test_a_flag_wins_over_the_variable_and_that_over_the_file(config: Path) -> None:
    variables = {"INVENTORY_CONFIG": str(config)}
    settings = read_settings(Flags(), variables)
    assert (settings.server, settings.actor, settings.timeout_s) == ("file:1", "f", 3.0)
    assert settings.output is OutputForm.JSON
    variables |= {
        "INVENTORY_SERVER": "env:1", "INVENTORY_ACTOR": "e", "INVENTORY_TIMEOUT": "2m",
        "INVENTORY_OUTPUT": "table",
    }  # fmt: skip
    settings = read_settings(Flags(), variables)
    assert (settings.server, settings.actor, settings.timeout_s) == ("env:1", "e", 120.0)
    assert settings.output is OutputForm.TABLE
    flags = Flags(server="flag:1", actor="x", timeout="7", output="json")
    settings = read_settings(flags, variables)
    assert (settings.server, settings.actor, settings.timeout_s) == ("flag:1", "x", 7.0)
    assert settings.output is OutputForm.JSON


def test_only_a_flag_limits_what_has_no_limit_by_itself(config: Path) -> None:
    variables = {"INVENTORY_CONFIG": str(config), "INVENTORY_TIMEOUT": "2m"}
    assert read_settings(Flags(), variables).timeout_flag_s is None
    assert read_settings(Flags(timeout="7"), variables).timeout_flag_s == 7


def test_without_anything_there_are_defaults() -> None:
    settings = read_settings(Flags(), {"HOME": "/nowhere", "INVENTORY_SERVER": ""})
    assert (settings.server, settings.actor, settings.timeout_s) == ("127.0.0.1:8061", "", 20.0)


def test_the_file_is_looked_for_where_configuration_belongs() -> None:
    place = "inventory/config.toml"
    assert config_path({"HOME": "/h"}) == Path("/h/.config") / place
    assert config_path({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == Path("/x") / place
    assert config_path({"HOME": "/h", "INVENTORY_CONFIG": "/my.toml"}) == Path("/my.toml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sever = 'x'", "has 'sever'; it takes server, actor, timeout, output"),
        ("server = 8061", "'server' in {path} takes text in quotes, not 8061"),
        ("server = ''", "'server' in {path} takes an address as 127.0.0.1:8061, not ''"),
        ("timeout = 'soon'", "'timeout' in {path} takes a time as 90s, 10m or 1h30m, not 'soon'"),
        ("timeout = true", "'timeout' in {path} takes text in quotes, not True"),
        ("timeout = 0", "'timeout' in {path} takes more than 0"),
        ("output = 'xml'", "'output' in {path} is table or json, not 'xml'"),
        ("actor = 'é'", "'actor' in {path} takes at most 128 visible ASCII characters"),
        ("server", "is not TOML"),
    ],
)
def test_a_wrong_file_is_told_by_what_is_wrong_in_it(
    config: Path, text: str, sentence: str
) -> None:
    config.write_text(text)
    variables = {"INVENTORY_CONFIG": str(config), "INVENTORY_SERVER": None}
    ended = invoke("stock", "get", "A", **variables, INVENTORY_TIMEOUT=None)
    assert ended.status == 2
    assert sentence.format(path=config) in ended.err
    assert ended.err.startswith("inventory: ")
    assert not ended.out


def test_numbers_are_seconds_in_the_file_too(config: Path) -> None:
    config.write_text("timeout = 2.5")
    settings = read_settings(Flags(), {"INVENTORY_CONFIG": str(config)})
    assert settings.timeout_s == 2.5


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"INVENTORY_CONFIG names .*, which is not there"):
        read_settings(Flags(), {"INVENTORY_CONFIG": str(tmp_path / "none.toml")})
    with pytest.raises(UsageError, match="cannot read the config file"):
        read_settings(Flags(), {"INVENTORY_CONFIG": str(tmp_path)})


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--output", "xml"), "--output is table or json, not 'xml'"),
        (("--timeout", "0"), "--timeout takes more than 0"),
        (("--server", "a b"), "--server takes an address"),
        (("--actor", "a" * 129), "--actor takes at most 128"),
    ],
)
def test_a_wrong_flag_is_told_by_its_name(flags: tuple[str, ...], sentence: str) -> None:
    for arguments in ((*flags, "stock", "get", "A"), ("stock", "get", "A", *flags)):
        ended = invoke(*arguments)
        assert ended.status == 2
        assert ended.err.startswith(f"inventory: {sentence}")


def test_the_program_reads_file_variables_and_flags_on_either_side_of_the_command(
    config: Path, tmp_path: Path
) -> None:
    """Nobody is at any of these addresses; the error names the one that was tried."""
    for given, arguments, server in (
        ({}, ("stock", "get", "A"), "127.0.0.1:1"),
        ({}, ("--server", "127.0.0.1:3", "stock", "get", "A"), "127.0.0.1:3"),
        ({}, ("--server", "127.0.0.1:3", "stock", "get", "A", "--server", "127.0.0.1:4"), ":4"),
    ):
        ended = invoke(*arguments, INVENTORY_CONFIG=str(config), **given)
        assert ended.status == 3
        assert f"{server} cannot be reached" in ended.err
    done = run("stock", "get", "A", "--output", "table", server="127.0.0.1:5")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("inventory: the server at 127.0.0.1:5 cannot be reached\n")
