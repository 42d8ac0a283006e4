"""The apps: whether they can be reached, by TLS where the file says so, and answer HTTP.

Each is asked ``HEAD /`` once, as nobody, with the Host that it would get; what it answers is its own business, but for
5xx.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from proxy import slices
from proxy.doctor.finding import fail, of_fault, ok, warn
from proxy.doctor.wire import Unreachable, opened, term_finding, term_of
from proxy.errors import SettingsError

if TYPE_CHECKING:
    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit
    from proxy.doctor.wire import Stream
    from proxy.settings.model import UpstreamSettings

ANSWER_S: Final = 10.0
"""Seconds for the head of the answer; an app that has just started may take as long."""

MAX_LINE: Final = 8 * 1024
"""Bytes of a status line (Apache's default for any line)."""

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")


async def look_at_upstreams(visit: Visit) -> tuple[Finding, ...]:
    """Look at each, all at once."""
    found = await asyncio.gather(*(_look(visit, name, one) for name, one in visit.settings.upstreams.items()))
    return tuple(finding for some in found for finding in some)


async def _look(visit: Visit, name: str, upstream: UpstreamSettings) -> tuple[Finding, ...]:
    key = f"upstreams.{name}"
    try:
        files = slices.tls_of_upstream(name, upstream)
    except SettingsError as fault:
        return (of_fault(name, fault, remedy=f"mend {key}.tls"),)
    address = slices.listen_address(upstream.url.address)
    began_at = visit.clock.monotonic()
    try:
        async with opened(
            address, None if files is None else files.current(), seconds=upstream.connect_timeout
        ) as stream:
            term = term_of(stream)
            answered = await _answered(stream, _host(visit, upstream), name, key)
    except Unreachable as fault:
        return (fail(name, f"{upstream.url}: {fault}", _remedy(key, str(fault))),)
    took_ms = (visit.clock.monotonic() - began_at) * 1000
    finding = answered or ok(name, f"{upstream.url} answers ({took_ms:.0f} ms)")
    if term is None:
        return (finding,)
    renew = f"renew the certificate of {upstream.url}"
    return (finding, term_finding(name, term, visit.clock.now(), whose=str(upstream.url), remedy=renew))


def _remedy(key: str, fault: str) -> str:
    if "certificate" in fault:
        return f"name its authority in {key}.tls.ca_file, and in url the name that stands in the certificate"
    if "TLS" in fault:
        return f"check that the app speaks TLS there (else write http:// in {key}.url), and {key}.tls.cert_file"
    return f"check that the app runs, and {key}.url"


def _host(visit: Visit, upstream: UpstreamSettings) -> bytes:
    preserved = visit.settings.server.public_url.authority.encode()
    return preserved if upstream.preserve_host else slices.host_of_upstream(upstream)


async def _answered(stream: Stream, host: bytes, name: str, key: str) -> Finding | None:
    """Ask; returns None when the answer is one of a working app."""
    reader, writer = stream
    try:
        async with asyncio.timeout(ANSWER_S):
            writer.write(b"HEAD / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\nUser-Agent: sidegate\r\n\r\n")
            await writer.drain()
            line = await reader.readuntil(b"\n")
    except TimeoutError:
        return fail(name, f"it takes the connection and does not answer within {ANSWER_S:g} s", "look at the app's log")
    except (OSError, EOFError, asyncio.LimitOverrunError):
        return fail(name, "it hangs up without an answer", f"check that {key}.url is right: http or https")
    status = _STATUS.fullmatch(line)
    if status is None or len(line) > MAX_LINE:
        return fail(name, "what it answers is no HTTP/1.1", f"check that {key}.url is right: http or https")
    if status[1].startswith(b"5"):
        return warn(name, f"it answers HEAD / with {status[1].decode()}", "look at the app's log")
    return None
