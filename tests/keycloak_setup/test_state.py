"""The client as Keycloak tells of it."""

from __future__ import annotations

import pytest

from proxy.keycloak_setup.state import ClientState, parse_mappers, parse_scope


def client(**members: object) -> ClientState:
    return ClientState(uuid="1", members=members)


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        (None, ("https://a/cb",)),
        ("", ("https://a/cb",)),
        ("+", ("https://a/cb",)),
        ("-", ()),
        ("https://a/x##https://a/y", ("https://a/x", "https://a/y")),
    ],
)
def test_post_logout_addresses_are_spelt_out(stored: str | None, meant: tuple[str, ...]) -> None:
    attributes = {} if stored is None else {"post.logout.redirect.uris": stored}

    assert client(redirectUris=["https://a/cb"], attributes=attributes).post_logout_uris == meant


def test_a_path_is_an_address_below_the_root_url() -> None:
    state = client(rootUrl="https://a/", adminUrl="/keycloak")

    assert state.is_meant_by("/cb", "https://a/cb")
    assert state.member("adminUrl") == "https://a/keycloak"
    assert not client().is_meant_by("/cb", "https://a/cb")


def test_a_name_with_a_dot_is_an_attribute() -> None:
    state = client(attributes={"a.b": "x"})

    assert (state.member("a.b"), state.member("a.c"), client().member("a.b")) == ("x", None, None)


def test_what_has_another_shape_than_expected_counts_as_absent() -> None:
    state = client(redirectUris="https://a", webOrigins=[1, "+"], attributes=[])

    assert (state.redirect_uris, state.web_origins, state.member("a.b")) == ((), ("+",), None)
    assert parse_mappers({"no": "list"}) == ()
    assert parse_mappers([{"name": "n", "config": {"a": None, "b": True}}, "no object"])[0].config == {"b": "True"}


def test_a_scope_comes_with_its_mappers() -> None:
    scope = parse_scope({"id": "7", "name": "roles", "protocolMappers": [{"protocolMapper": "kind"}]})

    assert (scope.id, scope.name, scope.mappers[0].kind) == ("7", "roles", "kind")
