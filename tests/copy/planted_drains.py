"""Faults planted in the drainer, one at a time: with one of them the proof fails."""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
from typing import Any, NamedTuple

from inventory_server.operations.partition_drain import PartitionDrain
from inventory_server.stores import copy_store
from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_store import CopyStore

VARIABLE = "INVENTORY_PLANTED_DRAIN"


class Fault(NamedTuple):
    """A slip of the pen in one function: these texts become those."""

    owner: Any
    function: str
    slips: tuple[tuple[str, str], ...]


_PUT = "            await self._store.put_movements(fresh, self._deadline)\n"
_MARKED = "            # At once: what is past the watermark is not read again.\n"
FAULTS = {
    "the watermark moves before the movements are written": Fault(
        PartitionDrain, "drain", ((_PUT, ""), (_MARKED, _PUT + _MARKED))
    ),
    "who takes over does not gather": Fault(
        PartitionDrain, "drain",
        (("self._fold = await self._gathered(self._mark.place)", "self._fold = CopyFold()"),),
    ),
    "both marks move together": Fault(
        PartitionDrain, "drain",
        (("place=Place(last.epoch, last.seq),",
          "place=Place(last.epoch, last.seq), folded=Place(last.epoch, last.seq),"),),
    ),
    "the term is not checked": Fault(
        CopyLeases, "_update",
        (('condition = "#its_term = :its_term"\n',
          'condition = "(attribute_not_exists(#its_term) OR NOT #its_term = :its_term'
          ' OR #its_term = :its_term)"\n'),),
    ),
    "a watermark may go back": Fault(
        CopyLeases, "_update", (('values.keys() & {"place", "folded"}', "()"),)
    ),
    "an unprocessed item is forgotten": Fault(
        CopyStore, "_write_part",
        (('requests = (answer.get("UnprocessedItems") or {}).get(table, [])', "requests = []"),),
    ),
    "a batch that fails is overlooked": Fault(
        copy_store, "_all_of", (("raise ended", "continue"),)
    ),
    "the mark moves before what follows is written": Fault(
        PartitionDrain, "fold",
        (("await self._store.put_fold(fold, self._deadline)\n", ""),
         ("self._fold = CopyFold()",
          "await self._store.put_fold(fold, self._deadline); self._fold = CopyFold()")),
    ),
}  # fmt: skip


def plant() -> None:
    """Puts in the fault that the environment names, if it names one."""
    name = os.environ.get(VARIABLE, "")
    if not name:
        return
    owner, function, slips = FAULTS[name]
    text = textwrap.dedent(inspect.getsource(getattr(owner, function)))
    for good, bad in slips:
        good, bad = _dedented(good, owner), _dedented(bad, owner)
        assert text.count(good) == 1, f"{function} has changed: {good!r}"
        text = text.replace(good, bad)
    module = owner if inspect.ismodule(owner) else sys.modules[owner.__module__]
    known: dict[str, Any] = vars(module)
    exec(compile(f"from __future__ import annotations\n{text}", function, "exec"), known)
    setattr(owner, function, known[function])


def _dedented(text: str, owner: Any) -> str:
    """A method's lines stand four columns further left, once they are taken out of their class."""
    if inspect.ismodule(owner):
        return text
    return "".join(line.removeprefix("    ") for line in text.splitlines(keepends=True))
