"""What goes on beside the calls does not end without a word."""

from __future__ import annotations

import asyncio
import logging

import pytest

from inventory_server import background


async def breaking() -> None:
    raise KeyError("not expected")


async def waiting() -> None:
    await asyncio.Event().wait()


async def test_work_that_fails_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    (ended,) = await asyncio.gather(background.begin(breaking()), return_exceptions=True)
    assert isinstance(ended, KeyError)
    (told,) = caplog.records
    assert told.levelno == logging.CRITICAL
    assert told.getMessage().startswith("breaking has failed")
    assert "not expected" in caplog.text


async def test_work_that_is_cancelled_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    task = background.begin(waiting())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not caplog.records
