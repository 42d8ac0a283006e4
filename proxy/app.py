"""The composition root: settings become a wired process, and nobody else knows concrete classes.

:class:`Sidegate` is one process: made, started, closed. :func:`serve_forever` is ``sidegate run``, :func:`demo` is
``sidegate demo``. Settings are cut into the rooms' own options by ``slices.py``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import secrets
import signal
import sys
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy import slices
from proxy.certificates import watch
from proxy.clock import SystemClock
from proxy.core.lifetime import promised_lifetime
from proxy.errors import SidegateError
from proxy.forward.own_pages import OwnPages
from proxy.forward.server import DataPath
from proxy.gate.accept import Acceptor
from proxy.gate.authenticate import Authenticator
from proxy.gate.handler import Gate, GateParts
from proxy.observe.log import LogFormat, LogLevel, StandardHandler
from proxy.observe.metrics import EXPOSITION_CONTENT_TYPE
from proxy.observe.observer import ProductionObserver
from proxy.oidc.provider import OpenIdProvider
from proxy.pages.render import JinjaPages
from proxy.respond import Responder
from proxy.sessions.fresh_tokens import RefreshParts
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.refresher import SessionRefresher
from proxy.sessions.stream_keeper import StreamKeeper
from proxy.settings.load import load_settings
from proxy.settings.model import Settings
from proxy.settings.values import UnixAddress
from proxy.stores import make_stores
from proxy.tasks import TaskOwner
from proxy.web.admin_access import AdminAccess
from proxy.web.administration import AdministrationParts, StoreAdministration
from proxy.web.application import WebServices, own_application
from proxy.web.health import HealthServices, health_application
from proxy.web.management_api import ApiServices, management_api

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from proxy.ports import Clock, SessionStore
    from proxy.settings.values import Address

END_SIGNALS = (signal.SIGTERM, signal.SIGINT)

OWN_PAGES_KEEPALIVE_S = 75.0
"""Longer than the data path keeps an idle pair, so that aiohttp never closes one that is about to be used."""


class Sidegate:
    """One wired process: every part made once, started in order, closed in the opposite order."""

    def __init__(self, settings: Settings, *, clock: Clock, observer: ProductionObserver) -> None:
        """Wire the parts; nothing is opened or asked before :meth:`start`.

        Raises:
            SettingsError: a certificate, CA file or key cannot be used.
        """
        self._settings = settings
        self._clock = clock
        self._observer = observer
        self._is_draining = False
        self._pages = JinjaPages(slices.look(settings))
        self._provider = OpenIdProvider(slices.provider_options(settings), clock=clock, observer=observer)
        self._live = LiveStreamRegistry(observer)
        self._stores = make_stores(settings, clock=clock, observer=observer, live=self._live)
        self._store: SessionStore = self._stores.sessions
        self._refresher = SessionRefresher(self._refresh_parts(), policy=slices.refresh_policy(settings))
        self._keeper = StreamKeeper(self._live, self._store, self._refresher, clock=clock, observer=observer)
        self._web_options = slices.web_options(settings)
        self._own = web.AppRunner(self._own_application(), access_log=None, keepalive_timeout=OWN_PAGES_KEEPALIVE_S)
        self._management = web.AppRunner(self._health_application(), access_log=None)
        self._api = web.AppRunner(self._management_api(), access_log=None)
        self._gate = self._make_gate()
        self._tls = slices.server_tls(settings)
        self._upstream_tls = slices.upstream_tls(settings)
        self._tasks = TaskOwner(lambda fault: observer.error("the watch over TLS files ended", fault=repr(fault)))
        self._data_path: DataPath | None = None
        if (audit := self._stores.audit) is not None:
            observer.keep_audit(audit)
            observer.metrics.watch_dropped_audit(lambda: audit.dropped + observer.audit_left_out)
        observer.metrics.watch_sessions(self._stores.active_sessions)
        observer.metrics.watch_streams(lambda: len(self._live))
        observer.metrics.watch_connections(
            open_now=lambda: self._data_path.open_connections if self._data_path else 0,
            refused=lambda: self._data_path.refused_connections if self._data_path else 0,
        )

    async def start(self) -> None:
        """Open the listeners and begin to look for the provider; returns when requests are answered.

        Raises:
            SidegateError: a port is in use or may not be opened.
        """
        await self._provider.start()
        await self._stores.start()
        self._keeper.start()
        await self._own.setup()
        await _listen(self._management, "management.listen", self._settings.management.listen)
        await _listen(self._api, "management.api_listen", self._settings.management.api_listen)
        self._data_path = DataPath(
            gatekeeper=self._gate,
            upstreams=slices.upstream_options(self._settings, self._upstream_tls),
            own_pages=OwnPages(_server_of(self._own)),
            live=self._live,
            options=slices.forward_options(self._settings, self._tls, descriptors=_descriptors()),
            clock=self._clock,
        )
        own = () if self._tls is None else (self._tls,)
        _ = self._tasks.start(watch((*own, *self._upstream_tls.values(), *self._stores.tls_files), self._observer))
        listen = self._settings.server.listen
        try:
            await self._data_path.start(str(listen))
        except OSError as error:
            raise _cannot_listen("server.listen", listen, error) from error
        self._observer.notice(promised_lifetime(self._settings.session_plan))

    async def close(self) -> None:
        """Drain: not ready, no new connection, what runs may end within ``shutdown_grace``; then let go of all."""
        self._is_draining = True
        await self._tasks.close()
        if self._data_path is not None:
            await self._data_path.drain(self._settings.server.shutdown_grace)
        await self._own.cleanup()
        await self._api.cleanup()
        await self._management.cleanup()
        await self._keeper.close()
        await self._refresher.close()
        await self._stores.close()
        await self._provider.close()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _make_gate(self) -> Gate:
        settings, clock, observer = self._settings, self._clock, self._observer
        return Gate(
            slices.gate_rules(settings),
            GateParts(
                acceptor=Acceptor(slices.accept_rules(settings), random_bytes=secrets.token_bytes),
                authenticator=Authenticator(
                    self._store,
                    self._refresher,
                    client_id=settings.keycloak.client_id,
                    clock=clock,
                    observer=observer,
                ),
                kept=self._stores.kept,
                responder=Responder(self._pages, everywhere=slices.everywhere(settings)),
                observer=observer,
                clock=clock,
            ),
        )

    def _refresh_parts(self) -> RefreshParts:
        return RefreshParts(
            provider=self._provider,
            store=self._store,
            leases=self._stores.leases,
            clock=self._clock,
            observer=self._observer,
        )

    def _own_application(self) -> web.Application:
        return own_application(
            WebServices(
                options=self._web_options,
                sessions=self._store,
                authentications=self._stores.authentications,
                kept=self._stores.kept,
                provider=self._provider,
                throttle=self._stores.throttle,
                refresher=self._refresher,
                observer=self._observer,
                pages=self._pages,
                assets=self._pages.assets,
                clock=self._clock,
            )
        )

    def _health_application(self) -> web.Application:
        return health_application(
            HealthServices(
                keycloak=self._provider.readiness,
                store=self._store.readiness,
                is_draining=lambda: self._is_draining,
                exposition=lambda: (self._observer.exposition(), EXPOSITION_CONTENT_TYPE),
            )
        )

    def _management_api(self) -> web.Application:
        parts = AdministrationParts(
            site=slices.site(self._web_options),
            sessions=self._store,
            trail=self._stores.audit,
            observer=self._observer,
            clock=self._clock,
        )
        return management_api(
            ApiServices(
                access=AdminAccess(slices.admin_token(self._settings), clock=self._clock),
                administration=lambda operator: StoreAdministration(parts, operator),
                observer=self._observer,
            )
        )


async def _listen(runner: web.AppRunner, key: str, address: Address) -> None:
    """Open the listener of an application of ours.

    Raises:
        SidegateError: the port is in use or may not be opened.
    """
    await runner.setup()
    site: web.BaseSite
    if isinstance(address, UnixAddress):
        site = web.UnixSite(runner, address.path)
    else:
        site = web.TCPSite(runner, address.host, address.port)
    try:
        await site.start()
    except OSError as error:
        raise _cannot_listen(key, address, error) from error


def _server_of(runner: web.AppRunner) -> Callable[[], asyncio.Protocol]:
    if runner.server is None:
        raise SidegateError("the own pages were not set up")
    return runner.server


def _cannot_listen(key: str, address: object, error: OSError) -> SidegateError:
    # asyncio writes the address into strerror once more; the negative numbers are those of getaddrinfo.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return SidegateError(f"cannot listen on {address}: {reason.lower()}; free the address or change {key}")


# --- commands --------------------------------------------------------------------------------------------------------


def serve_forever(path: Path) -> int:
    """Serve by the file at ``path`` until SIGTERM or SIGINT; returns the exit code.

    Raises:
        SettingsError: the file or something it names cannot be used.
        SidegateError: an address cannot be listened on.
    """
    settings = load_settings(path)
    return _run(_serve_until_signalled(settings))


async def _serve_until_signalled(settings: Settings) -> int:
    observer = make_observer(settings)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in END_SIGNALS:
        loop.add_signal_handler(number, ended.set)
    # The default action of SIGHUP is to die; an operator who sends it wants the file read again, not an outage.
    loop.add_signal_handler(
        signal.SIGHUP, lambda: observer.warning("SIGHUP: the file is read at start only; restart to apply changes")
    )
    try:
        return await _serve(settings, observer, ended)
    finally:
        observer.close()


async def _serve(settings: Settings, observer: ProductionObserver, ended: asyncio.Event) -> int:
    sidegate = Sidegate(settings, clock=SystemClock(), observer=observer)
    try:
        await sidegate.start()
        # What is there now stays until the end: nothing is gained by looking through it with each full collection.
        gc.collect()
        gc.freeze()
        sys.stderr.write(f"sidegate: serving {settings.server.public_url} on {settings.server.listen}\n")
        sys.stderr.flush()
        await ended.wait()
    finally:
        await sidegate.close()
    return 0


def make_observer(settings: Settings) -> ProductionObserver:
    """Return the observer that writes to stdout, with the warnings of the libraries in the same form."""
    observer = ProductionObserver(
        _write_out,
        clock=SystemClock(),
        level=LogLevel(settings.log.level),
        line_format=LogFormat(settings.log.format),
    )
    logging.basicConfig(handlers=[StandardHandler(observer.log)], level=logging.WARNING, force=True)
    return observer


def _write_out(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


def demo(port: int) -> int:
    """Run the demo on loopback until Ctrl-C; returns the exit code.

    Raises:
        SidegateError: the port is in use.
    """
    from proxy.demo.run import run_demo  # noqa: PLC0415 - the provider of the demo is no part of ``run``

    async def run() -> int:
        await run_demo(port, _serve_configuration)
        return 0

    return _run(run())


async def _serve_configuration(configuration: Mapping[str, object]) -> Sidegate:
    settings = Settings.model_validate(configuration)
    sidegate = Sidegate(settings, clock=SystemClock(), observer=_quiet_observer())
    try:
        await sidegate.start()
    except BaseException:
        await sidegate.close()
        raise
    return sidegate


def _quiet_observer() -> ProductionObserver:
    """Return an observer whose lines would bury what the demo says; warnings go to stderr."""
    return ProductionObserver(
        sys.stderr.buffer.write, clock=SystemClock(), level=LogLevel.WARNING, line_format=LogFormat.CONSOLE
    )


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it installs, else on plain asyncio."""
    _take_all_descriptors()
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - not on every platform
    except ImportError:
        with asyncio.Runner() as runner:
            return runner.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def _take_all_descriptors() -> None:
    """Raise the soft limit to the hard one: it is 1024 by custom, for the sake of ``select``, which nobody here uses.

    Precedent: Go does so for every program since 1.19, nginx by ``worker_rlimit_nofile``.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return  # macOS takes no unlimited number; what there is must do


def _descriptors() -> int:
    """Return how many files and sockets this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
