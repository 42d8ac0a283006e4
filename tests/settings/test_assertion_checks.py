"""What contradicts itself about assertions, tokens of an app's own, and what an app hears of."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING

import pytest

from proxy.settings.signing_keys import make_signing_key
from tests.settings.conftest import file_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.settings.conftest import LoadText


def said(load_text: LoadText, text: str) -> list[str]:
    return [str(problem).removeprefix("s.yaml:") for problem in load_text(text).problems]


def routes(*lines: str) -> str:
    return file_with("", "routes:\n" + "\n".join(f"- {line}" for line in lines))


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    (tmp_path / "k.pem").write_text(make_signing_key())
    return str(tmp_path / "k.pem")


def assertion(key_file: str, *, header: str = "X-Sidegate-Assertion", beside: str = "") -> str:
    lines = f"assertion: {{header: {header}, audience: app, signing_key: {{file: {key_file}}}}}\n{beside}"
    return file_with("", "identity_headers:\n" + indent(lines, "  "))


def test_an_assertion_and_a_token_of_its_own_and_less_to_hear_are_well(load_text: LoadText, key_file: str) -> None:
    text = assertion(key_file)
    text += "routes:\n- {path: /**, token_exchange: {audience: billing, scope: a b}, headers: {roles: [], groups: [x]}}"

    assert said(load_text, text) == []


# --- the assertion ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Authorization", "x_auth_roles", "X-Forwarded-For", "Remote-User", "X-Request-ID"])
def test_a_header_that_says_something_else_carries_no_assertion(load_text: LoadText, key_file: str, name: str) -> None:
    (sentence,) = said(load_text, assertion(key_file, header=name))

    assert f"assertion.header: is {name}, by which an app is told something else; choose a name" in sentence


def test_a_header_that_the_file_sets_carries_no_assertion(load_text: LoadText, key_file: str) -> None:
    text = assertion(key_file, header="X-Proof", beside='set: {x_proof: "1"}\n')
    text += 'routes:\n- {path: /**, headers: {set: {X-PROOF: "1"}}}'

    sentences = said(load_text, text)

    assert len(sentences) == 2
    assert all("is the header of the assertion too (identity_headers.assertion.header)" in one for one in sentences)
    assert "identity_headers.set.x_proof" in sentences[0]
    assert "routes[0].headers.set.X-PROOF" in sentences[1]


def test_a_key_that_cannot_be_used_is_told_at_its_place(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "rsa.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")

    (sentence,) = said(load_text, assertion(str(tmp_path / "rsa.pem")))

    assert "signing_key.file: cannot be used: in the file" in sentence
    assert "there is a certificate, and a private key is needed; make one with `sidegate keygen --signing`" in sentence


def test_a_key_that_stands_in_the_file_is_a_secret_in_the_file(load_text: LoadText) -> None:
    key = indent(make_signing_key(), " " * 8)
    lines = f"identity_headers:\n  assertion:\n    audience: app\n    signing_key:\n      value: |\n{key}"

    (sentence,) = said(load_text, file_with("", lines))

    assert "signing_key.value: warning: is a secret in the settings file" in sentence


@pytest.mark.parametrize("lifetime", ["9s", "61m"])
def test_a_lifetime_is_neither_a_blink_nor_a_day(load_text: LoadText, key_file: str, lifetime: str) -> None:
    text = assertion(key_file).replace("audience: app", f"audience: app, lifetime: {lifetime}")

    (sentence,) = said(load_text, text)

    assert "assertion.lifetime: is not between 10s and 1h; write 60s" in sentence


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_nobody_without_a_secret_exchanges_tokens(load_text: LoadText) -> None:
    text = file_with("keycloak", "client_auth: {method: none}")
    text += "routes:\n- {path: /**, token_exchange: {audience: billing}}"

    (sentence,) = said(load_text, text)

    assert "token_exchange: needs a client that can prove who it is, and client_auth.method is none" in sentence


def test_there_is_nobody_to_exchange_for_on_a_public_route(load_text: LoadText) -> None:
    (sentence,) = said(load_text, routes("{path: /**, access: public, token_exchange: {audience: b}}"))

    assert sentence.startswith("2:31  routes[0].token_exchange: has no effect, for on a public route nobody is asked")
    assert sentence.endswith("; write access: authenticated, or take it out")


def test_an_app_that_is_sent_both_tokens_gets_the_exchanged_one(load_text: LoadText) -> None:
    text = file_with("upstreams", "app: {url: unix:/a, access_token: true}")
    text += "routes:\n- {path: /**, token_exchange: {audience: b}}"

    (sentence,) = said(load_text, text)

    assert "token_exchange: warning: is sent instead of the person's own token; take access_token out" in sentence


@pytest.mark.parametrize("scope", ['"a\\"b"', "5", "[a, b]", '""'])
def test_scopes_are_words(load_text: LoadText, scope: str) -> None:
    (sentence,) = said(load_text, routes(f"{{path: /**, token_exchange: {{audience: b, scope: {scope}}}}}"))

    assert "routes[0].token_exchange.scope: " in sentence


# --- what an app hears of --------------------------------------------------------------------------------------------


def test_a_public_route_has_nothing_to_narrow(load_text: LoadText) -> None:
    (sentence,) = said(load_text, routes("{path: /**, access: public, headers: {roles: [viewer]}}"))

    assert "headers.roles: warning: has no effect, for a public route sends no identity; take it out" in sentence


def test_a_list_that_is_commented_out_is_not_everything(load_text: LoadText) -> None:
    (sentence,) = said(load_text, routes("{path: /**, headers: {groups: }}"))

    assert "headers.groups: has no value; name what it asks for, or leave the key out" in sentence
