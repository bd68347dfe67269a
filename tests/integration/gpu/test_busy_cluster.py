"""What users are told on a busy cluster, over REST and on the command line, word by word.

docs/queue-answers.md shows these answers. `UPDATE_DOCS=1` writes them anew; without it the test compares.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from integration.gateway.conftest import start_gateway, stop_gateway
from integration.gpu import busy_cluster
from swiftlet.cli import cli, render

DOCS = Path(__file__).parents[3] / "docs" / "queue-answers.md"
PATIENCE = 20
SHOWN_ITEM = (
    "job_id",
    "queue_position",
    "priority",
    "reason_code",
    "reason",
    "reason_details",
    "estimated_wait_time",
    "predicted_start_p50",
    "predicted_start_p90",
    "gpu_ids",
    "expected_duration",
    "duration_basis",
    "hints",
)
SHOWN_GPU = ("machine", "id", "status", "available", "holder", "holders", "next_job_id", "next_start")
TEN = datetime(2026, 1, 2, 10, tzinfo=UTC)


class Rest:
    """The answers of the gateway, as a user of curl sees them."""

    def __init__(self, address):
        self.address = address
        self._http = httpx.AsyncClient(base_url=f"http://{address}/api/v1/training", timeout=PATIENCE)

    async def get(self, path):
        answer = await self._http.get(path)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    async def gpus(self):
        return (await self.get("/gpus"))["gpus"]

    async def item(self, job):
        return await self.get(f"/queue/{job}/status")

    async def hold(self, job):
        assert (await self._http.post(f"/queue/{job}/hold")).status_code == httpx.codes.OK

    async def foretold(self):
        """Until the future was looked into since the last change: a busy machine puts that off a while."""
        async with asyncio.timeout(PATIENCE):
            while True:
                tonight, held = await self.item("tonight"), await self.item("held")
                if tonight["predicted_start_p50"] and not held["predicted_start_p50"]:
                    return
                await asyncio.sleep(0.1)

    async def up(self):
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await self.gpus()
                except (httpx.TransportError, AssertionError):
                    await asyncio.sleep(0.05)

    async def close(self):
        await self._http.aclose()


@pytest.fixture
async def service(redis_server):
    with tempfile.TemporaryDirectory(prefix="swg-") as folder:  # short enough for a socket
        made = busy_cluster.cluster(Path(folder), redis_server.url)
        try:
            await made.start()
            await busy_cluster.stage(made)
            yield made
        finally:
            await made.close()


@pytest.fixture
async def rest(service):
    upstreams = dict.fromkeys(("gpu", "training", "deploy"), (f"unix:{service.home}/run/gpu.sock",))
    gateway = start_gateway(service.home / "gateway", upstreams)
    made = Rest(gateway.host)
    try:
        await made.up()
        await made.hold("held")
        await made.foretold()
        yield made
    finally:
        await made.close()
        stop_gateway(gateway)


def ahead(timestamp):
    """Seconds from now."""
    return (datetime.fromisoformat(timestamp) - datetime.now(UTC)).total_seconds()


async def test_the_answers_of_a_busy_cluster(rest, at_ten, capsys):
    queue = await rest.get("/queue")
    items = {item["job_id"]: await rest.item(item["job_id"]) for item in queue["queue_items"]}
    gpus = await rest.gpus()

    check_order(queue)
    check_reasons(items)
    check_predictions(items)
    check_hints(items)
    check_gpus(gpus)
    text = at_ten.text(document(items, gpus, await commands(rest.address)))
    with capsys.disabled():
        print(f"\n{text}")
    if os.environ.get("UPDATE_DOCS"):
        before, _, rest_of_it = DOCS.read_text().partition("<!-- staged -->")
        DOCS.write_text(
            f"{before}<!-- staged -->\n{text}<!-- end -->{rest_of_it.partition('<!-- end -->')[2]}"
        )
    written = DOCS.read_text().partition("<!-- staged -->\n")[2].partition("<!-- end -->")[0]
    assert without_times(written) == without_times(text), "UPDATE_DOCS=1 writes docs/queue-answers.md anew"


def check_order(queue):
    """In the order of service: those who wait for a time, and those on hold, come last."""
    names = [item["job_id"] for item in queue["queue_items"]]
    assert names == ["big", "patient", "nlp-tune", "on-l4", "on-b200", "huge", "share", "tonight", "held"]
    assert [item["queue_position"] for item in queue["queue_items"]] == list(range(1, 10))
    assert queue["total_queued"] == 9


def check_reasons(items):
    codes = {name: item["reason_code"] for name, item in items.items()}
    assert codes == {
        "big": "BUSY",
        "patient": "RESERVED",
        "nlp-tune": "QUOTA_GPUS",
        "on-l4": "STRANGER",
        "on-b200": "NO_SUCH_DEVICE",
        "huge": "TOO_FEW_DEVICES",
        "share": "RESERVED",
        "tonight": "NOT_BEFORE",
        "held": "HELD",
    }
    big = items["big"]
    assert big["reason"].startswith("Needs 6 GPUs on one machine; 1 is free on node-2; job quick, which ends")
    assert "job llama-70b, which ends in about 12 min (its own progress), frees 4" in big["reason"]
    numbers = big["reason_details"]
    assert (numbers["gpus"], numbers["free"], numbers["machine"]) == ("6", "1", "node-2")
    assert 600 < int(numbers["wait_seconds"]) <= 730
    assert items["nlp-tune"]["reason_details"]["limit"] == items["nlp-tune"]["reason_details"]["used"] == "4"
    assert items["on-l4"]["reason"].endswith("busy: pid 4711 (python) of user x, 20.1 GiB.")
    assert "would delay job big, which is to start in about 12 min" in items["patient"]["reason"]
    assert "at most 8 are on one machine" in items["huge"]["reason"]


def check_predictions(items):
    big, patient = items["big"], items["patient"]
    assert 600 < ahead(big["predicted_start_p50"]) <= ahead(big["predicted_start_p90"]) < 1200
    assert ahead(patient["predicted_start_p50"]) > ahead(big["predicted_start_p50"])
    assert ahead(items["tonight"]["predicted_start_p50"]) > 7000
    for name in ("on-l4", "on-b200", "huge", "held"):  # nobody can tell
        assert (items[name]["predicted_start_p50"], items[name]["estimated_wait_time"]) == ("", "unknown")
    assert (patient["expected_duration"], patient["duration_basis"]) == (5400, "history")
    assert (big["expected_duration"], big["duration_basis"]) == (86400, "limit")


def check_hints(items):
    hints = {name: [hint["change"] for hint in item["hints"]] for name, item in items.items()}
    assert hints["big"] == ["fewer_gpus"]
    assert hints["huge"] == ["fewer_gpus", "fewer_gpus"]
    assert {"shared_gpu", "higher_priority"} & set(hints["patient"])
    assert "other_gpu" in hints["on-b200"]
    assert "other_gpu" in hints["on-l4"]
    assert "several_machines" not in {change for found in hints.values() for change in found}
    for item in items.values():
        for hint in item["hints"]:
            assert hint["message"].endswith(".")
            assert ahead(hint["predicted_start"]) < (
                ahead(item["predicted_start_p50"]) if item["predicted_start_p50"] else float("inf")
            )


def check_gpus(gpus):
    assert len(gpus) == 17
    bases = {h["job_id"]: h["until_basis"] for gpu in gpus for h in gpu["holders"]}
    assert bases == {
        "llama-70b": "progress",
        "draft": "progress",
        "eval": "history",
        "pretrain": "limit",
        "quick": "limit",
        "chat": "",
        "embed": "",
    }
    for gpu in gpus:
        assert bool(gpu["next_job_id"]) is bool(gpu["next_start"])
        for holder in gpu["holders"]:
            assert ahead(holder["since"]) <= 0
            assert holder["until"] == "" or ahead(holder["until"]) > 0
    shared = next(gpu for gpu in gpus if len(gpu["holders"]) == 2)
    assert [(h["job_id"], h["memory"]) for h in shared["holders"]] == [("chat", 49152), ("embed", 8192)]
    (llama,) = {gpu["next_job_id"] for gpu in gpus if gpu["job_id"] == "llama-70b"}
    assert llama == "big"
    (free,) = (gpu for gpu in gpus if gpu["available"] and not gpu["holders"])
    assert (free["status"], free["next_job_id"]) == ("available", "big")
    stranger = gpus[-1]
    assert (stranger["status"], stranger["available"]) == ("busy", False)
    assert stranger["holder"] == "busy: pid 4711 (python) of user x, 20.1 GiB"


# ------------------------------------------------------------------------------------------ the document


class AtTen:
    """Every time moved by the same amount, as if it were ten o'clock."""

    def __init__(self):
        self._moved = TEN - datetime.now(UTC)

    def moment(self, timestamp):
        """A time, to the minute."""
        at = datetime.fromisoformat(timestamp) + self._moved + timedelta(seconds=30)
        return at.strftime("%Y-%m-%dT%H:%M:00Z")

    def text(self, text):
        """A text with times in it, in both forms that the service writes."""
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", lambda found: self.moment(found[0]), text)
        return re.sub(r"(\d{4}-\d\d-\d\d )?(\d\d:\d\d) UTC", self._in_words, text)

    def _in_words(self, found):
        day = found[1] or f"{datetime.now(UTC):%Y-%m-%d} "
        day, _, time = self.moment(f"{day.strip()}T{found[2]}:00Z").partition("T")
        return f"{time[:5]} UTC" if day == f"{TEN:%Y-%m-%d}" else f"{day} {time[:5]} UTC"


@pytest.fixture
def at_ten(monkeypatch):
    """The command line thinks that it is ten o'clock, too."""
    clock = AtTen()
    for name in ("moment", "about"):
        shown = getattr(render, name)
        monkeypatch.setattr(
            render, name, lambda at, shown=shown: shown(at and clock.moment(at), now=TEN.astimezone())
        )
    return clock


async def commands(address):
    """What the same questions give on the command line."""
    words = (["gpus"], ["queue"], ["queue", "show", "big"])
    shown = {" ".join(word): await command(address, word) for word in words}
    return {f"swiftlet {name}": text for name, text in shown.items()}


async def command(address, words):
    made = await asyncio.to_thread(CliRunner().invoke, cli, ["--address", address, *words])
    assert made.exit_code == 0, made.output
    return made.stdout


def document(items, gpus, shown):
    """The part of the page that is generated."""
    parts = [f"```console\n$ {name}\n{tidy(text)}```\n" for name, text in shown.items()]
    in_order = [
        {**item, "reason_details": dict(sorted(item["reason_details"].items()))} for item in items.values()
    ]
    wanted = [pick(item, SHOWN_ITEM) for item in in_order]
    parts.append(f"`GET /api/v1/training/queue/<id>/status`, for each job that waits:\n\n{as_json(wanted)}")
    first = {(gpu["machine"], gpu["holder"]): gpu for gpu in reversed(gpus)}
    some = [pick(gpu, SHOWN_GPU) for gpu in reversed(first.values())]
    parts.append(f"`GET /api/v1/training/gpus`, one GPU for each holder:\n\n{as_json(some)}")
    return "\n".join(parts)


def pick(message, names):
    return {name: message[name] for name in names if message[name] not in ("", [], {})}


def as_json(data):
    return f"```json\n{json.dumps(data, indent=2, ensure_ascii=False)}\n```\n"


def tidy(text):
    """A table without the blanks at the ends of its lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def without_times(text):
    """What is the same on every day: texts, codes, numbers that are no times, and the columns."""
    text = re.sub(r"\d{4}-\d\d-\d\d([T ][\d:.]+Z?)?|([A-Z][a-z]{2} )?\d\d:\d\d(:\d\d)?", "TIME", text)
    text = re.sub(r"TIME to TIME", "TIME", text)
    text = re.sub(r"\d+ (s|min|h|days)\b", "SPAN", text)
    text = re.sub(r'("wait_seconds": )"\d+"', r"\1TIME", text)
    return re.sub(r"[ \n]+", " ", text)
