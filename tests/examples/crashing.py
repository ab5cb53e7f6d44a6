"""Runs the order flow and kills itself at one of its steps.

`python -m tests.examples.crashing SERVER ENDPOINT TABLE ORDER_ID TTL STEP WHEN`: the
STEPth call to the inventory or the table is not made any more (WHEN is
`before`), or its answer is the last thing that is seen (`after`). The order id
`recover` runs the recovery instead. It ends with the signal, or with what the
flow ends with.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from typing import Any

import boto3
from examples.order_flow import place_order, recover
from examples.orders_table import Orders
from inventory_client import InventoryClient

LINES = [("TEA", "online", 1), ("CUP", "store:DELHI", 2)]


class Crashing:
    """An object whose calls count as steps; at one of them the process is killed."""

    def __init__(self, inner: Any, steps: Any, step: int, when: str) -> None:
        self._inner, self._steps, self._step, self._when = inner, steps, step, when

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            is_it = next(self._steps) == self._step
            if is_it and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = getattr(self._inner, name)(*arguments, **named)
            if is_it:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call


def main() -> None:
    server, endpoint, name, order_id, ttl, step, when = sys.argv[1:]
    table = boto3.resource("dynamodb", endpoint_url=endpoint).Table(name)
    steps = count(1)
    with InventoryClient(server) as client:
        crashing: Any = Crashing(client, steps, int(step), when)
        orders = Orders(Crashing(table, steps, int(step), when))
        if order_id == "recover":
            recover(crashing, orders)
        else:
            place_order(crashing, orders, order_id, LINES, float(ttl))


if __name__ == "__main__":
    main()
