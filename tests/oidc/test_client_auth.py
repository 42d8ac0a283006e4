"""How we say who we are; RFC 6749 §2.3.1."""

from __future__ import annotations

from base64 import b64decode

import pytest

from proxy.core.secret import Secret
from proxy.errors import ClientMisconfigured
from proxy.oidc.client_auth import ClientSecretBasic, ClientSecretPost, NoClientSecret

AUDIENCE = "https://sso.example.com/realms/acme"


def test_basic_is_form_encoded_before_base64() -> None:
    method = ClientSecretBasic("my app:1", lambda: Secret("p+c%t & ü"))

    header = method.credentials(audience=AUDIENCE).headers["Authorization"]

    assert b64decode(header.removeprefix("Basic ")) == b"my+app%3A1:p%2Bc%25t+%26+%C3%BC"


def test_post_puts_both_into_the_form_as_they_are() -> None:
    found = ClientSecretPost("app", lambda: Secret("p+c%t")).credentials(audience=AUDIENCE)

    assert (found.form, found.headers) == ({"client_id": "app", "client_secret": "p+c%t"}, {})


def test_a_public_client_names_itself_only() -> None:
    found = NoClientSecret("app").credentials(audience=AUDIENCE)

    assert (found.form, found.headers) == ({"client_id": "app"}, {})


def test_the_secret_is_read_again_for_each_call() -> None:
    secrets = iter([Secret("old"), Secret("new")])
    method = ClientSecretPost("app", lambda: next(secrets))

    assert [method.credentials(audience=AUDIENCE).form["client_secret"] for _ in range(2)] == ["old", "new"]


def test_a_secret_that_cannot_be_read_is_our_fault_in_one_sentence() -> None:
    def gone() -> Secret:
        raise FileNotFoundError(2, "No such file or directory", "/run/secrets/client")

    with pytest.raises(ClientMisconfigured, match=r"cannot be read: .*/run/secrets/client"):
        ClientSecretBasic("app", gone).credentials(audience=AUDIENCE)


def test_an_empty_secret_is_none() -> None:
    with pytest.raises(ClientMisconfigured, match="empty"):
        ClientSecretPost("app", lambda: Secret("")).credentials(audience=AUDIENCE)


def test_no_secret_shows() -> None:
    found = ClientSecretPost("app", lambda: Secret("s3cret")).credentials(audience=AUDIENCE)

    assert "s3cret" not in repr(found)


def test_no_secret_shows_in_the_field_that_is_made_of_it() -> None:
    credentials = ClientSecretBasic("app", lambda: Secret("hush")).credentials(audience=AUDIENCE)

    assert credentials.headers["Authorization"].removeprefix("Basic ") not in repr(credentials)
