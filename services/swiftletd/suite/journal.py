"""What the supervisor writes down: suite.json for programs, suite.log for people."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from swiftletd.suite import record
from swiftletd.suite.domain.decide import Members
from swiftletd.suite.domain.member import Member
from swiftletd.suite.home import Home
from swiftletd.suite.plan import Plan
from swiftletd.suite.process import Process
from swiftletd.suite.report import change


class Journal:
    """The record and the log of one supervisor."""

    def __init__(self, home: Home, plan: Plan) -> None:
        me = Process.of(os.getpid())
        assert me is not None
        self._me, self._started_at = me, time.time()
        self._home, self._plan = home, plan

    def note(self, before: Member, after: Member, members: Members) -> None:
        """A member changed."""
        self.write(members)
        self.log(change(before, after))

    def record(self, members: Members) -> record.SuiteRecord:
        """What there is to know now."""
        return record.suite_record(self._plan, self._me, self._started_at, members)

    def write(self, members: Members) -> None:
        """Bring suite.json up to date."""
        record.write(self._home.record, self.record(members))

    def log(self, text: str) -> None:
        """One more line in suite.log."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._plan.log("suite").open("a", encoding="utf-8") as file:
            file.write(f"{now} {text}\n")

    def close(self) -> None:
        """Nothing runs any more."""
        self._home.record.unlink(missing_ok=True)
