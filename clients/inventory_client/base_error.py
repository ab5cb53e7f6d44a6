"""What every error of a call has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import grpc

from inventory_client.refused_lines import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How one attempt of a call ended, as the server said it."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    """A value of ErrorReason by name; empty where the server gave none."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Every value that the message names."""
    violations: tuple[Violation, ...] = ()
    """The refused lines, or the wrong fields."""
    retry_delay_s: float = 0.0
    """The pause that the server asks for before a retry."""
    request_id: str = ""
    """Under this id the call stands in the server's log."""


class InventoryError(Exception):
    """A call failed. A reason that this library does not know yet is of this class itself.

    `maybe_applied` tells the truth about a change: False, and certainly nothing
    was changed by the call; True, and perhaps something was, so the same
    request with `idempotency_key` settles it. Of a read it is always False.
    """

    reason: ClassVar[str] = ""
    retryable: ClassVar[bool] = False
    """Whether the same call, under the same key, can get further a little later."""
    ambiguous: ClassVar[bool] = False
    """Whether a change may have been made all the same."""

    maybe_applied: bool = False
    idempotency_key: str = ""
    """The key that the change was sent with; empty for a read."""
    attempts: int = 1
    """How often the call was sent."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure

    def __str__(self) -> str:
        name = self.failure.reason or self.failure.code.name
        text = f"{name}: {self.failure.message}"
        if not self.maybe_applied:
            return text
        return f"{text} (perhaps applied; repeat it with the key {self.idempotency_key!r})"

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status."""
        return self.failure.code

    @property
    def message(self) -> str:
        """What is wrong, in a sentence."""
        return self.failure.message

    @property
    def facts(self) -> Mapping[str, str]:
        """Every value that the message names, by its name."""
        return self.failure.facts
