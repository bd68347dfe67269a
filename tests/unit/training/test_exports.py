"""Exports that a person asks for, one after the other."""

from __future__ import annotations

import pytest

from swiftletd.training.domain import decide
from swiftletd.training.domain.job import ExportState
from unit.training.test_decide import EXPORTED, completed, done


@pytest.mark.parametrize("exports", [True, False])
def test_an_export_again_has_a_run_of_its_own_whether_the_training_run_exported_or_not(exports: bool) -> None:
    job = completed(exports=exports)
    if exports:
        job = done(decide.exported(job, job.entry(1), EXPORTED, None, 30.0))
    again = done(decide.export_again(job))
    assert again.exports == 2
    assert done(decide.exported(again, again.export_entry(), EXPORTED, None, 40.0)).export is ExportState.DONE
