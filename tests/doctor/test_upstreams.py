"""The apps, as they are reached: by TCP, TLS and a socket, and whatever they may answer."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from proxy.doctor import upstreams
from proxy.doctor.upstreams import look_at_upstreams
from tests.doctor.conftest import serving, told
from tests.forward.certificates import Certificates
from tests.support.ports import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from proxy.doctor.finding import Finding
    from proxy.doctor.visit import Visit

    Begin = Callable[..., Awaitable[Visit]]

ISSUER = "http://sso.test/realms/acme"
FINE = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"


class App:
    """An app that answers whatever it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: bytes | None = FINE
        self.asked: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A real server answers a handshake that it takes for a request line at once, by 400.
        if (begin := await reader.readexactly(1)) == b"\x16":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        self.asked.append(begin + await reader.readuntil(b"\r\n\r\n"))
        if self.answer is None:
            await reader.read()
        else:
            writer.write(self.answer)


@pytest.fixture
def app() -> App:
    return App()


@asynccontextmanager
async def listening(app: App, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async with serving(app.talk, tls) as port:
        yield f"http://127.0.0.1:{port}" if tls is None else f"https://localhost:{port}"


async def look(visit_to: Begin, **app: Any) -> list[Finding]:
    return list(await look_at_upstreams(await visit_to(ISSUER, upstreams={"app": app})))


async def test_an_app_that_answers_is_ok_whatever_it_answers(app: App, visit_to: Begin) -> None:
    async with listening(app) as url:
        found = told(await look(visit_to, url=url))

    assert found["app"][0] == "ok"
    assert app.asked[0].startswith(b"HEAD / HTTP/1.1\r\nHost: app.test\r\n")


async def test_an_app_that_wants_its_own_name_gets_it(app: App, visit_to: Begin) -> None:
    async with listening(app) as url:
        await look(visit_to, url=url, preserve_host=False)

    assert f"Host: {url.removeprefix('http://')}\r\n".encode() in app.asked[0]


async def test_an_app_that_is_not_there_is_a_failure(visit_to: Begin) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    found = told(await look(visit_to, url=url))

    assert found["app"] == ("fail", f"{url}: connection refused", "check that the app runs, and upstreams.app.url")


@pytest.mark.parametrize(
    ("answer", "verdict", "sentence"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", "warn", "it answers HEAD / with 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "fail", "what it answers is no HTTP/1.1"),
        (b"", "fail", "it hangs up without an answer"),
        (b"x" * 70_000 + b"\n", "fail", "it hangs up without an answer"),
    ],
)
async def test_what_is_no_good_answer_is_told(
    app: App, visit_to: Begin, answer: bytes, verdict: str, sentence: str
) -> None:
    app.answer = answer
    async with listening(app) as url:
        found = told(await look(visit_to, url=url))

    assert found["app"][:2] == (verdict, sentence)


async def test_an_app_that_never_answers_is_not_waited_for(
    app: App, visit_to: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "ANSWER_S", 0.05)
    app.answer = None
    async with listening(app) as url:
        found = told(await look(visit_to, url=url))

    assert found["app"][:2] == ("fail", "it takes the connection and does not answer within 0.05 s")


async def test_an_app_by_tls_is_verified_and_its_certificate_has_a_line(
    app: App, visit_to: Begin, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path)
    async with listening(app, certificates.server_context("localhost")) as url:
        trusted = await look(visit_to, url=url, tls={"ca_file": str(certificates.authority_file)})
        strange = told(await look(visit_to, url=url))

    assert [str(one.verdict) for one in trusted] == ["ok", "ok"]
    assert trusted[1].sentence.startswith(f"the certificate of {url} holds for")
    assert strange["app"][0] == "fail"
    assert strange["app"][2].startswith("name its authority in upstreams.app.tls.ca_file")


async def test_tls_at_an_app_in_clear_says_so(app: App, visit_to: Begin) -> None:
    async with listening(app) as url:
        found = told(await look(visit_to, url=url.replace("http:", "https:")))

    verdict, _, remedy = found["app"]
    assert (verdict, "write http:// in upstreams.app.url" in remedy) == ("fail", True)


async def test_files_of_tls_that_cannot_be_used_are_a_failure(visit_to: Begin, tmp_path: Path) -> None:
    found = told(await look(visit_to, url="https://localhost:1", tls={"ca_file": str(tmp_path / "gone")}))

    assert found["app"][0] == "fail"
    assert str(tmp_path / "gone") in found["app"][1]


async def test_an_app_at_a_socket_is_reached_there(app: App, visit_to: Begin, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    over = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await app.talk(reader, writer)
        writer.close()
        await writer.wait_closed()
        over.set()

    server = await asyncio.start_unix_server(talk, path)
    found = told(await look(visit_to, url=f"unix:{path}"))
    server.close()
    await over.wait()

    assert found["app"][0] == "ok"


async def test_each_app_has_its_line(app: App, visit_to: Begin) -> None:
    async with listening(app) as url:
        visit = await visit_to(
            ISSUER, upstreams={"app": {"url": url}, "other": {"url": f"http://127.0.0.1:{free_port()}"}}
        )
        found = told(await look_at_upstreams(visit))

    assert {name: verdict for name, (verdict, _, _) in found.items()} == {"app": "ok", "other": "fail"}
