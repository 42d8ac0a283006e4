"""An OpenID provider that is not shaped like Keycloak, and lies when a test wants it to.

It stands where the OpenID Foundation's suite for relying parties stands: each *alias* has an issuer of its own, whose
path ends in a slash; endpoints lie at paths that say nothing; the login needs no page; access tokens are opaque; token
answers name no ``expires_in``; an ID token holds ``iss``, ``sub``, ``aud``, ``nonce``, ``iat``, ``exp`` and no more.

What is to be forged is a :class:`Plan`; an empty one is an honest provider. What was asked is in ``calls``.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from proxy.demo.key_ring import compact_jws

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Members: TypeAlias = dict[str, Any]
Edit: TypeAlias = Callable[[Members], Members]

CLIENT_ID = "rp client:1"
CLIENT_SECRET = "s3cret+%/ä"  # every character that the form encoding of RFC 6749 §2.3.1 must carry
SUBJECT = "user-subject-1234531"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


# Edits ----------------------------------------------------------------------------------------------------------------


def same(members: Members) -> Members:
    """Change nothing."""
    return members


def with_members(**changed: Any) -> Edit:
    """Set members of a JSON object: claims, header, metadata or an answer."""
    return lambda members: {**members, **changed}


def without(*names: str) -> Edit:
    """Leave members out."""
    return lambda members: {name: value for name, value in members.items() if name not in names}


def in_turn(*edits: Edit) -> Edit:
    """One edit after another."""
    return lambda members: functools.reduce(lambda changed, edit: edit(changed), edits, members)


# Keys -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair and the algorithm that it is for; without ``kid`` the published key has none either."""

    kid: str | None
    algorithm: str
    private: Any

    def jwk(self) -> Members:
        """The public part as it is published (RFC 7517 §4)."""
        reader = RSAAlgorithm if isinstance(self.private, rsa.RSAPrivateKey) else ECAlgorithm
        public: Members = reader.to_jwk(self.private.public_key(), as_dict=True)
        kid = {} if self.kid is None else {"kid": self.kid}
        return {**without("key_ops")(public), "use": "sig", "alg": self.algorithm, **kid}

    def nameless(self) -> SigningKey:
        """The same key without a ``kid``."""
        return dataclasses.replace(self, kid=None)


@functools.cache
def rsa_key(kid: str) -> SigningKey:
    """An RSA key; the same for the same name, because making one takes time."""
    return SigningKey(kid, "RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048))


@functools.cache
def ec_key(kid: str) -> SigningKey:
    """A key on P-256; the same for the same name."""
    return SigningKey(kid, "ES256", ec.generate_private_key(ec.SECP256R1()))


@dataclass(slots=True, kw_only=True)
class Plan:
    """What is forged; nothing at first.

    Attributes:
        metadata: of the discovery document.
        key_set: of the published keys.
        id_claims: of the ID token of a login.
        refreshed_claims: of the ID token of a refresh.
        header: of every ID token's header.
        signer: signs ID tokens in place of the current key: algorithm and key as PyJWT takes them.
        finish: changes a signed ID token.
        before_signing: called once tokens were asked for, before they are made.
        answer: of the token endpoint.
        userinfo: of its JSON.
        userinfo_signer: makes it a JWT: algorithm and key; None for JSON.
        redirect: of the parameters that the browser brings back from a login.
        after_logout: of those that it brings back from a logout.
        at_logout: called when a browser is at the end-session endpoint, before it is sent back.
        frames: pages that the end-session endpoint shows in frames, before it sends the browser back.
        broken: endpoints that answer something else: status, body and headers.
    """

    metadata: Edit = same
    key_set: Edit = same
    id_claims: Edit = same
    refreshed_claims: Edit = same
    header: Edit = same
    signer: tuple[str, Any] | None = None
    finish: Callable[[str], str] = str
    before_signing: Callable[[], object] = lambda: None
    answer: Edit = same
    userinfo: Edit = same
    userinfo_signer: tuple[str, Any] | None = None
    redirect: Edit = same
    after_logout: Edit = same
    at_logout: Callable[[], object] = lambda: None
    frames: tuple[str, ...] = ()
    broken: Mapping[str, Reply] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One request; header names in lower case, parameters of query and form together."""

    endpoint: str
    method: str
    headers: Mapping[str, str]
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The provider says no, as RFC 6749 §5.2 has it; the message is the error code."""


class ForgingIssuer:
    """One alias.

    Attributes:
        url: the issuer, exactly as tokens say it.
        plan: what is forged; replace it as a whole.
        keys: published; the first signs.
        sid: put into ID tokens and logout tokens; None leaves it out.
        calls: what was asked, oldest first.
    """

    def __init__(self, origin: str, path: str) -> None:
        """Stand at ``origin`` + ``path``; the path may end in a slash, or be empty."""
        self.url = origin + path
        self.base = path.rstrip("/")
        self.plan = Plan()
        self.keys = [rsa_key("first")]
        self.sid: str | None = None
        self.calls: list[Call] = []
        self.id_tokens: list[str] = []
        self._codes: dict[str, Members] = {}
        self._access_tokens: set[str] = set()
        self._refresh_tokens: set[str] = set()

    def called(self, endpoint: str) -> list[Call]:
        """The requests for one endpoint."""
        return [call for call in list(self.calls) if call.endpoint == endpoint]

    def rotate(self, kid: str) -> None:
        """Publish a new key alone, and sign with it."""
        self.keys = [rsa_key(kid)]

    @property
    def opaque_tokens(self) -> list[str]:
        """Every access and refresh token so far."""
        return [*self._access_tokens, *self._refresh_tokens]

    def forget_refresh_tokens(self) -> None:
        """Every refresh token so far is over."""
        self._refresh_tokens.clear()

    def logout_token(self, *, edit: Edit = same, header: Edit = same, signer: tuple[str, Any] | None = None) -> str:
        """A logout token for the one user, with a claim that nobody understands (OIDC Back-Channel Logout 1.0 §2.4)."""
        now = int(time.time())
        claims: Members = {"iss": self.url, "sub": SUBJECT, "aud": CLIENT_ID, "jti": secrets.token_urlsafe(16)}
        claims |= {"iat": now, "exp": now + 120, "events": {LOGOUT_EVENT: {}}, "ignored_claim": "is ignored"}
        if self.sid is not None:
            claims["sid"] = self.sid
        return self._signed(edit(claims), in_turn(with_members(typ="logout+jwt"), header), signer)

    # --- what the server asks ----------------------------------------------------------------------------------------

    def reply(self, call: Call) -> Reply:
        """Answer one request."""
        self.calls.append(call)
        if call.endpoint in self.plan.broken:
            return self.plan.broken[call.endpoint]
        answers = {
            ".well-known/openid-configuration": self._discovery,
            "k3ys": self._key_set,
            "go": self._authorize,
            "swap": self._token,
            "who": self._userinfo,
            "bye": self._end_session,
        }
        answer = answers.get(call.endpoint)
        return Reply(404, b"nothing here") if answer is None else answer(call)

    def _discovery(self, _call: Call) -> Reply:
        endpoint = f"{urlsplit(self.url).scheme}://{urlsplit(self.url).netloc}{self.base}/"
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{endpoint}go",
            "token_endpoint": f"{endpoint}swap",
            "jwks_uri": f"{endpoint}k3ys",
            "userinfo_endpoint": f"{endpoint}who",
            "end_session_endpoint": f"{endpoint}bye",
            "response_types_supported": ["code", "id_token code"],
            "subject_types_supported": ["public", "pairwise"],
            "id_token_signing_alg_values_supported": ["none", "RS256", "ES256", "HS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
        return _json(self.plan.metadata(document))

    def _key_set(self, _call: Call) -> Reply:
        return _json(self.plan.key_set({"keys": [key.jwk() for key in self.keys]}))

    def _authorize(self, call: Call) -> Reply:
        asked = call.parameters
        if asked.get("response_type") != "code" or asked.get("client_id") != CLIENT_ID:
            return Reply(400, b"not a request for a code of this client")
        if "openid" not in asked.get("scope", "").split() or asked.get("code_challenge_method") != "S256":
            return Reply(400, b"no openid, or no S256")
        code = secrets.token_urlsafe(24)
        self._codes[code] = dict(asked)
        brought = {"code": code, "state": asked["state"], "session_state": "opaque.to the RP"}
        return _redirect(asked["redirect_uri"], self.plan.redirect(brought))

    def _token(self, call: Call) -> Reply:
        try:
            _require_client(call)
            return _json(self._grant(call.parameters), {"Cache-Control": "no-store"})
        except Refused as refused:
            return _json({"error": str(refused)}, status=401 if str(refused) == "invalid_client" else 400)

    def _grant(self, form: Mapping[str, str]) -> Members:
        self.plan.before_signing()
        if form.get("grant_type") == "authorization_code":
            asked = self._redeemed(form)
            return self._tokens({"nonce": asked["nonce"]}, self.plan.id_claims)
        if form.get("grant_type") == "refresh_token":
            if form.get("refresh_token") not in self._refresh_tokens:
                raise Refused("invalid_grant")
            return self._tokens({}, self.plan.refreshed_claims)
        if form.get("grant_type") == "password":
            if form.get("password") != "right":
                raise Refused("invalid_grant")
            return self._tokens({}, self.plan.id_claims)
        raise Refused("unsupported_grant_type")

    def _redeemed(self, form: Mapping[str, str]) -> Members:
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if asked is None or asked["code_challenge"] != base64.urlsafe_b64encode(challenge).rstrip(b"=").decode():
            raise Refused("invalid_grant")
        if asked["redirect_uri"] != form.get("redirect_uri"):
            raise Refused("invalid_grant")
        return asked

    def _tokens(self, more: Members, edit: Edit) -> Members:
        access_token, refresh_token = secrets.token_urlsafe(37), secrets.token_urlsafe(37)
        self._access_tokens.add(access_token)
        self._refresh_tokens.add(refresh_token)
        now = int(time.time())
        claims = {"iss": self.url, "sub": SUBJECT, "aud": CLIENT_ID, "iat": now, "exp": now + 300, **more}
        if self.sid is not None:
            claims["sid"] = self.sid
        id_token = self.plan.finish(self._signed(edit(claims), self.plan.header, self.plan.signer))
        self.id_tokens.append(id_token)
        answer = {"access_token": access_token, "token_type": "bearer", "id_token": id_token}
        return self.plan.answer({**answer, "refresh_token": refresh_token})

    def _signed(self, claims: Members, edit: Edit, signer: tuple[str, Any] | None) -> str:
        key = self.keys[0]
        algorithm, private = signer or (key.algorithm, key.private)
        kid = {} if key.kid is None else {"kid": key.kid}
        return compact_jws(edit({"alg": algorithm, **kid}), claims, private)

    def _userinfo(self, call: Call) -> Reply:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in self._access_tokens:
            return Reply(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if self.plan.userinfo_signer is None:
            return _json(self.plan.userinfo({"sub": SUBJECT}))
        claims = self.plan.userinfo({"sub": SUBJECT, "iss": self.url, "aud": CLIENT_ID})
        token = self._signed(claims, same, self.plan.userinfo_signer)
        return Reply(200, token.encode(), {"Content-Type": "application/jwt; charset=utf-8"})

    def _end_session(self, call: Call) -> Reply:
        asked = call.parameters
        if asked.get("id_token_hint") not in self.id_tokens or "post_logout_redirect_uri" not in asked:
            return Reply(400, b"no ID token of ours, or nowhere to go")
        self.plan.at_logout()
        state = {"state": asked["state"]} if "state" in asked else {}
        back = _redirect(asked["post_logout_redirect_uri"], self.plan.after_logout(state))
        return _framing(self.plan.frames, back.headers["Location"]) if self.plan.frames else back


def _require_client(call: Call) -> None:
    """``client_secret_basic`` with both parts form-encoded (RFC 6749 §2.3.1), and nothing beside it."""
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme != "Basic" or "client_secret" in call.parameters:
        raise Refused("invalid_client")
    client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    if (unquote_plus(client_id), unquote_plus(secret)) != (CLIENT_ID, CLIENT_SECRET):
        raise Refused("invalid_client")


def _json(document: Members, headers: Mapping[str, str] | None = None, *, status: int = 200) -> Reply:
    fields = {"Content-Type": "application/json", **(headers or {})}
    return Reply(status, json.dumps(document).encode(), fields)


def _redirect(uri: str, parameters: Members) -> Reply:
    query = f"?{urlencode(parameters)}" if parameters else ""
    return Reply(302, headers={"Location": uri + query})


def _framing(urls: tuple[str, ...], onward: str) -> Reply:
    """Pages in hidden frames and a way on (OIDC Front-Channel Logout 1.0 §2)."""
    frames = "".join(f'<iframe src="{html.escape(url)}" hidden></iframe>' for url in urls)
    page = f'<!doctype html><title>Bye</title>{frames}<a id="continue" href="{html.escape(onward)}">Continue</a>'
    return Reply(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


# The server -----------------------------------------------------------------------------------------------------------


class ForgingServer:
    """Aliases on one port of loopback."""

    def __init__(self) -> None:
        """Hold no alias yet."""
        self.origin = ""
        self._aliases: dict[str, ForgingIssuer] = {}

    def alias(self, path: str = "") -> ForgingIssuer:
        """A new issuer; one that needs no path of its own gets one of the suite's shape."""
        issuer = ForgingIssuer(self.origin, path or f"/test/a/{secrets.token_hex(4)}/")
        self._aliases[issuer.base] = issuer
        return issuer

    def reply(self, call: Call) -> Reply:
        """Let the alias answer whose path is the longest that fits; ``endpoint`` is still the whole path."""
        fitting = [base for base in self._aliases if call.endpoint.startswith(f"{base}/")]
        if not fitting:
            return Reply(404)
        base = max(fitting, key=len)
        return self._aliases[base].reply(dataclasses.replace(call, endpoint=call.endpoint[len(base) + 1 :]))


@contextmanager
def running_forging_server() -> Iterator[ForgingServer]:
    """A server of aliases; stopped at the end."""
    forger = ForgingServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(forger))
    server.daemon_threads = True
    forger.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield forger
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler_of(forger: ForgingServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def _answer(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            pairs = [*parse_qsl(parts.query), *parse_qsl(body.decode())]
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = forger.reply(Call(parts.path, self.command, headers, dict(pairs)))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Silence."""

    return Handler
