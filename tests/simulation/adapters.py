"""The ports of the services that lead to the machine. The adapters of the services are the real ones."""

from __future__ import annotations

from simulation.machine import Run, current
from simulation.world import border
from swiftletd.deploy.ports import LaunchFailed as DeployLaunchFailed
from swiftletd.deploy.ports import RunReport as ServerReport
from swiftletd.deploy.wire.consumer import owner
from swiftletd.gpu.ports import Heartbeat
from swiftletd.training.domain.decide import StepResult
from swiftletd.training.ports import LaunchFailed, RunReport


class Runs:
    """See training/ports.py; training/adapters/runs.py is the real one."""

    def __init__(self, cluster):
        self._machine, self._world = cluster.machine, cluster.world

    async def last_checkpoint(self, job, number):
        return ""

    async def launch_training(self, job, number, lease):
        steps = ("train", "export") if job.params.get("export") else ("train",)
        run = Run(
            job.entry(number),
            job.id,
            steps,
            lease.devices,
            job.resources.memory_mib,
            lease.token,
            time_limit=job.time_limit,
        )
        await launch(self._machine, run, LaunchFailed)

    async def launch_export(self, job, entry):
        await launch(self._machine, Run(entry, job.id, ("export",), (), 0, 0), LaunchFailed)

    async def stop(self, job_id, entry, word):
        self._machine.ask_to_stop(job_id, entry, word)

    async def report(self, job_id, entry):
        run = self._machine.runs.get(entry)
        if run is None:
            return RunReport(alive=False, launched=False, steps=())
        steps = tuple(_step_result(step) for step in run.steps)
        return RunReport(alive=run.alive, launched=run.alive or run.runner is not None, steps=steps)

    async def bury(self, job_id, entry):
        await bury(self._machine, entry)

    async def remove(self, job_id):
        mine = self._of(job_id)
        for run in mine:
            if run.runner and run.exit is None and not run.alive:
                self._machine.launch(run)
        if alive := [run for run in mine if run.alive]:
            for run in alive:
                self._machine.ask_to_stop(job_id, run.entry, "cancelled")
            return False
        for run in mine:
            self._machine.remove(run.entry)
        return True

    async def known(self):
        return list(dict.fromkeys(run.owner for run in self._of(None)))

    def _of(self, job_id):
        runs = list(self._machine.runs.values())
        return [r for r in runs if r.entry.startswith("training-") and job_id in (None, r.owner)]

    def exports(self, job_id, entry):
        run = self._machine.runs.get(entry)
        return run is not None and "export" in run.steps_wanted

    async def log_tail(self, job_id, entry):
        return "RuntimeError: it does not work"

    async def progress(self, job_id, entry):
        return {"loss": 1.0}


class Servers:
    """Ports Servers, Prober, Models and Routes of deploy; see its adapters for the real ones."""

    def __init__(self, cluster):
        self._cluster, self._machine, self._world = cluster, cluster.machine, cluster.world

    async def launch(self, it):
        attempt = it.attempt
        run = Run(
            it.entry(attempt.number),
            it.id,
            ("serve",),
            attempt.lease.devices,
            it.resources.gpu_memory_mib,
            attempt.lease.token,
            port=it.port,
        )
        await launch(self._machine, run, DeployLaunchFailed)

    async def stop(self, entry, word="cancelled"):
        self._machine.ask_to_stop(owner(entry), entry, word)

    async def report(self, entry):
        run = self._machine.runs.get(entry)
        if run is None:
            return ServerReport(alive=False, launched=False)
        code = run.steps[-1]["exit_code"] if run.steps else None
        return ServerReport(alive=run.alive, launched=run.alive or run.runner is not None, exit_code=code)

    async def bury(self, entry):
        await bury(self._machine, entry)

    async def known(self):
        found = {}
        for run in self._machine.runs.values():
            if run.entry.startswith("deploy-"):
                found.setdefault(run.owner, []).append(run.entry)
        return found

    async def remove(self, entry):
        run = self._machine.runs.get(entry)
        if run and run.alive:
            self._machine.ask_to_stop(owner(entry), entry, "cancelled")
        elif run and run.runner and run.exit is None:
            await self.bury(entry)
        else:
            self._machine.remove(entry)

    async def announced_port(self, entry):
        run = self._machine.runs.get(entry)
        return run.port if run and any(child.ready for child in run.living) else 0

    async def explain(self, entry, exit_code):
        return "PROCESS_FAILED", f"The model server ended with {exit_code}."

    async def answers(self, port, served_model_name):
        return any(r.port == port and any(c.ready for c in r.living) for r in self._machine.runs.values())

    def free(self, port):
        return not any(run.port == port and run.living for run in self._machine.runs.values())

    async def resolve(self, model_path):
        return model_path

    async def publish(self, ports):
        self._cluster.routes = dict(ports)


async def launch(machine, run, failure):
    """Write the spec, then start the runner; what kills the service between the two leaves a directory."""
    if machine.world.chance(0.0 if machine.world.calm else 0.01):
        raise failure("There is no trainer.")
    known = machine.write_spec(run)
    await border(current(), "launch", redis=False)
    if known.removed:
        raise failure("The directory is gone.", "PROCESS_FAILED")
    machine.launch(known)


async def bury(machine, entry):
    """As rundir.bury: end what is left, then let a new runner tell the end."""
    machine.end_all(entry)
    await border(current(), "bury", redis=False)
    run = machine.runs.get(entry)
    if run and run.runner:
        machine.launch(run)


def _step_result(step):
    return StepResult(**{name: step[name] for name in StepResult.__dataclass_fields__})


class Heartbeats:
    """See gpu/ports.py."""

    def __init__(self, cluster):
        self._keys = cluster.machine.keys

    async def read(self, runs):
        return [Heartbeat() if self._keys.lives(run) else None for run in runs]

    async def stop(self, run, why):
        self._keys.stops.setdefault(run, why)


class Processes:
    """See gpu/ports.py."""

    def __init__(self, cluster):
        self._machine = cluster.machine

    async def of_runs(self):
        """Children only: a runner has no mark."""
        found = {}
        for child in self._machine.living():
            found.setdefault(child.run, []).append(child.pid)
        return found

    async def end(self, run, since, until):
        return self._machine.end_all(run, since, until)


class Inventory:
    """See gpu/ports.py."""

    def __init__(self, cluster):
        self._machine = cluster.machine

    async def read(self, max_age=1.0):
        return self._machine.reading()
