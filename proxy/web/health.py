"""A second small application for ``management.listen``: ``/healthz``, ``/readyz``, ``/metrics``.

It has no session, no cookie and no page; whoever reaches that port may read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from msgspec import Struct

from proxy.web.anonymous import forget_the_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ports import Readiness


class HealthServices(Struct, frozen=True, kw_only=True):
    """What the health pages ask; each call returns at once.

    Attributes:
        keycloak: not ready before the first metadata and keys, then ready for good; ``detail`` names what is away.
        store: whether sessions can be read and written.
        is_draining: whether the process is about to end.
        configuration: in what the file on disk is not what runs, or None: what runs is as ready as before.
        exposition: the metrics and their content type, by what the caller accepts.
    """

    keycloak: Callable[[], Readiness]
    store: Callable[[], Readiness]
    is_draining: Callable[[], bool]
    exposition: Callable[[str], tuple[bytes, str]]
    configuration: Callable[[], str | None] = lambda: None


HEALTH: web.AppKey[HealthServices] = web.AppKey("health", HealthServices)


def health_application(services: HealthServices) -> web.Application:
    """Return the application of the management port."""
    app = web.Application()
    app[HEALTH] = services
    app.on_response_prepare.append(forget_the_server)
    app.router.add_get("/healthz", show_health)
    app.router.add_get("/readyz", show_readiness)
    app.router.add_get("/metrics", show_metrics)
    return app


async def show_health(_request: web.Request) -> web.StreamResponse:
    """Return 200 while the loop turns."""
    return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def show_readiness(request: web.Request) -> web.StreamResponse:
    """Return 503 before we could sign anybody in and while draining; later outages are named but stay 200.

    Otherwise an outage of Keycloak would be one of every app behind us.
    """
    health = request.app[HEALTH]
    keycloak, store, is_draining = health.keycloak(), health.store(), health.is_draining()
    document = {"keycloak": keycloak.detail, "store": store.detail}
    if (difference := health.configuration()) is not None:
        document["configuration"] = difference
    if is_draining:
        document["draining"] = "the process is shutting down"
    status = 200 if keycloak.is_ready and not is_draining else 503
    return web.json_response(document, status=status, headers={"Cache-Control": "no-store"})


async def show_metrics(request: web.Request) -> web.StreamResponse:
    """Return the metrics in the format of Prometheus, or as OpenMetrics for who accepts that."""
    body, content_type = request.app[HEALTH].exposition(request.headers.get("Accept", ""))
    headers = {"Content-Type": content_type, "Cache-Control": "no-store", "Vary": "Accept"}
    return web.Response(body=body, headers=headers)
