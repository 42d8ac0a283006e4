"""What is ours: secrets, certificates, and who answers at the public URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.doctor import own
from proxy.doctor.own import look_at_certificates, look_at_public_url, look_at_secrets
from proxy.doctor.wire import DAY_S, Term
from tests.doctor.conftest import SECRET, told
from tests.forward.certificates import Certificates
from tests.oidc.answering import AnsweringServer, answering_server
from tests.support.clocks import FakeClock
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from proxy.doctor.visit import Visit

    Begin = Callable[..., Awaitable[Visit]]

pytestmark = pytest.mark.usefixtures("no_proxy")

ISSUER = "http://sso.test/realms/acme"
KEY = "A" * 43
STATUS, LOGOUT = "/_sidegate/status", "/_sidegate/backchannel-logout"


async def test_secrets_that_can_be_read_are_ok_and_not_shown(visit_to: Begin) -> None:
    found = told(await look_at_secrets(await visit_to(ISSUER, sessions={"encryption_keys": [{"value": KEY}] * 2})))

    assert {check: verdict for check, (verdict, _, _) in found.items()} == {"client secret": "ok", "session key": "ok"}
    assert found["session key"][1] == "the value encrypts, 1 more decrypt"
    assert SECRET not in repr(found)
    assert KEY not in repr(found)


async def test_without_a_session_key_it_is_said_what_that_means(visit_to: Begin) -> None:
    assert "one is made at each start" in told(await look_at_secrets(await visit_to(ISSUER)))["session key"][1]


async def test_a_secret_that_cannot_be_read_is_a_failure(visit_to: Begin, tmp_path: Path) -> None:
    gone = {"file": str(tmp_path / "gone")}
    visit = await visit_to(
        ISSUER, keycloak={"client_auth": {"secret": gone}}, sessions={"encryption_keys": [{"value": "short"}]}
    )

    found = told(await look_at_secrets(visit))

    assert {check: verdict for check, (verdict, _, _) in found.items()} == {
        "client secret": "fail",
        "session key": "fail",
    }
    assert "sidegate keygen" in found["session key"][2]
    assert "short" not in found["session key"][1]


async def test_each_certificate_in_a_file_has_a_line(visit_to: Begin, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    files, authority = certificates.files("app.test"), str(certificates.authority_file)
    visit = await visit_to(
        ISSUER,
        server={"tls": {"cert_file": str(files.certificate), "key_file": str(files.key)}},
        keycloak={
            "ca_file": authority,
            "client_auth": {
                "method": "tls_client_auth",
                "cert_file": str(files.certificate),
                "key_file": str(files.key),
            },
        },
        upstreams={"app": {"url": "https://a.test", "tls": {"ca_file": authority}}},
        sessions={
            "store": "redis",
            "encryption_keys": [{"value": KEY}],
            "redis": {"url": "rediss://r.test:1/0", "tls": {"ca_file": authority}},
        },
    )

    found = await look_at_certificates(visit)

    assert [str(one.verdict) for one in found] == ["ok"] * 5
    assert str(files.certificate) in found[0].sentence


async def test_a_certificate_that_has_ended_names_the_key_of_the_file(visit_to: Begin, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    visit = await visit_to(ISSUER, keycloak={"ca_file": str(certificates.authority_file)})

    (later,) = await look_at_certificates(_in_a_year(visit))

    assert (str(later.verdict), later.remedy) == ("fail", "renew it; keycloak.ca_file names it")


def _in_a_year(visit: Visit) -> Visit:
    return replace(visit, clock=FakeClock(visit.clock.now() + 366 * 86_400))


async def test_of_a_chain_that_counts_which_ends_first(
    visit_to: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = await visit_to(ISSUER, keycloak={"ca_file": str(Certificates(tmp_path).authority_file)})
    now = visit.clock.now()
    chain = (Term(now - 1, now + 90 * DAY_S), Term(now - 90 * DAY_S, now - 2 * DAY_S), Term(now - 1, now + DAY_S))
    monkeypatch.setattr(own, "terms_in", lambda _file: chain)

    (found,) = await look_at_certificates(visit)

    assert (str(found.verdict), found.sentence.endswith("ended 2 days ago")) == ("fail", True)


async def test_a_host_that_is_not_answered_for_names_the_proxy_and_the_key(
    server: AnsweringServer, visit_to: Begin
) -> None:
    serve(server, status=421, body={})

    assert (await public(visit_to, server.url))["public URL"][2] == (
        "let the proxy in front keep the Host of browsers, or name it in server.hosts"
    )


@pytest.mark.parametrize(("content", "why"), [(None, "no such file or directory"), ("x", "no certificate in pem")])
async def test_a_file_that_holds_no_certificate_is_a_failure(
    visit_to: Begin, tmp_path: Path, content: str | None, why: str
) -> None:
    file = tmp_path / "tls.crt"
    if content is not None:
        file.write_text(content)
    files = {"cert_file": str(file), "key_file": str(file)}

    (found,) = await look_at_certificates(await visit_to(ISSUER, server={"tls": files}))

    assert (str(found.verdict), found.sentence) == ("fail", f"server.tls.cert_file: {file} cannot be read ({why})")


def serve(server: AnsweringServer, *, status: int = 200, body: object = None, logout: int = 400) -> None:
    server.give(STATUS, {"authenticated": False} if body is None else body, status=status)
    server.give(LOGOUT, {"error": "invalid_request"}, status=logout)


async def public(visit_to: Begin, url: str, **file: Any) -> dict[str, tuple[str, str, str]]:
    return told(await look_at_public_url(await visit_to(ISSUER, server={"public_url": url}, **file)))


async def test_a_sidegate_that_answers_is_ok_and_so_is_its_back_channel(
    server: AnsweringServer, visit_to: Begin
) -> None:
    serve(server)

    found = await public(visit_to, server.url)

    assert {check: verdict for check, (verdict, _, _) in found.items()} == {"public URL": "ok", "back-channel": "ok"}
    assert server.asked[-1].form == {"logout_token": ""}


async def test_nobody_there_is_a_warning_and_the_back_channel_is_left_alone(visit_to: Begin) -> None:
    found = await public(visit_to, f"http://127.0.0.1:{free_port()}")

    assert list(found) == ["public URL"]
    assert found["public URL"][0] == "warn"
    assert "sidegate run" in found["public URL"][2]


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (503, b"no upstream", "warn"),
        (502, b"", "warn"),
        (421, {}, "fail"),
        (200, b"<h1>The app itself</h1>", "fail"),
        (200, {"else": 1}, "fail"),
        (404, b"", "fail"),
        (302, b"", "fail"),
    ],
)
async def test_whatever_else_answers_there_is_told(
    server: AnsweringServer, visit_to: Begin, status: int, body: object, verdict: str
) -> None:
    serve(server, status=status, body=body)

    found = await public(visit_to, server.url)

    assert list(found) == ["public URL"]
    assert found["public URL"][0] == verdict


@pytest.mark.parametrize("status", [200, 302, 401, 404])
async def test_a_back_channel_that_does_not_arrive_is_a_failure(
    server: AnsweringServer, visit_to: Begin, status: int
) -> None:
    serve(server, logout=status)

    verdict, sentence, remedy = (await public(visit_to, server.url))["back-channel"]

    assert verdict == "fail"
    assert sentence.startswith("POST ") or "redirect" in sentence
    assert "pass whatever stands in front" in remedy


async def test_a_back_channel_that_is_off_is_not_looked_at(server: AnsweringServer, visit_to: Begin) -> None:
    serve(server)

    assert "back-channel" not in await public(visit_to, server.url, backchannel={"enabled": False})


async def test_a_certificate_that_browsers_would_not_trust_is_a_warning(visit_to: Begin, tmp_path: Path) -> None:
    async with answering_server(Certificates(tmp_path).server_context("localhost")) as server:
        found = await public(visit_to, server.url)

    assert found["public URL"][0] == "warn"
    assert "its certificate is not trusted" in found["public URL"][1]
