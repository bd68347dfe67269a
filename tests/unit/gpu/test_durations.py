"""How long a job will run: the best source that there is."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.gpu.domain.durations import Estimate, Grounds, Progress, Source, draw, estimate, quantile


def test_steps_and_speed_are_the_best_source():
    known = estimate(progress=Progress(25, 100, 2.0), similar_s=[1.0] * 9, limit_s=1000)
    assert known == Estimate(150.0, 187.5, Source.PROGRESS)


@pytest.mark.parametrize("progress", [None, Progress(0, 100, 2.0), Progress(5, 0, 2.0), Progress(5, 10, 0.0)])
def test_before_the_first_report_similar_jobs_tell(progress):
    known = estimate(progress=progress, similar_s=[300.0, 100.0, 200.0])
    assert known == Estimate(200.0, 280.0, Source.HISTORY, 3)


def test_a_job_that_runs_is_compared_with_those_that_ran_longer():
    known = estimate(similar_s=[10.0, 100.0, 200.0, 300.0], elapsed_s=50.0)
    assert known == Estimate(150.0, 230.0, Source.HISTORY, 3)


def test_two_similar_jobs_are_not_a_history():
    assert estimate(similar_s=[1.0, 2.0]) is None
    assert estimate(similar_s=[1.0, 2.0], limit_s=60.0, elapsed_s=20.0) == Estimate(40.0, 40.0, Source.LIMIT)


def test_without_similar_jobs_it_takes_the_part_of_its_limit_that_others_took():
    parts = [n / 16 for n in range(1, 11)]
    assert estimate(limit_s=16.0, parts=parts) == Estimate(5.5, 16.0, Source.OTHERS, 10)
    assert estimate(limit_s=16.0, parts=parts[1:]) == Estimate(16.0, 16.0, Source.LIMIT)
    assert estimate(parts=parts) is None


def test_a_job_that_runs_is_compared_with_others_that_got_as_far():
    parts = [0.125] * 20 + [0.625] * 10
    known = estimate(limit_s=80.0, parts=parts, elapsed_s=20.0)
    assert known == Estimate(30.0, 60.0, Source.OTHERS, 10)
    assert estimate(limit_s=100.0, parts=parts, elapsed_s=70.0) == Estimate(30.0, 30.0, Source.LIMIT)


def test_similar_jobs_are_believed_before_others_and_progress_before_both():
    parts, similar = [0.5] * 20, [10.0] * 3
    assert estimate(limit_s=100.0, parts=parts, similar_s=similar).source is Source.HISTORY
    assert estimate(limit_s=100.0, parts=parts).source is Source.OTHERS
    told = estimate(progress=Progress(1, 2, 1.0), limit_s=100.0, parts=parts, similar_s=similar)
    assert told.source is Source.PROGRESS


@pytest.mark.parametrize(
    ("grounds", "words"),
    [
        (Grounds(Source.PROGRESS), "its own progress"),
        (Grounds(Source.HISTORY, 3), "3 similar jobs"),
        (Grounds(Source.OTHERS, 41), "41 other jobs and its time limit"),
        (Grounds(Source.LIMIT), "its time limit"),
    ],
)
def test_what_an_estimate_rests_on_is_told_in_words(grounds, words):
    assert grounds.words() == words


def test_every_source_has_words():
    assert all(Grounds(source, 3).words() for source in Source)


def test_nothing_lasts_longer_than_its_limit():
    known = estimate(progress=Progress(1, 101, 10.0), limit_s=100.0, elapsed_s=10.0)
    assert known == Estimate(90.0, 90.0, Source.PROGRESS)
    assert estimate(limit_s=100.0, elapsed_s=200.0) == Estimate(0.0, 0.0, Source.LIMIT)


def test_more_steps_than_were_planned_means_that_it_is_about_to_end():
    assert estimate(progress=Progress(101, 100, 2.0)) == Estimate(0.0, 0.0, Source.PROGRESS)


def test_an_estimate_that_runs_backwards_is_refused():
    for p50, p90 in ((2.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="p50 <= p90"):
            Estimate(p50, p90, Source.HISTORY)


def test_quantiles_lie_between_values_and_stand_infinity():
    assert quantile([1.0, 2.0, 3.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.5) == 1.5
    assert quantile([1.0, inf, inf], 0.9) == inf
    assert quantile([1.0, inf], 0.0) == 1.0


@given(st.floats(1, 1e6), st.floats(1, 10))
def test_half_of_the_draws_are_below_p50_and_nine_in_ten_below_p90(p50, spread):
    p90 = p50 * (1 + spread)
    assert [draw(p50, p90, 0.5), draw(p50, p90, 0.9)] == [pytest.approx(p50), pytest.approx(p90)]
    drawn = [draw(p50, p90, luck / 20) for luck in range(1, 20)]
    assert drawn == sorted(drawn)


def test_a_length_that_is_known_is_drawn_as_it_is():
    assert draw(60.0, 60.0, 0.7) == 60.0
    assert draw(0.0, 60.0, 0.7) == 0.0
