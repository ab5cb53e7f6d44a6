"""The memory section: bytes of Redis a level, an open hold and an ended one, journal apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.options import Options
from benchmarks.packed_scripts import (
    PARTITIONS,
    HoldCall,
    hold_id_of,
    new_holds,
    prepare,
    set_levels,
)
from benchmarks.payloads import SKUS
from benchmarks.processes import Stage, Started
from benchmarks.redis_alone import RawConnection
from benchmarks.throughput import DEEP

REFERENCE = "order-0123456789"


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Bytes a thing."""
    count = options.memory_things
    say(f"memory, {count} levels")
    found: dict[str, Any] = {"things": count, "level": _levels(count)}
    for name, reference in (("", ""), (" with a reference", REFERENCE)):
        say(f"memory, {count} holds{name}")
        open_bytes, ended_bytes, journal_bytes = _holds(count, reference)
        found["open hold" + name] = open_bytes
        found["ended hold" + name] = ended_bytes
        found["journal entries of a hold and its end" + name] = journal_bytes
    return found


def _levels(count: int) -> int:
    with Stage() as stage:
        redis = stage.redis(always=False)
        connection = RawConnection(redis.socket)
        set_levels(redis.redis_url, SKUS[:1])
        before = _used(connection)
        set_levels(redis.redis_url, [f"MEM{n:08d}" for n in range(count)])
        return round((_used(connection) - before) / count)


def _holds(count: int, reference: str) -> tuple[int, int, int]:
    """Of one line each, spread over the SKUs; the ended ones are confirmed."""
    with Stage() as stage:
        redis = stage.redis(always=False)
        calls = prepare(redis.redis_url, SKUS, reference)
        connection = RawConnection(redis.socket)
        start, journal = _used(connection), _journal(connection)
        holds = list(new_holds(calls, count))
        connection.pipeline((call.place(op) for call, op in holds), DEEP)
        placed = _used(connection)
        connection.pipeline((call.confirm(op) for call, op in holds), DEEP)
        ended = _used(connection)
        _check(redis, connection, holds)
        journal = _journal(connection) - journal
        sizes = (placed - start, ended - start, journal)
        open_bytes, ended_bytes, journal_bytes = (round(size / count) for size in sizes)
        return open_bytes, ended_bytes, journal_bytes


def _check(
    redis: Started, connection: RawConnection, holds: Iterable[tuple[HoldCall, bytes]]
) -> None:
    """The last hold must be there, and confirmed."""
    *_, (_, op) = holds
    hold_id = hold_id_of(op)
    state = connection.command("GET", f"inv:{{{hold_id.partition('-')[0]}}}:hold:{hold_id}")
    if not str(state).startswith("CONFIRMED"):
        raise RuntimeError(f"the hold {hold_id} in {redis.socket} is {state}")


def _used(connection: RawConnection) -> int:
    """Memory that Redis uses, but for the journal and for what clients take."""
    info = str(connection.command("INFO", "memory"))
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    clients = int(facts["mem_clients_normal"])
    return int(facts["used_memory"]) - clients - _journal(connection)


def _journal(connection: RawConnection) -> int:
    sizes = [
        connection.command("MEMORY", "USAGE", f"inv:{{{n}}}:journal", "SAMPLES", 0)
        for n in range(PARTITIONS)
    ]
    return sum(int(str(size)) for size in sizes if size is not None)
