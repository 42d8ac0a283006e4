"""TLS towards the provider: what is shown, whom it believes, and that a renewed file counts at the next connection."""

from __future__ import annotations

import shutil
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.errors import ProviderUnavailable, SettingsError
from proxy.oidc.http_client import HttpClient
from proxy.oidc.provider_tls import ClientCertificate, ProviderTls
from tests.oidc.answering import AnsweringServer, answering_server
from tests.support.throw_away_ca import Issued, ThrowAwayAuthority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.clocks import FakeClock
    from tests.support.observers import RecordingObserver


@pytest.fixture
def authority(tmp_path: Path) -> ThrowAwayAuthority:
    return ThrowAwayAuthority(tmp_path)


@pytest_asyncio.fixture
async def strict(authority: ThrowAwayAuthority) -> AsyncIterator[AnsweringServer]:
    """A provider that takes nobody without a certificate of the authority."""
    async with answering_server(authority.server_context(authority.issue("localhost"))) as server:
        server.give("/x", {})
        yield server


def shown(issued: Issued) -> ClientCertificate:
    return ClientCertificate(issued.cert_file, issued.key_file)


async def test_the_certificate_is_shown_on_every_connection(
    authority: ThrowAwayAuthority, strict: AnsweringServer, clock: FakeClock, observer: RecordingObserver
) -> None:
    ours = shown(authority.issue("our client"))
    proving = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=authority.ca_file, certificate=ours)
    bare = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=authority.ca_file)

    assert [(await proving.get("discovery", f"{strict.url}/x")).status for _ in range(2)] == [200, 200]
    with pytest.raises(ProviderUnavailable):
        await bare.get("discovery", f"{strict.url}/x")

    await proving.close()
    await bare.close()


def test_a_renewed_certificate_is_shown_from_then_on_and_one_that_does_not_fit_is_not(
    authority: ThrowAwayAuthority, observer: RecordingObserver
) -> None:
    issued = authority.issue("our client")
    tls = ProviderTls(authority.ca_file, shown(issued), observer=observer)
    first = tls.current()

    assert tls.current() is first
    authority.issue("our client")
    second = tls.current()
    assert second is not first
    assert [message for message, _ in observer.warnings] == ["TLS files were read again"]

    shutil.copy(authority.issue("another").key_file, issued.key_file)
    assert [tls.current() for _ in range(2)] == [second, second]
    assert [message for message, _ in observer.errors] == ["changed TLS files are not taken; the old ones stay in use"]


def test_files_that_cannot_be_used_are_a_fault_of_the_settings(
    authority: ThrowAwayAuthority, tmp_path: Path, observer: RecordingObserver
) -> None:
    issued = authority.issue("our client")
    other = ClientCertificate(issued.cert_file, authority.issue("another").key_file)
    gone = ClientCertificate(tmp_path / "gone.pem", issued.key_file)

    for files in (other, gone):
        with pytest.raises(SettingsError, match=r"keycloak\.client_auth"):
            ProviderTls(None, files, observer=observer)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[ssl.SSLContext]:
    """Each context that is made from now on."""
    made: list[ssl.SSLContext] = []
    make = ssl.create_default_context

    def counted(*arguments: Any, **named: Any) -> ssl.SSLContext:
        made.append(make(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    return made


async def test_the_authorities_of_the_system_are_read_when_tls_is_spoken_first_and_once(
    clock: FakeClock, observer: RecordingObserver, free_port: int, reads: list[ssl.SSLContext]
) -> None:
    http = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)

    for scheme in ("http", "http", "https", "https"):
        reads_before = len(reads)
        with pytest.raises(ProviderUnavailable):
            await http.get("discovery", f"{scheme}://127.0.0.1:{free_port}/")
        if scheme == "http":
            assert len(reads) == reads_before, "nothing is read for plain HTTP"
    await http.close()

    assert len(reads) == 1


async def test_a_proxy_by_tls_is_verified_although_the_provider_speaks_none(
    authority: ThrowAwayAuthority, clock: FakeClock, observer: RecordingObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued = authority.issue("localhost")
    tls.load_cert_chain(issued.cert_file, issued.key_file)
    trusting = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=authority.ca_file)
    other = HttpClient(clock=clock, observer=observer, timeout_s=5.0, ca_file=None)

    async with answering_server(tls) as proxy:
        proxy.give("/x", {})
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await trusting.get("discovery", "http://keycloak.test/x")).status == 200
        with pytest.raises(ProviderUnavailable, match="certificate is not trusted"):
            await other.get("discovery", "http://keycloak.test/x")

    await trusting.close()
    await other.close()
