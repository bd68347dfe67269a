"""A client that deploys models, and stops, starts and deletes the deployments."""

from __future__ import annotations

import json
import time

import httpx

from support.chaos.calls import PATIENCE_SECONDS, Client
from support.chaos.kinds import SERVERS, Served, Story
from support.suite import Suite

MOST_WANTED = 2  # model servers at a time: the other devices are for trainings
DONE, WRONG_STATE, TAKEN = httpx.codes.OK, httpx.codes.BAD_REQUEST, httpx.codes.CONFLICT


class DeploymentClient(Client):
    """Adds to the story what was accepted, and what each deployment should be."""

    def __init__(self, suite: Suite, story: Story, seed: int) -> None:
        super().__init__(suite, "deployments", seed, pause=2.5)
        self._story, self._seed, self._home = story, seed, suite.home
        self._calls = 0

    def act(self) -> None:
        servers = self._story.kept_servers()
        wanted = [key for key, served in servers.items() if served.wanted]
        idle = [key for key, served in servers.items() if not served.wanted]
        if servers and self._random.random() < 0.2:
            self._delete(self._random.choice(list(servers)))
        elif len(wanted) >= MOST_WANTED:
            self._stop(self._random.choice(wanted))
        elif idle and self._random.random() < 0.4:
            self._start(self._random.choice(idle))
        else:
            self._create()

    def conclude(self) -> None:
        """One is left to serve, so that it is seen to live."""
        for key, served in self._story.kept_servers().items():
            if served.wanted:
                self._stop(key)
        self._create(steady=True)

    def _create(self, *, steady: bool = False) -> None:
        kind = SERVERS[0] if steady else self._random.choice(SERVERS)
        model = self._home / f"served-{kind.name}"
        model.mkdir(exist_ok=True)
        (model / "config.json").write_text("{}")
        (model / "fake_swift.json").write_text(json.dumps(kind.fake))
        body = {"model_path": str(model), "auto_start": True}
        reply = self.calls.ask("POST", "/deploy/jobs", httpx.codes.CREATED, json=body, headers=self._key())
        key: str = reply.json()["job_id"]
        assert key not in self._story.servers, f"{key} was given to two requests"
        self._story.servers[key] = Served(kind)

    def _key(self) -> dict[str, str]:
        self._calls += 1
        return {"idempotency-key": f"chaos-deploy-{self._seed}-{self._calls}"}

    def _stop(self, key: str) -> None:
        served = self._story.servers[key]
        served.stops += 1
        self.calls.ask("POST", f"/deploy/jobs/{key}/stop", DONE, headers=self._key())
        served.wanted = False

    def _delete(self, key: str) -> None:
        # From here on it may be gone, whenever the answer comes.
        self._story.servers[key].deleted = True
        self.calls.ask("DELETE", f"/deploy/jobs/{key}", httpx.codes.NO_CONTENT, headers=self._key())

    def _start(self, key: str) -> None:
        """Start it again.

        It is refused for as long as the old model server is being ended, or if another deployment takes the
        port in the same moment.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        self._story.servers[key].wanted = True
        while True:
            path = f"/deploy/jobs/{key}/start"
            reply = self.calls.ask("POST", path, DONE, WRONG_STATE, TAKEN, headers=self._key())
            if reply.status_code == DONE:
                return
            assert time.monotonic() < deadline, f"{key} can't be started again: {reply.text}"
            time.sleep(0.3)
