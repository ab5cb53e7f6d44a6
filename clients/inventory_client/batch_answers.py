"""What the answers to one batch, asked several times, say of its items together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from inventory.v1 import hold_service_pb2 as pb

from inventory_client.errors import OutcomeUnknown
from inventory_client.failures import item_error

BatchResponse: TypeAlias = (
    pb.BatchPlaceHoldsResponse | pb.BatchConfirmHoldsResponse | pb.BatchReleaseHoldsResponse
)
BatchResult: TypeAlias = (
    pb.BatchPlaceHoldsResult | pb.BatchConfirmHoldsResult | pb.BatchReleaseHoldsResult
)
_UNAVAILABLE: Final = 14
"""As a google.rpc.Code."""


class BatchAnswers:
    """Looks at each answer to one batch, in turn."""

    def __init__(self) -> None:
        self._perhaps_done: set[int] = set()

    def __call__(self, response: BatchResponse, is_lost: bool) -> bool:
        """Whether no item can get further by asking again under the same key.

        An item that was perhaps done by an earlier attempt, or with `is_lost`
        by one that was not answered, and is refused now, becomes
        OUTCOME_UNKNOWN: its refusal is not certain any more.
        """
        is_settled = True
        results: Iterable[BatchResult] = response.results
        for number, result in enumerate(results):
            if result.WhichOneof("outcome") != "error":
                continue
            error = item_error(result.error)
            if error.ambiguous:
                self._perhaps_done.add(number)
            elif is_lost or number in self._perhaps_done:
                result.error.code = _UNAVAILABLE
                result.error.reason = OutcomeUnknown.reason
            is_settled = is_settled and not error.retryable
        return is_settled
