"""An event loop in a thread of its own, for callers without one.

All synchronous clients of a process share it: each further loop with gRPC in
it is woken by the calls of all the others.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, ClassVar, TypeVar

from inventory_client.failures import client_closed

Result = TypeVar("Result")


_sharing = threading.Lock()


class LoopThread:
    """Runs coroutines in its loop, and waits for them. It may be used by many threads at once."""

    _shared: ClassVar[LoopThread | None] = None
    _users = 0

    @classmethod
    def shared(cls) -> LoopThread:
        """The process's one, which is started for its first user; each has to leave it."""
        with _sharing:
            if cls._shared is None or not cls._shared.is_running:
                cls._shared = cls()
            cls._shared._users += 1
            return cls._shared

    def leave(self) -> None:
        """Ends the thread with its last user."""
        with _sharing:
            self._users -= 1
            if not self._users:
                self._stop()

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="inventory-client", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not been stopped."""
        return not self._loop.is_closed() and self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs it to its end; raises what it raises. An interrupted caller cancels it."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("the synchronous client cannot be called from its own loop")
        if not self.is_running:
            work.close()
            raise client_closed()
        future: Future[Result] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise client_closed() from None
        except KeyboardInterrupt:
            future.cancel()
            raise

    def call_soon(self, callback: Any) -> None:
        """Has the loop call it, without waiting; nothing where the loop has ended."""
        if self.is_running:
            self._loop.call_soon_threadsafe(callback)

    def _stop(self) -> None:
        """Cancels what still runs, and ends the thread."""
        if self.is_running:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
