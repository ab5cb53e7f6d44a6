"""Requests that are held back, and let through when others have overtaken them."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Late:
    """Where requests wait. Threads of several proxies use it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._passed = 0
        self._released = 0
        self._is_open = True
        self.waiting = 0
        """How many requests are held back now."""

    def passed(self) -> None:
        """Another request has gone through."""
        with self._changed:
            self._passed += 1
            self._changed.notify_all()

    def wait(self, requests: int, until: Callable[[], bool] = lambda: True) -> None:
        """Until so many others went through and this is so, or all are released."""
        with self._changed:
            ends, released = self._passed + requests, self._released
            self.waiting += 1
            self._changed.wait_for(
                lambda: (
                    (self._passed >= ends and until())
                    or self._released > released
                    or not self._is_open
                )
            )
            self.waiting -= 1

    def release(self) -> None:
        """Lets all through that are held back."""
        with self._changed:
            self._released += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Lets all through, and holds nothing back until it is opened."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def open(self) -> None:
        """Holds requests back from now on."""
        with self._changed:
            self._is_open = True
