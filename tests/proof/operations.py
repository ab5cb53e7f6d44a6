"""What happened: the runs of scripts that the journals tell of, who asked for each, and in which
order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from inventory_server.domain.model import Hold, Level
from inventory_server.stores.operation_id import operation_id
from tests.proof.journals import Movement, Store
from tests.proof.load import Asking
from tests.proof.words import Place


@dataclass(slots=True, eq=False)
class Operation:
    """One run of a script: its movements, who asked for it, and when callers knew of it."""

    op: str
    verb: str = ""
    request: Any = None
    movements: list[Movement] = field(default_factory=list)
    reach: dict[int, int] = field(default_factory=dict)
    """How far it goes in each journal."""
    first_sent: float = -inf
    first_answered: float = inf
    levels: dict[Place, Level] = field(default_factory=dict)
    hold: Hold | None = None
    """What the journal says that they became."""
    answer: bytes = b""
    fresh_answers: int = 0

    @property
    def at_ms(self) -> int:
        return self.movements[0].at_ms

    @property
    def hold_id(self) -> str:
        return self.movements[0].hold_id

    def __str__(self) -> str:
        return f"{self.verb or 'expiry'} {self.op} {self.reach} {self.movements}"


@dataclass(slots=True)
class Findings:
    """What the witness saw."""

    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    alerts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and cause."""
    clock_jumps: bool = False

    def add(self, what: str, *about: object) -> None:
        self.violations.append(" ".join([what, *map(str, about)])[:600])

    def summary(self) -> str:
        """One line to quote."""
        counts = ", ".join(f"{name}: {count:,}" for name, count in self.counts.items())
        refusals = ", ".join(f"{name} {count:,}" for name, count in sorted(self.refusals.items()))
        return f"{counts}; refused: {refusals or 'none'}; violations: {len(self.violations)}"


class Ids:
    """The operation that each asking would be."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._known: dict[tuple[str, str], str] = {}

    def of(self, asking: Asking) -> str:
        name = (asking.verb, asking.key)
        if name not in self._known:
            self._known[name] = operation_id(self._secret, asking.verb, "", asking.key)
        return self._known[name]


def group(store: Store, seen: Findings) -> dict[str, Operation]:
    """Operations by id; each stands in a journal once, in one piece."""
    operations: dict[str, Operation] = {}
    for n, journal in store.journals.items():
        last = ""
        for place, movement in enumerate(journal, 1):
            if movement.seq != place:
                seen.add("a gap or a turn in a journal:", place, movement)
            operation = operations.get(movement.op)
            if operation is None:
                operation = operations[movement.op] = Operation(movement.op)
            elif n in operation.reach and movement.op != last:
                seen.add("applied twice:", movement)
            operation.movements.append(movement)
            operation.reach[n] = movement.seq
            last = movement.op
    for operation in operations.values():
        moves = operation.movements
        if len(operation.reach) > 1:
            moves.sort(key=lambda movement: movement.number)
        first = moves[0].number
        if first > 1 or [m.number for m in moves] != list(range(first, first + len(moves))):
            seen.add("a part is there twice, or missing:", operation)
        if len({m.at_ms for m in moves}) > 1:
            seen.add("not at one time:", operation)
    return operations


def attribute(
    changes: Sequence[Asking], operations: dict[str, Operation], ids: Ids, seen: Findings
) -> None:
    """Who asked for each operation, and when; nothing happened that nobody asked for."""
    for asking in changes:
        operation = operations.get(ids.of(asking))
        if operation is not None:
            if not operation.verb or asking.sent_at < operation.first_sent:
                operation.first_sent = asking.sent_at
            operation.verb, operation.request = asking.verb, asking.request
    for operation in operations.values():
        by_sweeper = {(m.kind, m.actor) for m in operation.movements} == {("EXPIRE", "sweeper")}
        is_expiry = by_sweeper and operation.op == f"expire-{operation.hold_id}"
        if not operation.verb and not is_expiry:
            seen.add("nobody asked for:", operation)


def in_order(operations: Iterable[Operation]) -> dict[int, list[Operation]]:
    """Each partition's operations, in the order of its journal."""
    queues: dict[int, list[Operation]] = defaultdict(list)
    for operation in operations:
        for n in operation.reach:
            queues[n].append(operation)
    for n, queue in queues.items():
        queue.sort(key=lambda operation: operation.reach[n])
    return queues


def merge(operations: dict[str, Operation], seen: Findings) -> list[Operation]:
    """One order that agrees with the order in every journal."""
    queues = in_order(operations.values())
    heads, waits = dict.fromkeys(queues, 0), {o.op: len(o.reach) for o in operations.values()}
    ordered: list[Operation] = []
    arriving = list(queues)
    while arriving:
        n = arriving.pop()
        if heads[n] == len(queues[n]):
            continue
        operation = queues[n][heads[n]]
        waits[operation.op] -= 1
        if waits[operation.op] == 0:
            ordered.append(operation)
            for reached in operation.reach:
                heads[reached] += 1
                arriving.append(reached)
    if len(ordered) < len(operations):
        stuck = {queues[n][at].op: n for n, at in heads.items() if at < len(queues[n])}
        seen.add("the journals contradict one another about the order of:", stuck)
    return ordered
