"""Whether the client's word is taken: each way in which Keycloak says no has its line and its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.demo.clients import Feature
from proxy.demo.misbehaviour import Endpoint, html, status
from proxy.doctor.client import CREDENTIALS, NOBODY, PASSWORD_GRANT, look_at_client
from proxy.doctor.provider import look_at_provider
from tests.doctor.conftest import SECRET, register, told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from proxy.demo.issuer import Issuer
    from proxy.doctor.visit import Visit

    Begin = Callable[..., Awaitable[Visit]]

pytestmark = pytest.mark.usefixtures("no_proxy")


async def findings(visit_to: Begin, issuer: Issuer, **changes: Any) -> dict[str, tuple[str, str, str]]:
    visit = await visit_to(issuer.url, **changes)
    metadata = (await look_at_provider(visit)).metadata
    assert metadata is not None
    found = await look_at_client(visit, metadata)
    assert SECRET not in repr(found)
    return told(found)


async def test_a_client_that_is_well_is_ok(issuer: Issuer, visit_to: Begin) -> None:
    found = await findings(visit_to, issuer)

    assert {check: verdict for check, (verdict, _, _) in found.items()} == {CREDENTIALS: "ok", PASSWORD_GRANT: "ok"}
    assert "client_secret_basic" in found[CREDENTIALS][1]


async def test_it_asks_as_nobody_and_leaves_no_session(issuer: Issuer, visit_to: Begin) -> None:
    await findings(visit_to, issuer)
    await findings(visit_to, issuer)

    forms = [asked.form for asked in issuer.misbehaviour.requests(Endpoint.TOKEN)]
    names = [form["username"] for form in forms if "username" in form]
    assert len(set(names)) == len(names) == 2
    assert all(name.startswith(NOBODY) and len(name) > len(NOBODY) + 30 for name in names)
    assert issuer.live_sessions() == []


async def test_a_wrong_secret_leads_to_the_place_of_the_right_one(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, secret="another")

    found = await findings(visit_to, issuer)

    assert list(found) == [CREDENTIALS]
    verdict, sentence, remedy = found[CREDENTIALS]
    assert (verdict, "unauthorized_client" in sentence) == ("fail", True)
    assert "Clients → app → Credentials → Client Secret" in remedy
    assert "--secret-file" in remedy


async def test_an_unknown_client_is_to_be_made(issuer: Issuer, visit_to: Begin) -> None:
    found = await findings(visit_to, issuer, keycloak={"client_id": "nope"})

    verdict, sentence, remedy = found[CREDENTIALS]
    assert (verdict, "no client nope" in sentence) == ("fail", True)
    assert remedy == "check keycloak.client_id; or make and mend the client: sidegate keycloak-setup"


async def test_a_disabled_client_is_refused_as_an_unknown_one(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, without=Feature.ENABLED)

    assert (await findings(visit_to, issuer))[CREDENTIALS][0] == "fail"


async def test_a_public_client_needs_no_secret(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, secret="")

    found = await findings(visit_to, issuer, keycloak={"client_auth": {"method": "none"}})

    assert found[CREDENTIALS][0] == "ok"


async def test_a_secret_that_cannot_be_read_is_a_failure_here_too(
    issuer: Issuer, visit_to: Begin, tmp_path: Path
) -> None:
    auth = {"client_auth": {"secret": {"file": str(tmp_path / "gone")}}}

    verdict, sentence, remedy = (await findings(visit_to, issuer, keycloak=auth))[CREDENTIALS]

    assert verdict == "fail"
    assert str(tmp_path / "gone") in sentence
    assert remedy


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"without": Feature.DIRECT_GRANTS}, "switch on Clients → app → Capability config → Direct access grants"),
        ({"also": Feature.CONSENT_REQUIRED}, "switch off Clients → app → Login settings → Consent required"),
    ],
)
async def test_a_client_that_may_take_no_password_is_a_failure_with_the_form(
    issuer: Issuer, visit_to: Begin, changes: dict[str, Feature], place: str
) -> None:
    register(issuer, **changes)

    verdict, _, remedy = (await findings(visit_to, issuer))[PASSWORD_GRANT]

    assert (verdict, remedy) == ("fail", f"{place}, or run: sidegate keycloak-setup")


async def test_a_scope_that_the_realm_does_not_have_is_named(issuer: Issuer, visit_to: Begin) -> None:
    found = await findings(visit_to, issuer, keycloak={"scopes": ["openid", "nonsense"]})

    verdict, sentence, remedy = found[PASSWORD_GRANT]
    assert (verdict, "nonsense" in sentence) == ("fail", True)
    assert remedy == "add the scope under Clients → app → Client scopes, or take it out of keycloak.scopes"


async def test_with_keycloaks_own_page_the_password_grant_should_be_off(issuer: Issuer, visit_to: Begin) -> None:
    on = (await findings(visit_to, issuer, login={"mode": "redirect"}))[PASSWORD_GRANT]
    register(issuer, without=Feature.DIRECT_GRANTS)
    off = (await findings(visit_to, issuer, login={"mode": "redirect"}))[PASSWORD_GRANT]

    assert (on[0], off[0]) == ("warn", "ok")
    assert on[2].startswith("switch off Clients → app → Capability config → Direct access grants")


async def test_an_answer_that_says_nothing_is_a_warning(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.answer(Endpoint.TOKEN, status(400, {"error": "invalid_request"}))

    assert (await findings(visit_to, issuer))[CREDENTIALS][0] == "warn"


async def test_an_answer_that_does_not_speak_of_passwords_is_no_proof_that_they_are_off(
    issuer: Issuer, visit_to: Begin
) -> None:
    issuer.misbehaviour.answer(Endpoint.TOKEN, status(400, {"error": "invalid_grant"}))
    issuer.misbehaviour.answer(Endpoint.TOKEN, status(400, {"error": "invalid_request"}))

    found = await findings(visit_to, issuer, login={"mode": "redirect"})

    assert (found[CREDENTIALS][0], found[PASSWORD_GRANT][0]) == ("ok", "warn")


async def test_a_page_where_a_refusal_was_expected_is_no_proof(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.answer(Endpoint.TOKEN, html(200))

    verdict, sentence, _ = (await findings(visit_to, issuer))[CREDENTIALS]

    assert (verdict, sentence.endswith("answers 200")) == ("fail", True)


async def test_a_token_endpoint_that_is_away_is_a_failure(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.answer(Endpoint.TOKEN, status(503))

    assert (await findings(visit_to, issuer))[CREDENTIALS][:1] == ("fail",)
