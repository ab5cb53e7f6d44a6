"""Any order of calls at any time: the service answers, and keeps, what the model says."""

from __future__ import annotations

import os

import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.story import Story

EXAMPLES = int(os.environ.get("INVENTORY_MODEL_EXAMPLES", "70"))
"""How many stories are told."""
STEPS = 30
"""Calls and clock steps a story."""

STORIES = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
    derandomize=False, suppress_health_check=list(HealthCheck),
)  # fmt: skip


def test_whatever_is_called_and_whenever_the_service_does_what_the_model_does(
    db: redis.Redis,
) -> None:
    run_state_machine_as_test(lambda: Story(db), settings=STORIES)
