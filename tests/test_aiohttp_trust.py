"""Whom aiohttp trusts by itself: nobody. Laws of ``aiohttp_trust``, each in a process that has not imported aiohttp."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.throw_away_ca import ThrowAwayAuthority

if TYPE_CHECKING:
    from pathlib import Path

IMPORT = """\
import os, ssl, sys
from proxy.aiohttp_trust import import_aiohttp
import_aiohttp()
"""

STORES = """
from aiohttp import connector
made = [it for it in vars(connector).values() if isinstance(it, ssl.SSLContext)]
print([context.cert_store_stats()["x509"] for context in made])
"""

BEFORE = """\
import os
before = dict(os.environ)
"""
AFTER = """
print(os.environ == before, len(ssl.create_default_context().get_ca_certs()))
"""

CALLS = """
import asyncio, aiohttp
from aiohttp import web
from proxy.clock import SystemClock
from proxy.errors import ProviderUnavailable
from proxy.oidc.http_client import HttpClient
from tests.support.observers import RecordingObserver

async def answer(request):
    return web.Response()

async def main(cert_file, key_file):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert_file, key_file)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
    ours = HttpClient(clock=SystemClock(), observer=RecordingObserver(), timeout_s=5.0, ca_file=None)
    print((await ours.get("discovery", url)).status)
    await ours.close()
    async with aiohttp.ClientSession() as bare:
        try:
            await bare.get(url)
        except aiohttp.ClientConnectorCertificateError as fault:
            print(fault.certificate_error.verify_message)
    await runner.cleanup()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def authority(tmp_path: Path) -> ThrowAwayAuthority:
    return ThrowAwayAuthority(tmp_path)


def said(code: str, *arguments: str, authority: ThrowAwayAuthority) -> list[str]:
    """Run it where the system believes this authority and no other."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**os.environ, "SSL_CERT_FILE": str(authority.ca_file), "SSL_CERT_DIR": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_aiohttp_makes_at_its_import_holds_no_authority(authority: ThrowAwayAuthority) -> None:
    assert said("import ssl" + STORES, authority=authority) == ["[1, 1]"], "this is what it does by itself"

    assert said(IMPORT + STORES, authority=authority) == ["[0, 0]"]


def test_a_call_without_a_context_is_refused_and_ours_trusts_the_system(authority: ThrowAwayAuthority) -> None:
    issued = authority.issue("localhost")

    answers = said(IMPORT + CALLS, str(issued.cert_file), str(issued.key_file), authority=authority)

    assert answers == ["200", "unable to get local issuer certificate"]


def test_the_system_and_its_environment_are_afterwards_as_before(authority: ThrowAwayAuthority) -> None:
    assert said(BEFORE + IMPORT + AFTER, authority=authority) == ["True 1"]


def test_a_variable_that_was_not_set_is_not_set_afterwards(authority: ThrowAwayAuthority) -> None:
    unset = 'import os\nfor name in ("SSL_CERT_FILE", "SSL_CERT_DIR"): del os.environ[name]\n'

    says = said(unset + IMPORT + 'print({"SSL_CERT_FILE", "SSL_CERT_DIR"} & set(os.environ))', authority=authority)

    assert says == ["set()"]


def test_an_import_that_fails_leaves_the_environment_too(authority: ThrowAwayAuthority) -> None:
    failing = BEFORE + 'import sys\nsys.modules["aiohttp"] = None\ntry:\n    '
    failing += IMPORT.replace("\n", "\n    ") + "\nexcept ImportError:\n    print(os.environ == before)\n"

    assert said(failing, authority=authority) == ["True"]
