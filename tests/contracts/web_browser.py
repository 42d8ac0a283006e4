"""An HTTP driver for provider tests: no redirects followed, cookies in a plain dictionary, one connection per request.

``http.cookiejar`` drops Keycloak's cookies on loopback (``Version=1``, ``Secure`` over http), and the login form then
says "Restart login cookie not found"; so the cookies are kept by hand here.
"""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 15


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    @property
    def parameters(self) -> dict[str, str]:
        """The query of the Location, in order."""
        return dict(parse_qsl(urlsplit(self.location).query, keep_blank_values=True))

    @property
    def refusal(self) -> tuple[int, str | None, str | None]:
        """Status, error, error_description of an OAuth error."""
        body = self.json
        return self.status, body.get("error"), body.get("error_description")

    @property
    def form_action(self) -> str:
        """The address of the page's form."""
        found = re.search(r'<form[^>]*\baction="([^"]+)"', self.text, re.IGNORECASE)
        assert found is not None, f"no form in: {self.text[:400]}"
        return urljoin(self.url, unescape(found[1]))

    def hidden_inputs(self) -> dict[str, str]:
        """Names and values of the page's hidden inputs."""
        tags = re.findall(r"<input[^>]*>", self.text, re.IGNORECASE)
        inputs = [tag for tag in tags if _attribute(tag, "type").lower() == "hidden"]
        return {_attribute(tag, "name"): _attribute(tag, "value") for tag in inputs}


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag, re.IGNORECASE)
    return unescape(found[1]) if found is not None else ""


@dataclass(slots=True)
class WebBrowser:
    """A browser without script; a fresh one has no cookies."""

    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, url: str, query: Mapping[str, str] | None = None, **headers: str) -> Answer:
        return self.request("GET", f"{url}?{urlencode(query)}" if query else url, headers=headers)

    def post(self, url: str, form: Mapping[str, str] | list[tuple[str, str]], **headers: str) -> Answer:
        body = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self.request("POST", url, headers=headers, body=body)

    def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """One request; header names may be written with ``_``."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target or "/", body=body, headers={**self._cookie_header(), **_spelt(headers)})
            return self._read(url, connection.getresponse())
        finally:
            connection.close()

    def _cookie_header(self) -> dict[str, str]:
        line = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": line} if line else {}

    def _read(self, url: str, answer: http.client.HTTPResponse) -> Answer:
        headers = {name.lower(): value for name, value in answer.getheaders()}
        cookies = tuple(answer.msg.get_all("Set-Cookie") or ())
        for cookie in cookies:
            self._keep(cookie)
        return Answer(url=url, status=answer.status, headers=headers, cookies=cookies, body=answer.read())

    def _keep(self, cookie: str) -> None:
        name, _, value = cookie.split(";", maxsplit=1)[0].strip().partition("=")
        if re.search(r"max-age=0\b", cookie, re.IGNORECASE) or value in {"", '""'}:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


def _spelt(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
