"""Every page in each of its states, drawn as a person would get it, and shown in a browser without any server.

The browser asks for ``http://pages.test/…`` and is answered from here, with the fields of a real answer, so that the
policy holds. Where a page takes something from a route or an account, it is something that people really have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proxy.pages.look import Look
from proxy.pages.render import JinjaPages
from proxy.pages.specimens import specimens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.async_api import Page, Route

ORIGIN = "http://pages.test"
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A page in a state: what is said differently from an ordinary visit."""

    name: str
    page: str
    context: Mapping[str, Any] = field(default_factory=dict)


LOGIN: Mapping[str, Any] = {
    "username": "",
    "otp": "optional",
    "providers": [],
    "registration_url": None,
    "forgot_password_url": None,
    "problem": None,
    "notice": None,
    "status_url": None,
}
FULL: Mapping[str, Any] = {
    **LOGIN,
    "providers": [{"label": "Acme account", "url": "/a"}, {"label": "Partner network", "url": "/b"}],
    "registration_url": "/register",
    "forgot_password_url": "/forgot",
}
REQUEST: Mapping[str, Any] = {"request_id": "5f0c9a12e7b3", "login_url": "/_sidegate/login"}


def refusal(code: str, status: int) -> dict[str, Any]:
    """What a page says of a refusal."""
    return {**REQUEST, "status": status, "title": f"refusal.{code}.title", "sentence": f"refusal.{code}.sentence"}


def device(**changes: Any) -> dict[str, Any]:
    """A line of the devices page."""
    moments = [
        ("devices.created", "x", -3 * DAY_S),
        ("devices.last_seen", "x", -90.0),
        ("devices.expires", "x", 27 * DAY_S),
    ]
    told = {
        "is_current": False,
        "browser": "Firefox",
        "system": "Windows",
        "address": "203.0.113.7",
        "moments": moments,
    }
    return {"action": "/end", "user_agent": "Mozilla/5.0", **told, **changes}


EXHIBITS = (
    Exhibit("login", "login", FULL),
    Exhibit("login-plain", "login", LOGIN),
    Exhibit("login-refused", "login", {**LOGIN, "username": "alice", "problem": "login.problem.invalid_credentials"}),
    Exhibit(
        "login-throttled",
        "login",
        {**LOGIN, "username": "alice", "problem": "login.problem.throttled", "retry_after_s": 300},
    ),
    Exhibit("login-code", "login", {**LOGIN, "username": "alice", "otp": "required"}),
    Exhibit("login-ended", "login", {**LOGIN, "notice": "login.notice.ended_elsewhere"}),
    Exhibit("login-misconfigured", "login", {**LOGIN, "username": "alice", "problem": "login.problem.misconfigured"}),
    Exhibit("setup", "setup_required", {"username": "alice"}),
    Exhibit("logout", "logout", {"username": "alice", "problem": None}),
    Exhibit("logged-out", "logged_out"),
    Exhibit("logged-out-all", "logged_out_all", {"notice": "logout.notice.ended_everywhere", "problem": None}),
    Exhibit("logout-at-provider", "logout_at_provider"),
    Exhibit(
        "devices",
        "devices",
        {
            "username": "alice",
            "devices": [
                device(is_current=True),
                device(browser=None, system=None, user_agent="curl/8.5.0", address="2001:db8:85a3::8a2e:370:7334"),
            ],
            "notice": ["devices.said.device"],
            "problem": None,
        },
    ),
    Exhibit(
        "forbidden",
        "forbidden",
        {
            **REQUEST,
            **refusal("insufficient_permissions", 403),
            "username": "alice",
            "missing": [
                {"kind": "role", "any_of": ["admin", "legacy-app:editor"], "attribute": ""},
                {"kind": "group", "any_of": ["/staff"], "attribute": ""},
            ],
        },
    ),
    Exhibit("error", "error", refusal("upstream_fault", 502)),
    Exhibit("unavailable", "unavailable", {**refusal("provider_unavailable", 503), "again_in_s": 5}),
    Exhibit("callback-failed", "callback_failed", refusal("callback_rejected", 400)),
    Exhibit("frame", "frame", REQUEST),
    Exhibit("frame-logout", "frame_logout", REQUEST),
    Exhibit("kept", "kept"),
    Exhibit("not-kept", "not_kept", {**REQUEST, "why": "too_large"}),
)
"""All but ``frontchannel``, which nobody sees."""


def gallery(**changes: Any) -> JinjaPages:
    """The pages of a site with a name, a sentence and two languages."""
    told: dict[str, Any] = {
        "title": "Old Faithful",
        "description": "The archive of the geological service. Staff only.",
    }
    look = Look(own_path="/_sidegate", home="/", form_origins=("https://sso.test",), **{**told, **changes})
    return JinjaPages(look)


async def show(page: Page, pages: JinjaPages, exhibit: Exhibit, *, language: str = "en") -> None:
    """Open the exhibit in the browser."""
    context = {**next(specimens(exhibit.page)), **exhibit.context}
    url = "/?ui_locales="
    text = pages.render(exhibit.page, languages=(language,), context=context, language_url=url)
    headers = {name.decode(): value.decode() for name, value in pages.headers(exhibit.page)}

    async def answer(route: Route) -> None:
        name = route.request.url.rpartition("/assets/")[2]
        asset = pages.assets.get(name)
        if asset is not None and asset.name == "submit.js":
            # A form that sends itself away is never seen.
            await route.fulfill(body="", headers=dict(asset.headers))
        elif asset is not None:
            await route.fulfill(body=asset.content, headers=dict(asset.headers))
        else:
            await route.fulfill(body=text, headers=headers)

    # The newest route is asked first; those before it stay, for an icon that is still on its way.
    await page.route(f"{ORIGIN}/**", answer)
    await page.goto(f"{ORIGIN}/{exhibit.name}")
