"""A real hub that also writes down every message it gets and gives, in plain text.

Takes the arguments of `linkage hub serve`. The capture is `capture.bin` beside the hub's home:
the bytes of every request and response as they are before TLS.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from linkage.cli.common import configure_logging
from linkage.files import write_atomic
from linkage.hub.home import HubHome
from linkage.hub.main import HubServer, serve

CAPTURE = "capture.bin"


class Capture(grpc.ServerInterceptor):  # type: ignore[type-arg]
    """Writes the bytes of every message to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._lock = threading.Lock()

    def intercept_service(
        self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails
    ) -> Any:
        handler = continuation(details)
        if handler is None:
            return None
        read, write = handler.request_deserializer, handler.response_serializer

        def reading(data: bytes) -> Any:
            self._keep(b"> " + details.method.encode(), data)
            return read(data)

        def writing(message: Any) -> bytes:
            data: bytes = write(message)
            self._keep(b"< " + details.method.encode(), data)
            return data

        return handler._replace(request_deserializer=reading, response_serializer=writing)

    def _keep(self, what: bytes, data: bytes) -> None:
        with self._lock:
            self._file.write(b"\n" + what + b"\n" + data)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--ready", type=Path, required=True)
    given = parser.parse_args()
    configure_logging()
    home = HubHome.load(given.home)
    server = HubServer(home, interceptors=[Capture(given.home.parent / CAPTURE)])
    host = home.settings.address.rpartition(":")[0]
    serve(server, lambda port: write_atomic(given.ready, f"{host}:{port}".encode()))


if __name__ == "__main__":
    sys.exit(main())
