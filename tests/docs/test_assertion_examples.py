"""The apps of ``docs/examples/assertion``: they believe what we sign, and nothing else."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from proxy.assertion.key_ring import KeyRing, signing_key
from proxy.assertion.signer import AssertionRules, AssertionSigner
from proxy.clock import SystemClock
from proxy.core.headers import HeaderRules
from proxy.core.narrowing import EVERYTHING
from proxy.core.secret import Secret
from tests.support.observers import RecordingObserver
from tests.support.sessions import make_session

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "assertion"
OURS, FOREIGN = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
KEY_ID = signing_key(OURS).key_id

PYTHON = """
import json, sys, verify
for line in sys.stdin.read().split("\\n"):
    try:
        print(json.dumps(verify.who_asks(line)))
    except verify.jwt.PyJWTError as error:
        print(json.dumps(type(error).__name__))
"""
PHP = """
require 'verify.php';
foreach (explode("\\n", stream_get_contents(STDIN)) as $line) {
    try {
        echo json_encode(who_asks($line, getenv('SIDEGATE_URL'), getenv('SIDEGATE_AUDIENCE'))), "\\n";
    } catch (Exception $error) {
        echo json_encode($error->getMessage()), "\\n";
    }
}
"""


class Sidegate(NamedTuple):
    """What of a Sidegate such an app meets: its keys, and what it signs."""

    url: str
    signer: AssertionSigner

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        said = {"iss": self.url, "aud": "app", "sub": "alice-id", "iat": now, "nbf": now, "exp": now + 60}
        return {name: value for name, value in {**said, **changes}.items() if value is not None}

    def forged(self, header: dict[str, Any] | None = None, key: Any = OURS, **changes: Any) -> str:
        """Sign what we never would, by the key that is published."""
        return jwt.encode(self.claims(**changes), key, "ES256", headers={"kid": KEY_ID, **(header or {})})


@pytest.fixture(scope="module")
def sidegate() -> Iterator[Sidegate]:
    """A server with our keys, and nothing else of us."""
    ring = KeyRing(lambda: (OURS,), clock=SystemClock, observer=RecordingObserver())
    document = json.dumps(ring.key_set()).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/_sidegate/jwks" else 404)
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    rules = AssertionRules(issuer=url, audience="app", lifetime_s=60, headers=HeaderRules(client_id="legacy-app"))
    yield Sidegate(url, AssertionSigner(rules, ring, random_bytes=secrets.token_bytes, observer=RecordingObserver()))
    server.shutdown()
    server.server_close()


def app(language: str) -> list[str]:
    if language == "python":
        return [sys.executable, "-c", PYTHON]
    if shutil.which("php") is None:
        if os.environ.get("CI"):
            pytest.fail("php is not here; CI skips nothing")
        pytest.skip("php is not installed")
    return ["php", "-r", PHP]


def believed(language: str, sidegate: Sidegate, assertions: list[str]) -> list[Any]:
    """Show an app one assertion after the other; returns the claims that it believed, or its complaint."""
    environment = {**os.environ, "SIDEGATE_URL": sidegate.url, "SIDEGATE_AUDIENCE": "app", "PYTHONPATH": str(FOLDER)}
    ran = subprocess.run(
        app(language),
        input="\n".join(assertions),
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines() if line]


@pytest.mark.parametrize("language", ["python", "php"])
def test_what_we_sign_is_believed_and_nothing_else(language: str, sidegate: Sidegate) -> None:
    now = time.time()
    session = replace(make_session(Secret("cookie")), expires_at=now + 3600)
    # Several, for the numbers of a signature have other lengths each time: high bit set, leading zeros.
    real = [
        sidegate.signer.signed(replace(session, acr=str(turn)), EVERYTHING, host="", now=now).decode()
        for turn in range(40)
    ]
    head, body, signature = real[0].split(".")
    richer = urlsafe_b64encode(json.dumps(sidegate.claims(roles=["admin"])).encode()).decode().rstrip("=")
    unsigned = urlsafe_b64encode(json.dumps({"alg": "none", "kid": KEY_ID}).encode()).decode().rstrip("=")
    false = [
        "",
        "not.an.assertion",
        f"{head}.{richer}.{signature}",
        f"{unsigned}.{richer}.",
        f"{unsigned}.{richer}.{signature}",
        f"{head}.{body}.{'A' * 86}",
        jwt.encode(sidegate.claims(), "s" * 32, "HS256", headers={"kid": KEY_ID}),
        sidegate.forged(key=FOREIGN),
        sidegate.forged({"kid": "another"}),
        sidegate.forged(iss="https://else.example"),
        sidegate.forged(iss=None),
        sidegate.forged(aud="another-app"),
        sidegate.forged(aud=None),
        sidegate.forged(exp=int(now) - 60),
        sidegate.forged(exp=None),
        sidegate.forged(nbf=int(now) + 3600),
    ]

    answers = believed(language, sidegate, [*real, *false])

    assert [answer["acr"] for answer in answers[:40]] == [str(turn) for turn in range(40)]
    assert {answer["sub"] for answer in answers[:40]} == {"alice-id"}
    assert [type(answer) for answer in answers[40:]] == [str] * len(false), answers[40:]


@pytest.mark.parametrize("name", ["verify.py", "verify.php"])
def test_an_example_is_short_enough_to_be_read(name: str) -> None:
    code = [line for line in (FOLDER / name).read_text().splitlines() if line.strip(" {}") and "//" not in line[:6]]

    assert len(code) <= 20
