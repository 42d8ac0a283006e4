"""Sidegate as the relying party under test, an app behind it, and people at its door."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from tests.conformance.forging_issuer import CLIENT_ID, CLIENT_SECRET
from tests.contracts.web_browser import Answer, WebBrowser
from tests.support.sidegate_process import SidegateProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.conformance.forging_issuer import ForgingIssuer

SESSION_COOKIE = "sidegate"
MAX_REDIRECTS = 10


def settings(issuer: ForgingIssuer, app_url: str, **sections: Mapping[str, Any]) -> dict[str, Any]:
    """The file for one issuer; ``sections`` are merged into it."""
    file: dict[str, Any] = {
        "keycloak": {
            "issuer": issuer.url,
            "client_id": CLIENT_ID,
            "client_auth": {"secret": {"value": CLIENT_SECRET}},
            "claims_from": ["id_token", "userinfo"],
        },
        "login": {"mode": "redirect"},
        "upstreams": {"app": {"url": app_url}},
        "routes": [{"path": "/**", "access": "authenticated"}],
    }
    for section, keys in sections.items():
        file[section] = {**file.get(section, {}), **keys}
    return file


class RelyingParty:
    """One Sidegate at one issuer."""

    def __init__(self, issuer: ForgingIssuer, sidegate: SidegateProcess) -> None:
        """Take both as they are."""
        self.issuer = issuer
        self.sidegate = sidegate
        self.url = sidegate.url

    def person(self) -> Person:
        """Somebody with a fresh browser."""
        return Person(self, WebBrowser())

    def logout(self, *pairs: tuple[str, str], **options: Any) -> LogoutAnswer:
        """Send these fields to the back-channel endpoint, as :func:`post_form`."""
        return post_form(f"{self.url}/_sidegate/backchannel-logout", pairs, **options)


def start_relying_party(
    issuer: ForgingIssuer, app_url: str, folder: Path, **sections: Mapping[str, Any]
) -> RelyingParty:
    """Start Sidegate at the issuer; whoever asks ends it."""
    return RelyingParty(issuer, SidegateProcess(settings(issuer, app_url, **sections), folder))


class Person:
    """Somebody in front of the relying party."""

    def __init__(self, party: RelyingParty, browser: WebBrowser) -> None:
        """Stand there."""
        self.party = party
        self.browser = browser

    @property
    def has_session_cookie(self) -> bool:
        return SESSION_COOKIE in self.browser.cookies

    def get(self, path: str) -> Answer:
        """Navigate to a page of the app or of Sidegate."""
        return self.browser.get(urljoin(self.party.url, path), Accept="text/html")

    def walk(self, path: str) -> list[Answer]:
        """Navigate and follow every redirect; the answers in order."""
        answers = [self.get(path)]
        while answers[-1].status in {302, 303} and len(answers) <= MAX_REDIRECTS:
            answers.append(self.browser.get(urljoin(answers[-1].url, answers[-1].location), Accept="text/html"))
        return answers

    def sign_in(self, path: str = "/private?x=1") -> Answer:
        """Ask for a page of the app and let the provider sign us in; the last answer of the way."""
        return self.walk(path)[-1]

    def sign_in_only(self, path: str = "/private") -> Answer:
        """Sign in, but do not go where it leads: the app is not asked. Returns the callback's answer."""
        answers = [self.get(path)]
        while urlsplit(answers[-1].url).path != "/_sidegate/callback":
            assert answers[-1].status == 302, (answers[-1].status, answers[-1].text[:300])
            answers.append(self.browser.get(urljoin(answers[-1].url, answers[-1].location), Accept="text/html"))
        assert answers[-1].status == 302, (answers[-1].status, answers[-1].text[:300])
        return answers[-1]

    def leave(self, return_to: str = "/private") -> Answer:
        """Answer the question page, let the provider's form submit itself, come back; the last answer of the way."""
        question = self.get(f"/_sidegate/logout?return_to={return_to}")
        form = self._submit(question, Origin=self.party.url)
        assert form.status == 200, (form.status, form.text[:300])
        assert not self.has_session_cookie
        back = self._submit(form)
        assert back.status == 302, back.text
        return self.browser.get(back.location, Accept="text/html")

    def _submit(self, page: Answer, **headers: str) -> Answer:
        return self.browser.post(page.form_action, page.hidden_inputs(), Accept="text/html", **headers)

    def told_to_app(self) -> dict[str, str]:
        """The header variables that the app behind sees."""
        answer = self.get("/who")
        assert answer.status == 200, (answer.status, answer.location)
        told: dict[str, str] = answer.json["headers"]
        return told

    def is_signed_in(self) -> bool:
        """Whether the app is reached; ``/status`` must say the same."""
        passes = self.get("/who").status == 200
        status = self.get("/_sidegate/status").json
        assert status["authenticated"] == passes, (passes, status)
        return passes


def assert_refused(person: Person, answer: Answer, status: int = 400) -> None:
    """A login that failed: a page of that status, no session, no cookie, and the app was not reached."""
    assert answer.status == status, (answer.status, answer.location, answer.text[:300])
    assert urlsplit(answer.url).path == "/_sidegate/callback"
    assert answer.headers["content-type"].startswith("text/html")
    assert not any(cookie.startswith(f"{SESSION_COOKIE}=") for cookie in answer.cookies)
    assert not person.has_session_cookie
    assert not person.is_signed_in()


@dataclass(frozen=True, slots=True)
class LogoutAnswer:
    """What a provider hears after a logout token; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def post_form(
    url: str,
    pairs: tuple[tuple[str, str], ...],
    *,
    content_type: str = "application/x-www-form-urlencoded",
    source: str = "127.0.0.1",
    query: str = "",
    body: str | None = None,
) -> LogoutAnswer:
    """POST a form from an address of loopback, as a provider does; ``body`` stands in place of the pairs."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=15, source_address=(source, 0))
    try:
        connection.request(
            "POST",
            f"{parts.path}?{query}" if query else parts.path,
            body=urlencode(pairs) if body is None else body,
            headers={"Content-Type": content_type},
        )
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return LogoutAnswer(answer.status, headers, answer.read())
    finally:
        connection.close()
