"""What a run is told: how long, how often, how much, and which parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "benchmarks" / "results"
DURABILITIES: Final = ("no AOF", "always")
SECTIONS: Final = (
    *("load", "latency", "batch", "scale"),
    *("expiry", "alerts", "import", "memory", "catalog", "client", "copy"),
)
ROWS: Final = ("empty", "place", "check", "confirm", "seed", "redis")
CONNECTIONS: Final = 4
STREAMS: Final = 16
"""Calls in flight a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A run's size. Every loop of the suite is bounded by one of these."""

    rounds: int = 6
    seconds: float = 1.0
    """Measured time of one row in one round."""
    warmup_s: float = 0.3
    latency_rounds: int = 4
    latency_calls: int = 250
    """Calls a method of the latency table in one of its rounds."""
    batch_rounds: int = 4
    scale_rounds: int = 7
    scale_steps: tuple[int, int, int] = (1_000, 100_000, 1_000_000)
    """Levels and open holds of the scale section; the first is levels alone."""
    expiry_holds: int = 100_000
    """Holds that are due at once."""
    alert_subscribers: int = 1000
    alert_rounds: int = 3
    alert_s: float = 10.0
    """How long each part of the alerts section lasts in one round."""
    repeats: int = 3
    """How often a start or a small import is timed."""
    import_rows: int = 1_000_000
    memory_things: int = 100_000
    catalog_products: int = 100_000
    catalog_calls: int = 200
    """How often each question is put to the index."""
    client_rounds: int = 12
    client_calls: int = 300
    """Calls by the library, and by the stub, in one round."""
    copy_rounds: int = 3
    copy_s: float = 15.0
    """How long each part of the copy section lasts in one round."""
    only: tuple[str, ...] = ()
    """Sections or rows of the load section; empty means everything."""
    is_quick: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the results may be kept as the project's last ones."""
        return not self.only and not self.is_quick

    def wants(self, section: str) -> bool:
        """Whether a section is to be run."""
        return not self.only or section in self.only or (section == "load" and bool(self.rows()))

    def rows(self) -> tuple[str, ...]:
        """The rows of the load section that are to be run."""
        if not self.only or "load" in self.only:
            return ROWS
        return tuple(row for row in ROWS if row in self.only)


def quick_options(only: tuple[str, ...]) -> Options:
    """A run that shows whether everything works, in little more than a minute."""
    return Options(
        rounds=2,
        seconds=0.5,
        warmup_s=0.2,
        latency_rounds=1,
        latency_calls=200,
        batch_rounds=2,
        scale_rounds=2,
        scale_steps=(1_000, 10_000, 100_000),
        expiry_holds=10_000,
        alert_subscribers=200,
        alert_rounds=1,
        alert_s=4.0,
        repeats=1,
        import_rows=100_000,
        memory_things=10_000,
        catalog_products=10_000,
        catalog_calls=50,
        client_rounds=4,
        client_calls=150,
        copy_rounds=1,
        copy_s=4.0,
        only=only,
        is_quick=True,
    )
