"""The drainer's program with shorter times, and with a planted fault where one is named."""

from __future__ import annotations

import os

from inventory_server.drain_process import main
from inventory_server.operations.drain_leases import DrainLeases
from inventory_server.operations.draining import Drainer
from inventory_server.operations.partition_drain import PartitionDrain
from inventory_server.stores.dynamo import Dynamo
from tests.copy.planted_drains import plant

FOLD_S, BATCH = "COPY_TEST_FOLD_S", "COPY_TEST_BATCH"


def hurry() -> None:
    """Drainers look often, beat fast, and give a request up soon."""
    for owner, name, value in (
        (Drainer, "POLL_S", 0.05), (Drainer, "FIRST_PAUSE_S", 0.05),
        (Drainer, "LONGEST_PAUSE_S", 0.5), (DrainLeases, "BEAT_S", 0.4),
        (DrainLeases, "TERM_S", 4.0), (DrainLeases, "MARGIN_S", 1.0),
        (PartitionDrain, "FOLD_S", float(os.environ[FOLD_S])),
        (PartitionDrain, "BATCH", int(os.environ[BATCH])), (Dynamo, "READ_TIMEOUT_S", 1.0),
    ):  # fmt: skip
        setattr(owner, name, value)


if __name__ == "__main__":
    hurry()
    plant()
    main()
