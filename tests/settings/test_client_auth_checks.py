"""How we prove that we are the client: what each method needs, and what is said when it does not have it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest

from tests.settings.conftest import file_with
from tests.support.throw_away_ca import ThrowAwayAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.settings.conftest import LoadText

ISSUER = "https://sso.example.com/realms/acme"


def said(load_text: LoadText, client_auth: str, *, more: str = "") -> list[str]:
    """The problems, without their places."""
    text = file_with("keycloak", f"client_auth: {client_auth}\n{more}".rstrip())
    return [str(problem).partition("  ")[2].removeprefix("keycloak.") for problem in load_text(text).problems]


def service_account_token(audience: object) -> str:
    claims = json.dumps({"aud": audience, "sub": "system:serviceaccount:default:legacy-app"}).encode()
    return f"e30.{urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    ("client_auth", "expected"),
    [
        (
            "{method: private_key_jwt}",
            "client_auth.private_key: is missing, and private_key_jwt needs it; add private_key: {file: PATH}",
        ),
        (
            "{method: private_key_jwt, private_key: {file: key.pem}, secret: {env: CLIENT_SECRET}}",
            "client_auth.secret: is never used with method private_key_jwt; take it out, or write another method",
        ),
        (
            "{method: client_secret_jwt, secret: {file: long}, key_id: thumbprint}",
            "client_auth.key_id: is never used with method client_secret_jwt; take it out, or write another method",
        ),
        (
            "{method: kubernetes_service_account, token_file: token, secret: {env: CLIENT_SECRET}}",
            (
                "client_auth.secret: is never used with method kubernetes_service_account; "
                "take it out, or write another method"
            ),
        ),
        (
            "{secret: {env: CLIENT_SECRET}, token_file: token}",
            (
                "client_auth.token_file: is never used with method client_secret_basic; "
                "take it out, or write another method"
            ),
        ),
        (
            "{method: tls_client_auth, cert_file: ours.pem}",
            (
                "client_auth.key_file: is missing, and tls_client_auth needs it; "
                "add key_file: PATH, the PEM file of its key"
            ),
        ),
        (
            "{method: tls_client_auth, cert_file: ours.pem, key_file: other.key}",
            (
                "client_auth: has a certificate and a key that do not belong together; "
                "write the PEM files of one certificate and its unencrypted key"
            ),
        ),
        (
            "{method: tls_client_auth, cert_file: gone.pem, key_file: ours.key}",
            "client_auth.cert_file: names gone.pem, which cannot be read (no such file or directory); check the path",
        ),
        (
            "{method: client_secret_jwt, secret: {file: short}}",
            (
                "client_auth.secret.file: cannot be used: the secret is shorter than 32 bytes, too short to sign with "
                "HS256; have Keycloak make one (Credentials → Regenerate)"
            ),
        ),
        (
            "{method: private_key_jwt, private_key: {file: gone}}",
            (
                "client_auth.private_key.file: cannot be used: the file gone cannot be read "
                "(no such file or directory); check the path"
            ),
        ),
        (
            "{method: private_key_jwt, private_key: {file: ours.pem}}",
            (
                "client_auth.private_key.file: cannot be used: there is a certificate, and a private key is needed; "
                "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
            ),
        ),
        (
            "{method: kubernetes_service_account, token_file: gone}",
            (
                "client_auth.token_file: cannot be used: the file gone cannot be read (no such file or directory); "
                "check the path"
            ),
        ),
        (
            "{method: kubernetes_service_account, token_file: foreign}",
            (
                "client_auth.token_file: cannot be used: the token's audience is "
                '["https://kubernetes.default.svc"], and Keycloak takes its issuer only; '
                f"project a token with audience: {ISSUER} into the pod"
            ),
        ),
    ],
)
def test_each_mistake_is_one_sentence_with_its_remedy(
    load_text: LoadText, tmp_path: Path, client_auth: str, expected: str
) -> None:
    authority = ThrowAwayAuthority(tmp_path)
    authority.issue("ours")
    authority.issue("other")
    (tmp_path / "key.pem").write_bytes((tmp_path / "ours.key").read_bytes())
    (tmp_path / "long").write_text("s" * 32)
    (tmp_path / "short").write_text("s" * 31)
    (tmp_path / "token").write_text(service_account_token([ISSUER]))
    (tmp_path / "foreign").write_text(service_account_token(["https://kubernetes.default.svc"]))

    assert said(load_text, client_auth) == [expected]


def test_what_is_right_needs_no_word(load_text: LoadText, tmp_path: Path) -> None:
    ThrowAwayAuthority(tmp_path).issue("ours")
    (tmp_path / "long").write_text("s" * 32)
    (tmp_path / "token").write_text(service_account_token(ISSUER) + "\n")

    assert said(load_text, "{method: client_secret_jwt, secret: {file: long}}") == []
    assert said(load_text, "{method: private_key_jwt, private_key: {file: ours.key}, key_id: thumbprint}") == []
    assert said(load_text, "{method: tls_client_auth, cert_file: ours.pem, key_file: ours.key}") == []
    assert said(load_text, "{method: kubernetes_service_account, token_file: token}") == []


def test_a_certificate_is_shown_by_https_only(load_text: LoadText, tmp_path: Path) -> None:
    ThrowAwayAuthority(tmp_path).issue("ours")
    certificate = "{method: tls_client_auth, cert_file: ours.pem, key_file: ours.key}"

    assert said(load_text, certificate, more="internal_url: http://keycloak.sso.svc:8080/realms/acme") == [
        (
            "internal_url: is http, where no certificate can be shown, and tls_client_auth shows one; "
            "write an https address, or another method"
        )
    ]
    assert said(load_text, "{method: none}", more="internal_url: http://keycloak.sso.svc:8080/realms/acme") == []


def test_a_token_that_nobody_named_is_complained_of_at_the_method(load_text: LoadText) -> None:
    sentence = said(load_text, "{method: kubernetes_service_account}")

    assert sentence == [
        (
            "client_auth.method: cannot be used: the file /run/secrets/sidegate/token cannot be read "
            "(no such file or directory); check the path"
        )
    ]
