"""All that has to be true after a chaos."""

from __future__ import annotations

from support.chaos import check_deployments, check_leases, check_logs, check_trainings
from support.chaos.aftermath import Aftermath

CHECKS = (
    check_trainings.ended_as_they_did,
    check_trainings.ended_as_foretold,
    check_trainings.exported_as_they_were,
    check_trainings.ran_once,
    check_trainings.nothing_unasked,
    check_trainings.held_back,
    check_trainings.deleted_are_gone,
    check_deployments.serve_as_they_say,
    check_deployments.deleted_are_gone,
    check_leases.one_owner,
    check_leases.none_expired,
    check_leases.one_after_the_other,
    check_leases.ports_are_free,
    check_leases.nothing_left,
    check_logs.printed_once,
    check_logs.shown_as_written,
    check_logs.followed_once,
    check_logs.told_once,
    check_logs.real_is_whole,
)


def complaints(after: Aftermath) -> list[str]:
    """Everything that is wrong; nothing if all is well."""
    return [complaint for check in CHECKS for complaint in check(after)]
