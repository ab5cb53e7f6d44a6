"""A DynamoDB that keeps everything in memory: moto's server, run as a process of its own.

It listens on loopback alone, says its port in one line on stdout, and ends
when its stdin does: whoever started it holds the other end, and lets go of it
by dying, however that comes. It is run by its path, so it imports nothing of
this package.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

HOST: Final = "127.0.0.1"
MOTO_MISSING: Final = 3
"""The exit status where moto, or a library that it needs, is not installed."""


class OneAtATime:
    """A WSGI application that works on one request at a time.

    What moto keeps knows nothing of threads: of two conditional writes at once
    both could go through. Bodies are read before, so that who stops in the
    middle of a request keeps nobody waiting.
    """

    def __init__(self, app: Callable[[dict[str, Any], Any], Iterable[bytes]]) -> None:
        self._app = app
        self._working = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers a request."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        # A web page that is open on this machine has no business here.
        if "HTTP_ORIGIN" in environ or len(body) < length:
            start_response("400 Bad Request", [("Content-Length", "0")])
            return []
        environ["wsgi.input"] = BytesIO(body)
        with self._working:
            return self._app(environ, start_response)


def main() -> None:
    """Serves until stdin ends."""
    # From here on only the port is told on stdout, whatever a library prints.
    stdout = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        server = _make_server()
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(MOTO_MISSING) from None
    os.write(stdout, f"{server.port}\n".encode())
    os.close(stdout)
    server.serve_forever()


def _make_server() -> BaseWSGIServer:
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        """Logs no requests."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Says nothing."""

    app = OneAtATime(create_backend_app("dynamodb"))
    return make_server(HOST, 0, app, threaded=True, request_handler=Handler)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
