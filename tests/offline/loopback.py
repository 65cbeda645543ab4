"""Keeps a process off the network, loopback and Unix sockets apart.

Sees what goes through Python's socket module; not what a compiled extension sends by itself.
"""

import ipaddress
import socket
import sys
from typing import Any


class NetworkIsOff(RuntimeError):
    """A test tried to reach another machine. Not an OSError: retries must not swallow it."""


def is_local(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == socket.gethostname()


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo" and not is_local(args[0]):
        raise NetworkIsOff(f"look-up of {args[0]!r}")
    if event in ("socket.connect", "socket.sendto"):
        sock, address = args
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
            raise NetworkIsOff(f"{event} to {address!r}")


def only() -> None:
    """From now on, for the life of the process: an audit hook can't be removed."""
    sys.addaudithook(_audit)
