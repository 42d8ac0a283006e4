"""One connection, why there is none, and until when a certificate holds."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from proxy.doctor.wire import (
    DAY_S,
    Term,
    Unreachable,
    is_proxied,
    opened,
    term_finding,
    term_of,
    terms_in,
    tls_address,
    why,
)
from proxy.forward.options import TcpAddress, UnixAddress
from tests.doctor.conftest import serving
from tests.forward.certificates import Certificates
from tests.support.ports import free_port

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

NOW = 1_000_000_000.0


def term(left_s: float, life_s: float = 90 * DAY_S) -> Term:
    return Term(NOW + left_s - life_s, NOW + left_s)


@pytest.mark.parametrize(
    ("held", "verdict", "words"),
    [
        (term(60 * DAY_S), "ok", "holds for 60 days"),
        (term(15 * DAY_S), "ok", "holds for 15 days"),
        (term(13 * DAY_S), "warn", "ends in 13 days"),
        (term(3600), "warn", "ends in 1h"),
        (term(-3 * DAY_S), "fail", "ended 3 days ago"),
        (Term(NOW + 3 * DAY_S, NOW + 9 * DAY_S), "fail", "holds only in 3 days"),
        # Those that live for days are not always nearly over.
        (term(4 * DAY_S, life_s=6 * DAY_S), "ok", "holds for 4 days"),
        (term(1.2 * DAY_S, life_s=6 * DAY_S), "warn", "ends in 28h"),
    ],
)
def test_a_certificate_is_told_in_time(held: Term, verdict: str, words: str) -> None:
    found = term_finding("certificate", held, NOW, whose="sso.test", remedy="renew it")

    assert (str(found.verdict), found.sentence) == (verdict, f"the certificate of sso.test {words}")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (TimeoutError(), "no answer within 5 s"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 5)"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (OSError("odd\x1b"), "odd "),
        (OSError(), "it closed the connection"),
    ],
)
def test_a_fault_is_a_few_words_without_the_address(fault: OSError, words: str) -> None:
    assert why(fault, seconds=5) == words


async def test_nobody_there_is_said(tmp_path: Path) -> None:
    for address in (TcpAddress("127.0.0.1", free_port()), UnixAddress(str(tmp_path / "gone"))):
        with pytest.raises(Unreachable, match=r"connection refused|no such file"):
            async with opened(address, seconds=5):
                pass


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_whoever_does_not_shake_hands_is_not_waited_for() -> None:
    async with serving(silent) as port:
        with pytest.raises(Unreachable, match="no answer within"):
            async with opened(TcpAddress("127.0.0.1", port), ssl.create_default_context(), seconds=0.05):
                pass


async def test_the_term_is_that_of_the_certificate_shown(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    (of_file,) = terms_in(certificates.files("localhost").certificate)

    async with (
        serving(silent, certificates.server_context("localhost")) as port,
        opened(TcpAddress("localhost", port), certificates.client_context(), seconds=5) as stream,
    ):
        shown = term_of(stream)

    assert shown is not None
    assert abs(shown.ends_at - of_file.ends_at) < 60


async def test_in_clear_there_is_no_term() -> None:
    async with serving(silent) as port, opened(TcpAddress("127.0.0.1", port), seconds=5) as stream:
        assert term_of(stream) is None


def test_every_certificate_of_a_file_is_read(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    both = tmp_path / "chain.pem"
    both.write_bytes(certificates.files("a.test").certificate.read_bytes() + certificates.authority_file.read_bytes())

    assert len(terms_in(both)) == 2


def test_a_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "not.pem"
    file.write_text("nothing")

    with pytest.raises(ValueError, match="PEM"):
        terms_in(file)


@pytest.mark.usefixtures("no_proxy")
def test_a_proxy_of_the_environment_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tls_address("https://sso.test/realms/acme") == TcpAddress("sso.test", 443)
    assert tls_address("https://sso.test:8443") == TcpAddress("sso.test", 8443)
    assert tls_address("http://sso.test") is None

    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "inner.test")

    assert is_proxied("https://sso.test")
    assert not is_proxied("https://inner.test")
    assert tls_address("https://sso.test") is None
