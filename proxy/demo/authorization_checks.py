"""From the parameters of the authorization endpoint to an ``AuthorizationRequest``, or a refusal. No HTTP.

What would make a redirect unsafe is a page; everything after that goes back to the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from proxy.demo.authorization_request import AuthorizationRequest
from proxy.demo.clients import Client, Feature
from proxy.demo.grants import granted_scope
from proxy.demo.oauth_errors import OAuthError, PageError, RedirectError
from proxy.demo.realm import Realm, Registration

if TYPE_CHECKING:
    from collections.abc import Mapping

RESPONSE_MODES: Final = frozenset({"query", "fragment", "form_post"})


def client_of_request(realm: Realm, parameters: Mapping[str, str]) -> Client:
    """The client, once it is safe to send the browser to its redirect URI.

    Raises:
        PageError: unknown or disabled client, redirect URI that is not registered.
    """
    if "client_id" not in parameters:
        raise PageError("Missing parameter: client_id")
    client = realm.clients.get(parameters["client_id"])
    if client is None or Feature.BEARER_ONLY in client.features:
        raise PageError("Client not found.")
    if Feature.ENABLED not in client.features:
        raise PageError("Client disabled.")
    if not client.accepts_redirect(parameters.get("redirect_uri", "")):
        raise PageError("Invalid parameter: redirect_uri")
    return client


def checked_request(realm: Realm, client: Client, parameters: Mapping[str, str]) -> AuthorizationRequest:
    """The request as a value.

    Raises:
        PageError: a ``max_age`` that is no number, registration that is closed.
        RedirectError: everything else.
    """
    _check_response_type(client, parameters)
    _check_challenge(client, parameters)
    prompt = frozenset(parameters.get("prompt", "").split())
    if "create" in prompt and realm.registration is Registration.CLOSED:
        raise PageError("Registration not allowed")
    return AuthorizationRequest(
        client=client,
        redirect_uri=parameters["redirect_uri"],
        query=urlencode(list(parameters.items())),
        scope=_scope(parameters),
        response_mode=parameters.get("response_mode", "query"),
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        code_challenge=parameters.get("code_challenge"),
        code_challenge_method=parameters.get("code_challenge_method", "plain"),
        prompt=prompt,
        max_age_s=_max_age(parameters),
        acr_values=tuple(parameters.get("acr_values", "").split()),
        login_hint=parameters.get("login_hint", ""),
        action=parameters.get("kc_action"),
    )


def _check_response_type(client: Client, parameters: Mapping[str, str]) -> None:
    if "response_type" not in parameters:
        raise RedirectError("invalid_request", "Missing parameter: response_type")
    if parameters["response_type"] != "code":
        raise RedirectError("unsupported_response_type")
    if parameters.get("response_mode", "query") not in RESPONSE_MODES:
        raise RedirectError("invalid_request", "Invalid parameter: response_mode")
    if Feature.STANDARD_FLOW not in client.features:
        raise RedirectError(
            "unauthorized_client", "Client is not allowed to initiate browser login with given response_type."
        )


def _check_challenge(client: Client, parameters: Mapping[str, str]) -> None:
    """RFC 7636 §4.4.1. A client that must use S256 says so in its registration."""
    method, challenge = parameters.get("code_challenge_method"), parameters.get("code_challenge")
    if Feature.PKCE_REQUIRED not in client.features and method is None:
        return
    if method is None:
        raise RedirectError("invalid_request", "Missing parameter: code_challenge_method")
    if method != "S256" and Feature.PKCE_REQUIRED in client.features:
        description = "Invalid parameter: code challenge method is not matching the configured one"
        raise RedirectError("invalid_request", description)
    if method not in {"plain", "S256"}:
        raise RedirectError("invalid_request", "Invalid parameter: invalid code_challenge_method")
    if challenge is None:
        raise RedirectError("invalid_request", "Missing parameter: code_challenge")


def _scope(parameters: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return granted_scope(parameters.get("scope", ""))
    except OAuthError as refused:
        raise RedirectError(refused.error, refused.description) from refused


def _max_age(parameters: Mapping[str, str]) -> int | None:
    text = parameters.get("max_age")
    if not text:
        return None
    try:
        return int(text)
    except ValueError as failure:
        raise PageError("Invalid Request") from failure
