"""What a link to ``/login`` or ``/start`` may say: a closed list of members, each with its own rule.

Anybody can write a link, so nothing here is believed: a member that breaks its rule is left out, as if nobody had named
it. What remains are *notes* of the flow. They go with the form (authenticated), with its links into the code flow, and
with the tab; some become parameters of the authorization request, some are copied into the session.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from proxy.web.destination import destination, only, single_values
from proxy.web.options import OPTIONS, Feature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
"""Values of ``prompt`` that a link may ask for; ``create`` has its own switch."""

CREATE = "create"
"""``prompt`` of a registration."""

MAX_LOGIN_HINT_LENGTH = 255
"""Characters of ``login_hint``; the longest user name."""

MAX_LIST_LENGTH = 255
"""Characters of ``acr_values`` or ``ui_locales``, both lists separated by spaces (OIDC Core 1.0 §3.1.2.1)."""

_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ACTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_KEPT = re.compile(r"[A-Za-z0-9_-]{22}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_LOCALES = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*(?: [A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)*")
_CLASSES = re.compile(r"[A-Za-z0-9._:/#~+-]+(?: [A-Za-z0-9._:/#~+-]+)*")


class Wish(Struct, frozen=True):
    """What a login is for: where to go afterwards (a path that was judged), and the notes of the flow."""

    return_to: str
    notes: Mapping[str, str] = field(default_factory=dict)


def wish_of(request: web.Request) -> Wish:
    """Return what this link asks for; what it must not ask for, or asks twice, is left out."""
    query, login = single_values(request), request.app[OPTIONS].login
    return Wish(destination(request, only(request, "return_to")), wishes(query, login.registration))


def wishes(query: Mapping[str, str], registration: Feature) -> dict[str, str]:
    """Return the notes of a link; what is not understood is left out."""
    judged = {name: rule(query[name]) for name, rule in _RULES.items() if name in query}
    if query.get("register") == "1" and registration is Feature.ON:
        judged["prompt"] = CREATE
    return {name: value for name, value in judged.items() if value}


def along(notes: Mapping[str, str]) -> dict[str, str]:
    """Return the notes that go from one flow into a link to the next: those that a link may have, without those that
    say which way the flow takes.
    """
    return {name: value for name, value in notes.items() if name in _RULES and name not in _OF_THE_WAY}


def start_link(request: web.Request, notes: Mapping[str, str], **own: str) -> str:
    """Return the link into the code flow with these notes; what ``own`` says of the same name wins."""
    query = {**own, **{name: value for name, value in notes.items() if name not in own}}
    if query.get("prompt") == CREATE:
        query = {"register": "1", **{name: value for name, value in query.items() if name != "prompt"}}
    return request.app[OPTIONS].path("start", **query)


def asks_again(notes: Mapping[str, str]) -> bool:
    """Say whether somebody wants to sign in although they are signed in (``prompt=login``): their session ends soon."""
    return "login" in notes.get("prompt", "").split(" ")


def session_notes(notes: Mapping[str, str]) -> dict[str, str]:
    """Return the notes that the session is to have: the id of a request that waits for this very login."""
    return {name: notes[name] for name in _OF_THE_SESSION if name in notes}


def _prompt(text: str) -> str:
    return " ".join(value for value in dict.fromkeys(text.split(" ")) if value in PROMPTS)


def _login_hint(text: str) -> str | None:
    return text if len(text) <= MAX_LOGIN_HINT_LENGTH and text.isprintable() else None


def _fitting(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if len(text) <= MAX_LIST_LENGTH and pattern.fullmatch(text) else None


_RULES: Final[Mapping[str, Callable[[str], str | None]]] = {
    "provider": _fitting(_ALIAS),
    "prompt": _prompt,
    "login_hint": _login_hint,
    "kc_action": _fitting(_ACTION),
    "kept": _fitting(_KEPT),
    "ui_locales": _fitting(_LOCALES),
    "acr_values": _fitting(_CLASSES),
    "max_age": _fitting(_SECONDS),
}
"""Members of a link, and what each may be. ``register`` is no member of its own: it is a ``prompt``."""

_OF_THE_WAY: Final = frozenset({"provider", "prompt", "kc_action"})
_OF_THE_SESSION: Final = ("kept",)
