"""Keycloak's admin REST API, as far as one client is concerned; knows no settings.

Every refusal becomes one sentence with its remedy here, from the status alone. Tokens of ``admin-cli`` live for a
minute, and a person may think longer than that before saying yes: a new one is asked for when the old one is nearly
over, and once more when Keycloak says 401.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import aiohttp

from proxy.core.secret import Secret
from proxy.errors import ProviderUnavailable, SidegateError
from proxy.keycloak_setup.difference import AddMapper, AssignScope, MendMapper
from proxy.keycloak_setup.state import ClientState, Scope, documents, parse_mappers, parse_scope
from proxy.oidc.http_client import shown
from proxy.oidc.json_object import NotAnObject, parse_json_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from proxy.keycloak_setup.difference import Edit
    from proxy.oidc.http_client import HttpClient, ProviderAnswer
    from proxy.ports import Clock

SPARE_S: Final = 15.0
"""Seconds before its end from which a token is not used any more; requests to a busy server take a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    """Who signs in, and where.

    Attributes:
        base_url: of Keycloak, without a final slash.
        realm: the one that knows this account; mostly ``master``.
    """

    base_url: str
    realm: str
    username: str
    password: Secret = field(repr=False)


class AdminApi:
    """One realm's clients."""

    def __init__(self, http: HttpClient, administrator: Administrator, *, realm: str, clock: Clock) -> None:
        """Ask nothing yet."""
        self._http = http
        self._administrator = administrator
        self._realm = realm
        self._clock = clock
        self._token = ""
        self._token_until = 0.0

    # --- looking -----------------------------------------------------------------------------------------------------

    async def look(self, client_id: str, scopes: Collection[str]) -> ClientState:
        """Return the client as it is; ``scopes`` are those that Sidegate asks for.

        Raises:
            SidegateError: Keycloak cannot be reached, or refuses; the sentence says which and what to do.
        """
        members = await self._find(client_id)
        if members is None:
            given = await self._scopes("/default-default-client-scopes", "/default-optional-client-scopes", scopes)
            return ClientState(uuid=None, defaults=given[0], optionals=given[1], others=given[2])
        _refuse_other_protocol(members, client_id)
        uuid = str(members.get("id"))
        at = f"/clients/{uuid}"
        given = await self._scopes(f"{at}/default-client-scopes", f"{at}/optional-client-scopes", scopes)
        return ClientState(
            uuid=uuid,
            members={name: value for name, value in members.items() if name != "secret"},
            mappers=parse_mappers(members.get("protocolMappers")),
            defaults=given[0],
            optionals=given[1],
            others=given[2],
            secret=None if members.get("publicClient") is True else await self.secret(uuid),
        )

    async def secret(self, uuid: str) -> Secret | None:
        """Return the client's secret; None when it has none."""
        answer = await self._ask("GET", f"/clients/{uuid}/client-secret")
        value = _object(answer).get("value")
        return Secret(value) if isinstance(value, str) and value else None

    async def identity_provider(self, alias: str) -> dict[str, object] | None:
        """Return an identity provider of the realm; None when there is none, or this account may not look at it."""
        answer = await self._send("GET", f"/identity-provider/instances/{quote(alias, safe='')}", None)
        return dict(_object(answer, default={})) if answer.status == 200 else None

    async def _find(self, client_id: str) -> Mapping[str, object] | None:
        found = await self._list("/clients?" + urlencode({"clientId": client_id}))
        return next((one for one in found if one.get("clientId") == client_id), None)

    async def _scopes(
        self, defaults_at: str, optionals_at: str, asked: Collection[str]
    ) -> tuple[tuple[Scope, ...], tuple[Scope, ...], tuple[Scope, ...]]:
        """Return default, optional and further scopes; with their mappers where they will be in force."""
        defaults = [await self._scope(one) for one in await self._list(defaults_at)]
        optionals = [
            await self._scope(one) if one.get("name") in asked else parse_scope(one)
            for one in await self._list(optionals_at)
        ]
        return tuple(defaults), tuple(optionals), await self._others({one.name for one in (*defaults, *optionals)})

    async def _others(self, given: Collection[str]) -> tuple[Scope, ...]:
        every = (parse_scope(one) for one in await self._list("/client-scopes"))
        return tuple(Scope(one.id, one.name) for one in every if one.name not in given)

    async def _scope(self, named: Mapping[str, object]) -> Scope:
        return parse_scope(_object(await self._ask("GET", f"/client-scopes/{quote(str(named.get('id')), safe='')}")))

    async def _list(self, path: str) -> Iterable[Mapping[str, object]]:
        answer = await self._ask("GET", path)
        return documents(_object(answer, wrap=b'{"list":%b}').get("list"))

    # --- changing ----------------------------------------------------------------------------------------------------

    async def create(self, representation: Mapping[str, object]) -> None:
        """Make a client."""
        await self._ask("POST", "/clients", representation)

    async def update(self, uuid: str, representation: Mapping[str, object]) -> None:
        """Change the members that are named; the others, and attributes that are not named, stay (measured: 26.7)."""
        await self._ask("PUT", f"/clients/{uuid}", representation)

    async def edit(self, uuid: str, edit: Edit) -> None:
        """Do what has a request of its own."""
        at = f"/clients/{uuid}"
        match edit:
            case AddMapper():
                await self._ask("POST", f"{at}/protocol-mappers/models", _mapper(edit.name, edit.kind, edit.config))
            case MendMapper(mapper=mapper):
                document = {"id": mapper.id, **_mapper(mapper.name, mapper.kind, edit.config)}
                await self._ask("PUT", f"{at}/protocol-mappers/models/{quote(mapper.id, safe='')}", document)
            case AssignScope():
                await self._ask("PUT", f"{at}/{edit.as_}-client-scopes/{quote(edit.scope.id, safe='')}", {})

    async def make_secret(self, uuid: str) -> Secret:
        """Have Keycloak make a secret: for a client that had none until it was told to prove itself."""
        answer = await self._ask("POST", f"/clients/{uuid}/client-secret", {})
        value = _object(answer).get("value")
        if not isinstance(value, str) or not value:
            raise SidegateError("Keycloak made no secret for the client; make one under Credentials in its console")
        return Secret(value)

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _ask(self, method: str, path: str, document: Mapping[str, object] | None = None) -> ProviderAnswer:
        """Return an answer of the admin API that is no refusal."""
        answer = await self._send(method, path, document)
        if answer.status == 401:
            self._token_until = 0.0
            answer = await self._send(method, path, document)
        if answer.status >= 300:
            raise self._refusal(answer)
        return answer

    async def _send(self, method: str, path: str, document: Mapping[str, object] | None) -> ProviderAnswer:
        headers = {"Authorization": f"Bearer {await self._fresh_token()}"}
        url = f"{self._administrator.base_url}/admin/realms/{quote(self._realm, safe='')}{path}"
        try:
            if document is None:
                return await self._http.get("admin", url, headers=headers)
            body = _revealed(document)
            return await self._http.send_json("admin", url, method=method, document=body, headers=headers)
        except ProviderUnavailable as fault:
            raise unreachable(fault) from fault

    async def _fresh_token(self) -> str:
        if self._clock.monotonic() >= self._token_until:
            await self._sign_in()
        return self._token

    async def _sign_in(self) -> None:
        who = self._administrator
        url = f"{who.base_url}/realms/{quote(who.realm, safe='')}/protocol/openid-connect/token"
        credentials = {"username": who.username, "password": who.password.reveal()}
        form = {"grant_type": "password", "client_id": "admin-cli", **credentials}
        asked_at = self._clock.monotonic()
        try:
            answer = await self._http.post_form("admin", url, form=form, headers={})
        except ProviderUnavailable as fault:
            raise unreachable(fault) from fault
        document = _object(answer, default={})
        token, life_s = document.get("access_token"), document.get("expires_in")
        if answer.status != 200 or not isinstance(token, str):
            raise self._no_entry(answer, document)
        self._token = token
        self._token_until = asked_at + (float(life_s) if isinstance(life_s, int) else 60.0) - SPARE_S

    # --- refusals ----------------------------------------------------------------------------------------------------

    def _no_entry(self, answer: ProviderAnswer, document: Mapping[str, object]) -> SidegateError:
        """Return why the administrator could not sign in (RFC 6749 §5.2; a missing realm is Keycloak's own 404)."""
        who = self._administrator
        match document.get("error"):
            case "invalid_grant":
                return SidegateError(
                    f"Keycloak refuses {who.username} in realm {who.realm}: {_description(document)}; "
                    "check --admin-user and the password; an account with a one-time code cannot be used here"
                )
            case "unauthorized_client" | "invalid_client":
                return SidegateError(
                    f"the client admin-cli of realm {who.realm} takes no password; "
                    "switch on its Direct access grants, or name another realm with --admin-realm"
                )
            case str() if answer.status == 404:
                return SidegateError(
                    f"{who.base_url} has no realm {who.realm}; "
                    "name with --admin-realm the one that knows your administrator"
                )
        return _no_keycloak(who.base_url, answer.status)

    def _refusal(self, answer: ProviderAnswer) -> SidegateError:
        """Return the sentence for what the admin API refuses."""
        base_url, document = self._administrator.base_url, _object(answer, default={})
        if answer.status in {401, 403}:
            return SidegateError(self._without_right(answer.status))
        if answer.status == 404 and document.get("error") == "Realm not found.":
            return SidegateError(f"{base_url} has no realm {self._realm}; check keycloak.issuer, or --admin-url")
        if answer.status == 404 and not document:
            return _no_keycloak(base_url, 404)
        return SidegateError(_without_remedy_of_ours(answer.status, _description(document)))

    def _without_right(self, status: int) -> str:
        who = self._administrator
        if status == 401:
            return (
                f"{who.base_url} gives {who.username} a token and does not take it back; "
                "write as --admin-url the address that Keycloak knows itself by (its --hostname)"
            )
        return (
            f"{who.username} may not manage the clients of realm {self._realm}; "
            f"give the account the role manage-clients of {self._rights_client()}, nothing more is needed"
        )

    def _rights_client(self) -> str:
        """Return the client whose roles give rights over this realm."""
        same = self._administrator.realm == self._realm
        return "realm-management" if same else f"{self._realm}-realm (in realm {self._administrator.realm})"


def unreachable(fault: ProviderUnavailable) -> SidegateError:
    """Return the sentence for a Keycloak that cannot be reached, with what to do."""
    if isinstance(fault.__cause__, aiohttp.ClientSSLError):
        return SidegateError(f"{fault}; name its authority in keycloak.ca_file, and check --admin-url")
    return SidegateError(f"{fault}; check --admin-url and the network between")


def _no_keycloak(base_url: str, status: int) -> SidegateError:
    return SidegateError(
        f"at {base_url} no admin API of a Keycloak answers (but {status}); --admin-url is what stands before /realms/ "
        "and /admin/, such as https://sso.example.com, and an ingress must let /admin/ through"
    )


def _without_remedy_of_ours(status: int, said: str) -> str:
    if status in {404, 409}:
        return f"somebody else changed this client in the meantime ({said}); run the command again"
    if status >= 500:
        return f"Keycloak answers {status}: {said}; try again, or see its log"
    return (
        f"Keycloak does not take the change ({status}): {said}; "
        "a policy of the realm may forbid it (Realm settings → Client policies)"
    )


def _refuse_other_protocol(members: Mapping[str, object], client_id: str) -> None:
    protocol = members.get("protocol", "openid-connect")
    if protocol != "openid-connect":
        raise SidegateError(
            f"the client {shown(client_id)} speaks {shown(protocol)}; name another one in keycloak.client_id"
        )


def _description(document: Mapping[str, object]) -> str:
    """Return what Keycloak says; a few of its words, printable."""
    said = (document.get(name) for name in ("errorMessage", "error_description", "error"))
    return next((shown(words) for words in said if isinstance(words, str) and words), "no reason given")


def _object(
    answer: ProviderAnswer, *, wrap: bytes = b"%b", default: Mapping[str, object] | None = None
) -> Mapping[str, object]:
    """Return the body as an object.

    Raises:
        SidegateError: it is none, and there is no ``default``.
    """
    try:
        return parse_json_object(wrap % answer.body)
    except NotAnObject as fault:
        if default is not None:
            return default
        raise _no_keycloak(answer.url.partition("/admin/realms/")[0], answer.status) from fault


def _mapper(name: str, kind: str, config: Mapping[str, str]) -> dict[str, object]:
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": dict(config)}


def _revealed(document: Mapping[str, object]) -> dict[str, object]:
    """Return what goes over the wire; here alone the secret is text."""
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in document.items()}
