"""What of a Kubernetes cluster vouches for its pods: it publishes keys, and signs tokens of service accounts."""

from __future__ import annotations

import json
import threading
import time
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.oidc.signing import jwk, sign

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "RSA-2048"
TOKEN_LIFE_S = 600


class ThrowAwayCluster:
    """An issuer on loopback."""

    def __init__(self, url: str) -> None:
        """Issue for ``url``."""
        self.url = url

    def token(self, service_account: str, audience: str) -> str:
        """A projected token of ``NAMESPACE:NAME``, as a kubelet has it made."""
        now = int(time.time())
        return sign(
            {
                "iss": self.url,
                "sub": f"system:serviceaccount:{service_account}",
                "aud": [audience],
                "jti": str(uuid.uuid4()),
                "iat": now,
                "nbf": now,
                "exp": now + TOKEN_LIFE_S,
            },
            key=KEY,
        )

    def documents(self) -> dict[str, Any]:
        """What it publishes, by path."""
        metadata = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        keys = {"keys": [jwk(KEY, use="sig", alg="RS256")]}
        return {"/.well-known/openid-configuration": metadata, "/openid/v1/jwks": keys}


@contextmanager
def throw_away_cluster() -> Iterator[ThrowAwayCluster]:
    """One that answers until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    cluster = ThrowAwayCluster(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = type("Answers", (_Answers,), {"documents": cluster.documents()})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    documents: dict[str, Any]

    def do_GET(self) -> None:
        found = self.documents.get(self.path)
        body = json.dumps(found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""
