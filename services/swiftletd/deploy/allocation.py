"""Which port a model server gets. It is leased by the commit that follows."""

from __future__ import annotations

from swiftletd.deploy.domain.deployment import Deployment
from swiftletd.deploy.ports import DeploymentStore, Prober
from swiftletd.kernel.errors import LimitReached, ServiceError

MOST_TRIED = 64  # free ports that are looked for: others may lease some of them meanwhile


class PortInUse(ServiceError):
    """The port that was asked for is taken."""

    code = "ALREADY_EXISTS"
    reason = "PORT_TAKEN"

    def __init__(self, port: int) -> None:
        text = f"Port {port} is taken. Leave port out to get a free one."
        super().__init__(text, metadata={"field": "port", "port": str(port)})


class Allocation:
    """Ports of a range that nobody has: neither a deployment nor a stranger."""

    def __init__(self, store: DeploymentStore, prober: Prober, ports: range) -> None:
        self._store, self._prober, self._ports = store, prober, ports

    async def candidates(self, wanted: int = 0) -> list[int]:
        """Ports to try: the wanted one alone, if there is one."""
        if wanted:
            return [wanted] if self._prober.free(wanted) else []
        taken = await self._store.ports()
        free = [port for port in self._ports if port not in taken and self._prober.free(port)]
        return free[:MOST_TRIED]

    async def again(self, it: Deployment) -> int:
        """The port that a deployment had, or another one if somebody has that by now."""
        is_ours = not it.over or it.port not in await self._store.ports()
        if is_ours and self._prober.free(it.port):
            return it.port
        return next(iter(await self.candidates()), it.port)

    def refusal(self, wanted: int = 0) -> ServiceError:
        """What is said if no candidate could be had."""
        if wanted:
            return PortInUse(wanted)
        between = f"from {self._ports.start} to {self._ports.stop - 1}"
        text = f"No port {between} is free. Stop a deployment, or widen DEPLOY_PORTS."
        return LimitReached(text, reason="PORT_TAKEN", metadata={"field": "port"})
