"""A pytest plugin: the scripts come from another folder, named in the environment."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import Phase, settings

from inventory_server.stores import scripts

VARIABLE = "INVENTORY_PLANTED_SCRIPTS"


def pytest_configure() -> None:
    scripts._FOLDER = Path(os.environ[VARIABLE])
    # That it fails is enough: nobody reads the shortest story.
    settings.register_profile("planted", phases=[Phase.generate])
    settings.load_profile("planted")
