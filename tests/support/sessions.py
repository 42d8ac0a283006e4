"""Sessions, tokens and tabs for tests: valid ones, of which a test names only what it is about."""

from __future__ import annotations

import dataclasses
from typing import Any

from msgspec.structs import replace

from proxy.core.authentication import ROOT_LIFETIME_S, Tab
from proxy.core.bearer import Bearer
from proxy.core.identity import Identity
from proxy.core.secret import Secret
from proxy.core.session import NEVER, LoginOrigin, Session, session_key
from proxy.core.tokens import Grant, TokenSet
from tests.support.clocks import START

ISSUER = "https://sso.example.com/realms/acme"


def make_tokens(serial: int = 1, **changes: Any) -> TokenSet:
    """Tokens as Keycloak gives them: 300 seconds of access, 1800 of refresh, obtained at START."""
    tokens = TokenSet(
        access_token=Secret(f"access-{serial}"),
        refresh_token=Secret(f"refresh-{serial}"),
        id_token=Secret(f"id-{serial}"),
        obtained_at=START,
        access_expires_at=START + 300,
        refresh_expires_at=START + 1800,
    )
    return replace(tokens, **changes)


def make_session(cookie_value: Secret, *, subject: str = "alice-id", **changes: Any) -> Session:
    """A session made at START: 30 days, idle after 7."""
    session = Session(
        key=session_key(cookie_value),
        client_id="legacy-app",
        identity=Identity(issuer=ISSUER, subject=subject, username=subject.removesuffix("-id")),
        tokens=make_tokens(),
        sid=f"sid-of-{cookie_value.reveal()}",
        origin=LoginOrigin.FORM,
        issued_at=START,
        authenticated_at=START,
        acr=None,
        created_at=START,
        expires_at=START + 30 * 86400,
        idle_timeout_s=7 * 86400,
    )
    return dataclasses.replace(session, **changes)


def make_bearer(token: Secret, *, subject: str = "alice-id", **changes: Any) -> Bearer:
    """The bearer of an access token that was issued at START for 300 seconds."""
    bearer = Bearer(
        client_id="legacy-app",
        audience=("legacy-app",),
        identity=Identity(issuer=ISSUER, subject=subject, username=subject.removesuffix("-id")),
        access_token=token,
        sid="sid-of-token",
        issued_at=START,
        authenticated_at=NEVER,
        acr=None,
        expires_at=START + 300,
        token_hash=token.sha256(),
    )
    return replace(bearer, **changes)


def make_grant(session: Session, **changes: Any) -> Grant:
    """What the provider answers to a refresh of ``session``: the next tokens of the same login."""
    grant = Grant(
        tokens=make_tokens(2),
        identity=session.identity,
        sid=session.sid,
        issued_at=session.issued_at,
        auth_time=None,
        acr=None,
    )
    return replace(grant, **changes)


def make_tab(root_id: str, state: str, **changes: Any) -> Tab:
    """A tab made at START."""
    tab = Tab(
        root_id=root_id,
        issuer=ISSUER,
        client_id="legacy-app",
        tab_id=f"tab-{state}",
        state=state,
        nonce=f"nonce-{state}",
        code_verifier=Secret(f"verifier-{state}"),
        return_to="/",
        created_at=START,
        expires_at=START + ROOT_LIFETIME_S,
    )
    return replace(tab, **changes)
