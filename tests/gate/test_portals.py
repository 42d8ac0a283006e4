"""The Host chooses the portal, and nothing else does."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from typing import Any

import pytest
from msgspec.structs import replace

from proxy import slices
from proxy.core.request import RequestHead
from proxy.errors import HeadTooLarge
from proxy.gate.accept import Acceptor
from proxy.gate.handler import Gate
from proxy.gate.portals import Portal, Portals
from proxy.ports import Admission, Forward, OwnPage, Reply
from proxy.settings.load import SiteSettings
from proxy.settings.model import Settings
from proxy.site import Site
from proxy.sites import Sites
from tests.gate.conftest import HTML, GateInHand
from tests.support.made_sites import shared_parts, site_file

TRUSTED = "10.1.2.3"
OPEN = [{"path": "/**", "access": "public"}]


def portal(gate: GateInHand) -> Portal:
    server = gate.settings.server
    return Portal(server.host_values, gate.gate, server.own_prefix.encode())


class ThreePortals:
    """A wiki for everybody, an admin area, and apps below a wildcard, each with its gate, behind trusted proxies."""

    def __init__(self, *, apps_prefix: str = "/_sidegate") -> None:
        self.wiki = self._gate("https://wiki.example.com", routes=OPEN)
        self.admin = self._gate("https://admin.example.com", forward_auth={"source": "x-original"})
        self.apps = self._gate("https://*.apps.example.com", apps_prefix, routes=OPEN)
        self.one = self._gate("https://one.apps.example.com")
        gates = (self.wiki, self.apps, self.one, self.admin)
        rules = slices.accept_rules(self.wiki.settings)
        self.door = Portals(
            [portal(gate) for gate in gates],
            stranger=self._strangers(),
            acceptor=Acceptor(rules, random_bytes=secrets.token_bytes),
        )

    def _gate(self, url: str, prefix: str = "/_sidegate", **file: Any) -> GateInHand:
        server = {"public_url": url, "prefix": prefix, "trusted_proxies": ["10.0.0.0/8"]}
        return GateInHand(server=server, **file)

    def _strangers(self) -> Gate:
        gate = self.wiki.gate
        nobody = replace(slices.accept_rules(self.wiki.settings), hosts=())
        parts = replace(gate._parts, acceptor=Acceptor(nobody, random_bytes=secrets.token_bytes))
        return Gate(gate._rules, parts)

    async def ask(
        self, host: bytes | None, *fields: tuple[bytes, bytes], target: bytes = b"/", peer: str = "203.0.113.7"
    ) -> Admission:
        own = () if host is None else ((b"Host", host),)
        head = RequestHead(method=b"GET", target=target, headers=(*own, HTML, *fields), peer=peer, scheme="https")
        admission = self.door.admit(head)
        return await admission if isinstance(admission, Awaitable) else admission

    async def status(self, host: bytes | None, *fields: tuple[bytes, bytes], **asked: Any) -> int | str:
        """What comes of it: ``app`` when the wiki or an app is reached, else the status."""
        admission = await self.ask(host, *fields, **asked)
        if isinstance(admission, Forward):
            return "app"
        assert isinstance(admission, Reply), admission
        return admission.answer.status


@pytest.fixture(scope="module")
def portals() -> ThreePortals:
    return ThreePortals()


@pytest.mark.parametrize(
    "host",
    [b"wiki.example.com", b"WIKI.example.com", b"wiki.example.com:443", b"wiki.example.com.", b"a.apps.example.com"],
)
async def test_the_hosts_own_gate_decides(portals: ThreePortals, host: bytes) -> None:
    assert await portals.status(host) == "app"


@pytest.mark.parametrize("host", [b"admin.example.com", b"one.apps.example.com"])
async def test_another_portals_rules_do_not_count(portals: ThreePortals, host: bytes) -> None:
    assert await portals.status(host) == 302


@pytest.mark.parametrize(
    "host",
    [b"other.example.com", b"apps.example.com", b"a.b.apps.example.com", b"wiki.example.com:8443",
     b"*.apps.example.com", b"wiki.example.com.evil.com", b"", None],
)  # fmt: skip
@pytest.mark.parametrize("target", [b"/", b"/_sidegate/login", b"/_sidegate/verify"])
async def test_what_is_no_portals_host_is_421(portals: ThreePortals, host: bytes | None, target: bytes) -> None:
    assert await portals.status(host, target=target) == 421


async def test_two_hosts_are_none(portals: ThreePortals) -> None:
    assert await portals.status(b"wiki.example.com", (b"Host", b"admin.example.com")) == 421


async def test_nothing_that_a_client_says_beside_host_chooses(portals: ThreePortals) -> None:
    fields = (
        (b"X-Forwarded-Host", b"wiki.example.com"),
        (b"Forwarded", b"host=wiki.example.com"),
        (b"X-Original-URL", b"https://wiki.example.com/"),
        (b"X-Host", b"wiki.example.com"),
    )

    for field in fields:
        assert await portals.status(b"admin.example.com", field) == 302


async def test_a_trusted_proxy_says_which_host_the_browser_asked(portals: ThreePortals) -> None:
    told = (b"X-Forwarded-Host", b"wiki.example.com")

    assert await portals.status(b"sidegate:4180", told, peer=TRUSTED) == "app"
    assert await portals.status(b"wiki.example.com", (told[0], b"admin.example.com"), peer=TRUSTED) == 302
    assert await portals.status(b"wiki.example.com", (told[0], b"else.example.com"), peer=TRUSTED) == 421


async def test_a_proxy_that_asks_about_a_url_is_answered_by_that_urls_portal(portals: ThreePortals) -> None:
    about = (b"X-Original-Method", b"GET"), (b"X-Original-URI", b"/x")

    async def answered(url: bytes, peer: str) -> int | str:
        fields = (*about, (b"X-Original-URL", url))
        return await portals.status(b"sidegate", *fields, target=b"/_sidegate/verify", peer=peer)

    assert await answered(b"https://admin.example.com/x", TRUSTED) == 401
    assert await answered(b"https://else.example.com/x", TRUSTED) == 421
    assert await answered(b"https://admin.example.com/x", "203.0.113.7") == 421


async def test_a_url_that_is_told_chooses_no_portal_whose_question_this_is_not() -> None:
    portals = ThreePortals(apps_prefix="/other")
    told = (b"X-Original-URL", b"https://a.apps.example.com/")

    for target in (b"/_sidegate/verify", b"/_sidegate/verify/x", b"/_sidegate/verify?x"):
        asked = await portals.ask(b"one.apps.example.com", told, target=target, peer=TRUSTED)

        assert isinstance(asked, OwnPage), f"{target!r} is a page of the host, and not for the app of the wildcard"


async def test_own_pages_are_those_of_the_host(portals: ThreePortals) -> None:
    page = await portals.ask(b"a.apps.example.com", target=b"/_sidegate/status")

    assert isinstance(page, OwnPage)
    assert (b"Host", b"a.apps.example.com") in page.headers


async def test_a_session_of_one_portal_is_no_session_of_another(portals: ThreePortals) -> None:
    own, others = await portals.one.signed_in(), await portals.one.signed_in(portal="admin")

    assert await portals.status(b"one.apps.example.com", own) == "app"
    assert await portals.status(b"one.apps.example.com", others) == 302


async def test_a_head_that_comes_again_meets_the_same_gate(portals: ThreePortals) -> None:
    head = RequestHead(
        method=b"GET", target=b"/", headers=((b"Host", b"wiki.example.com"),), peer="203.0.113.7", scheme="https"
    )

    acceptor = portals.door._acceptor
    assert isinstance(portals.door.admit(head), Forward)
    assert head.judge is portals.wiki.gate
    portals.door._acceptor = None  # type: ignore[assignment]
    try:
        assert isinstance(portals.door.admit(head), Forward), "nothing is read of it again"
    finally:
        portals.door._acceptor = acceptor


async def test_hosts_without_number_leave_nothing_behind(portals: ThreePortals) -> None:
    for number in range(3000):
        await portals.status(b"%d.apps.example.com" % number)
        await portals.status(b"%d.else.example.com" % number)

    remembered = portals.door._acceptor._normal_https
    assert len(remembered) <= 1024
    assert len(portals.door._exact) == 3


def test_a_fault_of_the_wire_is_answered_without_a_head(portals: ThreePortals) -> None:
    reply = portals.door.fault(HeadTooLarge("large"), None, None)
    portals.door.finished(reply.event)

    assert reply.answer.status == 431


async def test_the_page_for_strangers_says_nothing_of_the_portals() -> None:
    def site(name: str) -> Site:
        url = {"public_url": f"https://{name}.example.com"}
        file = site_file(server=url, login={"title": f"The {name} of Acme"}, keycloak={"client_id": name})
        return Site(SiteSettings(name, Settings.model_validate(file)), shared_parts())

    door = Sites([site("wiki"), site("admin")]).served().gatekeeper
    head = RequestHead(
        method=b"GET", target=b"/", headers=((b"Host", b"x.test"), HTML), peer="203.0.113.7", scheme="https"
    )

    reply = door.admit(head)

    assert isinstance(reply, Reply)
    assert reply.answer.status == 421
    assert b"Acme" not in reply.answer.body
    assert b"wiki" not in reply.answer.body


async def test_the_gate_of_strangers_lets_nobody_in_whatever_host_they_ask() -> None:
    file = site_file(server={"public_url": "https://wiki.example.com"})
    site = Site(SiteSettings("wiki", Settings.model_validate({**file, "routes": OPEN})), shared_parts())
    head = RequestHead(
        method=b"GET", target=b"/", headers=((b"Host", b"wiki.example.com"),), peer="203.0.113.7", scheme="https"
    )

    reply = site.gate_of_strangers().admit(head)

    assert isinstance(reply, Reply)
    assert reply.answer.status == 421


async def test_at_a_wildcard_plain_http_is_sent_to_the_host_that_was_asked() -> None:
    gate = GateInHand(server={"public_url": "https://*.apps.example.com", "https_redirect": True})
    head = RequestHead(
        method=b"GET", target=b"/x?y", headers=((b"Host", b"a.apps.example.com"),), peer="203.0.113.7", scheme="http"
    )

    reply = gate.gate.admit(head)

    assert isinstance(reply, Reply)
    assert (b"Location", b"https://a.apps.example.com/x?y") in reply.answer.headers
