"""Ports: free, taken, passing."""

from __future__ import annotations

import os
import socket
import struct
import threading

from market_platform.embedded.ports import listener, why_not_free
from market_platform_tests.fixtures.ports import free_port


def test_who_listens_on_a_port_is_named() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert f"(pid {os.getpid()})" in str(listener(port))
        assert f"address already in use; {listener(port)} has it" == why_not_free("127.0.0.1", port)
    assert listener(port) is None
    assert why_not_free("127.0.0.1", port) is None


def test_a_port_that_an_outgoing_connection_uses_is_waited_for() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        # a port of our own: those that the system hands out may serve other tests' connections at the same time
        client = socket.create_connection(server.getsockname(), source_address=("127.0.0.1", free_port()))
        accepted, _ = server.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # its end leaves nothing behind
        port = client.getsockname()[1]
        assert listener(port) is None
        end = threading.Timer(0.3, client.close)
        end.start()
        assert why_not_free("127.0.0.1", port) is None
        end.join()
        accepted.close()


def test_an_address_that_is_not_ours_is_not_free() -> None:
    assert why_not_free("192.0.2.1", 8000) is not None
    assert why_not_free("no-such-host.invalid", 8000) is not None
