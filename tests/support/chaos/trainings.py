"""A client that creates jobs, and stops, deletes, holds, moves and exports some of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.chaos.calls import Client
from support.chaos.kinds import KINDS, REAL, Kind, Story, Training
from support.suite import Suite

DONE, GONE, WRONG_STATE = httpx.codes.OK, httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST
TO_HOLD, TO_MOVE = 0.3, 0.3  # shares of the jobs


@dataclass(frozen=True)
class RealModel:
    """A model and data for the real ms-swift."""

    model: Path
    data: Path


class TrainingClient(Client):
    """Adds to the story what was accepted; `created` is called with each new job's id."""

    def __init__(self, suite: Suite, story: Story, seed: int, created: Callable[[str], None]) -> None:
        super().__init__(suite, "trainings", seed, pause=1.2)
        self._suite, self._story, self._seed = suite, story, seed
        self._created = created
        self._due: list[tuple[float, str, str]] = []
        self._calls = 0
        self._deck: list[Kind] = []

    def act(self) -> None:
        if not self._deck:
            self._deck = self._random.sample(KINDS, len(KINDS))
        self.create(self._deck.pop())
        self._do_those_due(time.time())

    def conclude(self) -> None:
        """What is held has to go on, what never ends has to be stopped."""
        self._due = [item for item in self._due if item[1] in {"release", "stop", "delete"}]
        self._do_those_due(float("inf"))

    def create_real(self, real: RealModel) -> None:
        """A job for the real ms-swift; it learns some lines by heart."""
        params = {
            "max_steps": REAL.steps,
            "save_steps": REAL.steps,
            "logging_steps": 1,
            "batch_size": 2,
            "gradient_accumulation_steps": 1,
            "train_type": "full",
            "torch_dtype": "float32",
            "dataloader_num_workers": 0,
            "dataset_num_proc": 1,
        }
        self._create(REAL, str(real.model), str(real.data), params)

    def create(self, kind: Kind) -> None:
        """A job for the double."""
        model = self._suite.home / kind.name
        model.mkdir(exist_ok=True)
        (model / "fake_swift.json").write_text(json.dumps(kind.fake))
        data = self._suite.home / "data.jsonl"
        data.write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
        job_id = self._create(
            kind, str(model), str(data), {"max_steps": kind.steps, "save_steps": kind.steps}
        )
        self._plan(job_id, kind)

    def _create(self, kind: Kind, model: str, data: str, params: dict[str, Any]) -> str:
        body = {
            "task_type": "llm",
            "model_path": model,
            "data_path": data,
            "output_dir": str(self._suite.home / "out"),
            "max_retries": kind.retries,
            "llm_params": params,
        }
        reply = self._do("POST", "/training/jobs", httpx.codes.CREATED, json=body)
        job_id: str = reply.json()["job_id"]
        assert job_id not in self._story.trainings, f"{job_id} was given to two requests"
        self._story.trainings[job_id] = Training(kind)
        self._created(job_id)
        return job_id

    def _plan(self, job_id: str, kind: Kind) -> None:
        now, chance = time.time(), self._random
        if kind.then:
            self._due.append((now + chance.uniform(0, 8), kind.then, job_id))
        if chance.random() < TO_HOLD:
            self._due.append((now, "hold", job_id))
        if chance.random() < TO_MOVE:
            self._due.append((now, "move", job_id))

    def _do_those_due(self, now: float) -> None:
        due = [item for item in self._due if item[0] <= now]
        self._due = [item for item in self._due if item[0] > now]
        for _, action, job_id in due:
            getattr(self, f"_{action}")(job_id)

    def _do(self, method: str, path: str, *expected: int, **request: Any) -> httpx.Response:
        """With a key of its own, so that a repeated call does nothing twice."""
        self._calls += 1
        headers = {"idempotency-key": f"chaos-{self._seed}-{self._calls}"}
        return self.calls.ask(method, path, *expected, headers=headers, **request)

    def _stop(self, job_id: str) -> None:
        reply = self._do("POST", f"/training/jobs/{job_id}/stop", DONE, WRONG_STATE)
        self._story.trainings[job_id].stopped = reply.status_code == DONE

    def _delete(self, job_id: str) -> None:
        # From here on it may be gone, whenever the answer comes.
        self._story.trainings[job_id].deleted = True
        self._do("DELETE", f"/training/jobs/{job_id}", httpx.codes.NO_CONTENT)

    def _hold(self, job_id: str) -> None:
        if self._do("POST", f"/training/queue/{job_id}/hold", DONE, GONE).status_code == DONE:
            self._story.trainings[job_id].held.append([time.time(), float("inf")])
            self._due.append((time.time() + self._random.uniform(1, 5), "release", job_id))

    def _release(self, job_id: str) -> None:
        self._story.trainings[job_id].held[-1][1] = time.time()
        self._do("POST", f"/training/queue/{job_id}/release", DONE, GONE)

    def _move(self, job_id: str) -> None:
        body = {"priority": self._random.randrange(11)}
        self._do("POST", f"/training/queue/{job_id}/move", DONE, GONE, json=body)

    def _export(self, job_id: str) -> None:
        """Once more, after the first export; later if that is not through."""
        job = self.calls.ask("GET", f"/training/jobs/{job_id}", DONE).json()
        if job["status"] == "completed" and (job["export_completed"] or job["export_error"]):
            self._do("POST", f"/training/jobs/{job_id}/export", DONE)
        elif job["status"] not in {"failed", "cancelled"}:
            self._due.append((time.time() + 1, "export", job_id))
