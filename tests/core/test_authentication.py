"""A tab of an authentication session is a value with three-part name."""

from __future__ import annotations

from dataclasses import replace

from proxy.core.authentication import MAX_TABS, ROOT_LIFETIME_S, ExecutionStatus
from tests.support.sessions import make_tab


def test_the_full_id_is_root_client_tab() -> None:
    assert make_tab("root", "state").full_id == "root.legacy-app.tab-state"


def test_a_step_makes_a_new_tab_and_leaves_the_old_one_as_it_was() -> None:
    tab = make_tab("root", "state")
    step = replace(tab, attempts=1, executions={"password": ExecutionStatus.FAILED})

    assert (tab.attempts, dict(tab.executions)) == (0, {})
    assert (step.attempts, step.full_id) == (1, tab.full_id)


def test_two_tabs_share_no_notes() -> None:
    assert make_tab("r", "a").notes is not make_tab("r", "b").notes


def test_a_printed_tab_does_not_show_its_code_verifier() -> None:
    assert "verifier-state" not in repr(make_tab("root", "state"))


def test_the_bounds_are_those_of_the_contract() -> None:
    assert (MAX_TABS, ROOT_LIFETIME_S) == (16, 30 * 60)


def test_a_step_of_a_flow_has_a_status_for_everything_that_happens_to_it() -> None:
    assert {status.value for status in ExecutionStatus} == {
        "success",
        "failed",
        "challenged",
        "attempted",
        "skipped",
        "setup_required",
        "flow_reset",
    }
