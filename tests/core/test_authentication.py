"""A tab of an authentication session is a value, and every step of its life makes another."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from proxy.core.authentication import (
    MAX_ATTEMPTS,
    MAX_RESTARTS,
    MAX_TABS,
    ROOT_LIFETIME_S,
    Execution,
    ExecutionStatus,
    OfClient,
    OfRealm,
    OneTimeCode,
    OneUse,
    Outcome,
    Tab,
    TabStatus,
    answered,
    attempted,
    challenged,
    matches,
    may_restart,
    moved,
    reset,
    restarted,
    superseded,
    used,
)
from proxy.core.secret import Secret
from proxy.core.session import LoginOrigin
from tests.support.clocks import START
from tests.support.sessions import ISSUER, make_tab

TAB = make_tab("root", "state")
FORM = make_tab("root", "state", origin=LoginOrigin.FORM)
FRESH = OneUse("state-2", "nonce-2", Secret("verifier-2"))
CLOSED = [status for status in TabStatus if status is not TabStatus.OPEN]


def is_spent(tab: Tab) -> bool:
    """Nothing in it can be used to sign in."""
    return tab.status is not TabStatus.OPEN and tab.nonce == "" and tab.code_verifier.reveal() == ""


def test_the_full_id_is_root_client_tab() -> None:
    assert TAB.full_id == "root.legacy-app.tab-state"


def test_two_tabs_share_no_notes() -> None:
    assert make_tab("r", "a").notes is not make_tab("r", "b").notes


def test_a_printed_tab_does_not_show_its_code_verifier() -> None:
    assert "verifier-state" not in repr(TAB)
    assert "verifier-2" not in repr(FRESH)


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


class TestTheFormsFlow:
    @pytest.mark.parametrize("code", OneTimeCode)
    @pytest.mark.parametrize("outcome", Outcome)
    def test_every_outcome_says_how_each_step_stands(self, outcome: Outcome, code: OneTimeCode) -> None:
        stepped = attempted(FORM, outcome, code)

        assert {Execution.PASSWORD, Execution.OTP} <= set(stepped.executions)
        assert (FORM.attempts, dict(FORM.executions)) == (0, {}), "the old value is as it was"

    def test_who_signed_in_has_used_the_tab(self) -> None:
        stepped = attempted(FORM, Outcome.SIGNED_IN, OneTimeCode.SENT)

        assert (stepped.status, stepped.attempts) == (TabStatus.USED, 0)
        assert set(stepped.executions.values()) == {ExecutionStatus.SUCCESS}
        assert is_spent(stepped)

    def test_without_a_code_that_step_is_skipped(self) -> None:
        stepped = attempted(FORM, Outcome.SIGNED_IN, OneTimeCode.ABSENT)

        assert stepped.executions[Execution.OTP] is ExecutionStatus.SKIPPED

    def test_nobody_says_whether_password_or_code_was_wrong(self) -> None:
        stepped = attempted(FORM, Outcome.REFUSED, OneTimeCode.SENT)

        assert stepped.executions == {
            Execution.PASSWORD: ExecutionStatus.FAILED,
            Execution.OTP: ExecutionStatus.ATTEMPTED,
        }
        assert (stepped.status, stepped.attempts) == (TabStatus.OPEN, 1)

    def test_an_account_to_be_set_up_leaves_the_tab_open_and_counts_as_no_refusal(self) -> None:
        stepped = attempted(FORM, Outcome.SETUP_REQUIRED, OneTimeCode.ABSENT)

        assert stepped.executions[Execution.PROVIDER] is ExecutionStatus.SETUP_REQUIRED
        assert (stepped.status, stepped.attempts) == (TabStatus.OPEN, 0)

    def test_the_last_refusal_resets_the_flow(self) -> None:
        tab = FORM
        for _ in range(MAX_ATTEMPTS - 1):
            tab = attempted(tab, Outcome.REFUSED, OneTimeCode.ABSENT)
        assert tab.status is TabStatus.OPEN

        tab = attempted(tab, Outcome.REFUSED, OneTimeCode.ABSENT)

        assert (tab.status, tab.attempts) == (TabStatus.EXHAUSTED, MAX_ATTEMPTS)
        assert set(tab.executions.values()) == {ExecutionStatus.FLOW_RESET}
        assert is_spent(tab)


class TestTheCodeFlow:
    def test_who_is_sent_to_the_provider_is_challenged_there(self) -> None:
        assert challenged(TAB).executions == {Execution.PROVIDER: ExecutionStatus.CHALLENGED}
        assert challenged(TAB).required_actions == ()

    def test_an_action_that_was_asked_for_is_required_until_the_provider_has_answered(self) -> None:
        tab = challenged(replace(TAB, notes={"kc_action": "UPDATE_PASSWORD"}))

        assert tab.required_actions == ("UPDATE_PASSWORD",)
        assert answered(tab).required_actions == ()

    def test_an_answer_uses_the_tab(self) -> None:
        done = answered(challenged(TAB))

        assert done.executions == {Execution.PROVIDER: ExecutionStatus.SUCCESS}
        assert done.status is TabStatus.USED
        assert is_spent(done)

    def test_a_restart_keeps_the_person_and_forgets_every_value_of_one_use(self) -> None:
        notes = {"provider": "google", "kc_action": "UPDATE_PROFILE"}
        tab = challenged(replace(TAB, notes=notes, session_notes={"kept": "k"}))

        again = restarted(tab, FRESH, START + 60)

        assert (again.state, again.nonce, again.code_verifier) == ("state-2", "nonce-2", Secret("verifier-2"))
        assert (again.created_at, again.expires_at) == (START + 60, START + 60 + ROOT_LIFETIME_S)
        assert (again.full_id, again.return_to, again.notes) == (tab.full_id, tab.return_to, notes)
        assert again.session_notes == {"kept": "k"}
        assert again.executions == {Execution.PROVIDER: ExecutionStatus.CHALLENGED}
        assert again.required_actions == ("UPDATE_PROFILE",)

    def test_a_flow_begins_again_by_itself_only_so_often(self) -> None:
        tab = TAB
        for _ in range(MAX_RESTARTS):
            assert may_restart(tab)
            tab = restarted(tab, FRESH, START)

        assert not may_restart(tab)


class TestTheEnd:
    def test_another_tabs_login_supersedes_an_open_one(self) -> None:
        tab = superseded(TAB)

        assert (tab.status, tab.return_to) == (TabStatus.SUPERSEDED, TAB.return_to)
        assert is_spent(tab)

    @pytest.mark.parametrize("status", CLOSED)
    def test_what_is_over_stays_what_it_is(self, status: TabStatus) -> None:
        tab = replace(TAB, status=status)

        assert superseded(tab) is tab

    @pytest.mark.parametrize("end", [used, superseded, reset, answered])
    def test_no_end_leaves_anything_that_could_be_used_again(self, end: object) -> None:
        assert is_spent(end(challenged(TAB)))  # type: ignore[operator]

    def test_a_tab_that_is_over_is_known_in_the_new_root(self) -> None:
        tab = moved(superseded(TAB), "new root")

        assert (tab.root_id, tab.state, tab.return_to) == ("new root", TAB.state, TAB.return_to)

    def test_an_open_tab_never_changes_its_root(self) -> None:
        with pytest.raises(ValueError, match="open"):
            moved(TAB, "new root")


@pytest.mark.parametrize(
    ("which", "is_one"),
    [
        (OfClient(ISSUER, "legacy-app"), True),
        (OfClient(ISSUER, "other"), False),
        (OfClient("https://other.example", "legacy-app"), False),
        (OfRealm(ISSUER), True),
        (OfRealm("https://other.example"), False),
    ],
)
def test_a_filter_names_a_client_of_one_issuer_or_all_of_it(which: OfClient | OfRealm, is_one: bool) -> None:  # noqa: FBT001
    assert matches(which, TAB) is is_one
