"""One request to the provider, one bounded answer.

Nothing is kept between two requests: no cookie, no redirect followed, no connection (a pooled one that the provider
closed meanwhile would lose a password grant or, worse, a rotated refresh token; a handshake per refresh is cheap beside
that). Nothing of a browser's request is passed on. ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` of the environment
are honoured, ``~/.netrc`` is not: aiohttp's ``trust_env`` would read both.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from proxy import __version__
from proxy.errors import AnswerLost, ProviderUnavailable
from proxy.oidc.json_object import NotAnObject, parse_json_object
from proxy.oidc.provider_tls import ProviderTls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from proxy.oidc.provider_tls import ClientCertificate
    from proxy.ports import Clock, Observer

MAX_ANSWER_BYTES = 512 * 1024
"""Bytes of any answer: discovery has 7 KiB at Keycloak, a token answer 4, a key set with chains 20."""

_SHOWN = 200
"""Characters of a provider's own words that go into a sentence of ours."""


_NO_TLS = True
"""What aiohttp is told where no TLS is spoken: its own context, which trusts nobody (``proxy.aiohttp_trust``)."""

_WORDS = {
    aiohttp.ServerDisconnectedError: "it hung up without an answer",
    aiohttp.ClientPayloadError: "its answer broke off",
    aiohttp.ClientResponseError: "its answer is no HTTP",
}
"""What aiohttp tells over several lines, or with the address once more."""


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What came back, whole.

    Attributes:
        media_type: lower case, without parameters; empty when absent.
        received_at: our Unix time when the head was there.
        sent_at: the ``Date`` header in Unix seconds; None when absent or unreadable.
        location: the ``Location`` header as it came; None when absent.
    """

    url: str
    status: int
    media_type: str
    body: bytes = field(repr=False)
    received_at: float
    sent_at: float | None
    location: str | None = field(default=None, repr=False)

    @property
    def clock_difference_s(self) -> float:
        """Return by how many seconds the provider's clock is ahead of ours; 0 when it does not say."""
        return 0.0 if self.sent_at is None else self.sent_at - self.received_at

    def json_object(self) -> dict[str, object]:
        """Return the body as a JSON object.

        Raises:
            ProviderUnavailable: it is none (an error page of something in between, mostly).
        """
        try:
            return parse_json_object(self.body)
        except NotAnObject as fault:
            sentence = f"{self.url} answers {self.status} with {self.media_type or 'no media type'}, {fault}"
            raise ProviderUnavailable(sentence) from fault


def shown(text: object) -> str:
    """Return a provider's words so that they can stand in a log line: printable, short."""
    printable = "".join(character if character.isprintable() else " " for character in str(text))
    return printable if len(printable) <= _SHOWN else printable[:_SHOWN] + "…"


class HttpClient:
    """Speaks HTTP with one provider; bounded in time and size."""

    def __init__(
        self,
        *,
        clock: Clock,
        observer: Observer,
        timeout_s: float,
        ca_file: Path | None,
        certificate: ClientCertificate | None = None,
    ) -> None:
        """Prepare; opens nothing yet.

        Args:
            timeout_s: seconds for the whole exchange.
            ca_file: PEM certificates to trust *instead of* the system's; None: the system's.
            certificate: what is shown to a provider that asks for one.

        Raises:
            SettingsError: a file cannot be used.
        """
        self._clock = clock
        self._observer = observer
        self._timeout_s = timeout_s
        self._tls = ProviderTls(ca_file, certificate, observer=observer)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, operation: str, url: str, *, headers: Mapping[str, str] | None = None) -> ProviderAnswer:
        """GET. ``operation`` is the label of the metric.

        Raises:
            ProviderUnavailable: no connection, no answer in time, a redirect, or a body over MAX_ANSWER_BYTES.
        """
        return await self._exchange(operation, "GET", url, body=None, headers=headers or {})

    async def visit(self, operation: str, url: str) -> ProviderAnswer:
        """GET as a browser would, which brings no cookie: a redirect is an answer too, but it is not followed.

        Raises:
            ProviderUnavailable: no connection, no answer in time, or a body over MAX_ANSWER_BYTES.
        """
        return await self._answered(operation, "GET", url, body=None, headers={"Accept": "text/html"})

    async def delete(self, operation: str, url: str, *, headers: Mapping[str, str]) -> ProviderAnswer:
        """DELETE; raises as :meth:`get`."""
        return await self._exchange(operation, "DELETE", url, body=None, headers=headers)

    async def post_form(
        self, operation: str, url: str, *, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> ProviderAnswer:
        """POST a form in UTF-8; raises as :meth:`get`."""
        typed = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return await self._exchange(operation, "POST", url, body=urlencode(form).encode(), headers=typed)

    async def send_json(
        self, operation: str, url: str, *, method: str, document: Mapping[str, object], headers: Mapping[str, str]
    ) -> ProviderAnswer:
        """Send a JSON object by POST or PUT; raises as :meth:`get`."""
        typed = {"Content-Type": "application/json", **headers}
        return await self._exchange(operation, method, url, body=json.dumps(document).encode(), headers=typed)

    async def _exchange(
        self, operation: str, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]
    ) -> ProviderAnswer:
        answer = await self._answered(operation, method, url, body=body, headers=headers)
        _refuse_redirect(answer)
        return answer

    async def _answered(
        self, operation: str, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]
    ) -> ProviderAnswer:
        started = self._clock.monotonic()
        outcome = "unreachable"
        try:
            traced = {**headers, **self._observer.call_context()}
            answer = await self._send(method, url, body=body, headers=traced)
            outcome = _outcome(answer.status)
        except TimeoutError as fault:
            raise ProviderUnavailable(f"{url} did not answer within {self._timeout_s:g} s") from fault
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            kind = AnswerLost if _may_have_been_done(fault) else ProviderUnavailable
            raise kind(f"{url} cannot be reached: {_why(fault)}") from fault
        finally:
            self._observer.provider_call(operation, outcome, self._clock.monotonic() - started)
        return answer

    async def _send(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]) -> ProviderAnswer:
        route = _route(url)
        async with (
            asyncio.timeout(self._timeout_s),
            self._open_session().request(
                method,
                URL(url, encoded=True),
                data=body,
                headers={**headers, **route.request_headers},
                allow_redirects=False,
                ssl=self._tls.current() if route.speaks_tls else _NO_TLS,
                proxy=route.proxy,
                proxy_headers=route.proxy_headers,
            ) as response,
        ):
            received_at = self._clock.now()
            return ProviderAnswer(
                url=url,
                status=response.status,
                media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                body=await _bounded_body(response),
                received_at=received_at,
                sent_at=_instant(response.headers.get("Date")),
                location=response.headers.get("Location"),
            )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Identity, so that a small answer cannot unfold into a large one.
                headers={"User-Agent": f"sidegate/{__version__}", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._session


class _Route(Struct, frozen=True):
    """How a URL is reached: straight, or by a proxy of the environment; ``speaks_tls``: on any part of the way."""

    speaks_tls: bool
    proxy: str | None = None
    proxy_headers: Mapping[str, str] | None = None
    request_headers: Mapping[str, str] = msgspec.field(default_factory=dict)


def _route(url: str) -> _Route:
    """Read the environment anew each time: it is cheap."""
    target = URL(url)
    proxy = getproxies().get(target.scheme)
    if not proxy or proxy_bypass(target.host or ""):
        return _Route(speaks_tls=target.scheme == "https")
    address = URL(proxy)
    speaks_tls = "https" in {target.scheme, address.scheme}
    if address.user is None:
        return _Route(speaks_tls, proxy=proxy)
    authorization = {"Proxy-Authorization": aiohttp.encode_basic_auth(address.user, address.password or "")}
    bare = str(address.with_user(None))
    # By CONNECT the proxy reads the header of its own request, without CONNECT that of ours.
    if target.scheme == "https":
        return _Route(speaks_tls, proxy=bare, proxy_headers=authorization)
    return _Route(speaks_tls, proxy=bare, request_headers=authorization)


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderUnavailable(f"{response.url} answers with more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _refuse_redirect(answer: ProviderAnswer) -> None:
    if 300 <= answer.status < 400:
        raise ProviderUnavailable(f"{answer.url} answers with a redirect ({answer.status}), which is not followed")


def _outcome(status: int) -> str:
    return {2: "ok", 4: "refused"}.get(status // 100, "failed")


def _may_have_been_done(fault: Exception) -> bool:
    """Say whether the connection stood when it broke: then the request may have arrived."""
    return isinstance(
        fault, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | aiohttp.ClientOSError | ConnectionError
    ) and not isinstance(fault, aiohttp.ClientConnectorError)


def _why(fault: Exception) -> str:
    """Return why in a few words, without the address: the sentence names it already."""
    if isinstance(fault, aiohttp.ClientHttpProxyError):
        return f"the proxy answers {fault.status}"
    for kind, words in _WORDS.items():
        if isinstance(fault, kind):
            return words
    words = _words_of_cause(_cause(fault))
    return f"the proxy: {words}" if isinstance(fault, aiohttp.ClientProxyConnectionError) else words


def _cause(fault: Exception) -> Exception:
    """Return what the system or the TLS library said; aiohttp wraps it in words of its own, with the address."""
    if isinstance(fault, aiohttp.ClientConnectorCertificateError):
        return fault.certificate_error
    return fault.os_error if isinstance(fault, aiohttp.ClientConnectorError) else fault


def _words_of_cause(cause: Exception) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({shown(cause.verify_message)})"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed ({shown(cause.reason or cause)})"
    text = str(cause) or type(cause).__name__
    if isinstance(cause, socket.gaierror):
        text = cause.strerror or text
    elif isinstance(cause, OSError) and cause.errno:
        # Not its strerror: asyncio writes the address into that.
        text = os.strerror(cause.errno)
    return shown(text[:1].lower() + text[1:])


def _instant(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None
