"""What the embedded provider refuses, as values with their wording; how they look on the wire is in ``application``.

The texts are those of Keycloak 26.7: a relying party that went by them would be wrong, so they are there to be ignored.
"""

from __future__ import annotations

from urllib.parse import urlencode


class OAuthError(Exception):
    """An answer of RFC 6749 §5.2: JSON with ``error`` and, when there is one, ``error_description``."""

    def __init__(self, status: int, error: str, description: str | None = None) -> None:
        super().__init__(error, description)
        self.status = status
        self.error = error
        self.description = description

    def body(self) -> dict[str, str]:
        body = {"error": self.error}
        if self.description is not None:
            body["error_description"] = self.description
        return body


class PageError(Exception):
    """A 400 page for a person: where it is not safe to redirect (RFC 6749 §4.1.2.1)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RedirectError(Exception):
    """A refusal that the browser carries back to the client (RFC 6749 §4.1.2.1, RFC 9207 §2)."""

    def __init__(self, error: str, description: str | None = None) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description

    def parameters(self, state: str | None, issuer: str) -> dict[str, str]:
        """The parameters in Keycloak's order: error, error_description, state, iss."""
        pairs = {"error": self.error, "error_description": self.description, "state": state, "iss": issuer}
        return {name: value for name, value in pairs.items() if value is not None}


class BearerError(Exception):
    """A refusal at a resource endpoint: an empty body and ``WWW-Authenticate`` (RFC 6750 §3)."""

    def __init__(self, status: int, error: str | None = None, description: str | None = None) -> None:
        super().__init__(error, description)
        self.status = status
        self.error = error
        self.description = description

    def challenge(self, realm: str) -> str:
        parts = [f'Bearer realm="{realm}"']
        if self.error is not None:
            parts.append(f'error="{self.error}"')
        if self.description is not None:
            parts.append(f'error_description="{self.description}"')
        return ", ".join(parts)


def invalid_grant(description: str) -> OAuthError:
    return OAuthError(400, "invalid_grant", description)


def invalid_request(description: str) -> OAuthError:
    return OAuthError(400, "invalid_request", description)


def with_parameters(url: str, parameters: dict[str, str], separator: str = "?") -> str:
    """The URL with the parameters added; a query that is there already is kept (RFC 6749 §3.1.2)."""
    if separator in url:
        separator = "&"
    return f"{url}{separator}{urlencode(parameters)}"
