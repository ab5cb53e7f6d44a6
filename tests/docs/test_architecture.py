"""docs/design/store.md and the scripts' README name every key, script and include as it is."""

from __future__ import annotations

import inspect
import re

from inventory_server.domain.limits import MAX_TOTAL
from inventory_server.servicers.rpc_call import KEY_NAMES
from inventory_server.stores.keys import Keyspace
from inventory_server.stores.scripts import script_names
from tests.docs import markdown

PAGE = markdown.read("docs/design/store.md")
INDEX = markdown.read("inventory_server/scripts/README.md")
SCRIPTS = markdown.ROOT / "inventory_server" / "scripts"


def _key_of(keyspace: Keyspace, name: str) -> str:
    """The key that this method makes of placeholders, without its partition."""
    method = getattr(keyspace, name)
    given = {"partition": 0, "hold_id": "0-x"}
    names = inspect.signature(method).parameters
    key = method(*[given.get(argument, f"<{argument}>") for argument in names])
    return re.sub(r"^inv:\{\d+\}:", "", key).replace("0-x", "<hold_id>")


def test_the_table_of_keys_is_the_keyspace() -> None:
    keyspace = Keyspace(16)
    made_by = [
        name
        for name, _ in inspect.getmembers(Keyspace, inspect.isfunction)
        if not name.startswith("_") and name not in ("at", "partition")
    ]
    rows = {markdown.words(row[0])[0]: row for row in markdown.table(PAGE, "Keyspace")}
    assert sorted(rows) == sorted(made_by)
    for name, row in rows.items():
        assert markdown.words(row[1]) == [_key_of(keyspace, name)]
        kind = inspect.getdoc(getattr(Keyspace, name)).partition(":")[0].lower()
        assert row[2].partition(",")[0] == kind


def test_the_parts_of_a_hold_are_those_that_the_script_writes() -> None:
    named = [word for row in markdown.table(PAGE, "Part") for word in markdown.words(row[0])]
    lua = (SCRIPTS / "place_hold.lua").read_text("utf-8")
    written = lua.partition("hold.record = table.concat({ ")[2].partition(" }, '\\n')")[0]
    values = {
        "ARGV[3]": "fingerprint",
        "placed": "placed",
        "table.concat(packed, ',')": "lines",
        "table.concat(levels, ',')": "levels",
        "ARGV[9]": "caller",
        "ARGV[4]": "actor",
        "ARGV[5]": "reference",
        "ARGV[6]": "note",
    }
    assert re.sub(r"\s+", " ", written) == ", ".join(values)
    assert named == ["state", "verbs", *values.values()]


def test_the_fields_of_a_journal_entry_are_all_there() -> None:
    lua = (SCRIPTS / "include" / "journal.lua").read_text("utf-8")
    written = lua.partition("function append_movement(")[2].partition("redis.call('XADD'")[2]
    entry = written.partition("hold.record or ''")[0]
    fields = re.findall(r"'([a-z_]+)', ", entry)
    assert len(fields) == 14
    text = PAGE.partition("**Journal entry**")[2].partition("\n\n")[0]
    assert [word for word in markdown.words(text) if word in fields][: len(fields)] == fields


def test_numbers_are_those_of_the_code() -> None:
    assert MAX_TOTAL == 10**14 - 1
    decisions = markdown.read("docs/design/decisions.md")
    assert "10^14 − 1" in decisions  # noqa: RUF001 - a minus sign
    verbs = (SCRIPTS / "include" / "verb_memory.lua").read_text("utf-8")
    assert "MAX_VERBS, OP_KEPT, FINGERPRINT_KEPT = 32, 10, 8" in verbs
    assert "the first 10 and 8 characters" in PAGE
    assert "the last 32 later verbs" in PAGE
    assert all(f"`{name}`" in markdown.read("README.md") for name in KEY_NAMES)


def test_the_index_of_scripts_is_complete() -> None:
    rows = markdown.table(INDEX, "Script")
    assert sorted(markdown.words(row[0])[0] for row in rows) == list(script_names())
    for row in rows:
        first = (SCRIPTS / f"{markdown.words(row[0])[0]}.lua").read_text("utf-8").splitlines()[0]
        assert (row[2] == "no") == ("no-writes" in first), row
        assert (row[3] == "runs") == ("flags=" in first), row


def test_the_index_of_includes_is_complete() -> None:
    named = [markdown.words(row[0])[0] for row in markdown.table(INDEX, "Include")]
    assert sorted(named) == sorted(path.stem for path in (SCRIPTS / "include").glob("*.lua"))


def test_the_first_page_stays_one_page_and_names_the_others() -> None:
    page = markdown.read("ARCHITECTURE.md")
    assert len(page.splitlines()) <= 120
    others = {path.name for path in (markdown.ROOT / "docs" / "design").glob("*.md")}
    assert {name for name in others if f"(docs/design/{name})" in page} == others
