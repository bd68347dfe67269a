"""What the deploy service does: load, decide, commit, then act."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import structlog

from swiftletd.deploy.allocation import Allocation, PortInUse
from swiftletd.deploy.domain import decide
from swiftletd.deploy.domain.deployment import RESTING, Change, Deployment, Lease, State
from swiftletd.deploy.ports import (
    Answer,
    DeploymentStore,
    EndedRuns,
    ForgetfulRuns,
    GpuAnswers,
    LaunchFailed,
    Models,
    PortTaken,
    Prober,
    Routes,
    Servers,
    Stale,
)
from swiftletd.kernel.clock import Clock
from swiftletd.kernel.errors import AlreadyExists, NotFound, ServiceError, WrongState
from swiftletd.kernel.idempotency import UNKEYED, Once

log = structlog.get_logger()

Decision = Callable[[Deployment], Change | None]
Made = Callable[[Deployment], Change]


class Deploying:
    """The use cases. `ports` is the range for model servers; times in seconds."""

    def __init__(
        self,
        store: DeploymentStore,
        servers: Servers,
        prober: Prober,
        models: Models,
        routes: Routes,
        answers: GpuAnswers,
        clock: Clock,
        *,
        ports: range,
        patience: float,
        start_timeout: float,
        logs: EndedRuns | None = None,
    ) -> None:
        self.store, self.servers = store, servers
        self._prober, self._models, self._routes = prober, models, routes
        self._answers, self._clock = answers, clock
        self._allocation = Allocation(store, prober, ports)
        self._patience, self._start_timeout = patience, start_timeout
        self._logs = logs or ForgetfulRuns()
        self._routed: set[str] = set()  # deployments whose model servers answer
        self._publishing = asyncio.Lock()
        self._launching = asyncio.Lock()  # a grant and the recovery may want the same launch

    # ---------------------------------------------------------------- what clients ask for

    async def get(self, key: str) -> Deployment:
        """The deployment. Raises NotFound, also for one that was deleted and still ends."""
        it = await self.store.get(key)
        if it is None or it.doomed:
            raise NotFound("deployment", key)
        return it

    async def create(
        self, it: Deployment, once: Once[Deployment] = UNKEYED, *, auto_start: bool = False
    ) -> tuple[Deployment, Answer | None]:
        """Keep a new deployment with a port of its own; submit it too if it is to start by itself."""
        served_path, number = await self._models.resolve(it.model_path), await self.store.first_attempt(it.id)
        ready = replace(it, served_path=served_path, next_attempt=number)
        if not auto_start:
            return await self._keep(ready, decide.create, once), None
        return await self._heard(ready.entry(), lambda: self._keep(ready, decide.create_and_submit, once))

    async def _keep(self, it: Deployment, made: Made, once: Once[Deployment]) -> Deployment:
        for port in await self._allocation.candidates(it.port):
            change = made(replace(it, port=port))
            try:
                await self.store.commit(None, change, once)
            except PortTaken:
                continue
            except Stale:
                raise await self._id_taken(it.id) from None
            return change.deployment
        raise self._allocation.refusal(it.port)

    async def _id_taken(self, key: str) -> ServiceError:
        it = await self.store.get(key)
        if it and it.doomed:
            text = f"Deployment {key!r} was deleted and is still being ended. Try again in a moment."
            return WrongState(key, it.state, "create", text)
        return AlreadyExists("deployment", key)

    async def start(
        self, key: str, once: Once[Deployment] = UNKEYED, *, port: int = 0, priority: int | None = None
    ) -> tuple[Deployment, Answer | None]:
        """Submit a deployment; harmless while it waits, starts or runs."""
        wanted = port

        def decision(it: Deployment) -> Change | None:
            if it.state in RESTING and it.alive:
                text = "Its model server is still being ended. Try again in a moment."
                raise WrongState(key, it.state, "start", text)
            change = decide.submit(it, port=wanted, priority=priority)
            if change and not self._prober.free(change.deployment.port):
                raise self._allocation.refusal(change.deployment.port)
            return change

        it = await self.get(key)
        if it.submitted or it.alive:
            return await self.change(key, decision, once), None
        wanted = port or await self._allocation.again(it)
        return await self._heard(it.entry(), lambda: self.change(key, decision, once))

    async def _heard(
        self, entry: str, act: Callable[[], Awaitable[Deployment]]
    ) -> tuple[Deployment, Answer | None]:
        async with self._answers.listen(entry) as answers:
            it = await act()
            if not it.submitted or it.entry() != entry:
                return it, None
            try:
                async with asyncio.timeout(self._patience):
                    return it, await anext(answers)
            except TimeoutError:
                return it, None

    async def stop(self, key: str, once: Once[Deployment] = UNKEYED) -> Deployment:
        """End a deployment; harmless on one that has ended."""
        it = await self.change(key, lambda it: decide.cancel(it, self._clock.now()), once)
        await self._end_server(it)
        return it

    async def delete(self, key: str, once: Once[Deployment] = UNKEYED) -> None:
        """Forget a deployment and its logs: at once for clients, else when its model server is gone."""
        it = await self.change(key, lambda it: decide.delete(it, self._clock.now()), once)
        await self._end_server(it)
        if it.gone:
            await self._forget(key, it.entries())

    async def _end_server(self, it: Deployment) -> None:
        if it.alive and it.attempt:
            await self.servers.stop(it.entry(it.attempt.number))
        await self.publish_routes()

    async def _forget(self, key: str, entries: Sequence[str]) -> None:
        """Remove what runs of a forgotten deployment left; directories last, since recovery goes by them."""
        await self._logs.forget(key, entries)
        async with self._launching:  # no directory may vanish under a launch
            for entry in entries:
                await self.servers.remove(entry)

    async def take_out(self, key: str, once: Once[Deployment] = UNKEYED) -> Deployment:
        """Take a deployment out of the queue. NotFound where it isn't in it."""

        def decision(it: Deployment) -> Change | None:
            if not it.submitted:
                text = f"Deployment {key!r} is not in the queue: it is {it.state}."
                raise NotFound("queue item", key, text)
            return decide.take_out(it, tell=True)

        return await self.change(key, decision, once)

    # ---------------------------------------------------------------- what the gpu service says

    async def must_wait(self, key: str, entry: str, position: int, reason: str, wait: float) -> None:
        """An entry has to wait."""
        await self.hear(key, lambda it: decide.must_wait(it, entry, position, reason, wait))

    async def granted(self, key: str, entry: str, lease: Lease) -> None:
        """An entry has its GPUs: start the model server."""
        it = await self.hear(key, lambda it: decide.granted(it, entry, lease, self._clock.now()))
        if it and it.is_current(entry) and it.state not in RESTING:
            await self._launch(it)

    async def taken_out(self, key: str, entry: str) -> None:
        """An operator took an entry out of the queue."""
        await self.hear(key, lambda it: decide.take_out(it, tell=False) if it.entry() == entry else None)

    async def refused(self, key: str, entry: str, reason: str) -> None:
        """An entry can't be meant, and never came into the queue."""
        await self.hear(key, lambda it: decide.refused(it, entry, reason, self._clock.now()))

    async def lease_over(self, key: str, entry: str, state: str) -> None:
        """A lease ended though nobody gave it back: nothing seemed to live.

        The port must not be given away beside a model server that has it, so it is looked at again here. What
        lives after all is asked to end, and its runner says when it has.
        """
        it = await self.store.get(key)
        if state == "released" or it is None or not it.is_current(entry):
            return
        await self.servers.stop(entry, "lease_revoked")  # also for a runner that starts this moment
        report = await self.servers.report(entry)
        if not report.alive:
            await self._conclude(key, entry, report.exit_code)

    # ---------------------------------------------------------------- what runners say

    async def process_started(self, key: str, entry: str, pid: int) -> None:
        """The model server's process runs; whether it serves, the prober finds out."""
        await self.hear(key, lambda it: decide.process_started(it, entry, pid))

    async def server_ended(self, key: str, entry: str, exit_code: int, stopped: str) -> None:
        """The model server's process ended."""
        fault = None
        if exit_code and stopped != "cancelled":
            reason, sentence = await self.servers.explain(entry, exit_code)
            fault = decide.Fault(reason=reason, message=sentence)
        await self.hear(key, lambda it: decide.ended(it, entry, fault, self._clock.now()))
        await self.publish_routes()

    async def run_over(self, key: str, entry: str) -> None:
        """A runner is gone, and all that it started."""
        await self._logs.ended(key, entry)
        await self._over(key, entry, lambda it: decide.run_over(it, entry, self._clock.now()))

    async def _over(self, key: str, entry: str, decision: Decision) -> None:
        """Nothing of a run lives: its deployment hears that, or is forgotten with it."""
        it = await self.hear(key, decision)
        if it is None or it.gone:
            await self._forget(key, it.entries() if it else [entry])
        await self.publish_routes()

    async def release_log(self, key: str, entry: str, sentence: str) -> bool:
        """Whether the log of a model server may be removed: not while the deployment serves."""
        it = await self.store.get(key)
        return it is None or it.over

    # ---------------------------------------------------------------- probing and recovery

    async def probe(self) -> None:
        """Ask the model servers that are being started; give up on those that never answer."""
        for it in await self.store.unfinished():
            if it.alive and it.attempt and it.state is State.PENDING:
                await self._probe(it, it.entry(it.attempt.number), it.attempt.started_at)

    async def _probe(self, it: Deployment, entry: str, since: float) -> None:
        now = self._clock.now()
        if await self._prober.answers(it.port, it.served_model_name):
            # The gateway hears of it one probe earlier than the clients do: who reads "running" can use it.
            if it.id in self._routed:
                await self.hear(it.id, lambda it: decide.answered(it, entry, now))
            self._routed.add(it.id)
            await self.publish_routes()
        elif fault := await self._hopeless(it, entry, now - since):
            await self.hear(it.id, lambda it: decide.ended(it, entry, fault, now))
            await self.servers.stop(entry)

    async def _hopeless(self, it: Deployment, entry: str, seconds: float) -> decide.Fault | None:
        """Why a model server that was started so long ago is never going to answer; None while it may."""
        if port := await self.servers.announced_port(entry):
            fresh = await self.store.get(it.id)  # it may have moved to another port since it was read
            if fresh and fresh.port != port:
                text = f"Port {fresh.port} was taken while its model server started. Start it again."
                return decide.Fault(reason="PORT_TAKEN", message=text)
        if seconds > self._start_timeout:
            text = f"The model server did not answer within {self._start_timeout:.0f} s. See its log."
            return decide.Fault(reason="PROCESS_FAILED", message=text)
        return None

    async def recover(self) -> None:
        """Bring every unfinished deployment into line with what really runs. Safe to repeat at any time."""
        for it in await self.store.unfinished():
            if it.alive and it.attempt:
                await self._reconcile(it, it.entry(it.attempt.number))
        for key, entries in (await self.servers.known()).items():
            if await self.store.get(key) is None:
                await self._forget(key, entries)
        await self.publish_routes()

    async def _reconcile(self, it: Deployment, entry: str) -> None:
        report = await self.servers.report(entry)
        if not report.launched and it.state not in RESTING:
            await self._launch(it)
        elif not report.launched:
            # A fork server may still do it for a service that died: so the word to stop, then the last look.
            if not await self._runs_anyway(entry):
                await self._over(it.id, entry, partial(decide.never_began, entry=entry))
        elif report.alive and it.state in RESTING:
            await self.servers.stop(entry)
        elif not report.alive:
            await self._conclude(it.id, entry, report.exit_code)

    async def _conclude(self, key: str, entry: str, exit_code: int | None) -> None:
        """Nothing more can come of a run without a runner."""
        if exit_code is not None:
            await self.server_ended(key, entry, exit_code, "")
        await self.servers.bury(entry)
        await self.run_over(key, entry)

    async def publish_routes(self) -> None:
        """Tell the gateway which model servers there are."""
        async with self._publishing:  # what was read first must not be written last
            unfinished = await self.store.unfinished()
            self._routed &= {it.id for it in unfinished if it.alive and it.state not in RESTING}
            self._routed |= {it.id for it in unfinished if it.state is State.RUNNING}
            await self._routes.publish({it.id: it.port for it in unfinished if it.id in self._routed})

    # ---------------------------------------------------------------- shared

    async def change(self, key: str, decision: Decision, once: Once[Deployment] = UNKEYED) -> Deployment:
        """Load, decide, commit, until no one else was faster. Raises NotFound, Repeated."""
        while True:
            if after := await self._try(await self.get(key), decision, once):
                return after

    async def hear(self, key: str, decision: Decision) -> Deployment | None:
        """As `change`, also for one that is doomed; None for a deployment that isn't there."""
        while it := await self.store.get(key):
            if after := await self._try(it, decision):
                return after
        return None

    async def _try(
        self, it: Deployment, decision: Decision, once: Once[Deployment] = UNKEYED
    ) -> Deployment | None:
        """What it is after the decision; None if it was changed by somebody else meanwhile."""
        change = decision(it)
        if change is None and not once.key:
            return it
        change = change or Change(it)  # kept for the mark: a repeat must find nothing to do either
        try:
            await self.store.commit(it, change, once)
        except Stale:
            return None
        except PortTaken:
            raise self._allocation.refusal(change.deployment.port) from None
        return change.deployment

    async def _launch(self, it: Deployment) -> None:
        assert it.attempt
        entry = it.entry(it.attempt.number)
        try:
            async with self._launching:
                if (fresh := await self.store.get(it.id)) and fresh.is_current(entry):
                    await self.servers.launch(await self._at_a_free_port(fresh, entry))
        except LaunchFailed as error:
            log.warning("launch_failed", deployment=it.id, error=str(error))
            await self._give_up(it.id, entry, error)
            return
        fresh = await self.store.get(it.id)
        if fresh is None or fresh.state in RESTING:  # stopped while it was being launched
            await self.servers.stop(entry)

    async def _give_up(self, key: str, entry: str, error: LaunchFailed) -> None:
        if not await self._runs_anyway(entry):
            fault, now = decide.Fault(reason=error.reason, message=str(error)), self._clock.now()
            await self._over(
                key,
                entry,
                lambda it: decide.not_started(it, entry, fault, now) or decide.never_began(it, entry),
            )

    async def _at_a_free_port(self, it: Deployment, entry: str) -> Deployment:
        """The deployment; at another port if a stranger took its own, where its server would not be found.

        Raises LaunchFailed where there is no other port.
        """
        if self._prober.free(it.port) or (await self.servers.report(entry)).launched:
            return it  # a server that was launched before has the port itself
        for port in await self._allocation.candidates():
            with suppress(PortInUse):
                return await self.hear(it.id, partial(decide.move_port, entry=entry, port=port)) or it
        text = f"Port {it.port} was taken by another program while the deployment waited."
        raise LaunchFailed(f"{text} {self._allocation.refusal()}", "PORT_TAKEN")

    async def _runs_anyway(self, entry: str) -> bool:
        """Whether a run that seems not to have been launched was, by an earlier launch or in this moment.

        If not, it must not start later either: a launch can time out and go on.
        """
        if (await self.servers.report(entry)).launched:
            return True
        await self.servers.stop(entry)
        return (await self.servers.report(entry)).launched
