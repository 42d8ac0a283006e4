"""The authorization request as a value."""

from __future__ import annotations

import pytest

from proxy.demo.authorization_request import AuthorizationRequest, Step, Tab
from proxy.demo.clients import Client


@pytest.fixture
def asked() -> AuthorizationRequest:
    return AuthorizationRequest(client=Client(client_id="app"), redirect_uri="/", query="", scope=())


def test_a_request_does_not_change_once_it_was_checked(asked: AuthorizationRequest) -> None:
    with pytest.raises(AttributeError):
        asked.redirect_uri = "https://evil.test/"  # type: ignore[misc]


def test_a_tab_begins_with_a_password_and_nobody_proven(asked: AuthorizationRequest) -> None:
    tab = Tab(tab_id="t", root="r", asked=asked, created_at=0)

    assert (tab.step, tab.subject, tab.authenticated_at) == (Step.PASSWORD, None, None)
