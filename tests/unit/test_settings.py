"""Settings: the defaults are good, and a wrong one is named with its flag and its variable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from inventory_server.settings import Settings, SettingsError


def test_the_defaults_are_good_and_keep_what_is_acknowledged() -> None:
    settings = Settings()
    assert settings.is_embedded
    assert (settings.host, settings.port, settings.durability) == ("127.0.0.1", 8061, "require")
    assert settings.data_dir == Path("inventory-data")


WRONG: list[tuple[str, Any]] = [
    ("durability", "perhaps"), ("durability", ""), ("durability", "REQUIRE"),
    ("log_format", "xml"), ("port", -1), ("port", 65536), ("partitions", 0), ("partitions", 4097),
    ("store_timeout_s", 0), ("store_timeout_s", -1.0), ("store_timeout_s", 3601),
    ("store_timeout_s", float("nan")), ("stall_timeout_s", 0), ("drain_timeout_s", float("inf")),
    ("drain_notice_s", -1),
    ("retention_s", 59), ("retention_s", 30 * 86400 + 1), ("max_ttl_s", 0), ("max_ttl_s", 86401),
    ("max_hold_life_s", 86399), ("max_hold_life_s", 30 * 86400 + 1),
    ("durable_copy", "yes"), ("durable_copy", "on"), ("journal_max_bytes", (1 << 20) - 1),
    ("journal_max_bytes", (1 << 42) + 1),
    ("redis_url", "http://h"), ("redis_url", "localhost:6379"), ("redis_url", "redis-cluster://h"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_setting_is_named_by_flag_and_variable(name: str, value: Any) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings(**{name: value})
    sentence = str(refusal.value)
    assert sentence.startswith(f"--{name.replace('_', '-')} (INVENTORY_{name.upper()}) must be ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 0), ("port", 65535), ("partitions", 1), ("partitions", 4096),
        ("durability", "warn"), ("durability", "declared"), ("log_format", "json"),
        ("journal_max_bytes", 1 << 20), ("journal_max_bytes", 1 << 42), ("durable_copy", "off"),
        ("retention_s", 60), ("max_ttl_s", 1), ("store_timeout_s", 0.01), ("drain_timeout_s", 3600),
        ("redis_url", "redis://h:6379/1"), ("redis_url", "rediss://h"), ("redis_url", "unix:///s"),
    ],
)  # fmt: skip
def test_a_setting_at_its_edge_is_taken(name: str, value: Any) -> None:
    assert getattr(Settings(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("endpoint", "redis_url", "asked", "has_copy"),
    [
        ("", "", "", False), ("embedded", "redis://h", "", False), ("off", "redis://h", "", False),
        ("", "redis://h", "", True), ("aws", "", "", True), ("http://h", "", "", True),
        ("http://h", "", "on", True), ("http://h", "redis://h", "off", False),
    ],
)  # fmt: skip
def test_there_is_a_copy_where_dynamodb_keeps_it(endpoint, redis_url, asked, has_copy) -> None:
    settings = Settings(dynamodb_endpoint=endpoint, redis_url=redis_url, durable_copy=asked)
    assert settings.has_copy is has_copy


def test_a_holds_life_is_never_shorter_than_its_ttl() -> None:
    assert Settings(max_ttl_s=60, max_hold_life_s=60).max_hold_life_s == 60
    with pytest.raises(SettingsError, match="--max-hold-life-s"):
        Settings(max_ttl_s=61, max_hold_life_s=60)


def test_a_redis_url_is_not_shown_because_it_may_hold_a_password() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings(redis_url="http://user:secret@host")
    assert "secret" not in str(refusal.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_every_setting_has_its_flag_and_its_variable() -> None:
    from typer.main import get_command

    from inventory_server.cli import app

    command = get_command(app)
    variables = {option.name: option.envvar for option in command.params if option.envvar}
    expected = {field.name: f"INVENTORY_{field.name.upper()}" for field in fields(Settings)}
    assert variables == expected
