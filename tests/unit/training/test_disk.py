"""Room on the disk: who fits, who doesn't and is told why, and when a disk counts as nearly full."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain import decide, disk
from swiftletd.training.domain.disk import GIB, Books, Limits, Output, Share, Volume
from unit.training.test_decide import completed, done

SIZE = st.integers(0, 2**50)


def volume(*, used: int = 0, free: int = 100 * GIB, device: int = 1, path: str = "/data") -> Volume:
    return Volume(path=path, device=device, used=used, free=free)


def test_a_job_that_fits_beside_the_others_is_welcome():
    books = Books(shares={"a": Share(device=1, needed=50 * GIB)})
    assert disk.room_fault(50 * GIB, volume(), books, Limits()) is None


def test_what_others_are_still_going_to_write_is_theirs():
    books = Books(shares={"a": Share(device=1, needed=50 * GIB, written=10 * GIB)})
    fault = disk.room_fault(61 * GIB, volume(), books, Limits(reserve=GIB))

    assert fault
    assert (fault.field, fault.reason) == ("output_dir", "NO_DISK_SPACE")
    assert fault.message == (
        "has 100.0 GiB free on its disk (40.0 GiB of it are for jobs that run or wait, "
        "1.0 GiB must stay free (DISK_RESERVE_GB)), and the results may take 61.0 GiB"
    )
    assert fault.details["promised_bytes"] == str(40 * GIB)


def test_jobs_on_another_disk_are_not_in_the_way():
    books = Books(shares={"a": Share(device=2, needed=99 * GIB)})
    assert disk.room_fault(50 * GIB, volume(), books, Limits()) is None


def test_the_limit_counts_what_is_there_and_what_comes_on_every_disk():
    shares = {"a": Share(device=2, needed=20 * GIB, written=10 * GIB)}
    books = Books(kept=50 * GIB, shares=shares)
    assert disk.room_fault(30 * GIB, volume(), books, Limits(outputs=100 * GIB)) is None

    fault = disk.room_fault(31 * GIB, volume(), books, Limits(outputs=100 * GIB))
    assert fault
    assert "they take 60.0 GiB" in fault.message
    assert (fault.details["used_bytes"], fault.details["promised_bytes"]) == (str(60 * GIB), str(10 * GIB))


def test_a_job_whose_size_nobody_knows_needs_a_disk_that_is_not_full():
    assert disk.room_fault(0, volume(free=GIB), Books(), Limits(reserve=GIB)) is None
    assert disk.room_fault(0, volume(free=GIB - 1), Books(), Limits(reserve=GIB))


def test_the_remedy_names_what_would_help_this_job():
    text = disk.remedy([Output("/out/a", 3 * GIB)], {"save_total_limit": 3, "save_only_model": False})
    assert text == (
        "; remove results that nobody needs (the largest: /out/a (3.0 GiB)), "
        "or lower save_total_limit (it is 3), or set save_only_model to true, "
        "or choose an output_dir on another disk"
    )
    frugal = disk.remedy([], {"save_total_limit": 1, "save_only_model": True})
    assert frugal == "; free some space, or choose an output_dir on another disk"


def test_a_disk_that_was_nearly_full_is_so_until_it_is_well_below_the_mark():
    limits = Limits(high_water=0.9)

    def high(used: int, before: set[str]) -> bool:
        (level,) = disk.levels([volume(used=used, free=100 - used)], Books(), limits, before)
        return level.high

    assert [high(used, set()) for used in (89, 90, 91)] == [False, True, True]
    assert [high(used, {"/data"}) for used in (87, 88, 89)] == [False, True, True]


def test_the_limit_has_a_level_of_its_own():
    books = Books(kept=95 * GIB)
    _, level = disk.levels([volume()], books, Limits(outputs=100 * GIB), ())
    assert (level.high, level.name, level.total) == (True, "DISK_LIMIT_GB", 100 * GIB)
    assert "95% full: 5.0 GiB of 100.0 GiB are free" in level.sentence


@given(free=SIZE, reserve=SIZE, needs=st.lists(SIZE, max_size=20), written=SIZE)
def test_those_who_are_let_in_never_promise_more_than_there_is(
    free: int, reserve: int, needs: list[int], written: int
):
    limits, books = Limits(reserve=reserve, outputs=free), Books()
    for number, needed in enumerate(needs):
        if disk.room_fault(needed, volume(free=free), books, limits) is None:
            share = Share(device=1, needed=needed, written=min(needed, written))
            books.add(str(number), share)
    assert books.promised(1) <= max(0, free - reserve)
    assert books.written + books.promised() <= free


def test_a_job_is_settled_once_and_again_after_another_export():
    ended = completed(exports=False)
    assert decide.settle(ended, 5) is None  # its runner lives
    ended = done(decide.run_over(ended, ended.entry(1), 30.0))
    settled = decide.settle(ended, 5)
    assert settled
    assert (settled.job.output_bytes, settled.job.settled, settled.events) == (5, True, ())
    assert decide.settle(settled.job, 5) is None
    again = decide.export_again(settled.job)
    assert again
    assert not again.job.settled
    assert decide.settle(again.job, 5) is None


SHARE = st.builds(Share, device=st.integers(1, 2), needed=st.integers(0, 9), written=st.integers(0, 9))


@given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.none() | SHARE)))
def test_the_sums_are_those_of_the_shares(steps: list[tuple[str, Share | None]]):
    books = Books(kept=1)
    for key, share in steps:
        if share:
            books.add(key, share)
        else:
            books.drop(key)
    shares = books.shares.values()
    assert books.written == 1 + sum(share.written for share in shares)
    assert books.promised() == sum(share.left for share in shares)
    assert books.uses(2) == any(share.device == 2 for share in shares)
    assert books.promised(2) == sum(share.left for share in shares if share.device == 2)


def test_an_operator_may_want_no_refusals():
    assert disk.room_fault(99 * GIB, volume(free=0), Books(), Limits(refuse=False)) is None
