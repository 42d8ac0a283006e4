"""One connection by TCP, TLS or a unix socket, and until when its certificate holds; knows no settings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cryptography import x509
from msgspec import Struct

from proxy.core.lifetime import in_words
from proxy.doctor.finding import fail, ok, warn
from proxy.forward.options import TcpAddress, UnixAddress
from proxy.oidc.http_client import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from proxy.doctor.finding import Finding

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

DAY_S: Final = 86_400.0

SOON_S: Final = 14 * DAY_S
"""Seconds before its end from which a certificate is worth a word; one of three months is renewed at 30 days."""

SOON_SHARE: Final = 0.25
"""The same as a share of its whole life, for those that live for days only."""


class Term(Struct, frozen=True):
    """From when until when a certificate holds; Unix seconds."""

    begins_at: float
    ends_at: float

    @property
    def notice_s(self) -> float:
        """Return how long before its end it should have been renewed."""
        return min(SOON_S, (self.ends_at - self.begins_at) * SOON_SHARE)


class Unreachable(Exception):
    """There is no connection; the message says why in a few words, without the address."""


@asynccontextmanager
async def opened(
    address: TcpAddress | UnixAddress, tls: ssl.SSLContext | None = None, *, seconds: float
) -> AsyncIterator[Stream]:
    """Give a connection.

    Args:
        tls: None: in clear. The name that is verified is the host of the address.
        seconds: for DNS, TCP and TLS together.

    Raises:
        Unreachable
    """
    try:
        async with asyncio.timeout(seconds):
            stream = await _open(address, tls)
    except OSError as fault:
        raise Unreachable(why(fault, seconds=seconds)) from fault
    try:
        yield stream
    finally:
        stream[1].close()
        with contextlib.suppress(OSError):  # whoever hung up first need not be told politely
            await stream[1].wait_closed()


async def _open(address: TcpAddress | UnixAddress, tls: ssl.SSLContext | None) -> Stream:
    if isinstance(address, UnixAddress):
        name = None if tls is None else "localhost"
        return await asyncio.open_unix_connection(address.path, ssl=tls, server_hostname=name)
    return await asyncio.open_connection(address.host, address.port, ssl=tls)


def why(fault: OSError, *, seconds: float) -> str:
    """Return why there is no connection in a few words; ``TimeoutError`` is an OSError, and so is all of ``ssl``."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({shown(fault.verify_message)})"
    if isinstance(fault, ssl.SSLError):
        return f"TLS failed ({shown(fault.reason or 'no handshake')})"
    if isinstance(fault, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(fault, socket.gaierror):
        return shown(fault.strerror).lower()
    return os.strerror(fault.errno).lower() if fault.errno else shown(fault) or "it closed the connection"


def term_of(stream: Stream) -> Term | None:
    """Return until when the certificate of a connection holds; None in clear."""
    tls: ssl.SSLObject | None = stream[1].get_extra_info("ssl_object")
    certificate = None if tls is None else tls.getpeercert()
    if not certificate:
        return None
    begin, end = str(certificate["notBefore"]), str(certificate["notAfter"])
    return Term(ssl.cert_time_to_seconds(begin), ssl.cert_time_to_seconds(end))


def terms_in(file: Path) -> tuple[Term, ...]:
    """Return until when the certificates of a PEM file hold.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no certificate.
    """
    found = x509.load_pem_x509_certificates(file.read_bytes())
    return tuple(Term(one.not_valid_before_utc.timestamp(), one.not_valid_after_utc.timestamp()) for one in found)


def term_finding(check: str, term: Term, now: float, *, whose: str, remedy: str) -> Finding:
    """Say how long a certificate holds.

    Args:
        whose: what has it, for the sentence.
    """
    left_s = term.ends_at - now
    if now < term.begins_at:
        return fail(check, f"the certificate of {whose} holds only in {_days(-(now - term.begins_at))}", remedy)
    if left_s <= 0:
        return fail(check, f"the certificate of {whose} ended {_days(-left_s)} ago", remedy)
    if left_s < term.notice_s:
        return warn(check, f"the certificate of {whose} ends in {_days(left_s)}", remedy)
    return ok(check, f"the certificate of {whose} holds for {_days(left_s)}")


def _days(seconds: float) -> str:
    return f"{seconds / DAY_S:.0f} days" if seconds >= 2 * DAY_S else in_words(max(seconds // 3600, 1) * 3600)


def is_proxied(url: str) -> bool:
    """Say whether the environment has a proxy for this URL: then neither name nor certificate can be seen from here."""
    parts = urlsplit(url)
    return bool(getproxies().get(parts.scheme)) and not proxy_bypass(parts.hostname or "")


def tls_address(url: str) -> TcpAddress | None:
    """Return where the TLS of a URL ends; None when it is not https, or a proxy stands between."""
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None or is_proxied(url):
        return None
    return TcpAddress(parts.hostname, parts.port or 443)
