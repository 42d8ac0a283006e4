"""What is ours: the secrets and certificates of the file, the public URL, and what answers there.

At the public URL the way is that of a browser and of Keycloak: ``…/status`` says whether a Sidegate answers, and an
empty back-channel logout, which it must refuse, whether Keycloak's logouts get as far.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.doctor.finding import fail, of_fault, ok, warn
from proxy.doctor.wire import Unreachable, opened, term_finding, term_of, terms_in, tls_address
from proxy.errors import ProviderUnavailable, SettingsError
from proxy.oidc.http_client import HttpClient
from proxy.oidc.json_object import NotAnObject, parse_json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit
    from proxy.oidc.http_client import ProviderAnswer
    from proxy.settings.model import Settings

PATIENCE_S: Final = 10.0
"""Seconds for one answer at the public URL, whatever stands before it included."""

_NOT_RUNNING: Final = frozenset({502, 503, 504})
"""What a proxy in front says when there is nobody behind it."""


# --- the file --------------------------------------------------------------------------------------------------------


async def look_at_secrets(visit: Visit) -> tuple[Finding, ...]:
    """Read each secret once; its value goes nowhere."""
    return (*_client_secret(visit.settings), *_session_keys(visit.settings))


def _client_secret(settings: Settings) -> Iterator[Finding]:
    source = settings.keycloak.client_auth.secret
    if source is None:
        return
    try:
        source.read()
    except SettingsError as fault:
        yield of_fault("client secret", fault, remedy="mend keycloak.client_auth.secret")
    else:
        yield ok("client secret", f"{source} can be read")


def _session_keys(settings: Settings) -> Iterator[Finding]:
    sources = settings.sessions.encryption_keys
    faults = []
    for source in sources:
        try:
            source.read_key()
        except SettingsError as fault:
            faults.append(of_fault("session key", fault, remedy="make one: sidegate keygen"))
    yield from faults
    if faults:
        return
    if sources:
        further = f", {len(sources) - 1} more decrypt" if len(sources) > 1 else ""
        yield ok("session key", f"{sources[0]} encrypts{further}")
    else:
        yield ok("session key", "none: one is made at each start, which is enough for sessions in memory")


class _Pem(Struct, frozen=True):
    """A PEM file with certificates, and the key of the settings that names it."""

    key: str
    file: str


async def look_at_certificates(visit: Visit) -> tuple[Finding, ...]:
    """Say how long each certificate in a file of ours holds; of several in one file that which ends first."""
    now = visit.clock.now()
    return tuple(_pem_finding(pem, now) for pem in _pems(visit.settings))


def _pems(settings: Settings) -> Iterator[_Pem]:
    named: list[tuple[str, str | None]] = []
    if settings.server.tls is not None:
        named += [("server.tls.cert_file", settings.server.tls.cert_file)]
        named += [("server.tls.client_ca_file", settings.server.tls.client_ca_file)]
    named += [("keycloak.ca_file", settings.keycloak.ca_file)]
    named += [("keycloak.client_auth.cert_file", settings.keycloak.client_auth.cert_file)]
    for name, one in settings.upstreams.items():
        named += [(f"upstreams.{name}.tls.{part}", getattr(one.tls, part)) for part in ("ca_file", "cert_file")]
    if settings.sessions.store == "redis":
        redis = settings.sessions.redis.tls
        named += [(f"sessions.redis.tls.{part}", getattr(redis, part)) for part in ("ca_file", "cert_file")]
    return (_Pem(key, file) for key, file in named if file is not None)


def _pem_finding(pem: _Pem, now: float) -> Finding:
    try:
        terms = terms_in(Path(pem.file))
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) and fault.strerror else "no certificate in PEM"
        return fail("certificate file", f"{pem.key}: {pem.file} cannot be read ({why.lower()})", f"mend {pem.key}")
    first = min(terms, key=lambda term: term.ends_at)
    return term_finding("certificate file", first, now, whose=pem.file, remedy=f"renew it; {pem.key} names it")


# --- the public URL --------------------------------------------------------------------------------------------------


async def look_at_public_url(visit: Visit) -> tuple[Finding, ...]:
    """Ask who answers there, and whether a logout of Keycloak's would arrive."""
    if visit.settings.server.public_url.is_wildcard:
        sentence = "it has a wildcard, and no name that stands for it, so there is no address to ask"
        return (warn("public URL", sentence, "name each app in hosts beside the wildcard"),)
    http = HttpClient(clock=visit.clock, observer=visit.observer, timeout_s=PATIENCE_S, ca_file=None)
    try:
        status, term = await asyncio.gather(_status(http, visit), _certificate(visit))
        if status.remedy or not visit.settings.backchannel.enabled:
            return (status, *term)
        return (status, *term, await _backchannel(http, visit))
    finally:
        await http.close()


async def _status(http: HttpClient, visit: Visit) -> Finding:
    url = f"{visit.own_pages}/status"
    try:
        answer = await http.visit("doctor", url)
    except ProviderUnavailable as fault:
        remedy = "start it (sidegate run), or look from a machine that reaches it; its DNS, its certificate"
        return warn("public URL", str(fault).partition("; ")[0], remedy)
    members = _members(answer)
    if answer.status == 200 and "authenticated" in members:
        return ok("public URL", f"a Sidegate answers at {url}")
    if answer.status in _NOT_RUNNING:
        remedy = "start it (sidegate run), and let what stands in front lead there"
        return warn("public URL", f"{url} answers {answer.status}, so no Sidegate is behind it", remedy)
    if answer.status == 421:
        remedy = "let the proxy in front keep the Host of browsers, or name it in server.hosts"
        return fail("public URL", f"a Sidegate answers at {url}, but not for this Host (421)", remedy)
    sentence = f"{url} answers {answer.status}, and not as a Sidegate does"
    return fail("public URL", sentence, "lead server.public_url to Sidegate, or mend it; the app must not answer there")


async def _backchannel(http: HttpClient, visit: Visit) -> Finding:
    """Send a logout without a token: 400 is the word of ours that says that a real one would have been read."""
    url = f"{visit.own_pages}/backchannel-logout"
    try:
        answer = await http.post_form("doctor", url, form={"logout_token": ""}, headers={})
    except ProviderUnavailable as fault:
        return of_fault("back-channel", fault, remedy=f"let POST {url} pass whatever stands in front")
    if answer.status == 400 and _members(answer).get("error") == "invalid_request":
        return ok("back-channel", f"{url} takes logouts, as seen from here")
    remedy = "let it pass whatever stands in front, without a login of its own"
    return fail("back-channel", f"POST {url} answers {answer.status}, and not as a Sidegate does", remedy)


def _members(answer: ProviderAnswer) -> Mapping[str, object]:
    try:
        return parse_json_object(answer.body)
    except NotAnObject:
        return {}


async def _certificate(visit: Visit) -> tuple[Finding, ...]:
    address = tls_address(str(visit.settings.server.public_url))
    if address is None:
        return ()
    try:
        async with opened(address, visit.public_tls(), seconds=PATIENCE_S) as stream:
            term = term_of(stream)
    except Unreachable:
        return ()  # the line on the public URL has said it
    if term is None:
        return ()
    remedy = f"renew the certificate of {address.host}"
    return (term_finding("certificate", term, visit.clock.now(), whose=address.host, remedy=remedy),)
