"""What becomes of a drainer's requests on their way: faults, doubles, strays, and deaths."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import NamedTuple, Protocol

from tests.copy.late import Late
from tests.copy.steps import READS, STEPS, WRITES, StepNames
from tests.faults.dynamo_proxy import (
    Exchange,
    Fault,
    Reply,
    broken,
    cut_short,
    partly,
    passed,
    refused,
    reply_lost,
    throttled,
)

VICTIMS = ("server", "redis", "dynamodb")
DELIVERIES = ("before", "after", "late")
"""A request is not passed on; or its answer is not; or it comes when another has taken over."""


class Death(NamedTuple):
    """Who dies, and when: as a request of this step comes in."""

    step: str
    victim: str
    delivery: str


def each_step_in_every_way() -> list[Death]:
    """Before, after, and long after each step; the victims take turns."""
    found = [
        Death(step, VICTIMS[(number + is_after) % len(VICTIMS)], DELIVERIES[is_after])
        for is_after in (0, 1)
        for number, step in enumerate(STEPS)
    ]
    return found + [Death(step, "server", "late") for step in WRITES]


def each_step_once() -> list[Death]:
    """Each step has a death, and each kind of death a step."""
    kinds = cycle(
        [("server", "before"), ("redis", "after"), ("dynamodb", "before"), ("server", "late"),
         ("redis", "before"), ("dynamodb", "after"), ("server", "after")]
    )  # fmt: skip
    found = []
    for step, (victim, delivery) in zip(STEPS, kinds, strict=False):
        is_late_read = delivery == "late" and step in READS
        found.append(Death(step, victim, "after" if is_late_read else delivery))
    return found


class Mortal(Protocol):
    """Whoever sent a request."""

    @property
    def is_alive(self) -> bool:
        """Whether it has not died since."""

    def kill(self) -> None:
        """Ends it without a word."""


@dataclass
class Struck:
    """A death that has happened, or, of DynamoDB, that is to happen while the request waits."""

    death: Death
    sender: Mortal


class Troubles:
    """Stands in the way of all requests of all servers.

    Every `every`-th request of a step has a fault, one after another. A death comes only
    after `allow`, and then no other until that is called again.
    """

    EARLY, LATE = 3, 60
    """So many requests overtake one that is held back: while its client waits, and long after."""

    def __init__(
        self, steps: StepNames, deaths: Iterable[Death], every: int,
        kill_redis: Callable[[], None], on_death: Callable[[Struck], None],
    ) -> None:  # fmt: skip
        self.late = Late()
        self.left = list(deaths)
        self.seen: Counter[str] = Counter()
        """How many requests of each step came in."""
        self.faults: Counter[str] = Counter()
        self.deaths: list[Death] = []
        self._steps = steps
        self._every = every
        self._kill_redis = kill_redis
        self._on_death = on_death
        self._is_allowed = False
        self._is_healed = False
        self._changing = threading.Lock()
        self._doubles: list[threading.Thread] = []
        self._faults = {step: cycle(self._kinds_of(step)) for step in STEPS}

    def allow(self) -> None:
        """The next death may come."""
        with self._changing:
            self._is_allowed = True

    def heal(self) -> None:
        """From now on nothing goes wrong; what is held back stays so."""
        self._is_healed = True

    def end(self) -> None:
        """Lets through all that is held back, and waits until it has come through."""
        self.late.close()
        for double in self._doubles:
            double.join()

    def meet(self, sender: Mortal, exchange: Exchange) -> Reply | None:
        """What becomes of this request."""
        with self._changing:
            step = self._steps.of(exchange.operation, exchange.body)
            self.seen[step] += 1
            death = self._next_death(step, sender)
            fault = passed if death or not step else self._next_fault(step)
        reply = self._die(death, sender, exchange) if death else fault(exchange)
        self.late.passed()
        return reply

    # Deaths

    def _next_death(self, step: str, sender: Mortal) -> Death | None:
        if not self._is_allowed or not sender.is_alive:
            return None
        death = next((death for death in self.left if death.step == step), None)
        if death is not None:
            self._is_allowed = False
            self.left.remove(death)
            self.deaths.append(death)
        return death

    def _die(self, death: Death, sender: Mortal, exchange: Exchange) -> Reply | None:
        is_before = death.delivery == "before"
        if death.victim == "dynamodb":
            if not is_before:
                exchange.forward(exchange.body)
            self._on_death(Struck(death, sender))
            exchange.wait(None)
            return None
        if death.victim == "redis":
            reply = None if is_before else exchange.forward(exchange.body)
            self._kill_redis()
            self._on_death(Struck(death, sender))
            return reply or exchange.forward(exchange.body)
        if death.delivery == "after":
            exchange.forward(exchange.body)
        sender.kill()
        self._on_death(Struck(death, sender))
        if death.delivery == "late":
            takes, marks = self.seen["take"], self.seen["watermark"]
            self.late.wait(
                self.LATE,
                lambda: self.seen["take"] > takes and self.seen["watermark"] > marks + 5,
            )
            exchange.forward(exchange.body)
        return None

    # Faults

    def _next_fault(self, step: str) -> Fault:
        if self._is_healed or self.seen[step] % self._every:
            return passed
        name, fault = next(self._faults[step])
        self.faults[name] += 1
        return fault

    def _kinds_of(self, step: str) -> list[tuple[str, Fault]]:
        """The faults that a request of this step can have."""
        kinds: list[tuple[str, Fault]] = [
            ("throttled", throttled()),
            ("error 500", broken),
            ("reply lost", reply_lost),
            ("reply cut short", cut_short(0)),
            ("throughput exceeded", throttled("ProvisionedThroughputExceededException")),
            ("error 503", refused("ServiceUnavailable", 503)),
        ]
        if step in WRITES:
            kinds += [
                ("twice, first answer", partial(_twice, answer=0)),
                ("overtaken", partial(self._held, requests=self.EARLY)),
                ("twice, second answer", partial(_twice, answer=1)),
                ("long after its client gave up", partial(self._held, requests=self.LATE)),
                ("applied, then again long after", self._again_late),
            ]
        if step in ("movements", "history", "levels", "holds"):
            kinds[:0] = [("part of a batch", partly(7)), ("none of a batch", partly(0)),
                         ("part of a batch, reply cut short", cut_short(0, partly(7)))]  # fmt: skip
        return kinds

    def _held(self, exchange: Exchange, requests: int) -> Reply:
        self.late.wait(requests)
        return exchange.forward(exchange.body)

    def _again_late(self, exchange: Exchange) -> Reply:
        """The client gets its answer late; what is in between is overtaken by the second time."""
        reply = exchange.forward(exchange.body)
        again = threading.Thread(target=self._held, args=(exchange, self.LATE))
        self._doubles.append(again)
        again.start()
        return reply


def _twice(exchange: Exchange, answer: int) -> Reply:
    return [exchange.forward(exchange.body), exchange.forward(exchange.body)][answer]
