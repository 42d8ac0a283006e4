"""``/sessions``: where a person is signed in, and how they end it there.

To look counts no activity, as nothing below the prefix does: a tab that shows this page keeps no session alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy import errors
from proxy.respond import Manner
from proxy.web.answers import RESPONDER, response_of
from proxy.web.caller import asker_of, wants_json
from proxy.web.destination import only
from proxy.web.device_end import AtProvider, DevicesEnded, end_devices
from proxy.web.device_list import as_json, as_lines, device_with, devices_of
from proxy.web.form_tokens import SessionNotices
from proxy.web.logout import sign_out
from proxy.web.options import OPTIONS
from proxy.web.page import found, page, see_other
from proxy.web.session_forms import csrf_token, fields_if_any, is_wanted
from proxy.web.visitor import visitor_of

if TYPE_CHECKING:
    from proxy.core.secret import Secret
    from proxy.core.session import Session
    from proxy.pages.contexts import DevicesPage

NOTHING_ENDED: Final = "none"
"""The notice where everything had ended before."""

_SENTENCES: Final = {
    NOTHING_ENDED: ("devices.said.none",),
    AtProvider.ENDED.value: ("devices.said.device", "devices.said.ended"),
    AtProvider.NOT_ASKED.value: ("devices.said.device",),
    AtProvider.PENDING.value: ("devices.said.device", "devices.said.pending"),
    AtProvider.UNAVAILABLE.value: ("devices.said.device", "devices.said.unavailable"),
    AtProvider.NO_ENDPOINT.value: ("devices.said.device", "devices.said.no_endpoint"),
    AtProvider.REFUSED.value: ("devices.said.device", "devices.said.refused"),
}
"""What the page says by the notice; ids of the catalog."""


async def show_devices(request: web.Request) -> web.StreamResponse:
    """List the person's devices; who is not signed in is led to the login and back."""
    visitor = await visitor_of(request)
    if visitor.session is None or visitor.cookie_value is None:
        return _sign_in_first(request)
    if wants_json(request):
        devices = await devices_of(request, visitor.session)
        document = {"sessions": await as_json(devices), "csrf_token": csrf_token(request, visitor.cookie_value)}
        return web.json_response(document)
    return await _listed(request, visitor.session, visitor.cookie_value)


async def end_device(request: web.Request) -> web.StreamResponse:
    """End one session of the person's own; this browser's own is a logout, and answered as one.

    Raises:
        CsrfRejected: nobody can say who wants that.
        StoreUnavailable
        HTTPNotFound: it is none of theirs.
    """
    token = (await fields_if_any(request)).text("csrf_token")
    visitor = await visitor_of(request)
    session, cookie_value = visitor.session, visitor.cookie_value
    if session is None or cookie_value is None:
        return _sign_in_first(request)
    if not is_wanted(request, token, cookie_value):
        return await _refused(request, session, cookie_value)
    device = device_with(request.match_info["id"], await devices_of(request, session))
    if device is None:
        raise web.HTTPNotFound
    if device.is_current:
        return await sign_out(request, session, request.app[OPTIONS].login.landing)
    ended = await end_devices(request, session, cookie_value=cookie_value, devices=[device])
    return _said(request, cookie_value, ended)


async def end_other_devices(request: web.Request) -> web.StreamResponse:
    """End every session of the person but this browser's; raises as :func:`end_device`."""
    token = (await fields_if_any(request)).text("csrf_token")
    visitor = await visitor_of(request)
    session, cookie_value = visitor.session, visitor.cookie_value
    if session is None or cookie_value is None:
        return _sign_in_first(request)
    if not is_wanted(request, token, cookie_value):
        return await _refused(request, session, cookie_value)
    others = [device for device in await devices_of(request, session) if not device.is_current]
    ended = await end_devices(request, session, cookie_value=cookie_value, devices=others)
    return _said(request, cookie_value, ended)


def _sign_in_first(request: web.Request) -> web.Response:
    if wants_json(request):
        return response_of(request.app[RESPONDER].unauthorized(asker_of(request)))
    options = request.app[OPTIONS]
    location = options.path("login", return_to=options.path("sessions"))
    return found(location) if request.method in {"GET", "HEAD"} else see_other(location)


async def _listed(
    request: web.Request, session: Session, cookie_value: Secret, *, problem: str | None = None
) -> web.Response:
    options = request.app[OPTIONS]
    devices = await devices_of(request, session)
    notice = SessionNotices(options.server_key).open(only(request, "said") or "", cookie_value)
    context: DevicesPage = {
        "csrf_token": csrf_token(request, cookie_value),
        "username": session.identity.username or session.identity.name,
        "devices": await as_lines(request, devices),
        "others_action": options.path("sessions/others/end") if len(devices) > 1 else None,
        "notice": _SENTENCES.get(notice, ()),
        "problem": problem,
    }
    return page(request, "devices", context, again=None if problem is None else options.path("sessions"))


async def _refused(request: web.Request, session: Session, cookie_value: Secret) -> web.Response:
    """Show a person the list again, where they can ask anew; refuse a program."""
    if asker_of(request).manner is not Manner.PAGE:
        raise errors.CsrfRejected("the end of a session was asked from elsewhere, or its token is not this session's")
    response = await _listed(request, session, cookie_value, problem="devices.problem.csrf_rejected")
    response.set_status(403)
    return response


def _said(request: web.Request, cookie_value: Secret, ended: DevicesEnded) -> web.Response:
    """Tell how it went: a program at once, a person on the page that they are sent back to."""
    if wants_json(request):
        document = {"success": True, "sessions_ended": ended.count, "at_provider": ended.at_provider.value}
        return web.json_response(document)
    options = request.app[OPTIONS]
    word = ended.at_provider.value if ended.count else NOTHING_ENDED
    said = SessionNotices(options.server_key).issue(word, cookie_value)
    return see_other(options.path("sessions", said=said))
