"""How long is waited between two attempts."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a call is sent again. It never goes past the call's deadline.

    A change is sent again only under its own idempotency key, and only where
    that is safe; `max_attempts=1` turns retries off.
    """

    max_attempts: int = 0
    """How often a call is sent at most; 0 means as often as its deadline allows."""
    first_pause_s: float = 0.05
    """The pause before the second attempt."""
    longest_pause_s: float = 2.0
    """Pauses double up to this."""

    def pause_s(self, failures: int, asked_s: float = 0.0) -> float:
        """The pause after so many failures in a row, with jitter; at least what was asked for."""
        pause_s = min(self.first_pause_s * 2.0 ** min(failures - 1, 30), self.longest_pause_s)
        # Jitter is added to what the server asks for too: else all callers come back at once.
        return asked_s + pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def allows(self, attempts: int) -> bool:
        """Whether there may be one more attempt after so many."""
        return not self.max_attempts or attempts < self.max_attempts
