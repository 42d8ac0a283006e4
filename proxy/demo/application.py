"""The provider as an aiohttp application: routes, how refusals look on the wire, the one place where faults come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy.demo import (
    account,
    authorization,
    bearer_endpoints,
    discovery,
    login_actions,
    logout,
    pages,
    sessions_page,
    token_endpoint,
)
from proxy.demo.app_keys import BACKCHANNEL, NO_STORE, REALM, first_values, json_answer, read_form
from proxy.demo.backchannel import BackchannelSender
from proxy.demo.misbehaviour import Endpoint, Handler, SeenRequest
from proxy.demo.oauth_errors import BearerError, OAuthError, PageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.demo.realm import Realm

_ENDPOINTS: Final = {endpoint.value: endpoint for endpoint in Endpoint}


def provider_application(realm: Realm) -> web.Application:
    """The application of one realm. ``realm.origin`` must be set before the first request."""
    app = web.Application(middlewares=[_refusals, _misbehaviour])
    app[REALM] = realm
    app[BACKCHANNEL] = BackchannelSender(realm)
    app[sessions_page.ADMIN_TOKEN] = sessions_page.new_admin_token()
    app.cleanup_ctx.append(_backchannel_connections)
    _add_routes(app.router, realm)
    return app


async def _backchannel_connections(app: web.Application) -> AsyncIterator[None]:
    await app[BACKCHANNEL].open()
    yield
    await app[BACKCHANNEL].close()


def _add_routes(router: web.UrlDispatcher, realm: Realm) -> None:
    shape = realm.shape
    endpoints: list[tuple[Endpoint, str, dict[str, Handler]]] = [
        (Endpoint.DISCOVERY, shape.page(".well-known/openid-configuration"), {"GET": discovery.metadata}),
        (Endpoint.JWKS, shape.endpoint("certs"), {"GET": discovery.jwks}),
        (Endpoint.TOKEN, shape.endpoint("token"), {"POST": token_endpoint.token}),
        (Endpoint.AUTHORIZATION, shape.endpoint("auth"), dict.fromkeys(("GET", "POST"), authorization.authorize)),
        (
            Endpoint.LOGIN,
            shape.page("login-actions/authenticate"),
            {"GET": login_actions.show_again, "POST": login_actions.take},
        ),
        (Endpoint.USERINFO, shape.endpoint("userinfo"), dict.fromkeys(("GET", "POST"), bearer_endpoints.userinfo)),
        (Endpoint.INTROSPECTION, shape.endpoint("token/introspect"), {"POST": bearer_endpoints.introspect}),
        (Endpoint.REVOCATION, shape.endpoint("revoke"), {"POST": bearer_endpoints.revoke}),
        (Endpoint.END_SESSION, shape.endpoint("logout"), {"GET": logout.by_get, "POST": logout.by_post}),
        (
            Endpoint.ACCOUNT,
            shape.page("account/sessions"),
            {"GET": account.list_sessions, "DELETE": account.end_sessions},
        ),
    ]
    for endpoint, path, handlers in endpoints:
        resource = router.add_resource(path, name=endpoint.value)
        for method, handler in handlers.items():
            resource.add_route(method, handler)
    _add_further_routes(router, realm)


def _add_further_routes(router: web.UrlDispatcher, realm: Realm) -> None:
    """Routes without a name: no fault can be asked for them."""
    shape = realm.shape
    router.add_get(f"/.well-known/oauth-authorization-server{shape.base}", discovery.metadata)
    router.add_get(shape.page(".well-known/oauth-authorization-server"), discovery.metadata) if shape.base else None
    router.add_post(shape.endpoint("logout/logout-confirm"), logout.confirmed)
    router.add_delete(shape.page("account/sessions/{sid}"), account.end_one_session)
    if shape.base:
        router.add_get(shape.base, discovery.realm_summary)
    router.add_get("/", sessions_page.list_sessions)
    router.add_post(sessions_page.END_PATH, sessions_page.end_session)


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal of the room, once, as Keycloak writes it."""
    try:
        return await handler(request)
    except OAuthError as refused:
        return json_answer(refused.body(), refused.status, NO_STORE if _is_token_endpoint(request) else None)
    except BearerError as refused:
        challenge = refused.challenge(request.app[REALM].name)
        return web.Response(status=refused.status, headers={"WWW-Authenticate": challenge})
    except PageError as refused:
        return pages.error_page(refused.message)
    except web.HTTPMethodNotAllowed as refused:
        return json_answer({"error": "HTTP 405 Method Not Allowed"}, 405, {"Allow": refused.headers["Allow"]})
    except web.HTTPNotFound:
        return json_answer(_not_found(request), 404)


def _is_token_endpoint(request: web.Request) -> bool:
    return request.path == request.app[REALM].shape.endpoint("token")


def _not_found(request: web.Request) -> dict[str, str]:
    base = request.app[REALM].shape.base
    is_other_realm = request.path.startswith("/realms/") and not f"{request.path}/".startswith(f"{base}/")
    return {"error": "Realm does not exist" if is_other_realm else "HTTP 404 Not Found"}


@web.middleware
async def _misbehaviour(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Remember what was asked; misbehave if a test wants it."""
    resource = request.match_info.route.resource
    endpoint = _ENDPOINTS.get((resource.name if resource is not None else None) or "")
    if endpoint is None:
        return await handler(request)
    misbehaviour = request.app[REALM].misbehaviour
    misbehaviour.seen.append(await _as_seen(request, endpoint))
    fault = misbehaviour.take_fault(endpoint)
    return await (handler(request) if fault is None else fault(request, handler))


async def _as_seen(request: web.Request, endpoint: Endpoint) -> SeenRequest:
    return SeenRequest(
        endpoint=endpoint,
        method=request.method,
        headers=request.headers.copy(),
        query=first_values(request.query),
        form=dict(await read_form(request)),
    )
