"""The events of a run, as its directory tells them: the same ones however often they are asked for.

Each is `swiftlet.event.v1.Event` in protobuf JSON. The version is the number of the event within the run, so
a reader drops one that comes twice.
"""

from __future__ import annotations

from typing import Any

RUN_STARTED, RUN_STEP_ENDED, RUN_ENDED = "run_started", "run_step_ended", "run_ended"

Record = dict[str, Any]


def events_of(
    run: str, *, runner: Record | None, child: Record | None, steps: list[Record], end: Record | None
) -> list[Record]:
    """Everything that has happened so far, in order; what comes later is only ever added at the end.

    Arguments are what the files of the run hold: runner.json, child.json, steps.jsonl and exit.json.
    """
    first = next((step for step in steps if step["pid"]), child)
    found = [_run_started(run, runner, first)] if runner and first else []
    found += [_run_step_ended(run, step) for step in steps]
    if end is not None:
        found.append(_run_ended(run, end))
    return [{**event, "subject": run, "version": number} for number, event in enumerate(found, start=1)]


def _run_started(run: str, runner: Record, first: Record) -> Record:
    return {
        "type": RUN_STARTED,
        "time": first["started_at"],
        "message": f"Process {first['pid']} was started.",
        "runStarted": {"run": run, "runnerPid": runner["pid"], "childPid": first["pid"]},
    }


def _run_step_ended(run: str, step: Record) -> Record:
    return {
        "type": RUN_STEP_ENDED,
        "time": step["ended_at"],
        "message": _how_step_ended(step),
        "runStepEnded": {
            "run": run,
            "step": step["step"],
            "exitCode": step["exit_code"],
            "success": step["success"],
            "resultPath": step["result_path"],
            "finalLoss": step["final_loss"],
            "seconds": step["seconds"],
            "stopped": step["stopped"],
        },
    }


def _run_ended(run: str, end: Record) -> Record:
    how = (
        "was stopped"
        if end["stopped"]
        else "was lost"
        if end.get("lost")
        else "succeeded"
        if end["success"]
        else "failed"
    )
    return {
        "type": RUN_ENDED,
        "time": end["ended_at"],
        "message": f"The run {how}; none of its processes lives.",
        "runEnded": {"run": run, "success": end["success"], "stopped": end["stopped"]},
    }


def _how_step_ended(step: Record) -> str:
    how = (
        f"was stopped ({step['stopped']})"
        if step["stopped"]
        else "succeeded"
        if step["success"]
        else "failed"
    )
    return f"Step {step['step']} {how} with exit code {step['exit_code']} after {step['seconds']:.1f} s."
