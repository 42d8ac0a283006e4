"""What a refusal tells of a password that the provider refused: nothing but that an account needs setting up."""

from __future__ import annotations

import pytest

from proxy.core.tokens import GrantRefusal
from proxy.web.refusal import Refusal
from proxy.web.sign_in import Refused
from proxy.web.submission import Submission
from tests.support.sessions import make_tab


@pytest.mark.parametrize("refusal", list(GrantRefusal))
def test_only_setting_up_is_told_from_a_wrong_password(refusal: GrantRefusal) -> None:
    told = Refusal.by_provider(Refused(refusal, make_tab("root", "state")), Submission())

    is_setup = refusal is GrantRefusal.ACCOUNT_SETUP_REQUIRED
    assert told.code == ("account_setup_required" if is_setup else "invalid_credentials")
    assert told.status == 401
