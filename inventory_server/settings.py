"""The server's settings, read once at the start."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from inventory_server.domain import limits

EMBEDDED, AWS, OFF = "embedded", "aws", "off"
"""Where the catalogue may be, beside an address."""
ON = "on"
DURABILITIES = ("require", "warn", "declared")


class SettingsError(Exception):
    """A setting is wrong; the sentence says which, and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the server is told. Times are in the unit that the name ends with."""

    host: str = "127.0.0.1"
    port: int = 8061
    metrics_port: int | None = None
    """Where metrics are answered; 0 takes a free one. None: nowhere."""
    redis_url: str = ""
    """Empty: the server starts a redis-server of its own (embedded mode)."""
    dynamodb_endpoint: str = ""
    """An address, or one of embedded, aws, off. Empty: embedded beside the server's own Redis,
    otherwise aws.
    """
    table_prefix: str = "inventory-"
    durable_copy: str = ""
    """on or off. Empty: on where DynamoDB keeps what it is given, so not with the double."""
    journal_max_bytes: int = limits.JOURNAL_BYTES
    """Of all journals, where they wait for the durable copy."""
    catalog_max_age_s: float = 300.0
    """How old the catalogue's index may be and still answer."""
    data_dir: Path = field(default_factory=lambda: Path("inventory-data"))
    durability: str = "require"
    partitions: int = 16
    sweeper: bool = True
    sample_data: bool = False
    log_format: str = "text"
    call_log: bool = True
    store_timeout_s: float = 5.0
    """How long a call may wait for the store, where its caller allows more."""
    stall_timeout_s: float = 2.0
    """A connection to the store that answers nobody for so long is cut."""
    drain_notice_s: float = 0.2
    drain_timeout_s: float = 10.0
    """How long calls in flight may take to finish at a stop."""
    retention_s: int = limits.RETENTION_MS // 1000
    journal_retention_s: int = limits.JOURNAL_AGE_MS // 1000
    heartbeat_s: float = limits.HEARTBEAT_S
    max_streams: int = limits.MAX_STREAMS
    max_lines: int = limits.MAX_HOLD_LINES
    max_ttl_s: int = limits.MAX_TTL_MS // 1000
    max_hold_life_s: int = limits.MAX_HOLD_LIFE_MS // 1000

    def __post_init__(self) -> None:
        self._check(self.durability in DURABILITIES, "durability", "one of require, warn, declared")
        self._check(self.log_format in ("text", "json"), "log_format", "text or json")
        self._check(0 <= self.port <= 65535, "port", "0 to 65535")
        self._check(0 <= (self.metrics_port or 0) <= 65535, "metrics_port", "0 to 65535")
        self._check(1 <= self.partitions <= 4096, "partitions", "1 to 4096")
        for name in ("store_timeout_s", "stall_timeout_s", "drain_timeout_s"):
            self._check(0 < getattr(self, name) <= 3600, name, "more than 0, at most 3600")
        self._check(0 <= self.drain_notice_s <= 3600, "drain_notice_s", "0 to 3600")
        self._check(60 <= self.retention_s <= 30 * 86400, "retention_s", "60 to 2592000")
        self._check(
            60 <= self.journal_retention_s <= 365 * 86400, "journal_retention_s", "60 to 31536000"
        )
        self._check(0.05 <= self.heartbeat_s <= 3600, "heartbeat_s", "0.05 to 3600")
        self._check(0 <= self.max_streams <= 100_000, "max_streams", "0 to 100000")
        most = limits.MAX_HOLD_LINES
        self._check(1 <= self.max_lines <= most, "max_lines", f"1 to {most}")
        self._check(1 <= self.max_ttl_s <= 86400, "max_ttl_s", "1 to 86400")
        self._check(
            self.max_ttl_s <= self.max_hold_life_s <= 30 * 86400,
            "max_hold_life_s",
            "max_ttl_s to 2592000",
        )
        schemes = ("redis://", "rediss://", "unix://")
        self._check(
            not self.redis_url or self.redis_url.startswith(schemes),
            "redis_url",
            "a redis://, rediss:// or unix:// address",
        )

        self._check(
            self.dynamodb_endpoint in ("", EMBEDDED, AWS, OFF)
            or self.dynamodb_endpoint.startswith(("http://", "https://")),
            "dynamodb_endpoint",
            "an http:// or https:// address, embedded, aws or off",
        )
        self._check(
            re.fullmatch(r"[A-Za-z0-9._-]{0,200}", self.table_prefix) is not None,
            "table_prefix",
            "at most 200 of A-Z a-z 0-9 . _ -",
        )
        self._check(self.durable_copy in ("", ON, OFF), "durable_copy", "on or off")
        self._check(
            self.durable_copy != ON or self.catalog_store not in (EMBEDDED, OFF),
            "durable_copy",
            "off where DynamoDB is off, or a double that keeps nothing",
        )
        self._check(
            1 << 20 <= self.journal_max_bytes <= 1 << 42,
            "journal_max_bytes",
            "1048576 to 4398046511104",
        )
        self._check(1 <= self.catalog_max_age_s <= 86400, "catalog_max_age_s", "1 to 86400")

    def _check(self, good: bool, name: str, wanted: str) -> None:
        if not good:
            flag = "--" + name.replace("_", "-")
            shown = "that" if name == "redis_url" else repr(getattr(self, name))
            raise SettingsError(f"{flag} (INVENTORY_{name.upper()}) must be {wanted}, not {shown}")

    @property
    def catalog_store(self) -> str:
        """Where the catalogue is: an address, embedded, aws or off."""
        return self.dynamodb_endpoint or (EMBEDDED if self.is_embedded else AWS)

    @property
    def has_copy(self) -> bool:
        """Whether the store is copied to DynamoDB."""
        return self.durable_copy != OFF and self.catalog_store not in (EMBEDDED, OFF)

    @property
    def is_embedded(self) -> bool:
        """Whether the server runs its own redis-server."""
        return not self.redis_url
