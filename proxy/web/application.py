"""The application of Sidegate's own pages: which path is which handler, and what they all need."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from aiohttp import web
from msgspec import Struct

from proxy import keys
from proxy.respond import Responder
from proxy.tasks import TaskOwner
from proxy.web.admin_actions import keycloak_logout, keycloak_push_not_before, keycloak_test_available
from proxy.web.anonymous import forget_the_server
from proxy.web.answers import RESPONDER, answer_everything
from proxy.web.app_logout import submit_app_logout
from proxy.web.assets import ASSETS, SESSION_SCRIPT, show_asset, show_session_script
from proxy.web.backchannel import backchannel_logout
from proxy.web.callback import callback
from proxy.web.code_flow import start
from proxy.web.devices import end_device, end_other_devices, show_devices
from proxy.web.first_login import FIRST_LOGIN, FirstLogin
from proxy.web.flow_quota import FLOW_QUOTA, FlowQuota
from proxy.web.forms import MAX_BODY_BYTES
from proxy.web.frontchannel import FRONTCHANNEL_BUDGET, frontchannel_budget, frontchannel_logout
from proxy.web.grant_slots import GRANT_SLOTS, GrantSlots
from proxy.web.kept import show_not_sent
from proxy.web.key_set import ASSERTION, show_key_set
from proxy.web.language_choice import choose_language, keep_language
from proxy.web.login import show_login, submit_login
from proxy.web.login_flights import LoginFlights
from proxy.web.logout import show_logged_out, show_logout, submit_logout
from proxy.web.logout_all import submit_logout_all
from proxy.web.options import OPTIONS, Feature, LoginMode
from proxy.web.root_turns import ROOT_TURNS, RootTurns
from proxy.web.session_ids import ID_PATTERN
from proxy.web.sign_in import LOGIN_FLIGHTS, SignedIn
from proxy.web.status import count_activity, show_status
from proxy.web.throttle import PROXY_WARNING, ProxyWarning
from proxy.web.traced import followed_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy import ports
    from proxy.pages.assets import Asset
    from proxy.web.options import WebOptions


class WebServices(Struct, frozen=True, kw_only=True):
    """What the own pages need of the other rooms.

    Attributes:
        assets: by hashed name, as ``JinjaPages.assets`` gives them.
        assertion: None where the file wants none; then there is no ``/jwks``.
        tracing: None where no traces are told.
    """

    options: WebOptions
    sessions: ports.SessionStore
    authentications: ports.AuthenticationStore
    kept: ports.KeptRequests
    provider: ports.Provider
    throttle: ports.Throttle
    refresher: ports.Refresher
    observer: ports.Observer
    pages: ports.Pages
    assets: Mapping[str, Asset]
    clock: ports.Clock
    assertion: ports.IdentityAssertion | None = None
    tracing: ports.Tracing | None = None
    sleep: keys.Sleep = asyncio.sleep
    random_bytes: keys.RandomBytes = secrets.token_bytes


def own_application(services: WebServices) -> web.Application:
    """Return the application; the gate reaches it over a socket pair, nobody else can."""
    around = () if services.tracing is None else (followed_by(services.tracing),)
    app = web.Application(middlewares=[*around, answer_everything], client_max_size=MAX_BODY_BYTES)
    _provide(app, services)
    _add_routes(app.router, services.options)
    if services.assertion is not None:
        app[ASSERTION] = services.assertion
        app.router.add_get(f"{services.options.own_path}/jwks", show_key_set)
    app.on_response_prepare.append(forget_the_server)
    app.on_response_prepare.append(keep_language)
    app.on_cleanup.append(_close)
    return app


def _provide(app: web.Application, services: WebServices) -> None:
    login = services.options.login
    app[OPTIONS] = services.options
    app[keys.SESSIONS] = services.sessions
    app[keys.AUTHENTICATIONS] = services.authentications
    app[keys.KEPT] = services.kept
    app[keys.PROVIDER] = services.provider
    app[keys.REFRESHER] = services.refresher
    app[keys.OBSERVER] = services.observer
    app[keys.PAGES] = services.pages
    app[keys.CLOCK] = services.clock
    app[keys.THROTTLE] = services.throttle
    app[keys.SLEEP] = services.sleep
    app[keys.RANDOM_BYTES] = services.random_bytes
    app[keys.TASKS] = TaskOwner(lambda fault: services.observer.error("work after a logout failed", fault=repr(fault)))
    app[ASSETS] = services.assets
    app[RESPONDER] = Responder(services.pages)
    app[GRANT_SLOTS] = GrantSlots(login.max_concurrent, max_wait_s=login.max_wait_s)
    app[FLOW_QUOTA] = FlowQuota(services.clock)
    app[ROOT_TURNS] = RootTurns(max_wait_s=login.max_wait_s)
    app[LOGIN_FLIGHTS] = LoginFlights(
        app[keys.TASKS], services.clock, key=secrets.token_bytes(32), stays=lambda done: isinstance(done, SignedIn)
    )
    app[PROXY_WARNING] = ProxyWarning()
    app[FIRST_LOGIN] = FirstLogin(services.options.plan, services.observer)
    app[FRONTCHANNEL_BUDGET] = frontchannel_budget(services.clock)


def _add_routes(router: web.UrlDispatcher, options: WebOptions) -> None:
    own = options.own_path
    router.add_get(f"{own}/login", show_login)
    if options.login.mode is LoginMode.FORM:
        router.add_post(f"{own}/login", submit_login)
    router.add_get(f"{own}/start", start, allow_head=False)
    router.add_get(f"{own}/callback", callback, allow_head=False)
    router.add_get(f"{own}/logout", show_logout)
    router.add_post(f"{own}/logout", submit_logout)
    router.add_post(f"{own}/logout/all", submit_logout_all)
    router.add_post(f"{own}/logout/app", submit_app_logout)
    router.add_get(f"{own}/logged-out", show_logged_out)
    router.add_get(f"{own}/not-sent", show_not_sent)
    router.add_get(f"{own}/sessions", show_devices)
    router.add_post(f"{own}/sessions/others/end", end_other_devices)
    router.add_post(f"{own}/sessions/{{id:{ID_PATTERN}}}/end", end_device)
    router.add_get(f"{own}/language", choose_language, allow_head=False)
    router.add_get(f"{own}/status", show_status)
    router.add_post(f"{own}/status", count_activity)
    router.add_get(f"{own}/assets/{SESSION_SCRIPT}", show_session_script)
    router.add_get(f"{own}/assets/{{name}}", show_asset)
    _add_words_of_the_provider(router, options)


def _add_words_of_the_provider(router: web.UrlDispatcher, options: WebOptions) -> None:
    """Add where the provider says that something has ended."""
    own = options.own_path
    if options.backchannel is Feature.ON:
        router.add_post(f"{own}/backchannel-logout", backchannel_logout)
    router.add_get(f"{own}/frontchannel-logout", frontchannel_logout, allow_head=False)
    router.add_post(f"{own}/keycloak/k_logout", keycloak_logout)
    router.add_post(f"{own}/keycloak/k_push_not_before", keycloak_push_not_before)
    router.add_post(f"{own}/keycloak/k_test_available", keycloak_test_available)


async def _close(app: web.Application) -> None:
    await app[keys.TASKS].close()
