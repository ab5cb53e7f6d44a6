"""The rules of the house, as code: walls between layers, sizes, names, and what scripts may do."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inventory_server.stores.opening import SCRIPT_COMMANDS
from tests.project.lua_source import (
    Source,
    answers,
    called,
    commands,
    documented_answers,
    functions,
    includes,
    loose_names,
    reachable,
    scripts,
    without_comments,
)

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "inventory_server"
OURS = ("inventory_server", "clients", "tests", "tools", "benchmarks")

LAYERS = {
    "domain": {"domain"},
    "stores": {"domain", "stores"},
    "operations": {"domain", "operations", "stores"},
    "servicers": {"call_log", "domain", "operations", "servicers"},
}
OUTSIDE_THE_LAYERS = {
    "__init__": set(),
    "__main__": {"cli"},
    "background": set(),
    "call_log": set(),
    "settings": {"domain"},
    "dynamo_double": set(),
    "embedded_dynamo": {"dynamo_double"},
    "embedded_redis": set(),
    "create_tables_command": {"catalog_root", "domain", "settings", "stores"},
    "catalog_root": {*LAYERS, "background", "embedded_dynamo", "sample_data", "settings"},
    "copy_root": {*LAYERS, "copy_tools", "drain_child", "drain_process", "settings"},
    "copy_tools": {*LAYERS, "embedded_redis", "settings"},
    "drain_child": {"domain", "drain_process"},
    "metrics": {"domain"},
    "drain_process": {*LAYERS, "call_log", "copy_tools", "settings"},
    "sample_data": {"domain", "operations", "stores"},
    "health": {"domain", "stores"},
    "verify_command": set(),
    "copy_options": {"domain", "settings", "stores"},
    "restore_command": {"copy_options", "copy_tools", "domain", "operations", "settings"},
    "resync_command": {"copy_options", "copy_tools", "operations", "settings"},
    "reconcile_command": {"copy_options", "copy_tools", "domain", "operations", "settings"},
    "status_command": {"copy_options", "copy_tools", "domain", "operations", "settings"},
    "cli": {
        "__version__", "call_log", "create_tables_command", "reconcile_command",
        "restore_command", "resync_command", "server", "settings", "status_command",
        "verify_command",
    },
    "server": {
        *LAYERS, "background", "call_log", "catalog_root", "copy_root", "embedded_redis",
        "health", "metrics", "sample_data", "settings",
    },
}  # fmt: skip
"""Only the composition root sees everything: server.py, catalog_root.py, copy_*.py, drain_*.py."""
LIBRARIES = {
    "redis": {"stores", "server", "copy_options"},
    "hiredis": {"stores"},
    "boto3": {"stores"},
    "botocore": {"stores"},
    "moto": {"dynamo_double"},
    "werkzeug": {"dynamo_double"},
    "grpc": {"servicers", "server", "health", "cli", "verify_command"},
    "inventory": {"servicers", "server", "verify_command"},
    "google": {"servicers", "server"},
    "typer": {
        "cli",
        "copy_options",
        "create_tables_command",
        "reconcile_command",
        "restore_command",
        "resync_command",
        "status_command",
        "verify_command",
    },
    "sqlite3": {"stores"},
    "prometheus_client": {"metrics"},
}
"""Where each library may be used: what a layer does not know, it cannot leak."""

MAX_FUNCTION_LINES = 70
MAX_MODULE_LINES = 300
MAX_SCRIPT_LINES = 100
MAX_COLUMNS = 100


def python_files(*folders: str) -> list[Path]:
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """The full names of what a module imports."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path: Path) -> str:
    """The layer, or the module outside of the layers, that a file of the server belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


# Walls


def test_every_file_of_the_server_has_its_place() -> None:
    places = {part_of(path) for path in python_files("inventory_server")}
    assert places == {*LAYERS, *OUTSIDE_THE_LAYERS}


@pytest.mark.parametrize("path", named(python_files("inventory_server")))
def test_a_layer_sees_only_what_is_below_it(path: Path) -> None:
    place = part_of(path)
    allowed = LAYERS.get(place) or OUTSIDE_THE_LAYERS[place]
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "inventory_server":
            assert rest.partition(".")[0] in allowed, f"{place} may not import {name}"
        elif place == "domain":
            assert package in sys.stdlib_module_names, f"domain may not import {name}"
        else:
            assert place in LIBRARIES.get(package, {place}), f"{place} may not import {name}"


def test_clients_never_import_the_server() -> None:
    for path in python_files("clients"):
        assert not [name for name in imported(path) if name.startswith("inventory_server")], path


def test_only_the_composition_root_builds_stores_and_servers() -> None:
    built = {
        *("Guard", "HoldStore", "StockStore", "MovementStore", "AuditStore", "StreamStore"),
        *("EmbeddedRedis", "HealthMonitor", "StoreOpener", "EmbeddedDynamo", "Dynamo"),
        *("ProductStore", "BarcodeStore", "ChangeFeed", "CatalogIndex", "ActivityStore"),
        *("CopyStore", "CopyReader", "CopyLeases", "CopySource", "RestoreStore"),
        "ResyncSource",
    }
    for path in python_files("inventory_server"):
        if part_of(path) in ("server", "catalog_root", "copy_root", "copy_tools", "drain_process"):
            continue
        calls = [node.func for node in ast.walk(parse(path)) if isinstance(node, ast.Call)]
        found = {call.id for call in calls if isinstance(call, ast.Name)} & built
        assert not found, f"{path} builds {found}"


# Sizes


@pytest.mark.parametrize("path", named(python_files(*OURS)))
def test_functions_and_modules_stay_small(path: Path) -> None:
    count = len(path.read_text("utf-8").splitlines())
    if not path.is_relative_to(ROOT / "tests"):
        assert count <= MAX_MODULE_LINES, f"{count} lines"
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # The lines of a signature are no work to read; those of the body are.
            lines = (node.end_lineno or 0) - node.body[0].lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_lines_stay_short() -> None:
    kinds = [(name, "py") for name in OURS]
    kinds += [("inventory_server", "lua"), ("protos", "proto")]
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder, ending in kinds
        for path in sorted((ROOT / folder).rglob(f"*.{ending}"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > MAX_COLUMNS
    ]
    assert not long, "\n".join(long)


def test_python_files_have_no_tabs() -> None:
    assert not [path for path in python_files(*OURS) if "\t" in path.read_text("utf-8")]


# Habits


def test_files_are_named_after_their_idea() -> None:
    banned = {"utils", "util", "helpers", "helper", "common", "misc"}
    found = {path for path in python_files(*OURS) if banned & set(path.with_suffix("").parts)}
    assert not found


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X)\b")
    texts = [*python_files(*OURS), *PACKAGE.rglob("*.lua"), *(ROOT / "protos").rglob("*.proto")]
    assert not [path for path in texts if marks.search(path.read_text("utf-8"))]


def test_tests_wait_for_conditions_and_never_for_time() -> None:
    for path in python_files("tests"):
        if path.name == "eventually.py":
            continue
        names = set(imported(path))
        assert not names & {"time.sleep", "asyncio.sleep"}, path
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".sleep"):
                # sleep(0) lets others run; it waits for no time.
                assert [ast.unparse(arg) for arg in node.args] == ["0"], f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", named(python_files("inventory_server", "clients")))
def test_no_error_is_swallowed(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ExceptHandler):
            where = f"{path}:{node.lineno}"
            assert node.type is not None, f"{where}: a bare except"
            broad = ast.unparse(node.type) in ("Exception", "BaseException")
            silent = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
            assert not (broad and silent), f"{where}: swallowed"


def test_the_server_logs_and_never_prints() -> None:
    for path in python_files("inventory_server"):
        for node in ast.walk(parse(path)):
            is_print = isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
            assert not is_print, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", named(python_files("inventory_server", "clients")))
def test_whatever_is_public_says_what_it_is(path: Path) -> None:
    module = parse(path)
    assert ast.get_docstring(module), "the module"
    waiting: list[ast.AST] = [module]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                is_public = not node.name.startswith("_")
                assert ast.get_docstring(node) or not is_public, f"{node.name}:{node.lineno}"
                if isinstance(node, ast.ClassDef) and is_public:
                    waiting.append(node)


UNRESERVED = {"barcode", "place", "sku", "time_ms", "version"}
"""Attributes whose names are none of DynamoDB's reserved words, which its doubles do not know."""


def test_conditions_name_attributes_that_dynamodb_lets_stand() -> None:
    words = {"AND", "OR", "BETWEEN", "SET", "attribute_exists", "attribute_not_exists"}
    for path in sorted((PACKAGE / "stores").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if "SELECT" not in node.value and re.search(
                r"[=<>] :\w|attribute_(not_)?exists\(", node.value
            ):
                bare = set(re.findall(r"(?<![#:\w])[a-zA-Z]\w*", node.value))
                assert bare <= words | UNRESERVED, f"{path.name}: {node.value}"


def test_no_configuration_names_a_package_registry() -> None:
    hosts = re.compile(
        r"index-url|pythonhosted|pypi\.|artifactory|nexus|jfrog|://[^\s\"']*registry", re.IGNORECASE
    )
    endings = {".toml", ".yaml", ".yml", ".cfg", ".ini", ".lock", ".txt", ".json", ".sh"}
    hidden = {
        ".git",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".venv",
        ".venv-lowest",
        ".hypothesis",
    }
    for path in ROOT.rglob("*"):
        if hidden & set(path.parts) or not path.is_file():
            continue
        if path.suffix in endings or path.name in ("Dockerfile", "Makefile"):
            assert not hosts.search(path.read_text("utf-8")), path


# Scripts

READS = {
    *("EXISTS", "GET", "HGET", "HLEN", "HMGET", "LLEN", "LRANGE"),
    *("TIME", "TYPE", "XLEN", "XRANGE", "XREVRANGE", "ZCARD", "ZRANK", "ZSCORE"),
    *("SISMEMBER", "SMISMEMBER", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE"),
}
WRITES = {
    *("DEL", "HSET", "HSETNX", "LTRIM", "RPUSH", "SADD", "SET", "SREM", "XADD", "XTRIM"),
    *("ZADD", "ZREM"),
}
BUILTINS = frozenset(
    (
        *("KEYS", "ARGV", "redis", "cjson", "error", "ipairs", "math", "pairs", "string"),
        *("pcall", "table", "tonumber", "tostring", "type", "unpack"),
    )
)
every_script = pytest.mark.parametrize("script", scripts(), ids=lambda script: script.name)


def writes(script: Source, text: str) -> set[str]:
    """The commands that change something which this text comes to call."""
    return {name for part in reachable(script, text) for name in commands(part)} & WRITES


def constants(sources: list[Source]) -> frozenset[str]:
    """The names that these sources give to values, for all that comes after them."""
    names = [
        found
        for source in sources
        for found in re.findall(r"^local (\w+(?:, \w+)*) =", source.text, re.MULTILINE)
    ]
    return frozenset(name for found in names for name in found.split(", "))


def is_reader(script: Source) -> bool:
    return script.text.startswith("#!lua flags=no-writes\n")


@every_script
def test_a_script_says_what_it_takes_and_answers(script: Source) -> None:
    first, second = script.text.splitlines()[:2]
    assert re.fullmatch(r"#!lua(?: flags=(?:no-writes|allow-oom))?", first)
    assert second.startswith(f"--[[ {script.name} — ")
    at = [script.header.find(f"\n  {name}") for name in ("KEYS ", "ARGV ", "Returns", "Cost ")]
    assert -1 not in at
    assert at == sorted(at)
    assert len(script.text.splitlines()) <= MAX_SCRIPT_LINES


@every_script
def test_a_script_has_no_globals(script: Source) -> None:
    given = frozenset(functions(script))
    included = [source for source in includes() if f"{source.name}.lua" in script.includes]
    assert not loose_names(script.body, BUILTINS | given | constants(included))
    for source in included:
        assert not loose_names(source.text, BUILTINS | given | constants(included)), source.name


def test_includes_stay_short_and_flat() -> None:
    for source in includes():
        assert len(source.text.splitlines()) <= MAX_SCRIPT_LINES
        assert not source.includes, "one level of includes"


@every_script
def test_a_script_includes_what_its_includes_call(script: Source) -> None:
    every = {name for other in scripts() for name in functions(other)}
    used = {name for text in reachable(script, script.body) for name in called(text)}
    assert used & every <= set(functions(script))


@every_script
def test_a_script_calls_only_commands_that_are_known_here(script: Source) -> None:
    used = {name for text in reachable(script, script.body) for name in commands(text)}
    assert used <= READS | WRITES


def test_a_connection_is_asked_for_every_command_of_the_scripts() -> None:
    used = {
        name
        for script in scripts()
        for text in reachable(script, script.body)
        for name in commands(text)
    }
    assert used == set(SCRIPT_COMMANDS)


@every_script
def test_a_script_checks_everything_and_then_writes_everything(script: Source) -> None:
    before, mark, after = re.sub(r"^ +", "", script.body, flags=re.MULTILINE).partition(
        "\n-- COMMIT\n"
    )
    assert not writes(script, before)
    if is_reader(script):
        assert not mark
        return
    assert mark, "a script that writes has a line `-- COMMIT`"
    assert "-- COMMIT" not in after
    assert writes(script, after)
    # Redis takes nothing back: what may refuse or fail stands before.
    assert answers(after) <= {"ok"}
    assert not called(after) & {"error", "read_hold", "read_lines", "open_partitions", "refuse"}


@every_script
def test_a_pattern_is_looked_for_at_one_place(script: Source) -> None:
    # Lua tries a pattern without "^" again at each place of the text, and each try may read to
    # its end: of a long record that is a second in which Redis serves nobody.
    source = "".join(reachable(script, script.body))
    assert not re.findall(r"'(?!\^)[^'\n]*(?<!%)\$'", without_comments(source))


@every_script
def test_a_scripts_answers_are_those_of_its_header(script: Source) -> None:
    found = {word for text in reachable(script, script.body) for word in answers(text)}
    assert found == documented_answers(script.header)
    assert found


@every_script
def test_a_script_raises_no_error_for_an_outcome(script: Source) -> None:
    assert "error_reply" not in without_comments(script.text)


def test_every_answer_of_a_script_is_read_by_a_store() -> None:
    known = {
        node.value
        for path in (PACKAGE / "stores").glob("*.py")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    words = {word for script in scripts() for word in documented_answers(script.header)}
    assert words <= known
