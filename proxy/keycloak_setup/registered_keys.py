"""The keys by which Keycloak knows a client that signs: is ours among them, and what to write when it is not.

Pure. Keycloak looks in one place: at a URL, in a JWKS of its own, or at one certificate, in this order. Keys of others
in the JWKS stay, for a key that is being rotated is one of them.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from proxy.oidc.client_assertion import jwk_thumbprint, public_jwk_of

if TYPE_CHECKING:
    from proxy.keycloak_setup.state import ClientState
    from proxy.keycloak_setup.wanted import ClientKey

BY_URL: Final = "use.jwks.url"
BY_JWKS: Final = "use.jwks.string"
JWKS: Final = "jwks.string"
CERTIFICATE: Final = "jwt.credential.certificate"
"""Attributes of the client (Keycloak 26)."""

_ON: Final = "true"


def url_of_keys(state: ClientState) -> str | None:
    """Return where Keycloak fetches this client's keys; None when it holds them itself."""
    if state.member(BY_URL) != _ON:
        return None
    return str(state.member("jwks.url") or "nowhere yet")


def mended_keys(state: ClientState, key: ClientKey) -> dict[str, str] | None:
    """Return the attributes with which Keycloak knows this key; None when it does already, or fetches its keys."""
    if url_of_keys(state) is not None:
        return None
    if state.member(BY_JWKS) == _ON:
        held = held_keys(state)
        if any(_is_same(one, key) for one in held):
            return None
    elif _certificate_is_of(state, key):
        return None
    else:
        held = []
    others = [one for one in held if not _has_same_members(one, key) and one.get("kid") != key.jwk["kid"]]
    return {BY_URL: "false", BY_JWKS: _ON, JWKS: json.dumps({"keys": [dict(key.jwk), *others]})}


def held_keys(state: ClientState) -> list[dict[str, object]]:
    """Return the keys of the client's JWKS; none when it is no such thing."""
    try:
        document = json.loads(str(state.member(JWKS) or "{}"))
    except ValueError:
        return []
    keys = document.get("keys") if isinstance(document, dict) else None
    return [one for one in keys if isinstance(one, dict)] if isinstance(keys, list) else []


def _is_same(one: dict[str, object], key: ClientKey) -> bool:
    return _has_same_members(one, key) and (key.sent_kid is None or one.get("kid") == key.sent_kid)


def _has_same_members(one: dict[str, object], key: ClientKey) -> bool:
    return jwk_thumbprint(one) == jwk_thumbprint(key.jwk)


def _certificate_is_of(state: ClientState, key: ClientKey) -> bool:
    """Say whether the one certificate is of this key; Keycloak refuses a ``kid`` then (measured: 26.7)."""
    text = state.member(CERTIFICATE)
    if key.sent_kid is not None or not isinstance(text, str):
        return False
    try:
        public = x509.load_der_x509_certificate(b64decode(text)).public_key()
    except ValueError:
        return False
    if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return False
    return jwk_thumbprint(public_jwk_of(public)) == jwk_thumbprint(key.jwk)
