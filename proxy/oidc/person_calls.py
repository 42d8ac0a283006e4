"""What the provider is asked for one person: tokens and what they are worth, and the end of sessions.

Apart from ``provider.py`` because it is wanted late: the provider is looked for from the start on, but nobody needs
anything of this before somebody signs in, comes with a session that is to be refreshed, or with a token that is asked
about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.identity import IdentityRules
from proxy.errors import ClientMisconfigured
from proxy.oidc.account import Account, account_sessions_url
from proxy.oidc.client_call import ClientCalls
from proxy.oidc.grants import GrantRules, GrantVerifier
from proxy.oidc.http_client import shown
from proxy.oidc.introspection import Introspection
from proxy.oidc.token_endpoint import TokenEndpoint, parse_error
from proxy.oidc.token_exchange import TokenExchange
from proxy.oidc.userinfo import Userinfo

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.oidc.http_client import HttpClient, ProviderAnswer
    from proxy.oidc.jwks import KeyStore
    from proxy.oidc.metadata import Addresses
    from proxy.oidc.options import ProviderOptions
    from proxy.ports import Observer, ProviderMetadata

_NOT_UNDERSTOOD = frozenset({"invalid_request", "unsupported_token_type"})


class PersonCalls:
    """Each asks as one client.

    Attributes:
        grants: what is made of the answers.
    """

    def __init__(
        self, options: ProviderOptions, http: HttpClient, *, keys: KeyStore, addresses: Addresses, observer: Observer
    ) -> None:
        """Put the parts together; nothing is asked yet."""
        calls = ClientCalls(http, authentication=options.authentication, audience=options.issuer, observer=observer)
        self.endpoint = TokenEndpoint(calls, scopes=options.scopes)
        self.introspection = Introspection(calls, issuer=options.issuer)
        self.exchange = TokenExchange(calls)
        self.account = Account(http, sessions_url=account_sessions_url(addresses))
        userinfo = Userinfo(http, keys, issuer=options.issuer, client_id=options.client_id)
        self.grants = GrantVerifier(keys, userinfo, rules=_grant_rules(options))

    async def end_session(self, metadata: ProviderMetadata, *, refresh_token: Secret) -> None:
        """End what the refresh token belongs to, at the first endpoint that understands it, if there is one.

        Raises:
            ProviderUnavailable, ClientMisconfigured
        """
        end_session, revocation = metadata.end_session_endpoint_internal, metadata.revocation_endpoint
        if end_session is not None and _has_ended(
            await self.endpoint.end_session(end_session, refresh_token=refresh_token)
        ):
            return
        if revocation is not None:
            _has_ended(await self.endpoint.revoke(revocation, refresh_token=refresh_token))


def _grant_rules(options: ProviderOptions) -> GrantRules:
    identity = IdentityRules(issuer=options.issuer, client_id=options.client_id, username_claim=options.username_claim)
    return GrantRules(identity=identity, claims_from=options.claims_from, trusted_audiences=options.trusted_audiences)


def _has_ended(answer: ProviderAnswer) -> bool:
    """Say whether the provider ended what the refresh token belongs to; False: it does not do it this way.

    Raises:
        ProviderUnavailable, ClientMisconfigured
    """
    if answer.status == 204:
        return True
    if answer.status in {200, 404, 405} or (answer.status == 400 and answer.media_type != "application/json"):
        return False
    error, description = parse_error(answer)
    if error == "invalid_grant":
        return True
    if error in _NOT_UNDERSTOOD:
        return False
    raise ClientMisconfigured(f"{answer.url} refuses this client: {shown(error)}: {shown(description)}")
