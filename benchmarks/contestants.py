"""The servers under test: how each is set up, with its access log as it ships it and with none.

Everybody gets the same upstream, the same provider, one core, connections to the upstream that are kept, and no limit
on requests of a connection. What is left is each one's default.

====================  ==================================================================================================
nginx                 the yardstick: proxies and knows nothing of sessions
mod_auth_openidc      Apache, event MPM, sessions in shared memory, identity in OIDC_CLAIM_* headers
oauth2-proxy          sessions in Redis (``redis-server``), X-Forwarded-User headers; OAUTH2_PROXY names its binary
gatekeeper            tokens in cookies, X-Auth-* headers; GATEKEEPER names its binary
sidegate              ``sidegate run``: sessions in memory, X-Auth-* headers, security headers, metrics
====================  ==================================================================================================
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.machine import version_of
from benchmarks.provider import SECRET
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION_SLOTS = 32_000
"""For 10,000 sessions in mod_auth_openidc's shared memory, beside the nonces of their logins: its default is 10,000."""


SIDEGATE = Path(os.environ.get("SIDEGATE") or Path(sys.executable).with_name("sidegate"))
"""``make bench`` names the one that lies among the packages of ``requirements.lock`` alone, as with who uses it."""


class AccessLog(Enum):
    """Whether each request is written down."""

    AS_SHIPPED = "as shipped"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Place:
    """What a contestant is set up with."""

    folder: Path
    port: int
    upstream: str
    issuer: str
    redis_port: int

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Contestant:
    """One server.

    Attributes:
        command: writes what it needs into its folder and returns its command line.
        start: the path where a sign-in begins; None when it knows no sessions.
        version: the command that says its version.
    """

    name: str
    command: Callable[[Place, AccessLog], list[str]]
    start: str | None
    version: tuple[str, ...]


# --- nginx -----------------------------------------------------------------------------------------------------------

_NGINX = """
daemon off; user root; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  {log} sendfile on; keepalive_requests 1000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  map $http_upgrade $connection_field {{ default upgrade; '' ''; }}
  upstream app {{ server {upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://app; proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_field;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""


def _nginx(place: Place, log: AccessLog) -> list[str]:
    line = "access_log off;" if log is AccessLog.OFF else f"access_log {place.folder}/access.log;"
    config = _NGINX.format(
        folder=place.folder, port=place.port, upstream=place.upstream.removeprefix("http://"), log=line
    )
    file = _written(place, "nginx.conf", config)
    return ["nginx", "-e", f"{place.folder}/error.log", "-p", str(place.folder), "-c", str(file)]


# --- Apache with mod_auth_openidc ------------------------------------------------------------------------------------

_APACHE = """
ServerRoot {folder}
ServerName 127.0.0.1
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
Listen 127.0.0.1:{port}
ListenBacklog 4096
User www-data
Group www-data
ErrorLog {folder}/error.log
{modules}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 65
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" combined
{log}
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID mod_auth_openidc
OIDCClientSecret {secret}
OIDCRedirectURI {origin}/oidc/callback
OIDCCryptoPassphrase {passphrase}
OIDCScope "openid profile email"
OIDCRemoteUserClaim preferred_username
OIDCSessionInactivityTimeout 3600
OIDCCacheShmMax {slots}
<Location />
  AuthType openid-connect
  Require valid-user
</Location>
ProxyPreserveHost On
ProxyPass /oidc !
ProxyPass / {upstream}/ upgrade=websocket
"""
_APACHE_MODULES = (
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "auth_openidc",
    "proxy",
    "proxy_http",
    "proxy_wstunnel",
)


def _apache(place: Place, log: AccessLog) -> list[str]:
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _APACHE_MODULES)
    config = _APACHE.format(
        folder=place.folder,
        port=place.port,
        origin=place.origin,
        upstream=place.upstream,
        issuer=place.issuer,
        secret=SECRET,
        passphrase=secrets.token_hex(16),
        slots=SESSION_SLOTS,
        modules=modules,
        log="" if log is AccessLog.OFF else f"CustomLog {place.folder}/access.log combined",
    )
    return ["apache2", "-D", "FOREGROUND", "-f", str(_written(place, "apache.conf", config))]


# --- those whose binaries the environment names ----------------------------------------------------------------------


def _oauth2_proxy(binary: str) -> Callable[[Place, AccessLog], list[str]]:
    def command(place: Place, log: AccessLog) -> list[str]:
        lines = "false" if log is AccessLog.OFF else "true"
        return [
            binary,
            "--provider=oidc",
            f"--http-address=127.0.0.1:{place.port}",
            f"--oidc-issuer-url={place.issuer}",
            "--client-id=oauth2-proxy",
            f"--client-secret={SECRET}",
            f"--redirect-url={place.origin}/oauth2/callback",
            f"--cookie-secret={secrets.token_hex(16)}",
            "--cookie-secure=false",
            "--email-domain=*",
            "--scope=openid profile email",
            "--code-challenge-method=S256",
            "--skip-provider-button=true",
            "--session-store-type=redis",
            f"--redis-connection-url=redis://127.0.0.1:{place.redis_port}",
            f"--request-logging={lines}",
            f"--auth-logging={lines}",
            f"--upstream={place.upstream}/",
        ]

    return command


def _gatekeeper(binary: str) -> Callable[[Place, AccessLog], list[str]]:
    def command(place: Place, log: AccessLog) -> list[str]:
        return [
            binary,
            f"--listen=127.0.0.1:{place.port}",
            f"--discovery-url={place.issuer}",
            "--client-id=gatekeeper",
            f"--client-secret={SECRET}",
            f"--redirection-url={place.origin}",
            f"--upstream-url={place.upstream}",
            f"--encryption-key={secrets.token_hex(16)}",
            "--secure-cookie=false",
            # It would ask the provider anew for each request, which nobody can want to be measured.
            "--enable-idp-session-check=false",
            f"--enable-logging={'false' if log is AccessLog.OFF else 'true'}",
        ]

    return command


# --- Sidegate --------------------------------------------------------------------------------------------------------


def sidegate_settings(place: Place, log: AccessLog) -> dict[str, Any]:
    """Return the file of a Sidegate in this place, as everybody is set up; sessions in memory."""
    return {
        "server": {"listen": f"127.0.0.1:{place.port}", "public_url": place.origin},
        "management": {"listen": f"127.0.0.1:{free_port()}", "api_listen": f"127.0.0.1:{free_port()}"},
        "keycloak": {
            "issuer": place.issuer,
            "client_id": "sidegate",
            "client_auth": {"secret": {"value": SECRET}},
        },
        "sessions": {"max_per_user": 0},
        "upstreams": {"app": {"url": place.upstream}},
        "routes": [
            {"path": "/static/**", "access": "public"},
            {"path": "/admin/**", "access": {"any_role": ["admin"]}},
            {"path": "/**", "access": "authenticated"},
        ],
        "log": {"level": "info" if log is AccessLog.AS_SHIPPED else "warning"},
    }


def sidegate_command(place: Place, settings: dict[str, Any]) -> list[str]:
    """Write the file and return the command that serves it."""
    file = _written(place, "sidegate.yaml", yaml.safe_dump(settings))
    return [str(SIDEGATE), "run", "-c", str(file)]


def _sidegate(place: Place, log: AccessLog) -> list[str]:
    return sidegate_command(place, sidegate_settings(place, log))


# --- all -------------------------------------------------------------------------------------------------------------

YARDSTICK = "nginx"
OURS = "sidegate"
PEER = "mod_auth_openidc"


def present_contestants() -> tuple[list[Contestant], list[str]]:
    """Return those that are here, and a line for each that is not."""
    found: list[Contestant] = []
    skipped: list[str] = []
    for name, program, make in _FROM_DEBIAN:
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
            found.append(make(name))
        else:
            skipped.append(f"{name} is skipped: there is no {program}")
    for name, variable, make_from in _FROM_ENVIRONMENT:
        binary = os.environ.get(variable)
        if binary:
            found.append(make_from(name, binary))
        else:
            skipped.append(f"{name} is skipped: {variable} names no binary")
    found.append(Contestant(OURS, _sidegate, "/_sidegate/start", (str(SIDEGATE), "--version")))
    return found, skipped


_FROM_DEBIAN: list[tuple[str, str, Callable[[str], Contestant]]] = [
    (YARDSTICK, "nginx", lambda name: Contestant(name, _nginx, None, ("nginx", "-v"))),
    (
        PEER,
        "apache2",
        lambda name: Contestant(
            name, _apache, "/small", ("dpkg-query", "-W", "libapache2-mod-auth-openidc", "apache2")
        ),
    ),
]
_FROM_ENVIRONMENT: list[tuple[str, str, Callable[[str, str], Contestant]]] = [
    (
        "oauth2-proxy",
        "OAUTH2_PROXY",
        lambda name, binary: Contestant(name, _oauth2_proxy(binary), "/small", (binary, "--version")),
    ),
    (
        "gatekeeper",
        "GATEKEEPER",
        lambda name, binary: Contestant(name, _gatekeeper(binary), "/small", (binary, "--version")),
    ),
]


def versions_of(contestants: list[Contestant]) -> dict[str, str]:
    """Return what each says of itself."""
    return {one.name: version_of(list(one.version)) for one in contestants}


def _written(place: Place, name: str, text: str) -> Path:
    file = place.folder / name
    file.write_text(text, "utf-8")
    return file
