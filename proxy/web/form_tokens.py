"""Tokens in forms and in ``state`` that need no memory: a MAC over what they stand for.

A page that is merely shown stores nothing, so whatever must be known again when its form comes back travels in the form
and is authenticated. Each kind has a key of its own, derived from the server key, so that none passes for another.
Pure: time and randomness are arguments.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from proxy.errors import CsrfRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.secret import Secret

MAX_TOKEN_LENGTH = 12_288
"""Characters of a token that are looked at: ``return_to`` of 2 KiB and the longest notes (a ``login_hint`` of 255
characters beyond the basic plane is 3 KiB of JSON), in Base64, with room.
"""

LOGIN_FORM: Final = "login form"
SESSION_FORMS: Final = "forms of a session"
LOGOUT_STATE: Final = "state of a logout"
SESSION_NOTICE: Final = "notice of a session"
"""Purposes of keys."""


def derived_key(server_key: bytes, purpose: str) -> bytes:
    """Return the key of one purpose: HMAC-SHA256 as a PRF over its name (RFC 2104; NIST SP 800-108 in spirit)."""
    return hmac.digest(server_key, f"sidegate {purpose} 1".encode(), "sha256")


class FormTab(Struct, frozen=True):
    """What a login form stands for: a tab of this root that wants to go somewhere, until it expires (Unix seconds).

    ``notes`` are those of ``web.flow_notes``; what the form says of itself is not believed, what its token says is.
    """

    root_id: str
    tab_id: str
    return_to: str
    expires_at: float
    notes: Mapping[str, str] = field(default_factory=dict)


def claimed(token: str) -> tuple[str | None, dict[str, str]]:
    """Return the way and the notes of a token that nobody vouches for: its root is gone, or it is no token at all.

    Both are worth what a link is worth that anybody can write, and must be judged as such; enough to draw a form again.
    """
    try:
        members = _unpacked(token.partition(".")[0]) if len(token) <= MAX_TOKEN_LENGTH else {}
        notes = members.get("notes") or {}
        return str(members["to"]), {str(name): str(value) for name, value in notes.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, {}


def refuse_expired(tab: FormTab, now: float) -> None:
    """Refuse a form that was open too long; ``now``: Unix seconds.

    Raises:
        CsrfRejected
    """
    if tab.expires_at <= now:
        raise CsrfRejected("the form was open too long", reason="csrf_expired")


class LoginFormTokens:
    """CSRF tokens of the login form, each bound to the browser's root cookie."""

    def __init__(self, server_key: bytes, *older_keys: bytes) -> None:
        """Derive the keys: tokens are made with the first and known by each, for a page may be older than the key."""
        self._key, *self._older = (derived_key(key, LOGIN_FORM) for key in (server_key, *older_keys))

    def issue(self, tab: FormTab) -> str:
        """Return the token of a form; the root is authenticated, not contained."""
        members = {"tab": tab.tab_id, "to": tab.return_to, "exp": tab.expires_at, "notes": dict(tab.notes)}
        payload = _packed(members)
        return f"{payload}.{_mac(self._key, tab.root_id, payload)}"

    def read(self, token: str, root_id: str | None) -> FormTab:
        """Return what the token stands for; it may have expired.

        Raises:
            CsrfRejected: missing, foreign or altered.
        """
        if root_id is None:
            raise CsrfRejected("the browser sent no cookie of a root", reason="csrf_no_cookie")
        payload, _, mac = token.partition(".")
        if len(token) > MAX_TOKEN_LENGTH or not self._is_ours(mac, root_id, payload):
            raise CsrfRejected("the form's token is missing or was made for another browser")
        members = _unpacked(payload)
        return FormTab(root_id, members["tab"], members["to"], members["exp"], members.get("notes", {}))

    def _is_ours(self, mac: str, root_id: str, payload: str) -> bool:
        return any(_same(mac, _mac(key, root_id, payload)) for key in (self._key, *self._older))


class SessionFormTokens:
    """The one CSRF token of a session, for logout and devices."""

    def __init__(self, server_key: bytes, *older_keys: bytes) -> None:
        """Derive the keys: the token is made with the first and known by each."""
        self._keys = tuple(derived_key(key, SESSION_FORMS) for key in (server_key, *older_keys))

    def token(self, cookie_value: Secret) -> str:
        """Return the token of the session that this cookie names."""
        return _mac(self._keys[0], cookie_value.reveal())

    def fits(self, token: str, cookie_value: Secret) -> bool:
        """Say whether the token belongs to the session, in constant time."""
        return any(_same(token, _mac(key, cookie_value.reveal())) for key in self._keys)


class LogoutStates:
    """``state`` of a logout: where the person wants to go afterwards (OIDC RP-Initiated Logout 1.0 §3)."""

    def __init__(self, server_key: bytes) -> None:
        """Derive the key."""
        self._key = derived_key(server_key, LOGOUT_STATE)

    def issue(self, return_to: str) -> str:
        """Return a state that holds a path which was judged already."""
        payload = _packed({"to": return_to})
        return f"{payload}.{_mac(self._key, payload)}"

    def open(self, state: str) -> str | None:
        """Return the path, or None when the state is not one of ours."""
        payload, _, mac = state.partition(".")
        if len(state) > MAX_TOKEN_LENGTH or not _same(mac, _mac(self._key, payload)):
            return None
        return str(_unpacked(payload)["to"])


class SessionNotices:
    """A word in the query of a page that says how something went; only we can write it, and only for this session."""

    def __init__(self, server_key: bytes) -> None:
        """Derive the key."""
        self._key = derived_key(server_key, SESSION_NOTICE)

    def issue(self, word: str, cookie_value: Secret) -> str:
        """Return the word with its MAC."""
        return f"{word}~{_mac(self._key, word, cookie_value.reveal())}"

    def open(self, text: str, cookie_value: Secret) -> str:
        """Return the word, empty when the text is not one of ours for this session."""
        word, _, mac = text.rpartition("~")
        is_ours = len(text) <= MAX_TOKEN_LENGTH and _same(mac, _mac(self._key, word, cookie_value.reveal()))
        return word if is_ours else ""


def _packed(members: dict[str, object]) -> str:
    return _base64(json.dumps(members, separators=(",", ":")).encode())


def _unpacked(payload: str) -> dict[str, Any]:
    # Only what passed the MAC comes here: we made it, so it is what _packed made.
    members: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return members


def _mac(key: bytes, *parts: str) -> str:
    # Lengths go before the parts, so that no two lists of parts give the same bytes.
    message = b"".join(len(raw).to_bytes(4) + raw for raw in (part.encode("utf-8", "surrogatepass") for part in parts))
    return _base64(hmac.digest(key, message, "sha256"))


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
