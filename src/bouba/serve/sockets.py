"""Ports of this machine."""

from __future__ import annotations

import socket

from bouba.errors import UsageError


def free_port(host: str, port: int) -> int:
    """The port, or one that is free where it is 0.

    Raises:
        UsageError: another program listens there, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(f"{host} port {port} cannot be had: {error.strerror}; choose another --port") from None
        return int(probe.getsockname()[1])
