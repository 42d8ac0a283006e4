"""The authorization request: what a flow asks of the provider, as a URL. Pure.

Source: OIDC Core 1.0 §3.1.2.1; RFC 7636 §4.2, §4.3 (PKCE, S256 only); Initiating User Registration via OpenID Connect
1.0 (``prompt=create``).
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.authentication import Tab
    from proxy.core.secret import Secret
    from proxy.web.options import WebOptions

UI_LOCALES: Final = "ui_locales"

_PARAMETER_OF: Final = {
    "provider": "kc_idp_hint",
    "prompt": "prompt",
    "login_hint": "login_hint",
    "kc_action": "kc_action",
    "ui_locales": UI_LOCALES,
    "acr_values": "acr_values",
    "max_age": "max_age",
}
"""Notes of a tab, and the parameters that they become."""


def authorization_url(
    endpoint: str, tab: Tab, *, options: WebOptions, host: str, further: Mapping[str, str] | None = None
) -> str:
    """Return where the browser goes; ``endpoint`` may have a query of its own (RFC 6749 §3.1).

    Args:
        host: of the request, at which the browser arrives again.
        further: parameters that follow from the notes and from what the provider can do.
    """
    ours = {
        **(further or {}),
        "client_id": options.client_id,
        "redirect_uri": options.url("callback", host=host),
        "response_type": "code",
        "scope": " ".join(options.scopes),
        "state": tab.state,
        "nonce": tab.nonce,
        "code_challenge": code_challenge(tab.code_verifier),
        "code_challenge_method": "S256",
        **{_PARAMETER_OF[name]: value for name, value in tab.notes.items() if name in _PARAMETER_OF},
    }
    if UI_LOCALES in options.auth_params:
        # The operator knows better than browsers in which languages the provider's pages are fit to be read.
        ours.pop(UI_LOCALES, None)
    query = urlencode({**options.auth_params, **ours}, quote_via=quote)
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def code_challenge(code_verifier: Secret) -> str:
    """Return the S256 challenge (RFC 7636 §4.2)."""
    return urlsafe_b64encode(sha256(code_verifier.reveal().encode()).digest()).rstrip(b"=").decode()
