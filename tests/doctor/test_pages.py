"""What Keycloak's pages say to a visitor without a cookie: our addresses, PKCE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from proxy.demo.clients import Feature
from proxy.demo.misbehaviour import Endpoint, html, status
from proxy.doctor import pages
from proxy.doctor.pages import AFTERWARDS, PKCE, REDIRECT, Led, look_at_pages
from proxy.doctor.provider import look_at_provider
from tests.doctor.conftest import SITE, register, told
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.demo.issuer import Issuer
    from proxy.doctor.visit import Visit
    from tests.oidc.answering import AnsweringServer

    Begin = Callable[..., Awaitable[Visit]]
    Found = dict[str, tuple[str, str, str]]

pytestmark = pytest.mark.usefixtures("no_proxy")

CALLBACK = f"{SITE}/_sidegate/callback"


async def findings(visit_to: Begin, issuer: str, **changes: Any) -> Found:
    visit = await visit_to(issuer, **changes)
    metadata = (await look_at_provider(visit)).metadata
    assert metadata is not None
    return told(await look_at_pages(visit, metadata))


def as_provider(server: AnsweringServer, location: str, *, code: int = 302, **metadata: object) -> None:
    """A provider that answers every request of its pages so."""
    url = server.url
    named = {
        "authorization_endpoint": "/auth",
        "token_endpoint": "/token",
        "jwks_uri": "/keys",
        "end_session_endpoint": "/logout",
    }
    document = {"issuer": url, **{name: url + path for name, path in named.items()}, **metadata}
    server.give("/.well-known/openid-configuration", document)
    for path in ("/auth", "/logout"):
        server.give(path, b"", status=code, **({"Location": location} if location else {}))


async def test_a_client_that_is_well_is_ok(issuer: Issuer, visit_to: Begin) -> None:
    found = await findings(visit_to, issuer.url)

    assert [(check, verdict) for check, (verdict, _, _) in found.items()] == [
        (REDIRECT, "ok"),
        (PKCE, "ok"),
        (AFTERWARDS, "ok"),
    ]
    assert CALLBACK in found[REDIRECT][1]


async def test_no_login_is_begun(issuer: Issuer, visit_to: Begin) -> None:
    await findings(visit_to, issuer.url)

    assert not issuer.realm.tabs
    assert [asked.query["prompt"] for asked in issuer.misbehaviour.requests(Endpoint.AUTHORIZATION)] == ["none"] * 2


async def test_parameters_of_the_file_go_along_but_never_in_place_of_ours(issuer: Issuer, visit_to: Begin) -> None:
    await findings(visit_to, issuer.url, keycloak={"auth_params": {"display": "page", "prompt": "login"}})

    asked = issuer.misbehaviour.requests(Endpoint.AUTHORIZATION)[0].query
    assert (asked["display"], asked["prompt"]) == ("page", "none")


async def test_a_redirect_uri_that_is_missing_names_the_place(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, redirect_uris=("http://other.test/*",))

    found = await findings(visit_to, issuer.url)

    verdict, sentence, remedy = found[REDIRECT]
    assert (verdict, CALLBACK in sentence) == ("fail", True)
    assert remedy == (
        "add it to Clients → app → Access settings → Valid redirect URIs, or run: sidegate keycloak-setup"
    )
    assert PKCE not in found


async def test_pkce_that_is_not_demanded_is_a_warning(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, without=Feature.PKCE_REQUIRED)

    found = await findings(visit_to, issuer.url)

    assert found[PKCE][0] == "warn"
    assert "Clients → app → Capability config → PKCE Method" in found[PKCE][2]
    assert found[REDIRECT][0] == "ok"


@pytest.mark.parametrize("led", [Led({"error": "server_error"}), Led({"code": "of-somebody"})])
async def test_an_answer_that_does_not_speak_of_pkce_is_no_proof_of_it(
    issuer: Issuer, visit_to: Begin, led: Led
) -> None:
    assert str(pages._pkce_finding(await visit_to(issuer.url), led).verdict) == "warn"


async def test_pkce_is_not_judged_where_both_requests_are_refused(server: AnsweringServer, visit_to: Begin) -> None:
    as_provider(server, f"{CALLBACK}?error=invalid_request")

    assert PKCE not in await findings(visit_to, server.url)


async def test_a_client_without_the_standard_flow_is_a_failure(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, without=Feature.STANDARD_FLOW)

    verdict, _, remedy = (await findings(visit_to, issuer.url))[REDIRECT]

    assert (verdict, "Capability config → Standard flow" in remedy) == ("fail", True)


async def test_a_scope_that_is_refused_is_named(issuer: Issuer, visit_to: Begin) -> None:
    found = await findings(visit_to, issuer.url, keycloak={"scopes": ["openid", "nonsense"]})

    assert found[REDIRECT][0] == "fail"
    assert "nonsense" in found[REDIRECT][1]


async def test_an_answer_in_another_name_is_a_failure_where_the_metadata_promise_one(
    server: AnsweringServer, visit_to: Begin
) -> None:
    answer = f"{CALLBACK}?error=login_required&iss=https%3A%2F%2Fevil.test"
    as_provider(server, answer, authorization_response_iss_parameter_supported=True)

    verdict, sentence, remedy = (await findings(visit_to, server.url))[REDIRECT]

    assert (verdict, "https://evil.test" in sentence, "--hostname" in remedy) == ("fail", True, True)


async def test_an_answer_without_a_name_is_well_only_where_none_is_promised(
    server: AnsweringServer, visit_to: Begin
) -> None:
    as_provider(server, f"{CALLBACK}?error=login_required")
    unpromised = (await findings(visit_to, server.url))[REDIRECT][0]
    as_provider(server, f"{CALLBACK}?error=login_required", authorization_response_iss_parameter_supported=True)
    promised = (await findings(visit_to, server.url))[REDIRECT][0]

    assert (unpromised, promised) == ("ok", "fail")


@pytest.mark.parametrize("location", ["https://elsewhere.test/login", CALLBACK + "/further", ""])
async def test_a_redirect_that_leads_elsewhere_is_no_proof(
    server: AnsweringServer, visit_to: Begin, location: str
) -> None:
    as_provider(server, location)

    found = await findings(visit_to, server.url)

    assert (found[REDIRECT][0], found[AFTERWARDS][0]) == ("fail", "fail")


async def test_another_error_is_a_warning_in_the_providers_words(server: AnsweringServer, visit_to: Begin) -> None:
    as_provider(server, f"{CALLBACK}?error=temporarily_unavailable&error_description=later%1b[2J")

    verdict, sentence, _ = (await findings(visit_to, server.url))[REDIRECT]

    assert (verdict, "temporarily_unavailable: later" in sentence, "\x1b" in sentence) == ("warn", True, False)


async def test_a_post_logout_address_that_is_missing_names_the_place(issuer: Issuer, visit_to: Begin) -> None:
    register(issuer, post_logout_redirect_uris=("http://other.test/",))

    verdict, _, remedy = (await findings(visit_to, issuer.url))[AFTERWARDS]

    assert verdict == "fail"
    assert "Clients → app → Access settings → Valid post logout redirect URIs" in remedy


async def test_a_provider_without_an_end_of_sessions_is_a_warning(server: AnsweringServer, visit_to: Begin) -> None:
    as_provider(server, f"{CALLBACK}?error=login_required", end_session_endpoint=None)

    assert (await findings(visit_to, server.url))[AFTERWARDS][0] == "warn"


async def test_a_provider_that_asks_instead_of_leading_back_is_a_warning(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.answer(Endpoint.END_SESSION, html())

    assert (await findings(visit_to, issuer.url))[AFTERWARDS][0] == "warn"


async def test_pages_that_only_browsers_reach_are_visited_by_the_inner_way(
    server: AnsweringServer, visit_to: Begin
) -> None:
    outside = f"http://127.0.0.1:{free_port()}"
    pages = {"authorization_endpoint": f"{outside}/auth", "end_session_endpoint": f"{outside}/logout"}
    as_provider(server, f"{CALLBACK}?error=login_required", issuer=outside, **pages)

    found = await findings(visit_to, outside, keycloak={"internal_url": server.url})

    assert found[REDIRECT][0] == "ok"
    assert any(path.startswith("/auth?") for path in server.paths())


async def test_a_page_that_nobody_reaches_is_a_failure_without_what_was_asked(
    server: AnsweringServer, visit_to: Begin
) -> None:
    gone = f"http://127.0.0.1:{free_port()}/auth"
    as_provider(server, CALLBACK, authorization_endpoint=gone)

    verdict, sentence, _ = (await findings(visit_to, server.url))[REDIRECT]

    assert (verdict, sentence) == ("fail", f"{gone} cannot be reached: connection refused")


async def test_a_logout_page_that_fails_is_a_failure(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.answer(Endpoint.END_SESSION, status(500))

    verdict, sentence, _ = (await findings(visit_to, issuer.url))[AFTERWARDS]

    assert (verdict, sentence.endswith("(it answers 500)")) == ("fail", True)


async def test_the_challenge_is_a_real_one(server: AnsweringServer, visit_to: Begin) -> None:
    as_provider(server, f"{CALLBACK}?error=login_required")
    await findings(visit_to, server.url)

    queries = [parse_qs(urlsplit(path).query) for path in server.paths() if path.startswith("/auth?")]
    challenged = [query for query in queries if "code_challenge" in query]
    assert len(queries) == 2
    assert [(query["code_challenge_method"], len(query["code_challenge"][0])) for query in challenged] == [
        (["S256"], 43)
    ]
