"""The composition root: settings become a wired process, and nobody else knows concrete classes.

:class:`Sidegate` is one process: made, started, closed. ``site.py`` wires what follows from one file or portal,
``sites.py`` holds those of the process, and :meth:`Sidegate.exchange` is how a reload swaps them.
:func:`serve_forever` is ``sidegate run``, :func:`demo` is ``sidegate demo``. Settings are cut into the rooms' own
options by ``slices.py``.
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
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy import slices
from proxy.clock import SystemClock
from proxy.core.lifetime import promised_lifetime
from proxy.errors import SidegateError
from proxy.forward.served import LEAVES_AFTER_S
from proxy.forward.server import DataPath
from proxy.leaving import LeavingSites
from proxy.observe.certificate_ends import CertificateEnds
from proxy.observe.log import LogFormat, LogLevel, StandardHandler
from proxy.observe.observer import ProductionObserver
from proxy.observe.of_portal import observer_of
from proxy.observe.open_traces import open_traces
from proxy.observe.traced_observer import TracedObserver
from proxy.reload.reloader import Reloader, ReloadParts
from proxy.reload.watcher import FileWatcher, FolderEvents
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.stream_keeper import StreamKeeper
from proxy.settings.certificate_files import certificate_files
from proxy.settings.load import load_sites, one_site
from proxy.settings.model import Settings
from proxy.settings.secret_source import KEY_BYTES
from proxy.settings.values import UnixAddress
from proxy.site import SharedParts, Site
from proxy.sites import Sites, close_all, sites_beside
from proxy.stores import make_stores
from proxy.tasks import TaskOwner
from proxy.web.admin_access import AdminAccess
from proxy.web.health import HealthServices, health_application
from proxy.web.management_api import ApiServices, management_api

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
    from pathlib import Path

    from proxy.certificates import TlsFiles
    from proxy.core.secret import Secret
    from proxy.forward.options import ForwardOptions
    from proxy.ports import Clock
    from proxy.settings.portals import SiteSettings
    from proxy.settings.values import Address
    from proxy.web.administration import Operator, StoreAdministration

END_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Sidegate:
    """One wired process: every part made once, started in order, closed in the opposite order.

    What follows from the file is exchanged while we run (:meth:`exchange`): the sites whole, and what stores, data path
    and log were told of it. They themselves, the listeners and open streams are made once.

    Attributes:
        difference: in what the file on disk is not what runs, for ``/readyz``; None when it is.
    """

    difference: Callable[[], str | None] = staticmethod(lambda: None)

    def __init__(self, sites: Sequence[SiteSettings], *, clock: Clock, observer: ProductionObserver) -> None:
        """Wire the parts; nothing is opened or asked before :meth:`start`.

        Args:
            sites: at least one; keys of the process as a whole are equal in all, so they are read from the first.

        Raises:
            SettingsError: a certificate, CA file or key cannot be used.
        """
        self._settings = settings = sites[0].settings
        self._clock = clock
        self._observer = observer
        self._is_draining = False
        self._own_key = secrets.token_bytes(KEY_BYTES)
        self.live = LiveStreamRegistry(observer)
        self.stores = make_stores(sites, clock=clock, observer=observer, live=self.live)
        self._shared = SharedParts(
            stores=self.stores,
            live=self.live,
            clock=clock,
            observer=observer,
            server_keys=slices.server_keys(settings, beside=self._own_key),
            tracing=observer.tracing,
            sites=sites,
        )
        self._generation = 0
        self.sites = Sites([Site(one, self._shared) for one in sites])
        self._leaving = LeavingSites(observer, leaves_after_s=LEAVES_AFTER_S, then=self._judge_streams)
        self._keeper = StreamKeeper(self.live, self.stores.sessions, self.sites, clock=clock, observer=observer)
        self._management = web.AppRunner(self._health_application(), access_log=None)
        self._api = web.AppRunner(self._management_api(), access_log=None)
        self._tls = slices.server_tls(settings)
        self._tasks = TaskOwner(lambda fault: observer.error("a task of the process ended", fault=repr(fault)))
        self._data_path: DataPath | None = None
        self._tell_metrics()

    def _tell_metrics(self) -> None:
        observer = self._observer
        if (audit := self.stores.audit) is not None:
            observer.keep_audit(audit)
            observer.metrics.watch_dropped_audit(lambda: audit.dropped + observer.audit_left_out)
        self._tell_session_limit()
        observer.metrics.watch_parts(
            is_ready=lambda: self.sites.readiness().is_ready and not self._is_draining,
            keycloak=self.sites.readiness,
            store=self.stores.sessions.readiness,
        )
        ends = CertificateEnds()
        observer.metrics.watch_certificates(lambda: ends.of(self._certificate_files()))
        observer.metrics.watch_streams(lambda: len(self.live))
        observer.metrics.watch_connections(
            open_now=lambda: self._data_path.open_connections if self._data_path else 0,
            refused=lambda: self._data_path.refused_connections if self._data_path else 0,
        )

    def _tell_session_limit(self) -> None:
        sessions = self._settings.sessions
        limit = inf if sessions.store == "redis" else sessions.memory.max_sessions
        self._observer.metrics.watch_sessions(self.stores.active_sessions, limit=limit)

    def _certificate_files(self) -> Iterator[tuple[str, Path]]:
        seen = {found for site in self.sites.current for found in certificate_files(site.settings)}
        return iter(sorted(seen))

    async def start(self) -> None:
        """Open the listeners and begin to look for the provider; returns when requests are answered.

        Raises:
            SidegateError: a port is in use or may not be opened.
        """
        for site in self.sites.current:
            await site.start()
        await self.stores.start()
        self._keeper.start()
        await _listen(self._management, "management.listen", self._settings.management.listen)
        await _listen(self._api, "management.api_listen", self._settings.management.api_listen)
        self._data_path = DataPath(
            self.sites.served(),
            live=self.live,
            options=slices.forward_options(self._settings, self._tls, descriptors=_descriptors()),
            clock=self._clock,
        )
        listen = self._settings.server.listen
        try:
            await self._data_path.start(str(listen))
        except OSError as error:
            raise _cannot_listen("server.listen", listen, error) from error
        self._observer.metrics.serving_since(self._clock.now())
        for site in self.sites.current:
            observer_of(site.name, self._observer).notice(promised_lifetime(site.settings.session_plan))

    async def exchange(self, sites: Sequence[SiteSettings]) -> None:
        """Serve these sites instead of those of before: all of them, or, when one cannot be made, none.

        No request is dropped: what was admitted goes its way at the former sites, which are let go of
        ``LEAVES_AFTER_S`` later. Sessions, open streams and connections of clients stay. A provider that the file names
        anew must be found within ``keycloak.timeout``: what runs is not given up for what nobody can sign in at.

        Args:
            sites: with the keys that need a restart as they were at the start.

        Raises:
            SettingsError: one of them cannot be made; everything is as before.
            ProviderUnavailable: a new provider is not there; the same.
        """
        settings = sites[0].settings
        keys = slices.server_keys(settings, beside=self._own_key)
        shared = replace(self._shared, server_keys=keys, sites=sites)
        tls = await asyncio.to_thread(self._server_tls, settings)
        adopt = await asyncio.to_thread(self.stores.prepare, sites)
        self._generation += 1
        made = await sites_beside(self.sites, sites, shared=shared, generation=self._generation)
        options = slices.forward_options(settings, tls, descriptors=_descriptors())
        try:
            await self._listen_by(options)
        except BaseException:
            await close_all(made)
            raise
        # Nothing can fail from here on, and nobody else's turn comes before the data path serves the new sites.
        adopt()
        self._settings, self._tls = settings, tls
        self._leaving.add(self.sites.replace(made))
        if self._data_path is not None:
            self._data_path.serve(self.sites.served(), options)
        self._observer.adopt(level=LogLevel(settings.log.level))
        self._tell_session_limit()
        _ = self._tasks.start(self._look_after_exchange())

    async def _listen_by(self, options: ForwardOptions) -> None:
        if self._data_path is None:
            return
        try:
            await self._data_path.listen_by(options)
        except OSError as error:
            raise _cannot_listen("server.listen", self._settings.server.listen, error) from error

    async def _look_after_exchange(self) -> None:
        await self._judge_streams()
        await self.stores.keep_only(self.sites.clients())

    async def _judge_streams(self) -> None:
        """Have open streams judged by what the sites demand that are served now."""
        await self.live.judge_anew(self.sites.demanded, now=self._clock.now)

    def _server_tls(self, settings: Settings) -> TlsFiles | None:
        """Return what the listener has, when it is made of the same files: clients go on with their TLS sessions."""
        if settings.server.tls == self._settings.server.tls and not (self._tls and self._tls.has_changed()):
            return self._tls
        return slices.server_tls(settings)

    async def close(self) -> None:
        """Drain: not ready, no new connection, what runs may end within ``shutdown_grace``; then let go of all."""
        self._is_draining = True
        await self._tasks.close()
        if self._data_path is not None:
            await self._data_path.drain(self._settings.server.shutdown_grace)
        await self._api.cleanup()
        await self._management.cleanup()
        await self._keeper.close()
        await self._leaving.close()
        await close_all(self.sites.current)
        await self.stores.close()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _health_application(self) -> web.Application:
        return health_application(
            HealthServices(
                keycloak=self.sites.readiness,
                store=self.stores.sessions.readiness,
                is_draining=lambda: self._is_draining,
                exposition=self._observer.exposition,
                configuration=self._configuration,
            )
        )

    def _configuration(self) -> str | None:
        return self.difference()

    def _management_api(self) -> web.Application:
        return management_api(
            ApiServices(
                access=AdminAccess(self._admin_token, clock=self._clock),
                administration=self._administration,
                observer=self._observer,
            )
        )

    def _admin_token(self) -> Secret | None:
        return slices.admin_token(self._settings)()

    def _administration(self, operator: Operator) -> StoreAdministration:
        from proxy import page_slices  # noqa: PLC0415 - wanted when somebody asks, if ever
        from proxy.web.administration import AdministrationParts, StoreAdministration  # noqa: PLC0415

        parts = AdministrationParts(
            sites=tuple(page_slices.managed_site(site.web_options) for site in self.sites.current),
            sessions=self.stores.sessions,
            trail=self.stores.audit,
            observer=self._observer,
            clock=self._clock,
        )
        return StoreAdministration(parts, operator)


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


def _cannot_listen(key: str, address: object, error: OSError) -> SidegateError:
    # asyncio writes the address into strerror once more; the negative numbers are those of getaddrinfo.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return SidegateError(f"cannot listen on {address}: {reason.lower()}; free the address or change {key}")


# --- commands --------------------------------------------------------------------------------------------------------


def serve_forever(path: Path, sites: Sequence[SiteSettings]) -> int:
    """Serve what was read from the file at ``path``, and whatever it becomes, until SIGTERM or SIGINT.

    Returns the exit code.

    Raises:
        SettingsError: something that the file names cannot be used.
        SidegateError: an address cannot be listened on.
    """
    return _run(_serve_until_signalled(path, sites))


async def _serve_until_signalled(path: Path, sites: Sequence[SiteSettings]) -> int:
    observer = make_observer(sites[0].settings)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in END_SIGNALS:
        loop.add_signal_handler(number, ended.set)
    # The default action of SIGHUP is to die; one that comes before the file can be read again finds it just read.
    loop.add_signal_handler(signal.SIGHUP, _nothing)
    try:
        return await _serve(path, sites, observer=observer, ended=ended)
    finally:
        observer.close()


async def _serve(
    path: Path, sites: Sequence[SiteSettings], *, observer: ProductionObserver, ended: asyncio.Event
) -> int:
    sidegate = Sidegate(sites, clock=SystemClock(), observer=observer)
    reloader = _reloader(path, sites, sidegate=sidegate, observer=observer)
    try:
        await sidegate.start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.ask)
        await reloader.start()
        # What is there now stays until the end: nothing is gained by looking through it with each full collection. Nor
        # by a first one here: it takes a tenth of the start, and finds 0.2 MiB.
        gc.freeze()
        gc.enable()  # ``cli`` switched it off for the start
        served = ", ".join(str(one.settings.server.public_url) for one in sites)
        sys.stderr.write(f"sidegate: serving {served} on {sites[0].settings.server.listen}\n")
        sys.stderr.flush()
        await ended.wait()
    finally:
        await reloader.close()
        await sidegate.close()
    return 0


def _reloader(
    path: Path, sites: Sequence[SiteSettings], *, sidegate: Sidegate, observer: ProductionObserver
) -> Reloader:
    clock = SystemClock()
    reloader = Reloader(
        sites,
        ReloadParts(
            path=path,
            read=load_sites,
            serve=sidegate.exchange,
            watcher=FileWatcher(FolderEvents(observer), clock=clock),
            observer=observer,
        ),
    )
    sidegate.difference = lambda: reloader.detail
    return reloader


def _nothing() -> None:
    """A signal that is not waited for."""


def make_observer(settings: Settings) -> ProductionObserver:
    """Return the observer that writes to stdout, with the warnings of the libraries in the same form.

    Raises:
        SettingsError: traces are asked for, and OpenTelemetry is not installed.
    """
    clock, tracing = SystemClock(), slices.tracing_options(settings)
    kind = ProductionObserver if tracing is None else TracedObserver
    observer = kind(
        _write_out,
        clock=clock,
        level=LogLevel(settings.log.level),
        line_format=LogFormat(settings.log.format),
        sample=slices.log_sample(settings),
    )
    if tracing is not None and isinstance(observer, TracedObserver):
        count = observer.metrics.spans
        traces = open_traces(tracing, clock=clock, count=lambda outcome, spans: count.of(outcome).inc(spans))
        observer.trace_with(traces, clock=clock)
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
    sidegate = Sidegate(one_site(settings), clock=SystemClock(), observer=_quiet_observer())
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
