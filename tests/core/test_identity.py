"""From verified claims to a person: what is united, what comes first, what is junk."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.identity import (
    MAX_NAMES,
    Identity,
    IdentityRules,
    assemble_identity,
    older_claims,
    realm_role,
    unite_claims,
)

ISSUER = "https://sso.example.com/realms/acme"
RULES = IdentityRules(issuer=ISSUER, client_id="legacy-app")


def assemble(*sources: dict[str, Any], **rules: str) -> Identity:
    return assemble_identity(
        "1", sources, rules=IdentityRules(**{"issuer": ISSUER, "client_id": "legacy-app", **rules})
    )


def test_nobody_needs_more_than_a_sub() -> None:
    assert assemble({}) == Identity(issuer=ISSUER, subject="1", claims={"iss": ISSUER, "sub": "1"})


def test_a_token_of_keycloak_becomes_a_person() -> None:
    id_token = {"preferred_username": "alice", "name": "Alice A", "email": "a@acme.test", "email_verified": True}
    access_token = {
        "realm_access": {"roles": ["admin", "a:b"]},
        "resource_access": {"legacy-app": {"roles": ["editor"]}, "account": {"roles": ["view-profile"]}},
        "groups": ["/staff", "guests"],
    }

    found = assemble(id_token, access_token)

    assert (found.username, found.name, found.email, found.email_is_verified) == (
        "alice",
        "Alice A",
        "a@acme.test",
        True,
    )
    assert found.roles == {"admin", "realm:a:b", "legacy-app:editor", "account:view-profile"}
    assert found.groups == {"/staff", "/guests"}


def test_the_first_source_that_has_a_claim_gives_it() -> None:
    found = assemble({"department": "first", "level": None}, {"department": "second", "level": 2})

    assert (found.claims["department"], found.claims["level"]) == ("first", 2)


def test_roles_and_groups_are_united_over_all_sources() -> None:
    found = assemble(
        {"realm_access": {"roles": ["a"]}, "groups": ["/g"]}, {"realm_access": {"roles": ["b"]}, "groups": ["/h"]}
    )

    assert (found.roles, found.groups) == ({"a", "b"}, {"/g", "/h"})


def test_any_provider_may_send_plain_lists_of_roles_and_groups() -> None:
    found = assemble({"roles": ["admin", "x:y"], "groups": ["staff"]})

    assert (found.roles, found.groups) == ({"admin", "realm:x:y"}, {"/staff"})


JUNK: list[Any] = [
    None,
    7,
    True,
    "admin",
    {"admin": 1},
    [7, None, "", ["admin"], "a\nb", "x" * 513],
    {"roles": "admin"},
]


@pytest.mark.parametrize("junk", JUNK, ids=lambda value: str(value)[:30])
def test_junk_gives_no_right(junk: object) -> None:
    found = assemble(
        {"realm_access": junk, "resource_access": junk, "roles": junk, "groups": junk},
        {"realm_access": {"roles": junk}, "resource_access": {"legacy-app": junk, "": {"roles": ["r"]}}},
    )

    assert (found.roles, found.groups) == (frozenset(), frozenset())


@pytest.mark.parametrize("group", ["", "/", "//"])
def test_a_group_without_a_name_is_none(group: str) -> None:
    assert assemble({"groups": [group]}).groups == frozenset()


def test_rights_are_capped() -> None:
    found = assemble(
        {"roles": [str(n) for n in range(MAX_NAMES + 5)], "groups": [str(n) for n in range(MAX_NAMES + 5)]}
    )

    assert (len(found.roles), len(found.groups)) == (MAX_NAMES, MAX_NAMES)


class TestNamesOfRoles:
    """No two different roles share a name."""

    def test_a_realm_role_with_a_colon_is_marked(self) -> None:
        assert (realm_role("admin"), realm_role("legacy-app:admin")) == ("admin", "realm:legacy-app:admin")

    def test_a_realm_role_never_passes_for_a_client_role(self) -> None:
        assert "legacy-app:editor" not in assemble({"realm_access": {"roles": ["legacy-app:editor"]}}).roles

    def test_a_client_called_realm_never_gives_a_realm_role(self) -> None:
        found = assemble({"resource_access": {"realm": {"roles": ["a:b", "c"]}}})

        assert found.roles == {"realm:c"}

    def test_a_client_with_a_colon_never_gives_a_role_of_another(self) -> None:
        assert assemble({"resource_access": {"legacy-app:x": {"roles": ["y"]}}}).roles == frozenset()

    def test_our_own_client_may_have_a_colon_and_nobody_else_gives_its_roles(self) -> None:
        source = {"resource_access": {"https://app": {"roles": ["r"]}, "https": {"roles": ["//app:admin", "ok"]}}}

        assert assemble(source, client_id="https://app").roles == {"https://app:r", "https:ok"}


class TestUsername:
    """``identity_headers.username_claim``."""

    def test_it_may_be_any_claim(self) -> None:
        assert assemble({"email": "a@x"}, username_claim="email").username == "a@x"

    def test_it_may_lie_deep(self) -> None:
        assert assemble({"ids": {"work": {"login": "al"}}}, username_claim="ids.work.login").username == "al"

    def test_a_claim_of_the_whole_name_comes_first(self) -> None:
        source = {"a.b": "whole", "a": {"b": "deep"}}

        assert assemble(source, username_claim="a.b").username == "whole"

    @pytest.mark.parametrize("value", [7, "", True, ["al"], {"x": 1}])
    def test_what_is_no_text_is_no_name(self, value: object) -> None:
        assert assemble({"preferred_username": value}).username is None


class TestEmail:
    """An address is verified when the source that gives it says so of *this* address."""

    @pytest.mark.parametrize("verified", ["true", 1, "yes", False, None])
    def test_only_true_is_true(self, verified: object) -> None:
        assert not assemble({"email": "a@x", "email_verified": verified}).email_is_verified

    def test_another_address_of_another_source_verifies_nothing(self) -> None:
        found = assemble({"email": "a@x"}, {"email": "b@x", "email_verified": True})

        assert (found.email, found.email_is_verified) == ("a@x", False)

    def test_a_second_source_may_verify_the_same_address(self) -> None:
        assert assemble({"email": "a@x"}, {"email": "a@x", "email_verified": True}).email_is_verified

    def test_the_first_judge_counts(self) -> None:
        sources = ({"email": "a@x", "email_verified": False}, {"email": "a@x", "email_verified": True})

        assert not assemble(*sources).email_is_verified

    def test_without_an_address_nothing_is_verified(self) -> None:
        assert not assemble({"email_verified": True}).email_is_verified


def test_what_speaks_of_the_token_is_not_kept() -> None:
    assert unite_claims([{"exp": 1, "nonce": "n", "at_hash": "h", "jti": "j", "department": "it"}]) == {
        "department": "it"
    }


def test_no_source_can_change_who_it_is() -> None:
    found = assemble({"sub": "2", "iss": "https://evil.test"})

    assert (found.subject, found.claims["sub"], found.claims["iss"]) == ("1", "1", ISSUER)


def test_a_role_taken_away_does_not_live_on_in_an_older_token() -> None:
    older = {"realm_access": {"roles": ["admin"]}, "roles": ["admin"], "groups": ["/staff"], "name": "Alice"}

    assert older_claims(older, [{"realm_access": {"roles": []}}]) == {"groups": ["/staff"], "name": "Alice"}
