"""From the settings to what the stores in Redis take; apart from ``slices.py`` because most have none."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from proxy.certificates import TlsFiles
from proxy.observe.audit_redis import AuditRedisLimits
from proxy.sessions.redis_options import (
    Alone,
    BehindSentinels,
    Cluster,
    RedisOptions,
    SocketPath,
    TcpNode,
    Topology,
)
from proxy.settings import values
from proxy.slices import given_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.secret import Secret
    from proxy.settings.model import RedisSettings, Settings


def redis_tls(settings: Settings) -> TlsFiles | None:
    """Return how a Redis that is reached with rediss:// is verified and what it is shown.

    Raises:
        SettingsError: the files cannot be used.
    """
    redis = settings.sessions.redis
    if not redis.url.is_tls:
        return None
    tls = redis.tls

    def build() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        return context

    return TlsFiles("sessions.redis.tls", given_paths(tls.ca_file, tls.cert_file, tls.key_file), build)


def redis_options(settings: Settings, tls: TlsFiles | None) -> RedisOptions:
    """Return where Redis is and as whom we speak to it."""
    redis = settings.sessions.redis
    return RedisOptions(
        topology=_topology(redis),
        key_prefix=redis.key_prefix,
        database=redis.url.database,
        username=redis.url.username,
        password=_redis_password(redis),
        tls=None if tls is None else tls.current,
    )


def _topology(redis: RedisSettings) -> Topology:
    address = redis.url.address
    if redis.sentinel is not None:
        return BehindSentinels(
            redis.sentinel.master, tuple(TcpNode(one.host, one.port) for one in redis.sentinel.nodes)
        )
    if isinstance(address, values.UnixAddress):
        return Alone(SocketPath(address.path))
    node = TcpNode(address.host, address.port)
    return Cluster((node,)) if redis.cluster else Alone(node)


def _redis_password(redis: RedisSettings) -> Callable[[], Secret] | None:
    if redis.password is not None:
        return redis.password.read
    password = redis.url.password
    return None if password is None else lambda: password


def audit_redis_limits(settings: Settings) -> AuditRedisLimits | None:
    """Return the caps of the trail in Redis, or None when nothing is kept."""
    return AuditRedisLimits(keep_s=settings.audit.keep) if settings.audit.keep else None
