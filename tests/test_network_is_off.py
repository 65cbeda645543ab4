"""The guard that keeps the whole suite off the network holds, here and in child processes."""

import socket
import subprocess
import sys

import pytest


def test_other_machines_are_refused() -> None:
    with (
        socket.socket() as sock,
        pytest.raises(RuntimeError, match=r"connect to \('192\.0\.2\.1'"),
    ):
        sock.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match=r"look-up of 'example\.org'"):
        socket.getaddrinfo("example.org", 443)


def test_a_child_process_is_guarded_too() -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert child.returncode == 1
    assert "NetworkIsOff" in child.stderr


def test_loopback_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("localhost", port)) as client:
            assert client.getpeername()[1] == port
