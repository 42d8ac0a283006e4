"""Front-channel logout as the suite plays it: the provider's page shows ours in a frame, then sends the browser back.

One test per module of the OpenID Foundation's plan ``oidcc-client-front-channel-logout-rp-basic``, which has one. By
then the session has ended here already. What the page does to a *living* session is below: nobody but the issuer may
show it, no cookie comes along, and whatever is not exactly ``iss`` and ``sid`` of a session ends nothing.

Source: OpenID Connect Front-Channel Logout 1.0 §2, §3.
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest

from tests.conformance.forging_issuer import Plan
from tests.contracts.web_browser import WebBrowser

if TYPE_CHECKING:
    from tests.conformance.forging_issuer import ForgingIssuer
    from tests.conformance.relying_party import Person, RelyingParty
    from tests.contracts.web_browser import Answer

ODD_SIDS = ["\"quoted\" 'sid'", "a b&c=d;e/f?g#h%20+", "../../..", "ß-☃-\U0001f6aa", "x" * 500]


def frame_url(party: RelyingParty, **changes: str) -> str:
    query = {"iss": party.issuer.url, "sid": party.issuer.sid or "", **changes}
    return f"{party.url}/_sidegate/frontchannel-logout?{urlencode(query)}"


def framed(url: str) -> Answer:
    """Load a page as a browser does in a frame of another site: no cookie comes along (SameSite=Lax)."""
    said = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
    return WebBrowser().get(url, Accept="text/html", **said)


def signed_in(party: RelyingParty, sid: str | None) -> Person:
    party.issuer.sid = sid
    person = party.person()
    assert person.sign_in().status == 200
    return person


def test_the_browser_comes_back_from_a_provider_that_frames_us(party: RelyingParty, issuer: ForgingIssuer) -> None:
    """oidcc-client-test-rp-frontchannel-rpinitlogout."""
    person = signed_in(party, "sid-of-the-framed-module")
    issuer.plan = Plan(frames=(frame_url(party),))
    question = person.get("/_sidegate/logout")
    leaving = person.browser.post(question.form_action, question.hidden_inputs(), Accept="text/html", Origin=party.url)

    page = person.browser.post(leaving.form_action, leaving.hidden_inputs(), Accept="text/html")
    (frame,) = [unescape(url) for url in re.findall(r'<iframe src="([^"]*)"', page.text)]
    shown = framed(frame)
    onward = re.search(r'id="continue" href="([^"]*)"', page.text)
    assert onward
    back = person.browser.get(unescape(onward[1]), Accept="text/html")

    assert (shown.status, back.status) == (200, 200)
    assert "no-store" in shown.headers["cache-control"].split(", ")
    assert urlsplit(back.url).path == "/_sidegate/logged-out"
    assert not person.is_signed_in()


@pytest.mark.parametrize("sid", ODD_SIDS)
def test_a_living_session_ends_by_its_sid_without_a_cookie(party: RelyingParty, sid: str) -> None:
    other = signed_in(party, f"{sid}.")
    person = signed_in(party, sid)

    assert framed(frame_url(party)).status == 200

    assert not person.is_signed_in()
    assert other.is_signed_in()


def test_the_page_may_be_framed_by_the_issuer_alone(party: RelyingParty, issuer: ForgingIssuer) -> None:
    issuer.sid = "whoever"
    page = framed(frame_url(party))

    policy = dict(part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == f"http://{urlsplit(issuer.url).netloc}"
    assert "x-frame-options" not in page.headers


@pytest.mark.parametrize(
    "changes", [{"iss": "https://elsewhere.example/"}, {"iss": ""}, {"sid": ""}, {"iss": "http://127.0.0.1"}]
)
def test_a_page_that_names_no_session_of_the_issuer_ends_nothing(party: RelyingParty, changes: dict[str, str]) -> None:
    person = signed_in(party, "sid-of-a-victim")

    assert framed(frame_url(party, **changes)).status == 400

    assert person.is_signed_in()


@pytest.mark.parametrize("twice", ["sid=sid-of-a-victim", "iss=x", "iss=https://elsewhere.example/"])
def test_a_parameter_twice_ends_nothing(party: RelyingParty, twice: str) -> None:
    person = signed_in(party, "sid-of-a-victim")

    assert framed(f"{frame_url(party)}&{twice}").status == 400

    assert person.is_signed_in()


def test_an_unknown_session_is_answered_as_a_known_one(party: RelyingParty) -> None:
    signed_in(party, "a-known-sid")

    known, unknown = framed(frame_url(party)), framed(frame_url(party, sid="never-heard-of"))

    assert (unknown.status, unknown.text) == (known.status, known.text) == (200, known.text)
