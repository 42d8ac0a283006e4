"""What no single key can know about how we prove that we are the client; see ``checks.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.settings.client_keys import require_hmac_secret, require_private_key, require_service_account_token
from proxy.settings.problems import Finding, KeyPath
from proxy.settings.secret_source import SecretSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.core.secret import Secret
    from proxy.settings.draft import Draft

_AT: Final = ("keycloak", "client_auth")

_NEEDS: Final = {
    "client_secret_basic": ("secret",),
    "client_secret_post": ("secret",),
    "client_secret_jwt": ("secret",),
    "private_key_jwt": ("private_key",),
    "tls_client_auth": ("cert_file", "key_file"),
    "kubernetes_service_account": (),
    "none": (),
}
"""Keys without which a method proves nothing."""

_TAKES: Final = {"private_key_jwt": ("key_id",), "kubernetes_service_account": ("token_file",)}
"""Keys that it may have besides."""

_ADD: Final = {
    "secret": "add secret: {file: PATH}, or write method: none for a public client",
    "private_key": "add private_key: {file: PATH}",
    "cert_file": "add cert_file: PATH, the PEM file of the certificate",
    "key_file": "add key_file: PATH, the PEM file of its key",
}

Source = tuple[KeyPath, SecretSource, "Callable[[], object]"]
"""Where a secret stands in the file, what it is, and what must go well with it."""


def client_auth_keys(draft: Draft) -> Iterator[Finding]:
    """A method has what it needs, and nothing that it never looks at."""
    auth, depends_on = draft.settings.keycloak.client_auth, (*_AT, "method")
    for key in _NEEDS[auth.method]:
        if getattr(auth, key) is None:
            path = (*_AT, key)
            yield Finding(path, f"is missing, and {auth.method} needs it", _ADD[key], depends_on=(depends_on, path))
    known = {*_NEEDS[auth.method], *_TAKES.get(auth.method, ())}
    for key in ("secret", "private_key", "key_id", "cert_file", "key_file", "token_file"):
        if key in auth.model_fields_set and getattr(auth, key) is not None and key not in known:
            remedy = "take it out, or write another method"
            yield Finding((*_AT, key), f"is never used with method {auth.method}", remedy, depends_on=(depends_on,))


def certificate_needs_tls(draft: Draft) -> Iterator[Finding]:
    """A certificate is shown in a TLS handshake, and nowhere else."""
    keycloak = draft.settings.keycloak
    key = "issuer" if keycloak.internal_url is None else "internal_url"
    if keycloak.client_auth.method == "tls_client_auth" and str(getattr(keycloak, key)).startswith("http:"):
        yield Finding(("keycloak", key), "is http, where no certificate can be shown, and tls_client_auth shows one",
                      "write an https address, or another method", depends_on=((*_AT, "method"),))  # fmt: skip


def client_auth_sources(draft: Draft) -> Iterator[Source]:
    """Give the secrets that are used, each with the function that tells whether it can be."""
    keycloak = draft.settings.keycloak
    auth = keycloak.client_auth
    if auth.secret is not None and "secret" in _NEEDS[auth.method]:
        signs = auth.method == "client_secret_jwt"
        yield (*_AT, "secret"), auth.secret, _looked_at(auth.secret, require_hmac_secret) if signs else auth.secret.read
    if auth.private_key is not None and auth.method == "private_key_jwt":
        yield (*_AT, "private_key"), auth.private_key, _looked_at(auth.private_key, require_private_key)


def service_account_token(draft: Draft) -> Iterator[tuple[KeyPath, Callable[[], object]]]:
    """Give where the token's file is named, and the function that tells whether it can be used."""
    keycloak = draft.settings.keycloak
    if keycloak.client_auth.method == "kubernetes_service_account":
        file = SecretSource(file=keycloak.client_auth.token_file)
        path = (*_AT, "token_file" if "token_file" in keycloak.client_auth.model_fields_set else "method")
        yield path, _looked_at(file, lambda token: require_service_account_token(token, issuer=keycloak.issuer))


def _looked_at(source: SecretSource, require: Callable[[Secret], None]) -> Callable[[], object]:
    def look() -> None:
        require(source.read())

    return look
