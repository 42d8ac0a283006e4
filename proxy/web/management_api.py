"""The management API on ``management.api_listen``: sessions and the audit trail, for whoever has the token.

==========  ==============================================  ===========================================================
method      path                                            answer
==========  ==============================================  ===========================================================
``GET``     ``/api/sessions?user=&sid=&limit=``             ``{"sessions": […], "total": N}``
``DELETE``  ``/api/sessions?user=|sid=|all=true``           ``{"sessions_ended": N, "sessions": […]}``; 400 without one
``GET``     ``/api/audit?user=&since=&limit=``              ``{"events": […]}``, the newest last; ``since`` Unix time
``GET``     ``/api/audit?follow=true``                      JSON lines, without end
==========  ==============================================  ===========================================================

It has no cookie and no page, and a browser cannot send ``Authorization`` to it from another site without asking first,
which nobody allows. Errors are ``application/problem+json`` (RFC 9457).
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Final

from aiohttp import web
from msgspec import Struct

from proxy import errors
from proxy.tasks import TaskOwner
from proxy.web.anonymous import forget_the_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.typedefs import Handler

    from proxy.ports import Observer
    from proxy.web.admin_access import AdminAccess
    from proxy.web.administration import Administration, Document, Operator

MAX_FOLLOWERS: Final = 16
"""Streams of the trail that are open at once."""

HEARTBEAT_S: Final = 15.0
"""Seconds of silence after which a follower is sent an empty line: so a connection that died is noticed."""

FIRST_S: Final = 0.5
"""Seconds after which a follower is told that it is heard; until then a fault can still be said as one."""

MAX_QUERY: Final = 2048
"""Characters of the query."""

_STATUS: Final = {
    "not_configured": (403, "Not allowed"),
    "token_unreadable": (503, "Not available right now"),
    "too_many_tries": (429, "Too many tries"),
    "no_token": (401, "Token needed"),
    "wrong_token": (401, "Wrong token"),
    "audit_not_kept": (404, "Nothing is kept"),
    "too_many_followers": (503, "Not available right now"),
}
"""Status and title by reason; of other faults by their class."""


class ApiServices(Struct, frozen=True, kw_only=True):
    """What the API needs."""

    access: AdminAccess
    administration: Callable[[Operator], Administration]
    observer: Observer


SERVICES: web.AppKey[ApiServices] = web.AppKey("services", ApiServices)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
FOLLOWERS: web.AppKey[set[asyncio.Task[object]]] = web.AppKey("followers", set)


def management_api(services: ApiServices) -> web.Application:
    """Return the application."""
    app = web.Application(middlewares=[_answer_faults])
    app[SERVICES] = services
    app[FOLLOWERS] = set()
    app.on_response_prepare.append(forget_the_server)
    app.on_shutdown.append(_send_followers_home)
    app.router.add_get("/api/sessions", list_sessions, allow_head=False)
    app.router.add_delete("/api/sessions", end_sessions)
    app.router.add_get("/api/audit", show_audit, allow_head=False)
    return app


async def list_sessions(request: web.Request) -> web.StreamResponse:
    """List live sessions."""
    query = _query(request, {"user", "sid", "limit"})
    document = await _administration(request).list_sessions(
        user=query.get("user"), sid=query.get("sid"), limit=_limit(query.get("limit"))
    )
    return web.json_response(document)


async def end_sessions(request: web.Request) -> web.StreamResponse:
    """End the sessions that are named; nothing named is an error, never everything."""
    query = _query(request, {"user", "sid", "all"})
    user, sid, is_all = query.get("user"), query.get("sid"), _switch(query.get("all"))
    if (user is not None) + (sid is not None) + is_all != 1:
        raise errors.RequestRefused("say whose sessions end: one of user, sid and all=true", reason="one_filter_needed")
    administration = _administration(request)
    if is_all:
        return web.json_response(await administration.end_every_session())
    return web.json_response(await administration.end_sessions(user=user, sid=sid))


async def show_audit(request: web.Request) -> web.StreamResponse:
    """Show the audit trail, or follow it."""
    query = _query(request, {"user", "since", "limit", "follow"})
    administration, user = _administration(request), query.get("user")
    since, limit = _instant(query.get("since")), _limit(query.get("limit"))
    if not _switch(query.get("follow")):
        return web.json_response(await administration.read_audit(user=user, since=since, limit=limit))
    return await _stream(request, administration.follow_audit(user=user, since=since, limit=limit))


# --- following -------------------------------------------------------------------------------------------------------


async def _stream(request: web.Request, events: AsyncIterator[Document]) -> web.StreamResponse:
    """Send events as they come, until the client or the process goes."""
    followers, task = request.app[FOLLOWERS], asyncio.current_task()
    if task is None or len(followers) >= MAX_FOLLOWERS:
        raise errors.ManagementRefused("too many follow the trail already", reason="too_many_followers")
    followers.add(task)
    try:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        await _send(request, response, events)
    finally:
        followers.discard(task)
    return response


async def _send(request: web.Request, response: web.StreamResponse, events: AsyncIterator[Document]) -> None:
    tasks = TaskOwner(lambda _: None)  # their faults are met here, where they are awaited
    coming = tasks.start(_next(events))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT_S if response.prepared else FIRST_S)
            line = b""
            if done:
                line = json.dumps(coming.result(), separators=(",", ":")).encode()
                coming = tasks.start(_next(events))
            if not response.prepared:
                await response.prepare(request)
            await response.write(line + b"\n")
    finally:
        await tasks.close()


async def _next(events: AsyncIterator[Document]) -> Document:
    return await anext(events)


async def _send_followers_home(app: web.Application) -> None:
    """End the streams, else the shutdown would wait for them."""
    for follower in [*app[FOLLOWERS]]:
        follower.cancel()


# --- the query -------------------------------------------------------------------------------------------------------


def _query(request: web.Request, known: set[str]) -> dict[str, str]:
    """Return the query. What is unknown, twice there or empty is refused: a misspelt filter must not mean "all"."""
    if len(request.query_string) > MAX_QUERY:
        raise errors.RequestRefused("the query is too long", reason="bad_query")
    for name in request.query:
        if name not in known:
            raise errors.RequestRefused(f"unknown parameter; the known ones are {', '.join(sorted(known))}",
                                        reason="unknown_parameter")  # fmt: skip
        if len(request.query.getall(name)) > 1 or not request.query[name]:
            raise errors.RequestRefused(f"{name} is empty or there twice", reason="bad_query")
    return dict(request.query)


def _switch(text: str | None) -> bool:
    if text not in {None, "true", "false"}:
        raise errors.RequestRefused("a switch is true or false", reason="bad_query")
    return text == "true"


def _limit(text: str | None) -> int:
    if text is None:
        from proxy.web.administration import DEFAULT_LIMIT  # noqa: PLC0415 - comes with the first question, if any does

        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise errors.RequestRefused("limit is a number", reason="bad_limit")
    return int(text)


def _instant(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        raise errors.RequestRefused("since is a Unix time in seconds", reason="bad_since") from None


# --- answers ---------------------------------------------------------------------------------------------------------


def _administration(request: web.Request) -> Administration:
    from proxy.web.administration import Operator  # noqa: PLC0415 - as for the limit

    operator = Operator(
        by="management_api",
        address=request.remote,
        user_agent=request.headers.get("User-Agent", "")[:256],
        request_id=request[REQUEST_ID],
    )
    return request.app[SERVICES].administration(operator)


@web.middleware
async def _answer_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may, and turn every fault into problem+json."""
    request[REQUEST_ID] = secrets.token_hex(8)
    services = request.app[SERVICES]
    try:
        _let_in(request, services)
        response = await handler(request)
    except errors.SidegateError as error:
        response = _problem(request, *_status_of(error), error)
    except web.HTTPException as error:
        response = _problem(request, error.status, error.reason, errors.RequestRefused(error.reason, reason="http"))
        response.headers.update({name: value for name, value in error.headers.items() if name == "Allow"})
    except (OSError, asyncio.CancelledError):
        raise  # the client is gone, or the process ends
    except Exception as fault:  # noqa: BLE001 - the outermost frame
        services.observer.error("the management API failed", fault=type(fault).__name__)
        response = _problem(request, 500, "Something went wrong", errors.SidegateError("see the log"))
    if not response.prepared:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def _let_in(request: web.Request, services: ApiServices) -> None:
    """Return when the caller may go on; tell the operator of whoever tries tokens, which the budget bounds."""
    address = request.remote or ""
    try:
        services.access.check(request.headers.getall("Authorization", []), address=address)
    except errors.ManagementRefused as error:
        if error.reason == "wrong_token":
            services.observer.warning(
                "somebody came to the management API with a wrong token",
                reason=error.reason,
                address=address,
                request_id=request[REQUEST_ID],
            )
        raise


def _status_of(error: errors.SidegateError) -> tuple[int, str]:
    if error.reason in _STATUS:
        return _STATUS[error.reason]
    if isinstance(error, errors.RequestRefused):
        return 400, "Bad request"
    return (503, "Not available right now") if isinstance(error, errors.StoreFault) else (500, "Something went wrong")


def _problem(request: web.Request, status: int, title: str, error: errors.SidegateError) -> web.StreamResponse:
    document = {"type": "about:blank", "title": title, "status": status, "code": error.reason, "detail": str(error)}
    response = web.Response(
        status=status,
        body=json.dumps({**document, "request_id": request[REQUEST_ID]}).encode(),
        headers={"Content-Type": "application/problem+json"},
    )
    if status == 401:
        said = ', error="invalid_token"' if error.reason == "wrong_token" else ""
        response.headers["WWW-Authenticate"] = f'Bearer realm="sidegate"{said}'
    if status in {429, 503}:
        response.headers["Retry-After"] = "6"
    return response
