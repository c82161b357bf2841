"""Serves the inbox on this machine until it is stopped, and says where it is. Knows no page."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mission_pipeline.errors import MissionPipelineError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

HOST = "127.0.0.1"
_STOP_SECONDS = 3
"""How long pages that are on their way are waited for. A decision is one transaction."""


def serve(app: ASGIApp, *, port: int, token: str, on_ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; tell the link, token and all, once pages can be asked for. Port 0: any free one.

    Raises:
        MissionPipelineError: the port is taken.
    """
    import uvicorn

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise MissionPipelineError(
                f"Port {port} cannot be used ({error.strerror}). Choose another one with --port, or 0 for any."
            ) from error
        listening.listen(64)
        config = uvicorn.Config(
            app,
            # The log of requests would hold the token of the link.
            access_log=False,
            log_level="warning",
            http="h11",
            ws="none",
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        # A command that a script starts in the background has Ctrl-C switched off. The server stops at either signal
        # and then raises it again, for the handler that was there before.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        link = f"http://{HOST}:{listening.getsockname()[1]}/enter?token={token}"
        with suppress(KeyboardInterrupt):
            _server(config, lambda: on_ready(link)).run(sockets=[listening])


def _server(config: uvicorn.Config, on_ready: Callable[[], None]) -> uvicorn.Server:
    """Return a server that tells when it answers; a signal that comes earlier would find it half started."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    return Server(config)
