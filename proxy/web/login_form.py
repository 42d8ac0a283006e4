"""What the login form sends: fields become a value, and what cannot be a password is told from what is wrong.

A field that no provider could accept (empty, NUL, ten kilobytes) is no error of the form: it is refused like any wrong
password, without asking the provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core.secret import Secret
from proxy.core.session import Persistence
from proxy.web.forms import read_fields
from proxy.web.options import LoginOptions, OtpField

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.web.forms import Fields

MAX_USERNAME_LENGTH = 255
"""Characters of a user name or e-mail address that are passed on: the column of Keycloak's database."""

MAX_PASSWORD_BYTES = 4096
"""Bytes of a password that are passed on; hashing more is work for an attacker's benefit (OWASP: at most 4 KiB)."""

MAX_OTP_LENGTH = 64
"""Characters of a one-time code; recovery codes are longer than six digits."""

TICKED = frozenset({"true", "on", "1", "yes"})
"""Values of a ticked box: ours, a browser's default, and what other forms send."""


class LoginForm(Struct, frozen=True, kw_only=True):
    """A login form as it came; nothing in it is judged."""

    username: str
    password: Secret
    otp: Secret | None
    persistence: Persistence
    csrf_token: str
    return_to: str | None


NO_FORM = LoginForm(
    username="", password=Secret(""), otp=None, persistence=Persistence.BROWSER, csrf_token="", return_to=None
)
"""What stands for a body that was no form, so that the page can be drawn again."""


async def read_login_form(request: web.Request) -> LoginForm:
    """Return the form in the body.

    Raises:
        FormRejected, BodyTooLarge
    """
    fields = await read_fields(request)
    otp = (fields.text("otp") or "").replace(" ", "")
    return LoginForm(
        username=fields.text("username") or "",
        password=Secret(fields.text("password") or ""),
        otp=Secret(otp) if otp else None,
        persistence=_persistence(fields),
        csrf_token=fields.text("csrf_token") or "",
        return_to=fields.text("return_to"),
    )


def _persistence(fields: Fields) -> Persistence:
    ticked = (fields.text("remember_me") or "").lower() in TICKED
    return Persistence.LASTING if ticked else Persistence.BROWSER


def can_be_right(form: LoginForm, login: LoginOptions) -> bool:
    """Say whether a provider could accept this at all; if not, it is not asked."""
    otp = "" if form.otp is None else form.otp.reveal()
    if login.otp is OtpField.REQUIRED and not otp:
        return False
    password = form.password.reveal()
    return (
        0 < len(form.username) <= MAX_USERNAME_LENGTH
        and not any(character < " " or character == "\x7f" for character in form.username)
        and bool(password)
        and "\0" not in password + otp
        and len(otp) <= MAX_OTP_LENGTH
        and _is_short_utf8(form.username + otp)
        and _is_short_utf8(password)
    )


def _is_short_utf8(text: str) -> bool:
    try:
        return len(text.encode()) <= MAX_PASSWORD_BYTES
    except UnicodeEncodeError:  # half a surrogate pair, by way of JSON
        return False
