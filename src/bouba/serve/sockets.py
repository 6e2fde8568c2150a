"""Ports of this machine."""

from __future__ import annotations

import os
import socket

from bouba.errors import UsageError


def bound(host: str, port: int) -> socket.socket:
    """A socket that holds the port, or one that is free where it is 0; nobody is answered before it listens.

    Raises:
        UsageError: another program listens there, or the address is none of this machine's.
    """
    held = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        held = socket.socket(family, proto=socket.IPPROTO_TCP)  # by which asyncio knows to send at once
        if os.name == "posix":  # elsewhere it would share a port that another program has
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
    except OSError as error:
        if held is not None:
            held.close()
        other = "choose another --host" if isinstance(error, socket.gaierror) else "choose another --port"
        raise UsageError(f"{host} port {port} cannot be had: {error.strerror}; {other}") from None
    return held
