"""The server's program with a drainer that has shorter times: a takeover takes a second or two.

A program of its own, started as `python -m inventory_server` is, and so is its drainer
(`python -m tests.copy.quick_drainer`). The environment says how long what follows
from movements is gathered, and how many are taken at once.
"""

from __future__ import annotations

from inventory_server.cli import main
from inventory_server.drain_child import DrainChild

if __name__ == "__main__":
    DrainChild.MODULE = "tests.copy.quick_drainer"  # type: ignore[misc]
    DrainChild.FIRST_PAUSE_S = 0.05  # type: ignore[misc]
    main()
