"""The command line against a server: what it prints, and how it leaves."""

from __future__ import annotations

import asyncio
import json
import re

import grpc
import pytest
from click.testing import CliRunner

from integration.clients.doubles import DONE, Refusal
from swiftlet.cli import cli, machine, render
from swiftlet.gpu.v1.gpu_pb2 import Gpu, GpuHolder, GpuStatus
from swiftlet.gpu.v1.queue_pb2 import QueueItem, UnblockHint
from swiftlet.training.v1 import job_pb2


@pytest.fixture
def run(suite):
    """Run one command in a thread, so that the server goes on in this loop."""

    async def run(*words, **more):
        arguments = ["--address", suite.address, "--timeout", "5", *words]
        return await asyncio.to_thread(CliRunner().invoke, cli, arguments, prog_name="swiftlet", **more)

    return run


@pytest.fixture
def job(suite):
    suite.training.jobs["a"] = job_pb2.TrainingJob(
        id="a",
        status=DONE,
        model_path="org/model",
        final_loss=0.1332,
        training_time=16,
        export_completed=True,
        export_path="/out/model",
    )
    return suite.training.jobs["a"]


async def test_train_sends_typed_parameters_and_says_what_to_do_next(suite, run):
    words = ["-o", "lora_rank=8", "-o", "learning-rate=1e-3", "-o", "target_modules=q_proj, v_proj"]
    result = await run("train", "org/m", "org/d", "out", *words, "-x", "--neftune=5", "-p", "7", "-g", "2")

    sent = suite.training.created[0]
    assert result.exit_code == 0, result.output
    assert "job-1 pending  It starts now." in result.stdout
    assert "swiftlet watch job-1" in result.stderr
    assert (sent.train_params.lora_rank, sent.train_params.learning_rate) == (8, 1e-3)
    assert list(sent.train_params.target_modules) == ["q_proj", "v_proj"]
    assert dict(sent.train_params.extra_args) == {"neftune": "5"}
    assert (sent.priority, sent.resources.gpus, sent.output_dir[0]) == (7, 2, "/")


async def test_train_quietly_prints_an_id_for_scripts(run):
    result = await run("train", "org/m", "org/d", "out", "-q")

    assert result.stdout == "job-1\n"


async def test_a_misspelt_parameter_never_reaches_the_server(suite, run):
    result = await run("train", "org/m", "org/d", "out", "-o", "lora_rnak=8")

    assert result.exit_code == 2
    assert result.stderr == "Error: lora_rnak: there is no such option; did you mean lora_rank?\n"
    assert suite.training.created == []


async def test_a_refused_field_is_named_below_the_message(suite, run):
    suite.training.refusals.append(
        Refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_ARGUMENT",
            "1 field is wrong.",
            fields={"seed": "too big"},
        )
    )
    result = await run("train", "org/m", "org/d", "out")

    assert result.exit_code == 2
    assert result.stderr == "Error: 1 field is wrong.\n  seed: too big\n"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refusal(grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE"), 5),
        (Refusal(grpc.StatusCode.NOT_FOUND, "NOT_FOUND"), 4),
        (Refusal(grpc.StatusCode.INTERNAL, "INTERNAL"), 1),
    ],
)
async def test_errors_leave_with_the_codes_that_help_lists(suite, run, job, refusal, code):
    suite.training.refusals.append(refusal)

    result = await run("stop", "a")

    assert result.exit_code == code
    assert result.stderr == "Error: no\n"


async def test_nothing_answers(unused_tcp_port):
    words = ["--address", f"127.0.0.1:{unused_tcp_port}", "jobs"]
    result = await asyncio.to_thread(CliRunner().invoke, cli, words)

    assert result.exit_code == 3
    assert "swiftletd up" in result.stderr


async def test_what_is_no_address_is_wrong_usage():
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["--address", "http://a/b", "jobs"])

    assert result.exit_code == 2
    assert "write host:port" in result.stderr


async def test_jobs_as_a_table_and_as_json(run, job):
    table, data = await run("jobs"), await run("jobs", "--json")

    assert table.stdout.splitlines()[0].split() == [
        *("id", "status", "progress", "loss", "model", "gpus", "created", "took")
    ]
    assert table.stdout.splitlines()[1].split()[:4] == ["a", "completed", "0.1332", "org/model"]
    assert json.loads(data.stdout)[0]["status"] == "completed"
    assert json.loads(data.stdout)[0]["queue_position"] == 0


async def test_no_jobs_is_told_beside_the_output(run):
    result = await run("jobs")

    assert result.stdout == ""
    assert "swiftlet train" in result.stderr


async def test_watch_in_a_pipe_is_a_line_for_each_step_and_the_end(suite, run, job):
    step = job_pb2.Progress(
        step=5, total_steps=10, progress=50, loss=0.5, phase="training", estimated_time_remaining=65
    )
    suite.training.steps = [step]

    result = await run("watch", "a")

    assert result.exit_code == 0
    assert "a training  50 %  step 5/10  loss 0.5  1 min 05 s left" in result.stdout
    assert result.stdout.endswith("a completed in 16 s, loss 0.1332\nmodel: /out/model\n")


async def test_watch_shows_the_place_in_the_queue_first(suite, run, job):
    suite.training.steps = [job_pb2.Progress(phase="waiting")]
    waiting = QueueItem(
        job_id="a", queue_position=2, reason="Needs 1 GPU, none is free.", estimated_wait_time="3 min"
    )
    suite.gpu.snapshots = [[waiting], []]

    result = await run("watch", "a")

    assert "a waits at place 2: Needs 1 GPU, none is free. Starts 3 min" in result.stdout


async def test_watch_leaves_with_1_where_the_job_failed(run, job):
    job.status, job.error_message = job_pb2.JobStatus.JOB_STATUS_FAILED, "Out of memory. Halve batch_size."

    result = await run("watch", "a")

    assert result.exit_code == 1
    assert "a failed  Out of memory. Halve batch_size." in result.stdout


async def test_ctrl_c_on_a_watch_leaves_the_job_running_and_says_so(run, job, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("swiftlet.cli.watch._follow", interrupted)
    result = await run("watch", "a")

    assert result.exit_code == 130
    assert "a goes on. `swiftlet watch a` shows it again, `swiftlet stop a` ends it." in result.stderr
    assert job.status == DONE


async def test_a_log_can_not_steer_the_terminal(suite, run, job):
    suite.training.lines = ["fine", "\x1b[2Jgone\x07", "[bold]not markup[/bold]"]

    result = await run("logs", "a", "-f")

    assert result.stdout.splitlines() == [" fine", "  [2Jgone ", " [bold]not markup[/bold]"]


async def test_logs_as_json_are_one_object_a_line(suite, run, job):
    suite.training.lines = ["one", "two"]

    result = await run("logs", "a", "--json", "-n", "1")

    assert [json.loads(line)["message"] for line in result.stdout.splitlines()] == ["two"]


async def test_logs_are_searched(suite, run, job):
    suite.training.lines = ["one", "two", "three", "twofold"]

    assert (await run("logs", "a", "-g", "two", "--line", "2")).stdout.split() == ["two", "twofold"]
    refused = await run("logs", "a", "-g", "two", "-f")

    assert refused.exit_code == 2
    assert "--follow and --tail go with no other choice of lines" in refused.stderr


async def test_the_queue_says_why_and_what_would_help(suite, run):
    hint = UnblockHint(message="With 1 GPU instead of 2 it starts in about 3 min.")
    suite.gpu.items = [
        QueueItem(
            job_id="b",
            queue_position=1,
            kind="training",
            reason="GPU 0 runs a.",
            hints=[hint],
            expected_duration=600,
            duration_basis="history",
        )
    ]

    listed, shown = await run("queue"), await run("queue", "show", "b")
    moved = await run("queue", "move", "b", "9")

    assert "GPU 0 runs a." in listed.stdout
    assert "With 1 GPU instead of 2 it starts in about 3 min." in shown.stdout
    assert "about 10 min 00 s, judged by similar jobs" in shown.stdout
    assert (await run("queue", "show", "nobody")).exit_code == 4
    assert moved.stdout == "b has priority 9.\n"
    assert (await run("queue", "move", "b", "11")).exit_code == 2


HELD = Gpu(
    id=0,
    name="NVIDIA H100",
    machine="node",
    status=GpuStatus.GPU_STATUS_ALLOCATED,
    memory_total=81559,
    memory_used=71680,
    holders=[
        GpuHolder(
            job_id="a", since="2026-01-02T10:02:00Z", until="2026-01-02T11:40:00Z", until_basis="progress"
        ),
        GpuHolder(job_id="chat", since="2026-01-01T10:02:00Z", memory=16384),
    ],
    next_job_id="b",
    next_start="2026-01-02T11:40:00Z",
)
BUSY = Gpu(
    id=1,
    machine="node",
    status=GpuStatus.GPU_STATUS_BUSY,
    memory_total=81559,
    holder="busy: pid 4711 (python) of user x, 30.2 GiB",
)


async def test_gpus_tell_who_holds_them_until_when_why_and_what_is_next(suite, run):
    suite.gpu.gpus = [HELD, BUSY]

    shown = (await run("gpus")).stdout

    first, second, third = (re.split(r"  +", line.strip()) for line in shown.splitlines()[1:])
    since, until = render.moment("2026-01-02T10:02:00Z"), render.about("2026-01-02T11:40:00Z")
    assert first[-5:] == ["a", since, until, "its progress", f"b ~{until}"]
    assert second == ["chat (16.0 GiB)", render.moment("2026-01-01T10:02:00Z"), "no end known"]
    assert third[-1] == "busy: pid 4711 (python) of user x, 30.2 GiB"
    assert "\x1b" not in shown


@pytest.mark.parametrize("columns", ["80", "60"])
async def test_a_narrow_terminal_shows_who_holds_a_gpu_before_anything_else(columns):
    table = machine._gpus_table([HELD, BUSY], int(columns))
    names = [column.header for column in table.columns]

    assert names == ["gpu", "status", "memory GiB", "held by", "until about", "next"]


async def test_delete_wants_names_or_all_and_asks_before_all(suite, run, job):
    assert (await run("delete")).exit_code == 2
    assert (await run("delete", "--all", input="n\n")).exit_code == 1
    assert "a" in suite.training.jobs
    assert (await run("delete", "--all", "--yes")).stdout == "1 jobs are deleted.\n"


async def test_health_leaves_with_1_where_a_part_is_down(suite, run):
    suite.training.healthy = False

    result = await run("health")

    assert result.exit_code == 1
    assert "unhealthy" in result.stdout


async def test_health_tells_how_full_the_disks_are(suite, run):
    shown = (await run("health")).stdout
    assert "95.0 GiB of 100.0 GiB (95%), nearly full" in shown
    assert "results     1.0 GiB" in shown

    limits = {"used_bytes": 2**30, "promised_bytes": 2**31, "limit_bytes": 2**32}
    suite.training.outputs = type(suite.training.outputs)(**limits)
    assert "1.0 GiB of 4.0 GiB (25%), 2.0 GiB to come" in (await run("health")).stdout


@pytest.mark.parametrize(
    "words", [["gpus"], ["params"], ["job", "a"], ["events", "a"], ["deploy", "ls"], ["health"]]
)
async def test_every_reading_command_has_json(run, job, words):
    shown, data = await run(*words), await run(*words, "--json")

    assert shown.exit_code == data.exit_code == 0
    assert json.loads(data.stdout) is not None


async def test_a_served_model_is_made_listed_and_found(suite, run):
    made = await run("deploy", "create", "job-1", "--served-name", "birds", "--wait")
    shown = await run("deploy", "status", "serve-1")

    assert f"serve-1 running  http://{suite.address}/serve/serve-1/v1" in made.stdout
    assert suite.deploy.created[0].served_model_name == "birds"
    assert "running" in shown.stdout


async def test_deployments_are_deleted_by_name(suite, run):
    for _ in range(3):
        await run("deploy", "create", "job-1")
    result = await run("deploy", "delete", "serve-1", "serve-3")
    assert result.stdout == "serve-1 is deleted.\nserve-3 is deleted.\n"
    assert list(suite.deploy.deployments) == ["serve-2"]
    assert (await run("deploy", "delete")).exit_code == 2


async def test_chat_says_that_a_stopped_deployment_must_be_started(run):
    await run("deploy", "create", "job-1")

    result = await run("chat", "serve-1", "Hello?")

    assert result.exit_code == 1
    assert "swiftlet deploy start serve-1 --wait" in result.stderr


async def test_no_colours_in_a_pipe(run, job):
    assert "\x1b" not in (await run("job", "a")).output
