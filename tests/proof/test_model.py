"""Any order of calls at any time: the service answers, keeps and sends what the model says."""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.alerts import EVERY, JUDGED_ANEW
from tests.proof.story import Story
from tests.proof.tremble_story import TAKING

EXAMPLES = int(os.environ.get("INVENTORY_MODEL_EXAMPLES", "70"))
"""How many stories are told."""
STEPS = 30
"""Calls and clock steps a story."""
AT_ONCE = 10
"""Hypothesis goes on from the tenth story with copies of what it told before: beginning anew
makes seventy that differ.
"""

STORIES = settings(
    max_examples=AT_ONCE, stateful_step_count=STEPS, deadline=None, database=None,
    derandomize=False, suppress_health_check=list(HealthCheck),
)  # fmt: skip


# Hypothesis looks up to five minutes for the shortest story that fails.
@pytest.mark.timeout(400)
def test_whatever_is_called_and_whenever_the_service_does_what_the_model_does(
    db: redis.Redis,
) -> None:
    alerts: Counter[tuple[str, str]] = Counter()
    for _ in range(0, EXAMPLES, AT_ONCE):
        run_state_machine_as_test(lambda: Story(db, alerts), settings=STORIES)
    counts = [f"{cause} {kind} {alerts[kind, cause]:,}" for kind, cause in sorted(EVERY)]
    sys.stdout.write(f"alerts: {', '.join(counts)}\n")
    assert alerts.keys() <= EVERY | JUDGED_ANEW
    # Mostly it is all of them; the next test makes sure of the rest.
    assert EXAMPLES < 70 or len(alerts.keys() & EVERY) >= len(EVERY) - 6, (
        "the stories are too much alike"
    )


def test_every_cause_sends_every_alert_that_it_can(db: redis.Redis) -> None:
    alerts: Counter[tuple[str, str]] = Counter()
    for moves in (
        *[[(verb, units)] for verb in TAKING for units in (-2, -4)],
        *[[("adjust", -4), (verb, 4)] for verb in ("transfer", "import", "count", "adjust")],
        *[[("policy", -4), ("policy", 4)], [("hold", -4), ("hold", 1)]],
        *[[("hold", -2), ("hold", 2)], [("hold", -4), ("hold", 2)], [("hold", -2), ("hold", -2)]],
        *[[("transfer", 1)], [("transfer", 2)], [("adjust", -2), ("adjust", 1), ("adjust", 1)]],
    ):
        story = Story(db, alerts)
        story.tremble(("online", "A"), reorder=2, above=1, reference="order-1", moves=moves)
        story.sweep(nth=0, ms="all")
        story.the_alerts_are_those_of_the_rules()
        story.the_store_holds_what_the_model_says()
        story.the_journal_says_the_same()
        story.teardown()
    assert alerts.keys() == EVERY
