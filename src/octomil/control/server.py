"""Running the control plane until a signal."""

import socket
from collections.abc import Callable

from octomil.asgi.connections import bounded_connection
from octomil.asgi.memory import settle_memory
from octomil.asgi.server import Certificate, GracefulServer, base_url
from octomil.control.api.bodies import BODY_TIMEOUT_S
from octomil.control.api.problems import no_request_body
from octomil.control.app import build_app
from octomil.control.options import ControlOptions
from octomil.control.plane import ControlPlane


def run(
    plane: ControlPlane,
    options: ControlOptions,
    listener: socket.socket,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then drain, write what waits, close the plane and return.

    Args:
        plane: the wired control plane.
        options: how it is reached.
        listener: an open listening socket.
        say: called with each line about the start.
    """
    certificate = None
    if options.tls_cert is not None and options.tls_key is not None:
        certificate = Certificate(options.tls_cert, options.tls_key)
    url = base_url(options.host, listener.getsockname()[1], "https" if certificate else "http")

    def when_ready() -> None:
        settle_memory()
        say(f"[up] Listening on {url}")

    server = GracefulServer(
        build_app(
            plane,
            cors_origins=options.cors_origins,
            trusted_proxies=options.trusted_proxies,
            body_memory_bytes=options.body_memory_mib << 20,
        ),
        http=bounded_connection(BODY_TIMEOUT_S, no_request_body),
        drain_s=options.drain_s,
        certificate=certificate,
        when_ready=when_ready,
        when_leaving=plane.long_polls.close,
    )
    server.run(sockets=[listener])
