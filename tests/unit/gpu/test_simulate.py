"""The rehearsal: reading traces, guessing, running them, and what is printed."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest

from swiftletd.gpu.domain.policy import POLICIES
from swiftletd.gpu.simulate import main
from swiftletd.gpu.simulate.engine import cluster, rehearse
from swiftletd.gpu.simulate.figures import figures
from swiftletd.gpu.simulate.trace import TraceError, guessed, read

HEADER = "job_id,submit_s,duration_s,num_gpus,priority\n"


@pytest.fixture
def trace(tmp_path):
    def write(*rows, header=HEADER):
        path = tmp_path / "trace.csv"
        path.write_text(header + "".join(f"{row}\n" for row in rows))
        return path

    return write


def test_two_jobs_on_one_gpu_run_one_after_the_other(trace):
    jobs = read(trace("b,5,10,1,0", "a,0,20,1,0"))
    runs = rehearse(jobs, cluster(1, 8), POLICIES["strict-fifo"])
    assert [(run.job.id, run.started_s, run.ended_s) for run in runs] == [("a", 0, 20), ("b", 20, 30)]
    found = figures(runs, 1, 2)
    assert (found.wait_mean, found.wait_max, found.completion_mean, found.makespan) == (7.5, 15, 22.5, 30)
    assert found.utilisation == 1.0


def test_backfill_uses_the_gap_and_strict_order_does_not(trace):
    path = trace("long,0,100,1,0", "wide,1,10,2,0", "brief,2,50,1,0")
    waited = {}
    for name in ("strict-fifo", "priority-fifo"):
        runs = rehearse(read(path), cluster(2, 8), POLICIES[name])
        waited[name] = {run.job.id: run.started_s - run.job.submit_s for run in runs}
    assert waited["strict-fifo"] == {"long": 0, "wide": 99, "brief": 108}
    assert waited["priority-fifo"] == {"long": 0, "wide": 99, "brief": 0}


def test_wide_jobs_spread_over_machines_unless_they_may_not(trace):
    jobs = read(trace("wide,0,10,12,0", "narrow,0,10,1,0"))
    assert len(rehearse(jobs, cluster(16, 8), POLICIES["priority-fifo"])) == 2
    runs = rehearse(jobs, cluster(16, 8), POLICIES["priority-fifo"], same_machine=True)
    assert [run.job.id for run in runs] == ["narrow"]


def test_guesses_are_within_the_factor_and_the_same_for_a_seed(trace):
    jobs = read(trace(*(f"{n},0,100,1,0" for n in range(200))))
    once, again, other = guessed(jobs, 2.0, 1), guessed(jobs, 2.0, 1), guessed(jobs, 2.0, 2)
    assert once == again != other
    assert all(50 <= job.guess_s <= 200 for job in once)
    assert {job.duration_s for job in once} == {100.0}


def test_the_columns_priority_counts_only_when_asked(trace):
    path = trace("a,0,10,1,3")
    assert read(path)[0].priority == 0
    assert read(path, with_priority=True)[0].priority == 3


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,x,10,1,0", "trace.csv:2: submit_s must be a number, not 'x'"),
        ("a,0,-1,1,0", "trace.csv:2: duration_s must be from 0"),
        ("a,0,nan,1,0", "trace.csv:2: duration_s must be from 0"),
        ("a,0,1,0,0", "trace.csv:2: num_gpus must be from 1 to 1024, not 0"),
        ("a,0,1,1.5,0", "trace.csv:2: num_gpus must be a whole number, not 1.5"),
        ("a,0,1", "trace.csv:2: num_gpus must be a number, not None"),
    ],
)
def test_a_bad_row_is_named(trace, row, said):
    with pytest.raises(TraceError, match="trace") as caught:
        read(trace(row))
    assert said in str(caught.value)


def test_a_file_that_is_no_trace_is_named(trace, tmp_path):
    for path, said in (
        (tmp_path / "none.csv", "cannot be read"),
        (trace(header="job_id,when\n"), "column submit_s is missing"),
    ):
        with pytest.raises(TraceError, match=said):
            read(path)
    with pytest.raises(TraceError, match="has no jobs"):
        read(trace())
    with pytest.raises(TraceError, match="is there twice"):
        read(trace("a,0,1,1,0", "a,0,1,1,0"))


def test_the_command_prints_a_table_policy_by_policy(trace, capsys):
    path = trace("a,0,20,1,0", "b,5,10,1,0", "huge,6,10,99,0")
    assert main([str(path), "--gpus", "1", "--guess", "2"]) == 0
    said = capsys.readouterr().out
    assert "3 jobs on 1 GPUs, durations guessed within 2x (seed 1); 1 too large" in said
    for name in POLICIES:
        assert f"| {name} " in said


def test_the_picture_is_svg_with_a_bar_for_each_run(trace, tmp_path, capsys):
    path, target = trace("a<&>,0,20,1,0", "b,5,10,2,0"), tmp_path / "gpus.svg"
    assert main([str(path), "--gpus", "2", "--policy", "priority-fifo", "--picture", str(target)]) == 0
    root = Xml.parse(target).getroot()
    tips = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert tips == ["job a<&>: 1 GPUs, waited 0 s", "job b: 2 GPUs, waited 15 s"]
    assert capsys.readouterr().out


def test_several_policies_have_several_pictures(trace, tmp_path, capsys):
    asked = [str(trace("a,0,20,1,0")), "--picture", str(tmp_path / "g.svg")]
    assert main([*asked, "--policy", "strict-fifo", "--policy", "shortest-job"]) == 0
    assert (tmp_path / "g-strict-fifo.svg").exists()
    assert (tmp_path / "g-shortest-job.svg").exists()
    assert capsys.readouterr().out


def test_bad_input_has_a_status_and_a_sentence(trace, tmp_path, capsys):
    assert main([str(tmp_path / "none.csv")]) == 2
    assert "none.csv: cannot be read" in capsys.readouterr().err
    assert main([str(trace("a,0,1,9,0")), "--gpus", "8"]) == 2
    assert "no job of the trace fits" in capsys.readouterr().err
    for bad in (["--gpus", "0"], ["--guess", "0.5"], ["--guess", "x"], ["--policy", "luck"]):
        with pytest.raises(SystemExit):
            main([str(trace("a,0,1,1,0")), *bad])
    assert "must be from 1 to" in capsys.readouterr().err
