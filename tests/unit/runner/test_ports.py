"""A port for torchrun that nobody else has."""

from __future__ import annotations

import random
import socket

from swiftletd.runner.ports import FIRST, LAST, claim_port, is_free


def test_two_claims_never_meet():
    first = claim_port(random.Random(1))
    second = claim_port(random.Random(1))
    assert first.port != second.port
    assert FIRST <= first.port <= LAST
    first.close()
    again = claim_port(random.Random(1))
    assert again.port == first.port
    second.close()
    again.close()


def test_a_port_that_somebody_listens_on_is_not_taken():
    wanted = claim_port(random.Random(2))
    wanted.close()
    with socket.create_server(("127.0.0.1", wanted.port)):
        assert not is_free(wanted.port)
        other = claim_port(random.Random(2))
        assert other.port != wanted.port
        other.close()
