"""From what is to what should be: a list of changes, each with its words and what is sent for it.

Pure. Nothing is taken away from others: their redirect URIs, mappers and scopes stay, and are named where one should
know of them. What cannot be mended here without touching others is a note.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.keycloak_setup.registered_keys import held_keys, mended_keys, url_of_keys
from proxy.keycloak_setup.state import POST_LOGOUT_URIS, ClientState, Mapper, Scope
from proxy.keycloak_setup.wanted import (
    AUDIENCE,
    BASIC_SCOPE,
    CLIENT_ROLES,
    FOR_CLIENT,
    FULL_PATH,
    GROUPS,
    REALM_ROLES,
    Holds,
    WantedClient,
    WantedMapper,
    WantedSetting,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.core.secret import Secret

# --- what is sent ----------------------------------------------------------------------------------------------------


class SetMember(Struct, frozen=True):
    """A member of the client."""

    name: str
    value: object


class SetAttribute(Struct, frozen=True):
    """A member of ``attributes``."""

    name: str
    value: str


class SetAttributes(Struct, frozen=True):
    """Several of them that go together."""

    values: Mapping[str, str]


class AddMapper(Struct, frozen=True):
    """One more mapper of the client's own."""

    name: str
    kind: str
    config: Mapping[str, str]


class MendMapper(Struct, frozen=True):
    """A mapper of the client's own, with another configuration."""

    mapper: Mapper
    config: Mapping[str, str]


class AssignScope(Struct, frozen=True):
    """A client scope of the realm; ``as_`` is the word of the path: ``default`` or ``optional``."""

    scope: Scope
    as_: str


Edit = SetMember | SetAttribute | SetAttributes | AddMapper | MendMapper | AssignScope


class Change(Struct, frozen=True):
    """One difference.

    Attributes:
        where: its place in Keycloak's console.
        gone: what stands there and will not.
        come: what will stand there.
    """

    where: str
    gone: tuple[str, ...]
    come: tuple[str, ...]
    why: str
    edit: Edit


class Plan(Struct, frozen=True):
    """Every change, and what a person should know besides."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def representation(self) -> dict[str, object]:
        """Return the members and attributes to send; empty when none changes."""
        edits = [change.edit for change in self.changes]
        members: dict[str, object] = {edit.name: edit.value for edit in edits if isinstance(edit, SetMember)}
        attributes = {edit.name: edit.value for edit in edits if isinstance(edit, SetAttribute)}
        for edit in edits:
            attributes.update(edit.values if isinstance(edit, SetAttributes) else {})
        return {**members, **({"attributes": attributes} if attributes else {})}

    @property
    def further_edits(self) -> tuple[Edit, ...]:
        """Return what has requests of its own."""
        edits = (change.edit for change in self.changes)
        return tuple(edit for edit in edits if not isinstance(edit, SetMember | SetAttribute | SetAttributes))


@dataclass(frozen=True, slots=True)
class _Look:
    """What both sides are."""

    wanted: WantedClient
    state: ClientState
    secret: Secret | None = field(repr=False)

    @property
    def strangers(self) -> tuple[str, ...]:
        """Return the redirect URIs that are not ours."""
        return _without(self.state, self.state.redirect_uris, self.wanted.redirect_uri)


def new_client(wanted: WantedClient, plan: Plan) -> dict[str, object]:
    """Return the representation of a client that is not there yet: each member in words, none left to a default."""
    members = {setting.member: setting.value for setting in wanted.settings if not setting.is_attribute}
    named = {"clientId": wanted.client_id, "protocol": "openid-connect", "webOrigins": []}
    return {**named, **members, **plan.representation}


def difference(wanted: WantedClient, state: ClientState, *, secret: Secret | None) -> Plan:
    """Return what is to be done so that the client is as wanted.

    Args:
        secret: what the file says; None when it cannot be read, or there is none.
    """
    look = _Look(wanted, state, secret)
    changes = [
        *_addresses(look),
        *_settings(look),
        *_secret(look),
        *_signing_key(look),
        *_web_origins(look),
        *_mappers(look),
        *_scopes(look),
    ]
    return Plan(tuple(changes), tuple(_notes(look)))


# --- settings --------------------------------------------------------------------------------------------------------


def _addresses(look: _Look) -> Iterable[Change]:
    wanted, state = look.wanted, look.state
    if state.uuid is None:
        yield _added("Access settings → Home URL", wanted.home, "where Keycloak's pages lead back to", "baseUrl")
    if not _lists(state, state.redirect_uris, wanted.redirect_uri):
        yield Change(
            "Access settings → Valid redirect URIs",
            gone=(),
            come=(wanted.redirect_uri,),
            why="the way back from Keycloak's page; exactly this one",
            edit=SetMember("redirectUris", [*state.redirect_uris, wanted.redirect_uri]),
        )
    if not _lists(state, state.post_logout_uris, wanted.post_logout_uri):
        yield _logout_address(look)


def _added(where: str, value: str, why: str, member: str) -> Change:
    return Change(where, (), (value,), why, SetMember(member, value))


def _logout_address(look: _Look) -> Change:
    wanted, state = look.wanted, look.state
    kept = _without(state, state.post_logout_uris, wanted.redirect_uri)
    # Spelt out when it was empty or ``+``, so that what was allowed stays allowed.
    return Change(
        "Access settings → Valid post logout redirect URIs",
        gone=(),
        come=(wanted.post_logout_uri,),
        why="where a logout at Keycloak comes back to",
        edit=SetAttribute(POST_LOGOUT_URIS, "##".join((*kept, wanted.post_logout_uri))),
    )


def _lists(state: ClientState, listed: Iterable[str], url: str) -> bool:
    return any(state.is_meant_by(one, url) for one in listed)


def _without(state: ClientState, listed: Iterable[str], url: str) -> tuple[str, ...]:
    return tuple(one for one in listed if not state.is_meant_by(one, url))


def _settings(look: _Look) -> Iterable[Change]:
    for setting in look.wanted.settings:
        given = look.state.member(setting.member)
        is_idle = setting.holds is Holds.WHEN_ALONE and look.strangers
        is_new = look.state.uuid is None and setting.value != setting.unset
        if is_new or not (is_idle or setting.will_do(given)):
            yield _setting(setting, given, look.state)


def _setting(setting: WantedSetting, given: object, state: ClientState) -> Change:
    value = setting.value
    edit = SetAttribute(setting.member, str(value)) if setting.is_attribute else SetMember(setting.member, value)
    gone = () if state.uuid is None else (setting.shown(given),)
    return Change(setting.where, gone, (setting.shown(value),), setting.why, edit)


def _secret(look: _Look) -> Iterable[Change]:
    if look.secret is None or look.secret == look.state.secret:
        return
    yield Change(
        "Credentials → Client Secret",
        gone=() if look.state.secret is None else ("another one",),
        come=("that of keycloak.client_auth.secret (not shown)",),
        why="whoever else has the old one must be told" if look.state.secret else "as the file has it",
        edit=SetMember("secret", look.secret),
    )


def _signing_key(look: _Look) -> Iterable[Change]:
    key = look.wanted.key
    attributes = None if key is None else mended_keys(look.state, key)
    if key is None or attributes is None:
        return
    yield Change(
        "Credentials → Keys → JWKS",
        gone=(),
        come=(f"the public half of keycloak.client_auth.private_key ({key.jwk['kid']})",),
        why="by which Keycloak verifies what Sidegate signs; other keys there stay",
        edit=SetAttributes(attributes),
    )


def _web_origins(look: _Look) -> Iterable[Change]:
    given = look.state.web_origins
    if given and not look.strangers:
        why = "no page asks Keycloak by script (CORS)"
        yield Change("Access settings → Web origins", given, ("none",), why, SetMember("webOrigins", []))


# --- claims and scopes -----------------------------------------------------------------------------------------------


def _mappers(look: _Look) -> Iterable[Change]:
    for wanted in look.wanted.mappers:
        if any(_gives(mapper, wanted) for mapper in (*look.state.mappers, *_shared_mappers(look))):
            continue
        own = next((one for one in look.state.mappers if _is_of(one, wanted)), None)
        shared = next((one for one in _shared_mappers(look) if _is_of(one, wanted)), None)
        if own is not None:
            yield _mended(own, wanted)
        elif shared is None or _is_silent(shared, wanted):
            yield _new_mapper(look, wanted)


def _shared_mappers(look: _Look) -> Iterable[Mapper]:
    """Give the mappers of the client scopes that are in force when Sidegate asks."""
    asked = (scope for scope in look.state.optionals if scope.name in look.wanted.scopes)
    return (mapper for scope in (*look.state.defaults, *asked) for mapper in scope.mappers)


def _gives(mapper: Mapper, wanted: WantedMapper) -> bool:
    right = all(mapper.config.get(name) == value for name, value in wanted.exactly.items())
    return right and _is_of(mapper, wanted) and not _is_silent(mapper, wanted)


def _is_of(mapper: Mapper, wanted: WantedMapper) -> bool:
    """Say whether it is about the same thing, whether or not rightly."""
    if mapper.kind != wanted.kind:
        return False
    if wanted.kind == AUDIENCE:
        return wanted.exactly.items() <= mapper.config.items()
    if wanted.for_client is not None and mapper.config.get(FOR_CLIENT) not in {None, "", wanted.for_client}:
        return False
    return mapper.config.get("claim.name") in wanted.claims


def _is_silent(mapper: Mapper, wanted: WantedMapper) -> bool:
    """Say whether it writes into no token that is looked at."""
    return not any(mapper.config.get(switch) == "true" for switch in wanted.sources)


def _mended(own: Mapper, wanted: WantedMapper) -> Change:
    missing = dict(wanted.exactly)
    if _is_silent(own, wanted):
        missing.update(dict.fromkeys(wanted.sources, "true"))
    changed = {name: value for name, value in missing.items() if own.config.get(name) != value}
    return Change(
        f"Client scopes → dedicated → mapper {own.name}",
        gone=tuple(f"{name}: {own.config.get(name, 'not set')}" for name in changed),
        come=tuple(f"{name}: {value}" for name, value in changed.items()),
        why=wanted.why,
        edit=MendMapper(own, {**own.config, **changed}),
    )


def _new_mapper(look: _Look, wanted: WantedMapper) -> Change:
    taken = {mapper.name for mapper in look.state.mappers}
    name = wanted.name if wanted.name not in taken else f"{wanted.name} for Sidegate"
    return Change(
        "Client scopes → dedicated → Add mapper",
        gone=(),
        come=(f"{name} ({_KINDS[wanted.kind]})",),
        why=wanted.why,
        edit=AddMapper(name, wanted.kind, wanted.config),
    )


_KINDS: Final = {
    GROUPS: "Group Membership, full path",
    REALM_ROLES: "User Realm Role",
    CLIENT_ROLES: "User Client Role",
    AUDIENCE: "Audience",
}
"""What the console calls them."""


def _scopes(look: _Look) -> Iterable[Change]:
    state, known = look.state, {scope.name: scope for scope in look.state.others}
    given = {scope.name for scope in (*state.defaults, *state.optionals)}
    if BASIC_SCOPE not in {scope.name for scope in state.defaults} and BASIC_SCOPE in known:
        yield _assigned(known[BASIC_SCOPE], "default", "it puts sub into access tokens")
    for name in look.wanted.scopes:
        if name not in given and name in known:
            yield _assigned(known[name], "optional", "the file asks for it; without it Keycloak refuses the login")


def _assigned(scope: Scope, as_: str, why: str) -> Change:
    return Change("Client scopes → Add client scope", (), (f"{scope.name} ({as_})",), why, AssignScope(scope, as_))


# --- notes -----------------------------------------------------------------------------------------------------------


def _notes(look: _Look) -> Iterable[str]:
    yield from _notes_on_strangers(look)
    yield from _notes_on_keys(look)
    yield from _notes_on_claims(look)
    given = {scope.name for scope in (*look.state.defaults, *look.state.optionals, *look.state.others)}
    for name in look.wanted.scopes:
        if name not in given:
            yield (
                f"the realm has no client scope {name}, so Keycloak will refuse every login (invalid_scope): "
                "make it under Client scopes, or take it out of keycloak.scopes"
            )


def _notes_on_strangers(look: _Look) -> Iterable[str]:
    wild = [one for one in (*look.state.redirect_uris, *look.state.post_logout_uris) if "*" in one]
    for uri in dict.fromkeys(wild):
        yield (
            f"{uri} has a wildcard: a page anywhere below it can be sent codes or visitors. "
            "It is kept, for others may need it; name exact addresses instead"
        )
    ours = {look.wanted.redirect_uri, look.wanted.post_logout_uri}
    after = _without(look.state, look.state.post_logout_uris, look.wanted.post_logout_uri)
    for others, word in ((look.strangers, "redirect URIs"), (after, "post logout redirect URIs")):
        if kept := [uri for uri in others if uri not in ours]:
            yield f"{word} of others are kept: {', '.join(kept)}"
    if look.strangers:
        yield from _unused_but_kept(look)


def _notes_on_keys(look: _Look) -> Iterable[str]:
    key, url = look.wanted.key, url_of_keys(look.state)
    if key is None:
        return
    if url is not None:
        yield f"Keycloak fetches this client's keys from {url}; see that {key.jwk['kid']} is among them"
    elif key.sent_kid is None and len(held_keys(look.state)) > 1:
        yield "Keycloak holds several keys of this client; write key_id: thumbprint, so that it need not guess"


def _unused_but_kept(look: _Look) -> Iterable[str]:
    on = [
        setting.where.rpartition("→ ")[2]
        for setting in look.wanted.settings
        if setting.holds is Holds.WHEN_ALONE and not setting.will_do(look.state.member(setting.member))
    ]
    if look.state.web_origins:
        on.append(f"Web origins ({', '.join(look.state.web_origins)})")
    if on:
        yield f"Sidegate does not need {', '.join(on)}; kept, because others share this client"


def _notes_on_claims(look: _Look) -> Iterable[str]:
    if look.state.members.get("fullScopeAllowed") is False:
        yield (
            "Full scope allowed is off, so tokens have only the roles that Client scopes → dedicated → Scope names: "
            "see that those of your rules are among them"
        )
    for wanted in look.wanted.mappers:
        others = [mapper for mapper in _shared_mappers(look) if _is_of(mapper, wanted)]
        if wanted.kind == GROUPS and others and not any(_gives(mapper, wanted) for mapper in others):
            yield from (_note_on_paths(mapper) for mapper in others if mapper.config.get(FULL_PATH) != "true")


def _note_on_paths(mapper: Mapper) -> str:
    return (
        f"the mapper {mapper.name} of a client scope writes groups without their path, so /a/staff and /staff look "
        "the same. Other clients share it: switch on Full group path there, or take the scope off this client"
    )
