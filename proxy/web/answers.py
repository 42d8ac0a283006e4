"""The outermost middleware: notes who calls, turns every error into an answer, and marks every answer as ours."""

from __future__ import annotations

from traceback import extract_tb
from typing import TYPE_CHECKING

from aiohttp import web

from proxy import errors, keys
from proxy.core.answer_headers import HSTS
from proxy.respond import Responder, last_resort
from proxy.web.caller import asker_of, read_caller
from proxy.web.options import OPTIONS, Feature
from proxy.web.page import fields

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from proxy.core.answer import Answer

RESPONDER: web.AppKey[Responder] = web.AppKey("responder", Responder)


@web.middleware
async def answer_everything(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the handler answer, or answer in its place; a fault of ours says where it was, never what it held."""
    try:
        response = await _answered(request, handler)
    except Exception as fault:  # noqa: BLE001 - the outermost frame
        place = extract_tb(fault.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
        request.app[keys.OBSERVER].error("an own page failed", fault=type(fault).__name__, where=where)
        response = response_of(last_resort(asker_of(request).request_id))
    _mark(request, response)
    return response


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        request[keys.CALLER] = read_caller(request)
        return await handler(request)
    except errors.SidegateError as error:
        return error_response(request, error)
    except web.HTTPException as error:
        return _http_error(request, error)


def error_response(request: web.Request, error: errors.SidegateError) -> web.Response:
    """Return the answer that ``respond`` has for the error, and tell the operator what it was."""
    if isinstance(error, (errors.ProviderFault, errors.StoreFault)):
        request.app[keys.OBSERVER].warning(str(error), reason=error.reason, request_id=asker_of(request).request_id)
    return response_of(request.app[RESPONDER].error(error, asker_of(request)))


def response_of(answer: Answer) -> web.Response:
    """Return an answer of ``respond`` as aiohttp writes it."""
    return web.Response(status=answer.status, headers=fields(answer.headers), body=answer.body)


def _http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """Answer for what aiohttp's router or parser refused."""
    responder, asker = request.app[RESPONDER], asker_of(request)
    if isinstance(error, web.HTTPMethodNotAllowed):
        return response_of(responder.method_not_allowed(tuple(sorted(error.allowed_methods)), asker))
    if isinstance(error, web.HTTPNotFound):
        return response_of(responder.not_found(asker))
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return response_of(responder.error(errors.BodyTooLarge("a body is larger than own pages read"), asker))
    return response_of(responder.error(errors.RequestRefused("the body cannot be read"), asker))


def _mark(request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Request-ID", asker_of(request).request_id)
    if request.app[OPTIONS].strict_transport_security is Feature.ON:
        name, value = HSTS
        headers.setdefault(name.decode(), value.decode())
