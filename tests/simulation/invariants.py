"""What must be true at any time, and what must be true once everything has come to its end."""

from __future__ import annotations

from simulation.machine import MIB
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.deploy.domain.deployment import RESTING
from swiftletd.gpu.ports import State as EntryState
from swiftletd.kernel.bus import envelope
from swiftletd.training.domain.decide import RETRYABLE
from swiftletd.training.domain.job import TERMINAL, AttemptState, ExportState, State


class Watch:
    """Looks at each change of the gpu service and at each child that starts."""

    def __init__(self, cluster, clients):
        self._cluster, self._clients, self._world = cluster, clients, cluster.world
        self._fence = 0
        self._owner_of = {}
        write, start = cluster.entries._write, cluster.machine.start_child
        cluster.entries._write = lambda record, notice: self._written(write, record, notice)
        cluster.machine.start_child = lambda run, step: self._started(start, run, step)

    def _written(self, write, record, notice):
        outcome = write(record, notice)
        if record.state is EntryState.GRANTED and record.version > 1 and not record.revoking:
            self._world.note(f"{record.id} is granted {[s.device for s in record.lease.shares]}")
            if record.lease.token <= self._fence:
                self._world.fail(f"{record.id} got the token {record.lease.token} after {self._fence}")
            self._fence = record.lease.token
        else:
            self._world.note(f"{record.id} is {record.state.value} (v{record.version})")
        self._check_leases()
        return outcome

    def _check_leases(self):
        holders = {}
        for record in self._cluster.entries.records.values():
            if record.live:
                for share in record.lease.shares:
                    holders.setdefault(share.device, []).append((record.id, share.memory_mib))
        for device, shares in holders.items():
            parts = [mib for _, mib in shares]
            if len(parts) > 1 and (None in parts or sum(parts) > MIB):
                self._world.fail(f"{device} is leased to {', '.join(id for id, _ in shares)} at once")

    def _started(self, start, run, step):
        child = start(run, step)
        if run.entry.startswith("training-"):
            wish = next((w for w in self._clients.wishes.values() if w.id == run.owner), None)
            if wish and wish.stopped and step == "train":
                self._world.fail(f"{run.entry} started after its client was told that it is stopped")
        ran = [c for other in self._cluster.machine.ever if other.entry == run.entry for c in other.children]
        if sum(c.step == step for c in ran) > 1:
            self._world.fail(f"{run.entry} ran {step} twice")
        return child


def unsettled(cluster, clients):
    """What still goes on, in words; empty once everything has come to its end."""
    found = [f"{name} is not up" for name, s in cluster.services.items() if not (s.process.alive and s.ready)]
    found += [
        f"{job.id} is {job.state}, export {job.export or 'none'}, {_attempts(job)}"
        for job in cluster.jobs.jobs.values()
        if not job.over and (job.submitted or job.state in (*TERMINAL, State.RUNNING))
    ]
    found += [
        f"{it.id} is {it.state}, {it.attempt}"
        for it in cluster.deployments.deployments.values()
        if it.alive or it.submitted
    ]
    found += [
        f"{record.id} is {record.state.value} in the gpu service"
        for record in cluster.entries.records.values()
        if record.live or record.state is EntryState.WAITING
    ]
    found += [f"{run.entry} runs" for run in cluster.machine.ever if run.alive or run.living]
    keys = cluster.machine.keys
    found += [f"{run} has a heartbeat" for run in keys.alive if keys.lives(run)]
    for run in cluster.machine.runs.values():
        if run.owner not in (*cluster.jobs.jobs, *cluster.deployments.deployments):
            found.append(f"the directory of {run.entry} is left, its owner is gone")
    for (stream, group), at in cluster.streams.groups.items():
        left = len(cluster.streams.streams[stream]) - at.last
        if left or at.pending:
            found.append(
                f"{group} has {left} events of {stream} to read and {len(at.pending)} to acknowledge"
            )
    return found


def _attempts(job):
    return [(a.number, str(a.state), "over" if a.run_over else "not over") for a in job.attempts]


def check_end(cluster, clients):
    """Everything that must be true in the end; each fault is told to the world."""
    fail = cluster.world.fail
    for stream, entries in cluster.streams.streams.items():
        if ":dead:" in stream and entries:
            fail(f"{len(entries)} events were buried in {stream}: {envelope.decode(entries[0])}")
    for stream, text in _falling_versions(cluster.streams):
        fail(f"in {stream}: {text}")
    if left := {device: t for device, t in cluster.entries.held.items() if t}:
        fail(f"devices are still held: {left}")
    for wish in clients.wishes.values():
        _check_wish(cluster, wish, fail)
    for job in cluster.jobs.jobs.values():
        _check_job(cluster, job, clients, fail)
    _check_deployments(cluster, fail)


def _falling_versions(streams):
    for stream, entries in streams.streams.items():
        if ":dead:" in stream or "{runs}" in stream:
            continue  # runners say everything again after a failure
        latest = {}
        for entry in entries:
            event = Event.FromString(entry[b"e"])
            if event.type.startswith(("gpu.processor.", "gpu.device.")):
                continue  # these carry the time at which it was decided
            if event.type.endswith(".job.created"):
                latest.pop(event.subject, None)  # its id was used before, by one that was deleted
            if event.version < latest.get(event.subject, 0):
                yield stream, f"{event.subject} went from version {latest[event.subject]} to {event.version}"
            latest[event.subject] = event.version


def _check_wish(cluster, wish, fail):
    made = [job for id, job in cluster.jobs.jobs.items() if id.startswith(f"j{wish.request_id[7:]}x")]
    if len(made) > 1:
        fail(f"request {wish.request_id} made {[job.id for job in made]}")
    if wish.id and not wish.delete_asked and wish.id not in cluster.jobs.jobs:
        fail(f"{wish.id} was accepted and is gone")
    if wish.deleted and wish.id in cluster.jobs.jobs:
        fail(f"{wish.id} was deleted and is there")
    job = cluster.jobs.jobs.get(wish.id)
    if job and wish.stopped and job.state is not State.CANCELLED:
        fail(f"{job.id} was stopped and is {job.state}")
    if job and job.state is State.CANCELLED and not wish.stop_asked:
        fail(f"{job.id} is cancelled, and nobody asked for it")


def _check_job(cluster, job, clients, fail):
    entries = {job.entry(attempt.number): attempt for attempt in job.attempts}
    runs = {run.entry: run for run in cluster.machine.ever if run.entry in entries}
    if len(job.attempts) > job.max_retries + 1:
        fail(f"{job.id} had {len(job.attempts)} attempts with {job.max_retries} retries")
    for entry, attempt in entries.items():
        _check_attempt(job, entry, attempt, _trained(runs.get(entry)), fail)
    if job.state is State.FAILED and job.failure_reason in RETRYABLE and len(job.attempts) <= job.max_retries:
        fail(f"{job.id} failed for {job.failure_reason} and was not tried again")
    stray = [
        r.entry
        for r in cluster.machine.ever
        if r.owner == job.id and r.entry not in entries and "export" not in r.entry
    ]
    if stray:
        fail(f"{stray} ran without an attempt of the job")
    if job.export is ExportState.RUNNING:
        fail(f"the export of {job.id} never ended")


def _trained(run):
    """The training step of a run, if it ended where it could be written down."""
    return next((step for step in run.steps if step["step"] == "train"), None) if run else None


def _check_attempt(job, entry, attempt, step, fail):
    if not attempt.run_over:
        fail(f"{entry} is over, but not for its job")
    match attempt.state:
        case AttemptState.COMPLETED if not (step and step["success"]):
            fail(f"{entry} is completed, but its process {step}")
        case AttemptState.FAILED if step and step["success"]:
            fail(f"{entry} failed, but its process succeeded")
        case AttemptState.LOST if step:
            fail(f"{entry} is lost, but its process ended: {step}")
        case AttemptState.RUNNING:
            fail(f"{entry} runs for ever")
    if attempt.state is AttemptState.COMPLETED and job.state is not State.COMPLETED:
        fail(f"{entry} completed, but {job.id} is {job.state}")


def _check_deployments(cluster, fail):
    for it in cluster.deployments.deployments.values():
        if it.state not in RESTING and it.alive:
            fail(f"{it.id} is {it.state} in the end")
        if it.doomed:
            fail(f"{it.id} was deleted and is there in the end")
    owners = {
        port
        for port, owner in cluster.deployments.owners.items()
        if (it := cluster.deployments.deployments.get(owner)) is None or it.over
    }
    if owners:
        fail(f"ports {owners} belong to deployments that are over")
    if cluster.routes:
        fail(f"routes are left: {cluster.routes}")
