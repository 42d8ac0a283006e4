"""The provider as it is seen: discovery by both ways, the exact issuer, clock, keys, certificate."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from proxy.demo.misbehaviour import Endpoint, html, starting
from proxy.doctor.provider import look_at_provider
from tests.doctor.conftest import told, verdicts
from tests.forward.certificates import Certificates
from tests.oidc.answering import AnsweringServer, answering_server
from tests.oidc.signing import jwk
from tests.support.clocks import FakeClock
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from proxy.demo.issuer import Issuer
    from proxy.doctor.visit import Visit

    Begin = Callable[..., Awaitable[Visit]]

pytestmark = pytest.mark.usefixtures("no_proxy")


def document(server: AnsweringServer, **changes: object) -> dict[str, object]:
    """A discovery document that names what is needed."""
    url = server.url
    named = {"authorization_endpoint": "/auth", "token_endpoint": "/token", "jwks_uri": "/keys"}
    return {"issuer": url, **{name: url + path for name, path in named.items()}, **changes}


def publish(server: AnsweringServer, *, keys: list[dict[str, Any]] | None = None, **headers: str) -> None:
    server.give("/.well-known/openid-configuration", document(server), **headers)
    server.give("/keys", {"keys": keys or []})


class Wearying(FakeClock):
    """A clock by which everything takes three seconds."""

    def monotonic(self) -> float:
        self.advance(3)
        return super().monotonic()


async def test_a_provider_that_is_well_is_ok_in_every_line(issuer: Issuer, visit_to: Begin) -> None:
    known = await look_at_provider(await visit_to(issuer.url))

    assert verdicts(known.findings) == {"discovery": "ok", "issuer": "ok", "clock": "ok", "keys": "ok"}
    assert known.metadata is not None
    assert told(known.findings)["keys"][1] == "1 key for RS256 (1 for other uses left aside)"


async def test_nobody_there_is_one_line_and_leaves_no_metadata(visit_to: Begin) -> None:
    known = await look_at_provider(await visit_to(f"http://127.0.0.1:{free_port()}/realms/demo"))

    (only,) = told(known.findings).items()
    assert only[0] == "discovery"
    assert "connection refused" in only[1][1]
    assert only[1][2] == "check keycloak.issuer, that Keycloak runs, and the network between"
    assert known.metadata is None


async def test_a_realm_that_is_not_there_names_the_realm(issuer: Issuer, visit_to: Begin) -> None:
    known = await look_at_provider(await visit_to(f"{issuer.origin}/realms/other"))

    verdict, sentence, remedy = told(known.findings)["discovery"]
    assert (verdict, sentence.endswith("answers 404")) == ("fail", True)
    assert "the realm's name" in remedy


async def test_a_keycloak_that_starts_is_waited_for(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.answer(Endpoint.DISCOVERY, starting())

    known = await look_at_provider(await visit_to(issuer.url))

    assert told(known.findings)["discovery"][2] == "wait until Keycloak has started, or see its log"


async def test_a_page_instead_of_the_document_is_a_failure(issuer: Issuer, visit_to: Begin) -> None:
    issuer.misbehaviour.answer(Endpoint.DISCOVERY, html())

    known = await look_at_provider(await visit_to(issuer.url))

    assert verdicts(known.findings) == {"discovery": "fail"}


async def test_an_issuer_that_differs_by_a_slash_is_a_failure_that_says_so(issuer: Issuer, visit_to: Begin) -> None:
    known = await look_at_provider(await visit_to(issuer.url + "/"))

    verdict, _, remedy = told(known.findings)["issuer"]
    assert verdict == "fail"
    assert remedy == f"write the final slash of keycloak.issuer as Keycloak does: {issuer.url}"


async def test_another_issuer_is_a_failure_that_names_both(issuer: Issuer, visit_to: Begin) -> None:
    known = await look_at_provider(await visit_to(issuer.url.replace("127.0.0.1", "localhost")))

    verdict, sentence, remedy = told(known.findings)["issuer"]
    assert verdict == "fail"
    assert issuer.url in sentence
    assert "--hostname" in remedy


async def test_both_ways_are_looked_at_and_told_apart(issuer: Issuer, visit_to: Begin) -> None:
    inner = issuer.url.replace("127.0.0.1", "localhost")

    known = await look_at_provider(await visit_to(issuer.url, keycloak={"internal_url": inner}))

    assert verdicts(known.findings) == {
        "discovery": "ok",
        "issuer": "ok",
        "internal discovery": "ok",
        "internal issuer": "ok",
        "clock": "ok",
        "keys": "ok",
    }
    assert known.metadata is not None
    assert known.metadata.token_endpoint.startswith(inner)


async def test_who_has_the_inner_way_is_only_warned_when_the_outer_one_is_closed(
    issuer: Issuer, visit_to: Begin
) -> None:
    outer = f"http://127.0.0.1:{free_port()}/realms/demo"

    known = await look_at_provider(await visit_to(outer, keycloak={"internal_url": issuer.url}))

    found = told(known.findings)
    assert found["discovery"][0] == "warn"
    assert found["discovery"][2].startswith("if browsers get there, all is well; else ")
    assert found["internal issuer"][0] == "fail"
    assert "--hostname" in found["internal issuer"][2]


async def test_the_inner_way_is_the_one_that_must_be_open(issuer: Issuer, visit_to: Begin) -> None:
    inner = f"http://127.0.0.1:{free_port()}/realms/demo"

    known = await look_at_provider(await visit_to(issuer.url, keycloak={"internal_url": inner}))

    assert verdicts(known.findings) == {"discovery": "ok", "issuer": "ok", "internal discovery": "fail"}
    assert known.metadata is None


async def test_with_every_endpoint_by_hand_discovery_is_a_courtesy(server: AnsweringServer, visit_to: Begin) -> None:
    publish(server)
    by_hand = {"authorization": f"{server.url}/a", "token": f"{server.url}/t", "jwks": f"{server.url}/keys"}
    issuer = f"{server.url}/nowhere"

    known = await look_at_provider(await visit_to(issuer, keycloak={"endpoints": by_hand}))

    assert verdicts(known.findings)["discovery"] == "warn"
    assert known.metadata is not None


async def test_a_document_without_an_endpoint_is_a_failure(server: AnsweringServer, visit_to: Begin) -> None:
    server.give("/.well-known/openid-configuration", document(server, token_endpoint=None))

    known = await look_at_provider(await visit_to(server.url))

    verdict, sentence, remedy = told(known.findings)["endpoints"]
    assert (verdict, remedy) == ("fail", "give it by hand under keycloak.endpoints")
    assert "names no token_endpoint" in sentence


@pytest.mark.parametrize(
    ("ahead_s", "verdict"), [(0, "ok"), (-3, "ok"), (30, "warn"), (-30, "warn"), (90, "fail"), (-90, "fail")]
)
async def test_clocks_that_differ_are_told_before_tokens_are_refused_for_it(
    server: AnsweringServer, visit_to: Begin, ahead_s: float, verdict: str
) -> None:
    publish(server, Date=formatdate(time.time() + ahead_s, usegmt=True))

    known = await look_at_provider(await visit_to(server.url))

    assert told(known.findings)["clock"][0] == verdict


async def test_a_provider_that_does_not_say_the_time_is_not_taken_for_punctual(
    server: AnsweringServer, visit_to: Begin
) -> None:
    publish(server, Date="")

    known = await look_at_provider(await visit_to(server.url))

    assert not known.says_time
    assert "clock" not in told(known.findings)


async def test_a_slow_provider_is_a_warning(issuer: Issuer, visit_to: Begin) -> None:
    visit = replace(await visit_to(issuer.url), clock=Wearying(time.time()))

    known = await look_at_provider(visit)

    verdict, sentence, _ = told(known.findings)["discovery"]
    assert (verdict, "took 3.0 s" in sentence) == ("warn", True)


async def test_keys_for_another_algorithm_are_named(issuer: Issuer, visit_to: Begin) -> None:
    known = await look_at_provider(await visit_to(issuer.url, keycloak={"signing_algorithms": ["ES256"]}))

    verdict, sentence, remedy = told(known.findings)["keys"]
    assert (verdict, sentence) == ("fail", "no key is for ES256; Keycloak's are for RS256")
    assert remedy.startswith("write keycloak.signing_algorithms: [RS256]")


async def test_a_key_for_encryption_is_no_key_for_us(issuer: Issuer, server: AnsweringServer, visit_to: Begin) -> None:
    encryption = [key for key in issuer.keys.jwks()["keys"] if key["use"] == "enc"]
    publish(server, keys=encryption)

    known = await look_at_provider(await visit_to(server.url))

    assert encryption
    assert told(known.findings)["keys"][:2] == ("fail", "no key is for RS256")


async def test_a_point_off_its_curve_is_no_key(server: AnsweringServer, visit_to: Begin) -> None:
    good = jwk("P-256")
    publish(server, keys=[{**good, "y": good["x"]}])

    known = await look_at_provider(await visit_to(server.url, keycloak={"signing_algorithms": ["ES256"]}))

    assert told(known.findings)["keys"][:2] == ("fail", "no key is for ES256")


@pytest.mark.parametrize("status", [404, 500])
async def test_keys_that_cannot_be_had_are_a_failure(server: AnsweringServer, visit_to: Begin, status: int) -> None:
    publish(server)
    server.give("/keys", {}, status=status)

    known = await look_at_provider(await visit_to(server.url))

    assert told(known.findings)["keys"][:2] == ("fail", f"{server.url}/keys answers {status}")


async def test_a_certificate_that_is_not_trusted_names_the_key_of_the_file(tmp_path: Path, visit_to: Begin) -> None:
    async with answering_server(Certificates(tmp_path).server_context("localhost")) as server:
        known = await look_at_provider(await visit_to(server.url))

    verdict, sentence, remedy = told(known.findings)["discovery"]
    assert (verdict, remedy) == ("fail", "name its authority in keycloak.ca_file")
    assert "its certificate is not trusted" in sentence


async def test_how_long_the_certificate_holds_is_said(tmp_path: Path, visit_to: Begin) -> None:
    certificates = Certificates(tmp_path)
    async with answering_server(certificates.server_context("localhost")) as server:
        publish(server)
        known = await look_at_provider(
            await visit_to(server.url, keycloak={"ca_file": str(certificates.authority_file)})
        )

    verdict, sentence, _ = told(known.findings)["certificate"]
    assert sentence.startswith("the certificate of localhost ")
    assert verdict == "ok"
