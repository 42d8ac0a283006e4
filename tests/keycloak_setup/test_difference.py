"""From what is to what should be: everything that is wrong is mended, and nothing else is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.keycloak_setup.difference import (
    AddMapper,
    AssignScope,
    Change,
    MendMapper,
    Plan,
    SetAttributes,
    difference,
    new_client,
)
from proxy.keycloak_setup.state import ClientState, Mapper, Scope
from proxy.keycloak_setup.wanted import ClientKey, ClientNeeds, ClientProof, Proof, wanted_client
from tests.oidc.signing import jwk

PAGES = "https://a.example/_sidegate"
NEEDS = ClientNeeds(
    client_id="app",
    site="https://a.example",
    pages=PAGES,
    further_pages=frozenset({"http://inner/_sidegate"}),
    role_clients=("app",),
)
WANTED = wanted_client(NEEDS)

GROUPS = Mapper(
    "g", "groups", "oidc-group-membership-mapper",
    {"claim.name": "groups", "full.path": "true", "access.token.claim": "true"},
)  # fmt: skip
REALM_ROLES = Mapper(
    "r", "realm roles", "oidc-usermodel-realm-role-mapper",
    {"claim.name": "realm_access.roles", "access.token.claim": "true"},
)  # fmt: skip
CLIENT_ROLES = Mapper(
    "c", "client roles", "oidc-usermodel-client-role-mapper",
    {"claim.name": "resource_access.${client_id}.roles", "access.token.claim": "true"},
)  # fmt: skip
ROLES = Scope("s1", "roles", (REALM_ROLES, CLIENT_ROLES))
DEFAULTS = (ROLES, Scope("s2", "profile"), Scope("s3", "email"), Scope("s4", "basic"))
OFFLINE = Scope("s5", "offline_access")

ATTRIBUTES = {
    "pkce.code.challenge.method": "S256",
    "post.logout.redirect.uris": f"{PAGES}/logged-out",
    "backchannel.logout.url": f"{PAGES}/backchannel-logout",
    "backchannel.logout.session.required": "true",
}
MEMBERS: dict[str, Any] = {
    "clientId": "app",
    "enabled": True,
    "publicClient": False,
    "standardFlowEnabled": True,
    "directAccessGrantsEnabled": True,
    "frontchannelLogout": False,
    "adminUrl": f"{PAGES}/keycloak",
    "redirectUris": [f"{PAGES}/callback"],
    "webOrigins": [],
}


def client(attributes: dict[str, str] | None = None, **members: Any) -> ClientState:
    """A client that is right, but for what is named."""
    given = {**MEMBERS, **members, "attributes": {**ATTRIBUTES, **(attributes or {})}}
    return ClientState(uuid="1", members=given, mappers=(GROUPS,), defaults=DEFAULTS, optionals=(OFFLINE,))


def plan_for(state: ClientState, secret: Secret | None = None, needs: ClientNeeds = NEEDS) -> Plan:
    return difference(wanted_client(needs), state, secret=secret)


def only(plan: Plan) -> Change:
    (change,) = plan.changes
    return change


def test_what_is_right_needs_nothing() -> None:
    assert plan_for(client()) == Plan(())


@pytest.mark.parametrize(
    ("member", "wrong", "right"),
    [
        ("enabled", False, True),
        ("publicClient", True, False),
        ("bearerOnly", True, False),
        ("clientAuthenticatorType", "client-jwt", "client-secret"),
        ("standardFlowEnabled", False, True),
        ("directAccessGrantsEnabled", False, True),
        ("consentRequired", True, False),
        ("implicitFlowEnabled", True, False),
        ("serviceAccountsEnabled", True, False),
        ("frontchannelLogout", True, False),
        ("adminUrl", "https://a.example", f"{PAGES}/keycloak"),
        ("webOrigins", ["+"], []),
    ],
)
def test_a_wrong_setting_is_set_right_alone(member: str, wrong: object, right: object) -> None:
    assert plan_for(client(None, **{member: wrong})).representation == {member: right}


@pytest.mark.parametrize(
    ("changes", "gone", "come"),
    [
        ({"publicClient": True}, "off", "on"),  # the console asks for the opposite: Client authentication
        ({"frontchannelLogout": True}, "on", "off"),
        ({"attributes": {"backchannel.logout.session.required": "false"}}, "off", "on"),
        ({"attributes": {"pkce.code.challenge.method": ""}}, "not set", "S256"),
    ],
)
def test_values_are_told_as_the_console_shows_them(changes: dict[str, Any], gone: str, come: str) -> None:
    change = only(plan_for(client(**changes)))

    assert (change.gone, change.come) == ((gone,), (come,))


@pytest.mark.parametrize(
    ("attribute", "wrong", "right"),
    [
        ("pkce.code.challenge.method", "plain", "S256"),
        ("backchannel.logout.url", "https://b.example/", f"{PAGES}/backchannel-logout"),
        ("backchannel.logout.session.required", "false", "true"),
        ("use.refresh.tokens", "false", "true"),
        ("dpop.bound.access.tokens", "true", "false"),
        ("require.pushed.authorization.requests", "true", "false"),
        ("client.use.lightweight.access.token.enabled", "true", "false"),
    ],
)
def test_a_wrong_attribute_is_set_right_alone(attribute: str, wrong: str, right: str) -> None:
    assert plan_for(client({attribute: wrong})).representation == {"attributes": {attribute: right}}


def test_what_keycloak_leaves_out_is_what_it_takes_for_granted() -> None:
    absent: dict[str, Any] = {
        "enabled": None,
        "publicClient": None,
        "standardFlowEnabled": None,
        "frontchannelLogout": None,
    }

    assert plan_for(client(None, **absent)) == Plan(())


def test_an_inner_name_that_is_answered_may_stand_there() -> None:
    inner = "http://inner/_sidegate"
    state = client({"backchannel.logout.url": f"{inner}/backchannel-logout"}, adminUrl=f"{inner}/keycloak")

    assert plan_for(state) == Plan(())


# --- others ----------------------------------------------------------------------------------------------------------


def test_addresses_of_others_stay_and_are_named() -> None:
    state = client({"post.logout.redirect.uris": "https://b/bye"}, redirectUris=["https://b/cb"])

    plan = plan_for(state)

    assert plan.representation == {
        "redirectUris": ["https://b/cb", f"{PAGES}/callback"],
        "attributes": {"post.logout.redirect.uris": f"https://b/bye##{PAGES}/logged-out"},
    }
    assert plan.notes == (
        "redirect URIs of others are kept: https://b/cb",
        "post logout redirect URIs of others are kept: https://b/bye",
    )


def test_what_a_plus_allowed_stays_allowed_when_ours_is_added() -> None:
    state = client({"post.logout.redirect.uris": "+"}, redirectUris=["https://b/cb", f"{PAGES}/callback"])

    attributes = plan_for(state).representation["attributes"]

    assert attributes == {"post.logout.redirect.uris": f"https://b/cb##{PAGES}/logged-out"}


def test_a_client_that_others_use_keeps_what_sidegate_does_not_need_and_it_is_named() -> None:
    state = client(
        redirectUris=["https://b/cb", f"{PAGES}/callback"],
        webOrigins=["https://b"],
        implicitFlowEnabled=True,
        serviceAccountsEnabled=True,
    )

    plan = plan_for(state)

    assert plan.changes == ()
    assert plan.notes[-1] == (
        "Sidegate does not need Implicit flow, Service account roles, Web origins (https://b); "
        "kept, because others share this client"
    )


def test_a_wildcard_is_warned_of_and_kept() -> None:
    plan = plan_for(client(redirectUris=["https://a.example/*", f"{PAGES}/callback"]))

    assert plan.changes == ()
    assert plan.notes[0].startswith("https://a.example/* has a wildcard: ")


def test_a_path_below_the_root_url_is_our_address() -> None:
    assert plan_for(client(rootUrl="https://a.example", redirectUris=["/_sidegate/callback"])) == Plan(())


# --- the secret ------------------------------------------------------------------------------------------------------


def test_another_secret_is_set_and_never_shown() -> None:
    state = replace(client(), secret=Secret("old-secret"))

    plan = plan_for(state, Secret("new-secret"))

    assert plan.representation == {"secret": Secret("new-secret")}
    assert "new-secret" not in repr(plan)
    assert "old-secret" not in repr(plan)


@pytest.mark.parametrize("secret", [None, Secret("same")])
def test_the_same_secret_and_an_unknown_one_change_nothing(secret: Secret | None) -> None:
    assert plan_for(replace(client(), secret=Secret("same")), secret) == Plan(())


# --- a new client ----------------------------------------------------------------------------------------------------


def test_a_new_client_has_each_setting_in_words() -> None:
    state = ClientState(uuid=None, defaults=DEFAULTS, optionals=(OFFLINE,))
    plan = plan_for(state, Secret("s"))

    assert new_client(WANTED, plan) == {
        "clientId": "app",
        "protocol": "openid-connect",
        "enabled": True,
        "publicClient": False,
        "bearerOnly": False,
        "clientAuthenticatorType": "client-secret",
        "standardFlowEnabled": True,
        "directAccessGrantsEnabled": True,
        "implicitFlowEnabled": False,
        "serviceAccountsEnabled": False,
        "consentRequired": False,
        # Absent, Keycloak would take the root URL for it.
        "adminUrl": f"{PAGES}/keycloak",
        "frontchannelLogout": False,
        "redirectUris": [f"{PAGES}/callback"],
        "webOrigins": [],
        "baseUrl": "https://a.example/",
        "secret": Secret("s"),
        "attributes": ATTRIBUTES,
    }
    assert [edit.name for edit in plan.further_edits if isinstance(edit, AddMapper)] == ["groups"]
    assert all(change.gone == () for change in plan.changes)


# --- claims ----------------------------------------------------------------------------------------------------------


def test_roles_are_mapped_where_no_scope_does() -> None:
    plan = plan_for(replace(client(), defaults=DEFAULTS[1:]))

    added = [edit for edit in plan.further_edits if isinstance(edit, AddMapper)]
    assert [edit.name for edit in added] == ["realm roles", "roles of app"]
    assert added[1].config["usermodel.clientRoleMapping.clientId"] == "app"


def test_a_scope_that_is_only_offered_counts_when_it_is_asked_for() -> None:
    state = replace(client(), defaults=DEFAULTS[1:], optionals=(ROLES,))

    assert plan_for(state).changes != ()
    assert plan_for(state, needs=replace(NEEDS, scopes=("openid", "profile", "email", "roles"))).changes == ()


def test_roles_of_another_client_alone_do_not_count_as_ours() -> None:
    other = replace(CLIENT_ROLES, config={**CLIENT_ROLES.config, "usermodel.clientRoleMapping.clientId": "b"})
    state = replace(client(), defaults=(Scope("s1", "roles", (REALM_ROLES, other)), *DEFAULTS[1:]))

    assert isinstance(only(plan_for(state)).edit, AddMapper)


def test_a_mapper_that_writes_into_no_token_that_is_looked_at_is_mended() -> None:
    silent = replace(GROUPS, config={"claim.name": "groups", "full.path": "false", "userinfo.token.claim": "true"})

    change = only(plan_for(replace(client(), mappers=(silent,))))

    assert change.edit == MendMapper(
        silent,
        {
            "claim.name": "groups",
            "full.path": "true",
            "userinfo.token.claim": "true",
            "id.token.claim": "true",
            "access.token.claim": "true",
        },
    )
    assert change.gone == ("full.path: false", "id.token.claim: not set", "access.token.claim: not set")


def test_a_shared_mapper_without_paths_is_left_alone_and_named() -> None:
    shared = Scope("s9", "groups", (replace(GROUPS, config={**GROUPS.config, "full.path": "false"}),))

    plan = plan_for(replace(client(), mappers=(), defaults=(*DEFAULTS, shared)))

    assert plan.changes == ()
    assert "writes groups without their path" in plan.notes[0]


def test_a_name_that_is_taken_gets_another() -> None:
    taken = Mapper("x", "groups", "oidc-hardcoded-claim-mapper", {"claim.name": "colour"})

    edit = only(plan_for(replace(client(), mappers=(taken,)))).edit

    assert isinstance(edit, AddMapper)
    assert edit.name == "groups for Sidegate"


def test_an_audience_is_added_once() -> None:
    needs = replace(NEEDS, audiences=("api",))
    edit = only(plan_for(client(), needs=needs)).edit
    assert isinstance(edit, AddMapper)

    there = replace(client(), mappers=(GROUPS, Mapper("a", edit.name, edit.kind, edit.config)))

    assert plan_for(there, needs=needs).changes == ()


# --- scopes ----------------------------------------------------------------------------------------------------------


def test_a_scope_that_the_file_asks_for_is_offered() -> None:
    needs = replace(NEEDS, scopes=("openid", "profile", "email", "offline_access"))

    plan = plan_for(replace(client(), optionals=(), others=(OFFLINE,)), needs=needs)

    assert only(plan).edit == AssignScope(OFFLINE, "optional")
    assert plan_for(client(), needs=needs).changes == ()


def test_a_scope_that_nobody_asks_for_is_not_offered() -> None:
    assert plan_for(replace(client(), optionals=(), others=(OFFLINE,))).changes == ()


def test_the_scope_with_the_subject_is_in_force_where_the_realm_has_it() -> None:
    state = replace(client(), defaults=DEFAULTS[:3])

    assert plan_for(state).changes == ()
    assert only(plan_for(replace(state, others=(DEFAULTS[3],)))).edit == AssignScope(DEFAULTS[3], "default")


def test_a_scope_that_the_realm_does_not_have_is_said() -> None:
    (note,) = plan_for(client(), needs=replace(NEEDS, scopes=("openid", "hr"))).notes

    assert note.startswith("the realm has no client scope hr, ")


def test_roles_that_are_held_back_are_said() -> None:
    (note,) = plan_for(client(fullScopeAllowed=False)).notes

    assert note.startswith("Full scope allowed is off")


KEY = ClientKey({**jwk("P-256", kid="k-1"), "use": "sig", "alg": "ES256"}, "k-1")
SIGNING = replace(NEEDS, proof=Proof(ClientProof.PRIVATE_KEY, key=KEY))
BY_KEY = {"use.jwks.string": "true", "jwks.string": json.dumps({"keys": [KEY.jwk]})}


def test_the_key_that_signs_is_registered_beside_those_that_are_there() -> None:
    other = jwk("P-256 other", kid="o")
    attributes = {"use.jwks.string": "true", "jwks.string": json.dumps({"keys": [other]})}

    change = only(plan_for(client(attributes, clientAuthenticatorType="client-jwt"), needs=SIGNING))

    assert isinstance(change.edit, SetAttributes)
    assert json.loads(change.edit.values["jwks.string"])["keys"] == [KEY.jwk, other]
    assert change.come == ("the public half of keycloak.client_auth.private_key (k-1)",)
    assert plan_for(client(BY_KEY, clientAuthenticatorType="client-jwt"), needs=SIGNING) == Plan(())


def test_a_key_and_an_authenticator_are_one_request() -> None:
    plan = plan_for(client(), needs=SIGNING)

    assert plan.further_edits == ()
    assert plan.representation["clientAuthenticatorType"] == "client-jwt"
    assert plan.representation["attributes"] == {**BY_KEY, "use.jwks.url": "false"}


def test_keys_that_keycloak_fetches_stay_and_are_named() -> None:
    fetched = {"use.jwks.url": "true", "jwks.url": "https://a.example/jwks"}

    plan = plan_for(client(fetched, clientAuthenticatorType="client-jwt"), needs=SIGNING)

    assert plan == Plan(
        (), ("Keycloak fetches this client's keys from https://a.example/jwks; see that k-1 is among them",)
    )


def test_a_key_without_a_name_among_several_is_worth_a_word() -> None:
    unnamed = replace(NEEDS, proof=Proof(ClientProof.PRIVATE_KEY, key=replace(KEY, sent_kid=None)))
    two = {**BY_KEY, "jwks.string": json.dumps({"keys": [KEY.jwk, jwk("P-256 other")]})}

    assert "key_id: thumbprint" in plan_for(client(two, clientAuthenticatorType="client-jwt"), needs=unnamed).notes[0]
    assert plan_for(client(BY_KEY, clientAuthenticatorType="client-jwt"), needs=unnamed) == Plan(())
