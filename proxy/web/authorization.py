"""The authorization request: what a flow asks of the provider, as a URL. Pure.

Source: OIDC Core 1.0 §3.1.2.1; RFC 7636 §4.2, §4.3 (PKCE, S256 only); Initiating User Registration via OpenID Connect
1.0 (``prompt=create``).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from proxy.web.options import Feature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.authentication import Tab
    from proxy.core.secret import Secret
    from proxy.web.options import WebOptions

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
"""Values of ``prompt`` that a link may ask for; ``create`` has its own switch."""

MAX_LOGIN_HINT_LENGTH = 255
"""Characters of ``login_hint``; the longest user name."""

_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ACTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

_PARAMETER_OF: Final = {
    "provider": "kc_idp_hint",
    "prompt": "prompt",
    "login_hint": "login_hint",
    "kc_action": "kc_action",
}
"""Notes of a tab, and the parameters that they become."""


def wishes(query: Mapping[str, str], registration: Feature) -> dict[str, str]:
    """Return what a link to ``/start`` asks for, as notes of a tab; what is not understood is left out."""
    judged = {
        "provider": _fitting(query.get("provider"), _ALIAS),
        "prompt": _prompt(query, registration),
        "login_hint": _login_hint(query.get("login_hint")),
        "kc_action": _fitting(query.get("kc_action"), _ACTION),
    }
    return {name: value for name, value in judged.items() if value}


def authorization_url(endpoint: str, tab: Tab, options: WebOptions) -> str:
    """Return where the browser goes; ``endpoint`` may have a query of its own (RFC 6749 §3.1)."""
    ours = {
        "client_id": options.client_id,
        "redirect_uri": options.url("callback"),
        "response_type": "code",
        "scope": " ".join(options.scopes),
        "state": tab.state,
        "nonce": tab.nonce,
        "code_challenge": code_challenge(tab.code_verifier),
        "code_challenge_method": "S256",
        **{_PARAMETER_OF[name]: value for name, value in tab.notes.items() if name in _PARAMETER_OF},
    }
    query = urlencode({**options.auth_params, **ours}, quote_via=quote)
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def code_challenge(code_verifier: Secret) -> str:
    """Return the S256 challenge (RFC 7636 §4.2)."""
    return urlsafe_b64encode(sha256(code_verifier.reveal().encode()).digest()).rstrip(b"=").decode()


def _prompt(query: Mapping[str, str], registration: Feature) -> str | None:
    if query.get("register") == "1" and registration is Feature.ON:
        return "create"
    wanted = query.get("prompt", "").split(" ")
    return " ".join(value for value in dict.fromkeys(wanted) if value in PROMPTS) or None


def _login_hint(hint: str | None) -> str | None:
    if hint is None or len(hint) > MAX_LOGIN_HINT_LENGTH or not hint.isprintable():
        return None
    return hint


def _fitting(value: str | None, pattern: re.Pattern[str]) -> str | None:
    return value if value is not None and pattern.fullmatch(value) else None
