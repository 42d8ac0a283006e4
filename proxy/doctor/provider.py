"""The provider: discovery by both addresses, the exact issuer in each, keys that fit, and clocks that agree."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.core.token_claims import CLOCK_SKEW_S
from proxy.doctor.finding import Finding, Verdict, fail, of_fault, ok, warn
from proxy.doctor.wire import Unreachable, opened, term_finding, term_of, tls_address
from proxy.errors import ProviderUnavailable
from proxy.oidc.grants import NOTABLE_DIFFERENCE_S
from proxy.oidc.http_client import shown
from proxy.oidc.jws import KEY_OF_ALGORITHM, key_from_jwk, makes_a_key
from proxy.oidc.metadata import metadata_by_hand, parse_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.doctor.visit import Visit
    from proxy.oidc.http_client import ProviderAnswer
    from proxy.oidc.metadata import Addresses
    from proxy.ports import ProviderMetadata

SLOW_S: Final = 2.0
"""Seconds for one document from which on people wait at every login."""


class KnownProvider(Struct, frozen=True):
    """What was seen of the provider.

    Attributes:
        metadata: as this process uses them; None when they could not be had.
        says_time: whether its answers have a ``Date``; Keycloak's own have none, those of a proxy before it have.
    """

    findings: tuple[Finding, ...]
    metadata: ProviderMetadata | None
    says_time: bool


class _Way(Struct, frozen=True):
    """One address of the provider, and the words for it."""

    url: str
    key: str
    addresses: Addresses
    is_public: bool

    def check(self, what: str) -> str:
        return what if self.is_public else f"internal {what}"


class _Read(Struct, frozen=True):
    """What came by one way; ``document`` is None when none did."""

    way: _Way
    findings: tuple[Finding, ...]
    answer: ProviderAnswer | None = None
    document: Mapping[str, object] | None = None


async def look_at_provider(visit: Visit) -> KnownProvider:
    """Ask for everything that the provider publishes."""
    ways = _ways(visit)
    reads = await asyncio.gather(*(_read(visit, way) for way in ways))
    used = reads[-1]
    metadata, trouble = _metadata(visit, used)
    findings = [finding for read in reads for finding in _told(read, used)]
    rest = await asyncio.gather(_keys(visit, metadata), *(_certificate(visit, way) for way in ways))
    says_time = used.answer is not None and used.answer.sent_at is not None
    if used.answer is not None and says_time:
        findings.append(clock_finding(used.answer.clock_difference_s))
    findings += [*trouble, *(finding for some in rest for finding in some)]
    return KnownProvider(tuple(findings), metadata, says_time)


def _told(read: _Read, used: _Read) -> Iterator[Finding]:
    # Browsers may have another network: who has the internal address needs the public one for them alone, and who has
    # every endpoint by hand needs neither.
    is_spare = read is not used and used.document is not None
    if is_spare or metadata_by_hand(read.way.addresses) is not None:
        yield from map(_softened, read.findings)
    else:
        yield from read.findings
    yield from _issuer(read)


def _ways(visit: Visit) -> list[_Way]:
    """Return the public way and, where the file has one, the internal way, which is what this process uses."""
    ways = [_Way(visit.outside.issuer, "keycloak.issuer", visit.outside, is_public=True)]
    inner = visit.inside.internal_url
    if inner is not None:
        ways.append(_Way(inner, "keycloak.internal_url", visit.inside, is_public=False))
    return ways


# --- discovery and issuer --------------------------------------------------------------------------------------------


async def _read(visit: Visit, way: _Way) -> _Read:
    check, url = way.check("discovery"), way.addresses.discovery_url
    began_at = visit.clock.monotonic()
    try:
        answer = await visit.http.get("discovery", url, headers={"Accept": "application/json"})
        if answer.status != 200:
            return _Read(way, (_no_document(check, way, answer.status),))
        document = answer.json_object()
    except ProviderUnavailable as fault:
        return _Read(way, (_no_answer(check, way, fault),))
    took_s = visit.clock.monotonic() - began_at
    if took_s > SLOW_S:
        slow = warn(check, f"{url} took {took_s:.1f} s", "look why Keycloak is slow; every login waits for it")
        return _Read(way, (slow,), answer, document)
    return _Read(way, (ok(check, f"{way.url} answers ({took_s * 1000:.0f} ms)"),), answer, document)


def _no_document(check: str, way: _Way, status: int) -> Finding:
    sentence = f"{way.addresses.discovery_url} answers {status}"
    if status == 404:
        return fail(check, sentence, f"check {way.key}: the realm's name, and a path such as /auth before /realms")
    if status == 503:
        return fail(check, sentence, "wait until Keycloak has started, or see its log")
    return fail(check, sentence, f"check {way.key}, and what stands before Keycloak")


def _no_answer(check: str, way: _Way, fault: ProviderUnavailable) -> Finding:
    if "certificate" in str(fault):
        return of_fault(check, fault, remedy="name its authority in keycloak.ca_file")
    return of_fault(check, fault, remedy=f"check {way.key}, that Keycloak runs, and the network between")


def _issuer(read: _Read) -> Iterator[Finding]:
    """Compare to the letter (OIDC Discovery 1.0 §4.3)."""
    if read.document is None:
        return
    check, wanted, said = read.way.check("issuer"), read.way.addresses.issuer, read.document.get("issuer")
    if said == wanted:
        yield ok(check, f"to the letter {wanted}")
    else:
        words = f"Keycloak calls itself {shown(said)}" if isinstance(said, str) else "the document names no issuer"
        yield fail(check, f"{words}, and keycloak.issuer is {wanted}", _issuer_remedy(read.way, said))


def _issuer_remedy(way: _Way, said: object) -> str:
    if not way.is_public:
        return (
            "start Keycloak with --hostname and its public URL (and --hostname-backchannel-dynamic=true), so that its "
            "issuer does not follow the address by which it is asked; or set Realm settings → General → Frontend URL"
        )
    if isinstance(said, str) and said.rstrip("/") == way.addresses.issuer.rstrip("/"):
        return f"write the final slash of keycloak.issuer as Keycloak does: {shown(said)}"
    return (
        f"write keycloak.issuer: {shown(said)}, if that is its public URL; else start Keycloak with --hostname, or "
        "set Realm settings → General → Frontend URL"
    )


def _softened(finding: Finding) -> Finding:
    """Return a failure as a warning: this process does without."""
    if finding.verdict is not Verdict.FAIL:
        return finding
    return warn(finding.check, finding.sentence, f"if browsers get there, all is well; else {finding.remedy}")


def _metadata(visit: Visit, used: _Read) -> tuple[ProviderMetadata | None, tuple[Finding, ...]]:
    by_hand = metadata_by_hand(used.way.addresses)
    if used.document is None:
        return by_hand, ()
    # Who is told that the issuer is another one need not be told that its endpoints are, too.
    document = {**used.document, "issuer": visit.provider.issuer}
    try:
        return parse_metadata(document, used.way.addresses), ()
    except ProviderUnavailable as fault:
        return by_hand, (of_fault("endpoints", fault, remedy="give it by hand under keycloak.endpoints"),)


# --- clock and keys --------------------------------------------------------------------------------------------------


CLOCK: Final = "clock"
SET_CLOCKS: Final = "set both clocks by NTP (timedatectl, chronyc tracking)"


def clock_finding(difference_s: float) -> Finding:
    """Judge by how many seconds Keycloak's clock is ahead of ours."""
    side = "ahead of" if difference_s > 0 else "behind"
    sentence = f"Keycloak's clock is {abs(difference_s):.0f} s {side} ours"
    if abs(difference_s) > CLOCK_SKEW_S:
        return fail(CLOCK, f"{sentence}; tokens are refused from {CLOCK_SKEW_S:.0f} s on", SET_CLOCKS)
    if abs(difference_s) >= NOTABLE_DIFFERENCE_S:
        return warn(CLOCK, sentence, SET_CLOCKS)
    return ok(CLOCK, "Keycloak's and ours agree")


async def _keys(visit: Visit, metadata: ProviderMetadata | None) -> tuple[Finding, ...]:
    if metadata is None:
        return ()
    try:
        answer = await visit.http.get("jwks", metadata.jwks_uri, headers={"Accept": "application/json"})
        if answer.status != 200:
            remedy = "check keycloak.internal_url and keycloak.endpoints.jwks"
            return (fail("keys", f"{metadata.jwks_uri} answers {answer.status}", remedy),)
        return (_key_finding(answer.json_object(), visit.provider.signing_algorithms),)
    except ProviderUnavailable as fault:
        return (of_fault("keys", fault, remedy="check keycloak.internal_url and keycloak.endpoints.jwks"),)


def _key_finding(document: Mapping[str, object], allowed: frozenset[str]) -> Finding:
    listed = document.get("keys")
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    usable = [key for one in entries if (key := key_from_jwk(one, allowed=allowed)) and makes_a_key(key)]
    algorithms = ", ".join(sorted(allowed))
    if usable:
        left = len(entries) - len(usable)
        aside = f" ({left} for other uses left aside)" if left else ""
        count = f"{len(usable)} key{'' if len(usable) == 1 else 's'}"
        return ok("keys", f"{count} for {', '.join(sorted(set().union(*(key.algorithms for key in usable))))}{aside}")
    others = sorted({name for one in entries for name in _algorithms_of(one)})
    if others:
        return fail(
            "keys",
            f"no key is for {algorithms}; Keycloak's are for {', '.join(others)}",
            f"write keycloak.signing_algorithms: [{', '.join(others)}], or add a key under Realm settings → Keys",
        )
    return fail("keys", f"no key is for {algorithms}", "add a key under Realm settings → Keys → Add provider")


def _algorithms_of(jwk: Mapping[str, object]) -> list[str]:
    """Return what a key could verify if it were allowed; the one that it names, else the first of its kind."""
    key = key_from_jwk(jwk, allowed=KEY_OF_ALGORITHM)
    if key is None or not makes_a_key(key):
        return []
    return [name for name in KEY_OF_ALGORITHM if name in key.algorithms][:1]


async def _certificate(visit: Visit, way: _Way) -> tuple[Finding, ...]:
    address = tls_address(way.url)
    if address is None:
        return ()
    try:
        async with opened(address, visit.provider_tls(), seconds=visit.provider.timeout_s) as stream:
            term = term_of(stream)
    except Unreachable:
        return ()  # discovery has said it
    if term is None:
        return ()
    remedy = f"renew the certificate of {address.host}"
    return (term_finding(way.check("certificate"), term, visit.clock.now(), whose=address.host, remedy=remedy),)
