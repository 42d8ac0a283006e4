"""``/`` of the provider: who is signed in, and a button that ends a session as an administrator would. For the demo."""

from __future__ import annotations

import datetime as dt
import secrets
from html import escape
from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy.demo.app_keys import BACKCHANNEL, REALM, read_form
from proxy.demo.oauth_errors import PageError
from proxy.demo.pages import form, hidden, page, paragraph
from proxy.demo.sessions import Persistence, UserSession

if TYPE_CHECKING:
    from proxy.demo.realm import Realm

#: Made anew for each application; proves that the button was pressed on our page.
ADMIN_TOKEN: Final = web.AppKey("admin_token", str)
END_PATH: Final = "/end-session"


def new_admin_token() -> str:
    return secrets.token_urlsafe(32)


async def list_sessions(request: web.Request) -> web.Response:
    realm = request.app[REALM]
    rows = "".join(_row(realm, each, request.app[ADMIN_TOKEN]) for each in realm.live_sessions())
    head = "<tr><th>User</th><th>Since</th><th>Applications</th><th>Session</th><th></th></tr>"
    table = f"<table>{head}{rows}</table>" if rows else paragraph("Nobody is signed in.")
    told = paragraph("Ending a session here tells its applications by back-channel logout, as Keycloak's console does.")
    return page("Sessions at the demo identity provider", told + table, width="wide")


async def end_session(request: web.Request) -> web.Response:
    realm, posted = request.app[REALM], await read_form(request)
    if not secrets.compare_digest(posted.get("token", "").encode(), request.app[ADMIN_TOKEN].encode()):
        raise PageError("This button belongs to the page of sessions; open that page again.")
    for persistence in Persistence:
        session = realm.live_session(posted.get("sid", ""), persistence)
        if session is not None:
            await request.app[BACKCHANNEL].end(session)
    return web.Response(status=303, headers={"Location": "/"})


def _row(realm: Realm, session: UserSession, token: str) -> str:
    user = realm.users.by_subject(session.subject)
    since = dt.datetime.fromtimestamp(session.started_at, dt.UTC).strftime("%H:%M:%S UTC")
    texts = [user.username if user else "?", since, ", ".join(session.clients), session.sid]
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    button = form(END_PATH, [hidden("sid", session.sid), hidden("token", token)], "End", f"end-{session.sid}")
    return f"<tr>{cells}<td>{button}</td></tr>"
