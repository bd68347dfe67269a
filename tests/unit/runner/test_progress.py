"""Rows of ms-swift become progress, in its 4.x and its 3.x words."""

from __future__ import annotations

import json

import pytest

from swiftletd.runner.progress import Progress, TrainingTail, list_checkpoints, parse_duration, parse_row

ROW_4_6 = {
    "loss": 5.60031471,
    "grad_norm": 1.85525703,
    "learning_rate": 5.5e-05,
    "token_acc": 0.05454545,
    "epoch": 0.5,
    "global_step/max_steps": "25/50",
    "elapsed_time": "1m 29s",
    "remaining_time": "1h 2m 3s",
    "train_speed(s/it)": 1.145426,
}
ROW_3_5 = {
    "loss": 5.46249199,
    "learning_rate": 0.0,
    "memory(GiB)": 1.5,
    "train_speed(iter/s)": 4.0,
    "epoch": 1.0,
    "global_step/max_steps": "50/50",
    "percentage": "100.00%",
    "elapsed_time": "13s",
    "remaining_time": "0s",
}
FINAL = {"train_runtime": 16.82, "train_loss": 5.383, "epoch": 2.0, "global_step/max_steps": "50/50"}
SUMMARY = {
    "last_model_checkpoint": "/out/checkpoint-50",
    "global_step": 50,
    "log_history": [{"loss": 1}],
    "memory": 0,
}


def add(path, *rows) -> None:
    with (path / "logging.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def changes(tail: TrainingTail) -> list[dict]:
    """What a poll brought, without the checkpoints that it always brings."""
    return [change for change in tail.poll() if "checkpoints" not in change]


def save_checkpoint(path, step: int, *, whole: bool = True) -> str:
    checkpoint = path / f"checkpoint-{step}"
    checkpoint.mkdir()
    if whole:
        (checkpoint / "trainer_state.json").write_text("{}")
    return str(checkpoint)


def test_a_row_of_4_6():
    assert parse_row(ROW_4_6) == {
        "step": 25,
        "total_steps": 50,
        "epoch": 0.5,
        "loss": 5.60031471,
        "learning_rate": 5.5e-05,
        "seconds_per_step": 1.145426,
        "elapsed": 89.0,
        "remaining": 3723.0,
    }


def test_a_row_of_3_5_counts_steps_per_second():
    row = parse_row(ROW_3_5)
    assert row["seconds_per_step"] == 0.25
    assert row["gpu_memory"] == 1.5
    assert row["learning_rate"] == 0.0


def test_an_evaluation_leaves_the_training_loss_alone():
    row = parse_row({"eval_loss": 5.5, "global_step/max_steps": "25/50"})
    assert row == {"eval_loss": 5.5, "step": 25, "total_steps": 50}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("29s", 29),
        ("13m 6s", 786),
        ("1h 2m 3s", 3723),
        ("1d 2h 3m 4s", 93784),
        ("", 0),
        ("soon", 0),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "row", [{}, {"global_step/max_steps": None}, {"global_step/max_steps": "a/b", "loss": "x"}]
)
def test_a_row_that_says_nothing(row):
    assert parse_row(row) == {}


@pytest.mark.parametrize("speed", [0, 0.0, float("nan"), "fast", None, True])
def test_a_speed_that_is_none(speed):
    assert parse_row({"train_speed(iter/s)": speed}) == {}


def test_a_progress_counts_its_changes():
    first = Progress().changed(step=1)
    assert first.seq == 1
    assert first.changed(step=1) is first
    assert first.changed(step=2).seq == 2


def test_rows_are_taken_in_as_they_come(tmp_path):
    tail = TrainingTail(tmp_path)
    assert changes(tail) == []
    add(tmp_path, ROW_4_6)
    assert [change["step"] for change in changes(tail)] == [25]
    assert changes(tail) == []
    add(tmp_path, {**ROW_4_6, "global_step/max_steps": "30/50"}, FINAL)
    assert [change["step"] for change in changes(tail)] == [30, 50]
    assert tail.trained
    assert tail.final_loss == 5.383


def test_a_row_that_is_written_in_two_parts(tmp_path):
    tail = TrainingTail(tmp_path)
    line = json.dumps(ROW_4_6)
    for part, expected in ((line[:50], []), (line[50:], []), ("\n", [25])):
        with (tmp_path / "logging.jsonl").open("a") as file:
            file.write(part)
        assert [change["step"] for change in changes(tail)] == expected


def test_rows_of_an_attempt_before_are_not_seen(tmp_path):
    add(tmp_path, ROW_4_6, FINAL)
    tail = TrainingTail(tmp_path)
    assert changes(tail) == []
    assert not tail.trained


def test_a_file_that_begins_again_is_read_from_its_beginning(tmp_path):
    add(tmp_path, ROW_4_6, ROW_4_6)
    tail = TrainingTail(tmp_path)
    (tmp_path / "logging.jsonl").unlink()
    add(tmp_path, ROW_3_5)
    assert [change["step"] for change in changes(tail)] == [50]


def test_the_summary_alone_is_no_success(tmp_path):
    tail = TrainingTail(tmp_path)
    add(tmp_path, SUMMARY)
    assert changes(tail) == []
    assert not tail.trained


def test_what_is_no_json_is_passed_over(tmp_path):
    tail = TrainingTail(tmp_path)
    (tmp_path / "logging.jsonl").write_bytes(b"not json\n[1]\n\xff\xfe\n")
    add(tmp_path, ROW_4_6)
    assert [change["step"] for change in changes(tail)] == [25]


def test_a_loss_that_is_no_number_is_noticed_and_not_passed_on(tmp_path):
    tail = TrainingTail(tmp_path)
    add(tmp_path, {**ROW_4_6, "loss": float("nan")})
    assert "loss" not in changes(tail)[0]
    assert tail.diverged


def test_only_whole_checkpoints_in_the_order_of_their_steps(tmp_path):
    ninth, tenth = save_checkpoint(tmp_path, 9), save_checkpoint(tmp_path, 10)
    save_checkpoint(tmp_path, 11, whole=False)
    (tmp_path / "checkpoint-x").mkdir()
    (tmp_path / "last-checkpoint").symlink_to(tenth)
    assert list_checkpoints(tmp_path) == (ninth, tenth)
    assert list_checkpoints(tmp_path / "nowhere") == ()


def test_the_tail_tells_of_new_checkpoints(tmp_path):
    tail = TrainingTail(tmp_path)
    saved = save_checkpoint(tmp_path, 5)
    assert list(tail.poll()) == [{"checkpoints": (saved,)}]
