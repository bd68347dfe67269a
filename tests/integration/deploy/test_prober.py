"""Which ports count as free: those that ms-swift would take, too."""

from __future__ import annotations

import socket

import httpx
import pytest

from support.redis import free_port
from swiftletd.deploy.adapters.prober import HttpProber


@pytest.fixture
async def prober():
    async with httpx.AsyncClient() as client:
        yield HttpProber(client)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
async def test_a_port_at_which_somebody_listens_is_not_free(prober: HttpProber, address: str) -> None:
    with socket.create_server((address, 0)) as server:
        assert not prober.free(server.getsockname()[1])
    assert prober.free(free_port())


async def test_a_port_that_a_server_has_just_left_is_not_free(prober: HttpProber) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first is the one that waits for late packets
            assert client.recv(1) == b""
    assert not prober.free(port)
