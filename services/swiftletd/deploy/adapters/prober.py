"""Questions to model servers over HTTP on loopback."""

from __future__ import annotations

import socket

import httpx

TIMEOUT = 2.0  # seconds


class HttpProber:
    """See ports.Prober."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def answers(self, port: int, served_model_name: str) -> bool:
        """A server that lists our model: ms-swift takes the next port where its own is busy, so that a mere
        answer could be anybody's."""
        try:
            reply = await self._client.get(f"http://127.0.0.1:{port}/v1/models", timeout=TIMEOUT)
            names = [model["id"] for model in reply.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return False
        return reply.status_code == httpx.codes.OK and served_model_name in names

    def free(self, port: int) -> bool:
        """As ms-swift looks: on all addresses, and a port that a server left less than a minute ago, with
        connections open, is not free. It would take the next one, and nobody would find it there."""
        with socket.socket() as probe:
            try:
                probe.bind(("", port))  # nothing listens
            except OSError:
                return False
        return True
