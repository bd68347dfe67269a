"""The program that stays: `python -m swiftletd.suite.supervise HOME`, started by `swiftletd up`.

It reads the plan in the home and hands its own environment on. It imports little on purpose.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from swiftletd.suite.domain.member import Member
from swiftletd.suite.home import Home
from swiftletd.suite.journal import Journal
from swiftletd.suite.logfiles import Follower, rotate
from swiftletd.suite.plan import Plan, Program
from swiftletd.suite.processes import LocalProcesses
from swiftletd.suite.report import what_runs, why_it_gave_up
from swiftletd.suite.signals import STOP, Signals
from swiftletd.suite.supervisor import Supervisor

FOLLOW_EVERY = 0.2  # seconds between two looks at the log files with --verbose


class Audience:
    """Whoever typed `up`: at the terminal, or at the other end of a pipe."""

    def __init__(self, pipe: int | None) -> None:
        self._pipe = pipe

    def tell(self, verdict: str, text: str) -> None:
        """Say "up" or "failed", and more about it. A pipe hears only the first verdict."""
        if self._pipe is None:
            print(text, file=sys.stderr if verdict == "failed" else sys.stdout, flush=True)
            return
        try:
            os.write(self._pipe, f"{verdict}\n{text}\n".encode())
            os.close(self._pipe)
        except OSError:
            pass  # nobody listens any more


class Session:
    """One supervisor at work: signals in; record, logs and words out."""

    def __init__(self, home: Home, plan: Plan, audience: Audience, *, verbose: bool) -> None:
        self._plan, self._audience = plan, audience
        self._journal = Journal(home, plan)
        self._processes = LocalProcesses(plan, os.environ)
        members = map(_member, plan.programs)
        self._supervisor = Supervisor(members, self._processes, clock=time.time, noted=self._journal.note)
        self._logs = {name: plan.log(name) for name in ("suite", *self._supervisor.members)}
        self._follower = Follower(self._logs) if verbose else None
        self._announced = False
        self._told_to_stop = False

    def run(self) -> int:
        """Supervise until told to stop; gives the exit code."""
        signals = Signals()
        self._journal.write(self._supervisor.members)
        while not self._supervisor.is_over:
            wait = self._supervisor.step()
            self._announce()
            self._look_after_logs()
            for number in signals.wait(min(wait, FOLLOW_EVERY) if self._follower else wait):
                self._obey(number)
        self._processes.close()
        self._journal.close()
        if failed := self._supervisor.gave_up:
            self._audience.tell("failed", why_it_gave_up(self._plan, failed))
        return 1 if failed else 0

    def _announce(self) -> None:
        if self._supervisor.is_up and not self._announced:
            self._announced = True
            self._audience.tell("up", what_runs(self._journal.record(self._supervisor.members)))

    def _obey(self, number: signal.Signals) -> None:
        if number not in STOP:
            return
        self._journal.log(f"suite: {number.name}, stopping")
        if self._told_to_stop and number is signal.SIGINT:
            self._supervisor.kill()  # somebody pressed Ctrl-C again
        self._told_to_stop = True
        self._supervisor.stop()

    def _look_after_logs(self) -> None:
        for path in self._logs.values():
            rotate(path)
        if self._follower:
            for name, line in self._follower.read():
                print(f"{name:<8} | {line}", flush=True)


def _member(program: Program) -> Member:
    return Member(name=program.name, after=program.after, grace=program.grace)


def main(argv: list[str] | None = None) -> int:
    """Supervise the suite of a home."""
    parser = argparse.ArgumentParser(prog="python -m swiftletd.suite.supervise")
    parser.add_argument("home", type=Path)
    parser.add_argument("--announce-to", type=int, metavar="FD")
    parser.add_argument("--lock", type=int, metavar="FD", help="the home's lock, held by being open")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args(argv)
    home = Home(args.home)
    audience = Audience(args.announce_to)
    return Session(home, Plan.read(home.plan), audience, verbose=args.verbose).run()


if __name__ == "__main__":
    sys.exit(main())
