"""A TCP port that nobody else will have when the child binds it."""

from __future__ import annotations

import errno
import random
import socket

# Below the range from which the kernel takes ports for outgoing connections, so that none of these can take
# it.
FIRST, LAST = 20_000, 32_767

_BUSY = {errno.EADDRINUSE, errno.EACCES}


class PortClaim:
    """A port that was free on all addresses, and that no other runner takes while this object lives.

    The claim is a socket with a name in the kernel: it goes with the process, however that ends.
    """

    def __init__(self, port: int, claim: socket.socket) -> None:
        self.port = port
        self._claim = claim

    def close(self) -> None:
        self._claim.close()


def claim_port(choose: random.Random | None = None) -> PortClaim:
    """Claim a free port. Raises OSError if there is none."""
    ports = list(range(FIRST, LAST + 1))
    (choose or random.Random()).shuffle(ports)  # noqa: S311 a port is no secret
    for port in ports:
        claim = _claim(port)
        if claim is not None and is_free(port):
            return PortClaim(port, claim)
        if claim is not None:
            claim.close()
    raise OSError(f"no free port between {FIRST} and {LAST}")


def is_free(port: int) -> bool:
    """True if a server could listen on this port on every address."""
    return all(_can_bind(family, port) for family in (socket.AF_INET, socket.AF_INET6))


def _claim(port: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0swiftlet/port/{port}")
        return claim
    except OSError:
        claim.close()
        return None


def _can_bind(family: socket.AddressFamily, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(("", port))
    except OSError as error:
        # A machine without IPv6 has no port that is busy there.
        return family == socket.AF_INET6 and error.errno not in _BUSY
    return True
