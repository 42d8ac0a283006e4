"""The provider's own pages: plain HTML, no script but where a standard needs one, every value escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEADERS: Final = {
    "Cache-Control": "no-store, must-revalidate, max-age=0",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}

STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#eef1f5;color:#1f2933}
main{max-width:26rem;margin:8vh auto;padding:2rem;background:#fff;border-radius:.75rem;box-shadow:0 1px 8px #0002}
main.wide{max-width:56rem}h1{font-size:1.3rem;margin:0 0 1rem}label{display:block;margin:.8rem 0 .2rem}
input{width:100%;box-sizing:border-box;padding:.5rem;font:inherit;border:1px solid #9aa5b1;border-radius:.4rem}
button{margin-top:1rem;padding:.5rem 1rem;font:inherit;border:0;border-radius:.4rem;background:#2f5d8c;color:#fff}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #dde3ea}
td button{margin:0}.error{color:#a61b1b}code{font-size:.85em}
"""


def page(title: str, content: str, status: int = 200, width: str = "narrow") -> web.Response:
    """A whole page; ``content`` is HTML, the title is text."""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f'<body><main class="{width}"><h1>{escape(title)}</h1>{content}</main></body></html>'
    )
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if text else ""


def field(name: str, label: str, value: str = "", kind: str = "text") -> str:
    identity = escape(name)
    return (
        f'<label for="{identity}">{escape(label)}</label>'
        f'<input id="{identity}" name="{identity}" type="{kind}" value="{escape(value)}">'
    )


def hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def form(action: str, inputs: Iterable[str], button: str, identity: str = "form") -> str:
    return (
        f'<form id="{escape(identity)}" method="post" action="{escape(action)}">{"".join(inputs)}'
        f'<button type="submit" name="go">{escape(button)}</button></form>'
    )


def error_page(message: str) -> web.Response:
    """A 400 in Keycloak's words; the browser is not sent anywhere."""
    return page("We are sorry...", paragraph(message, "error"), status=400)


def login_page(action: str, username: str, message: str = "") -> web.Response:
    inputs = [field("username", "Username or email", username), field("password", "Password", kind="password")]
    content = paragraph(message, "error") + form(action, inputs, "Sign In", "kc-form-login")
    return page("Sign in to your account", content)


def reauthentication_page(action: str, username: str, message: str = "") -> web.Response:
    """The user is known and cannot be changed; only the password is asked."""
    known = paragraph(f"Please re-authenticate to continue as {username}.")
    inputs = [field("password", "Password", kind="password")]
    content = known + paragraph(message, "error") + form(action, inputs, "Sign In", "kc-form-login")
    return page("Sign in to your account", content)


def otp_page(action: str, message: str = "") -> web.Response:
    content = paragraph(message, "error") + form(
        action, [field("otp", "One-time code")], "Sign In", "kc-otp-login-form"
    )
    return page("Sign in to your account", content)


def update_password_page(action: str, message: str, cancel: str = "") -> web.Response:
    """``cancel`` is the label of a second button, for an action that the application asked for."""
    inputs = [field("password-new", "New password", kind="password")]
    inputs.append(field("password-confirm", "Confirm password", kind="password"))
    if cancel:
        inputs.append(f'<button type="submit" name="cancel-aia" value="true">{escape(cancel)}</button> ')
    content = paragraph(message, "error") + form(action, inputs, "Submit", "kc-passwd-update-form")
    return page("Update password", content)


def registration_page(action: str, values: Mapping[str, str], message: str = "") -> web.Response:
    labels = {"username": "Username", "email": "Email", "firstName": "First name", "lastName": "Last name"}
    inputs = [field(name, label, values.get(name, "")) for name, label in labels.items()]
    inputs += [field("password", "Password", kind="password")]
    inputs += [field("password-confirm", "Confirm password", kind="password")]
    return page("Register", paragraph(message, "error") + form(action, inputs, "Register", "kc-register-form"))


def form_post_page(target: str, parameters: Mapping[str, str]) -> web.Response:
    """OAuth 2.0 Form Post Response Mode: an answer that posts itself; with a button for who has no script."""
    leading = [name for name in ("code", "iss", "state", "session_state") if name in parameters]
    inputs = [hidden(name, parameters[name]) for name in dict.fromkeys([*leading, *parameters])]
    script = "<script>document.forms[0].submit()</script>"
    return page("Signing in", form(target, inputs, "Continue") + script)


def logout_question_page(action: str, session_code: str) -> web.Response:
    inputs = [hidden("session_code", session_code), hidden("confirmLogout", "Logout")]
    return page("Logging out", paragraph("Do you want to log out?") + form(action, inputs, "Logout"))


def logged_out_page() -> web.Response:
    return page("You are logged out", "")


def frontchannel_page(frames: Iterable[str], onward: str) -> web.Response:
    """One invisible frame for each client, then onward (OIDC Front-Channel Logout 1.0 §2)."""
    iframes = "".join(f'<iframe src="{escape(url)}" style="display:none;"></iframe>' for url in frames)
    link = f'<a id="continue" href="{escape(onward)}">Continue</a>' if onward else ""
    follow = "addEventListener('load',()=>location.replace(document.getElementById('continue').href))"
    return page("Logging out", iframes + link + (f"<script>{follow}</script>" if onward else ""))
