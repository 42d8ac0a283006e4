"""One value of the file into one typed value.

Pure functions: a plain YAML value in, a typed value out, or :class:`ValueRefused` with both halves of a sentence.
None of them repeats a value in its message unless it cannot be a secret. Nothing here knows pydantic, files or keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, Literal
from urllib.parse import urlsplit

from proxy.core.colour import parse_colour
from proxy.core.headers import checked_field_name
from proxy.core.hosts import WILDCARD, is_wildcard
from proxy.core.return_to import safe_return_to
from proxy.core.routing import ACR_VALUE, MAX_ACR_VALUES_LENGTH, MIN_MAX_AGE_S, normalised_pattern
from proxy.settings.problems import ValueRefused

HttpScheme = Literal["http", "https"]
IpNetwork = IPv4Network | IPv6Network

DURATION_PATTERN: Final = r"^(0|[1-9][0-9]{0,8})(ms|s|m|h|d)$"
SIZE_PATTERN: Final = r"^(0|[1-9][0-9]{0,8})(B|KiB|MiB|GiB)$"
INTEGER_PATTERN: Final = r"[-+]?[0-9]{1,18}"

SECONDS_PER_UNIT: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
BYTES_PER_UNIT: Final = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "B": 1}
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?"
)
_PLAIN_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")

LANGUAGES_OF_OURS: Final = ("en", "de", "fr", "es")
"""Languages that there are words for; ``proxy.pages.look`` names them too, and a test holds that they are the same."""

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")  # RFC 5646 §2.1, what Babel may know of it

ASYMMETRIC_ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip

MIN_ASSERTION_LIFETIME_S: Final = 10.0
"""Seconds below which clocks that differ a little would refuse a fresh assertion."""

MAX_ASSERTION_LIFETIME_S: Final = 3600.0
"""An hour: what was signed cannot be taken back, and an app may hold it for so long."""


class Substituted(str):
    """Text in which a ``${NAME}`` was replaced: it may stand where a number or true/false is asked.

    Attributes:
        is_from_environment: False when only defaults of the file were used.
    """

    __slots__ = ("is_from_environment",)

    is_from_environment: bool

    @classmethod
    def of(cls, text: str, *, is_from_environment: bool) -> Substituted:
        """Make one."""
        substituted = cls(text)
        substituted.is_from_environment = is_from_environment
        return substituted


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host (an IPv6 one without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port`` as the file takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a unix socket."""

    path: str

    def __str__(self) -> str:
        """Return ``unix:/path`` as the file takes it."""
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The base URL that browsers see.

    Attributes:
        authority: as browsers send it in Host: lower case, with the port only when it is not the scheme's own.
        path: empty, or ``/path`` without a final slash.
    """

    scheme: HttpScheme
    authority: str
    path: str

    @property
    def origin(self) -> str:
        """Return ``scheme://authority`` (RFC 6454 §6.2)."""
        return f"{self.scheme}://{self.authority}"

    @property
    def host_name(self) -> str:
        """Return the host without its port, and without the wildcard before it."""
        return re.sub(r":[0-9]+$", "", self.authority).removeprefix(WILDCARD)

    @property
    def is_wildcard(self) -> bool:
        """Say whether the host of each request stands in the place of the wildcard."""
        return is_wildcard(self.authority)

    def __str__(self) -> str:
        """Return the URL without a final slash."""
        return self.origin + self.path


@dataclass(frozen=True, slots=True)
class UpstreamUrl:
    """How to reach the app."""

    scheme: HttpScheme
    address: Address

    def __str__(self) -> str:
        """Return it as the file takes it."""
        return str(self.address) if isinstance(self.address, UnixAddress) else f"{self.scheme}://{self.address}"


# --- plain things ----------------------------------------------------------------------------------------------------


def parse_text(value: object) -> str:
    """Return text that is not empty and holds no control character."""
    if not isinstance(value, str):
        remedy = "put it in quotes" if isinstance(value, bool | int | float) else "write one line of text"
        raise ValueRefused(f"must be text, not {kind_of(value)}", remedy)
    if not value.strip():
        raise ValueRefused("is empty", "write something or leave the key out")
    if _CONTROL.search(value):
        raise ValueRefused("holds a control character or a line break", "write it on one line")
    return str(value)


def parse_integer(value: object) -> int:
    """Return a whole number; text only where a ``${NAME}`` stood."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Substituted) and re.fullmatch(INTEGER_PATTERN, value):
        return int(value)
    raise ValueRefused(f"must be a whole number, not {kind_of(value)}", "write digits without quotes")


def parse_switch(value: object) -> bool:
    """Return true or false; text only where a ``${NAME}`` stood."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Substituted) and value in {"true", "false"}:
        return value == "true"
    raise ValueRefused(f"must be true or false, not {kind_of(value)}", "write true or false, without quotes")


def parse_word(value: object) -> object:
    """Return text as plain ``str``, so that a substituted word is compared like any other."""
    return str(value) if isinstance(value, Substituted) else value


def kind_of(value: object) -> str:
    """Return what a YAML value is, in plain words; never the value itself."""
    kinds = {bool: "true or false", int: "a number", float: "a number with a point", list: "a list", dict: "a mapping"}
    if value is None:
        return "nothing"
    return kinds.get(type(value), "text")


def parse_duration(value: object) -> float:
    """Return seconds, more than 0."""
    seconds = parse_duration_or_zero(value)
    if seconds == 0:
        raise ValueRefused("must be longer than 0", "write a duration such as 10s")
    return seconds


def parse_duration_or_zero(value: object) -> float:
    """Return seconds, 0 or more."""
    units = "a number and one of ms, s, m, h, d, such as 10s or 5m"
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueRefused(f"{value} has no unit", f"write {value}s if seconds are meant")
    match = re.fullmatch(DURATION_PATTERN, value) if isinstance(value, str) else None
    if match is None:
        raise ValueRefused("is not a duration", f"write {units}")
    amount, unit = int(match[1]), match[2]
    return amount / 1000 if unit == "ms" else float(amount * SECONDS_PER_UNIT[unit])


def duration_text(seconds: float) -> str:
    """Return a duration as the file takes it, in the largest unit that holds it whole."""
    if seconds != int(seconds):
        return f"{round(seconds * 1000)}ms"
    whole = int(seconds)
    unit = next(unit for unit, size in SECONDS_PER_UNIT.items() if (whole and whole % size == 0) or unit == "s")
    return f"{whole // SECONDS_PER_UNIT[unit]}{unit}"


def parse_size(value: object) -> int:
    """Return bytes; 0 needs no unit."""
    if value == 0 and not isinstance(value, bool):
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueRefused(f"{value} has no unit", f"write {value}KiB or {value}B")
    match = re.fullmatch(SIZE_PATTERN, value) if isinstance(value, str) else None
    if match is None:
        raise ValueRefused("is not a size", "write a number and one of B, KiB, MiB, GiB, such as 64KiB")
    return int(match[1]) * BYTES_PER_UNIT[match[2]]


def size_text(size: int) -> str | int:
    """Return a size as the file takes it, in the largest unit that holds it whole; 0 is a plain number."""
    if size == 0:
        return 0
    unit = next(unit for unit, bytes_ in BYTES_PER_UNIT.items() if size % bytes_ == 0)
    return f"{size // BYTES_PER_UNIT[unit]}{unit}"


def parse_accent(value: object) -> str:
    """Return a colour as ``#rrggbb``, from any hexadecimal colour of CSS.

    YAML takes an unquoted ``#`` for a comment and digits alone for a number, so both are met here.
    """
    remedy = 'write it in quotes: "#2457c5"'
    if value is None:
        raise ValueRefused("is empty, for an unquoted # begins a comment", remedy)
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        return str(parse_colour(text))
    except ValueError:
        pass
    if re.fullmatch(r"(?:[0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})", text):
        raise ValueRefused("is a colour without its #", f'write it in quotes: "#{text}"')
    raise ValueRefused("is no colour", f"{remedy}, a # and three or six hexadecimal digits")


# --- where things are ------------------------------------------------------------------------------------------------


def parse_address(value: object) -> Address:
    """Return where to listen: ``host:port``, ``[v6]:port`` or ``unix:/path``."""
    text = parse_text(value)
    if text.startswith("unix:"):
        return UnixAddress(_socket_path(text.removeprefix("unix:")))
    host, port = _split_authority(text)
    if host is None or port is None:
        raise ValueRefused("is no address to listen on", "write host:port, [IPv6]:port or unix:/path")
    return TcpAddress(host, port)


def parse_public_url(value: object) -> PublicUrl:
    """Return the base URL that browsers see; a final slash of its path is dropped.

    Its host may begin with ``*.``: then the host of each request stands there.
    """
    text, wildcard = _without_wildcard(parse_text(value))
    scheme, host, port, path = _split_url(text, "https://app.example.com")
    if path and not _PLAIN_PATH.fullmatch(path):
        raise ValueRefused("has a path that is not plain", "use letters, digits, . _ ~ - between single slashes")
    if {"", ".", ".."} & set(path.split("/")[1:]):
        raise ValueRefused("has a path with dot segments", "write the path that the browser shows")
    return PublicUrl(scheme, wildcard + _authority(scheme, host, port), path)


def parse_origin(value: object) -> str:
    """Return an origin as browsers write it: ``scheme://host[:port]`` (RFC 6454 §6.2)."""
    scheme, host, port, path = _split_url(value, "https://portal.example.com")
    if path:
        raise ValueRefused("has a path, and an origin has none", "write only scheme, host and port")
    return f"{scheme}://{_authority(scheme, host, port)}"


def parse_upstream_url(value: object) -> UpstreamUrl:
    """Return how to reach the app; a path is refused, for what is forwarded is what was sent."""
    text = parse_text(value)
    if text.startswith("unix:"):
        return UpstreamUrl("http", UnixAddress(_socket_path(text.removeprefix("unix:"))))
    scheme, host, port, path = _split_url(text, "http://127.0.0.1:8000")
    if path:
        raise ValueRefused("has a path, and paths are forwarded as they were sent", "write only scheme, host and port")
    return UpstreamUrl(scheme, TcpAddress(host, port or DEFAULT_PORTS[scheme]))


def parse_provider_url(value: object) -> str:
    """Return a URL of the provider exactly as written: issuers are compared byte for byte (OIDC Core 1.0 §2)."""
    _split_url(value, "https://sso.example.com/realms/acme")
    return str(value)


def parse_endpoint_url(value: object) -> str:
    """Return the URL of an endpoint exactly as written; it may have a query (RFC 6749 §3.1)."""
    text = parse_text(value)
    _split_url(text.partition("?")[0], "https://sso.example.com/realms/acme/protocol/openid-connect/token")
    return text


def parse_host(value: object) -> str:
    """Return a Host value as requests are known by: in lower case, without the root dot, IPv6 as browsers write it.

    A name or address, with a port if it is not the scheme's own. ``*.`` before a name stands for one label.
    """
    name, wildcard = _without_wildcard(parse_text(value))
    host, port = _split_authority(name)
    if host is None:
        raise ValueRefused(
            "is no host", "write a name such as app.example.com or app.example.com:8443, without a scheme"
        )
    shown = f"[{IPv6Address(host).compressed}]" if ":" in host else host.lower().removesuffix(".")
    return f"{wildcard}{shown}" if port is None else f"{wildcard}{shown}:{port}"


def parse_network(value: object) -> IpNetwork:
    """Return a network; a single address is a network of one."""
    text = parse_text(value)
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        wider = ip_network(text, strict=False)
    except ValueError as error:
        raise ValueRefused("is no network", "write a CIDR such as 10.0.0.0/8 or fd00::/8") from error
    raise ValueRefused("has bits set beyond its prefix length", f"write {wider} or a single address")


def _socket_path(path: str) -> str:
    """Return the path of a unix socket: absolute, and short enough for the kernel (108 bytes with its NUL)."""
    if not path.startswith("/"):
        raise ValueRefused("is no path of a socket", "write unix: and an absolute path, such as unix:/run/app.sock")
    if len(path.encode()) > 107:
        raise ValueRefused("is longer than the 107 bytes a socket's path may have", "choose a shorter path")
    return path


def _split_url(value: object, example: str) -> tuple[HttpScheme, str, int | None, str]:
    """Return scheme, host (v6 without brackets), port and path without a final slash."""
    text = parse_text(value)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"http", "https"}:
        raise ValueRefused("is no http(s) URL", f"write a URL such as {example}")
    if re.search(r"[\s?#@\\]", text):
        raise ValueRefused("has a space, user name, query or fragment", f"write a URL such as {example}")
    host, port = _split_authority(rest.partition("/")[0])
    if host is None:
        raise ValueRefused("has no valid host and port", f"write a URL such as {example}")
    return ("https" if scheme == "https" else "http"), host, port, urlsplit(text).path.rstrip("/")


def _without_wildcard(text: str) -> tuple[str, str]:
    """Return a host or a URL without the ``*.`` before its host, and that wildcard, empty when there is none.

    Below a name of one label alone (``*.com``) it would stand for what belongs to others.
    """
    before, separator, rest = text.partition("://") if "://" in text else ("", "", text)
    if not rest.startswith(WILDCARD):
        return text, ""
    name = re.split("[:/]", rest.removeprefix(WILDCARD))[0]
    if "." not in name.strip(".") or _is_all_digits(name):
        raise ValueRefused("has a wildcard that is too wide", "write at least two labels after it: *.apps.example.com")
    return before + separator + rest.removeprefix(WILDCARD), WILDCARD


def _is_all_digits(name: str) -> bool:
    return name.replace(".", "").isdigit()


def _split_authority(text: str) -> tuple[str | None, int | None]:
    """Return host (v6 without brackets) and port; no host when the text is none (RFC 3986 §3.2)."""
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?", text)
    if match is None:
        return None, None
    port = int(match["port"]) if match["port"] else None
    is_valid = _is_ipv6(match["v6"]) if match["v6"] else bool(_HOST_NAME.fullmatch(match["name"]))
    if not is_valid or (port is not None and not 0 <= port <= 65535):
        return None, None
    return match["v6"] or match["name"], port


def _is_ipv6(text: str) -> bool:
    """Say whether the text is an IPv6 address."""
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _authority(scheme: HttpScheme, host: str, port: int | None) -> str:
    """Return an authority as browsers write it: lower case, without the scheme's own port."""
    name = f"[{host}]" if ":" in host else host
    return name.lower() if port in {None, DEFAULT_PORTS[scheme]} else f"{name.lower()}:{port}"


_PORTAL_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


def parse_portal_name(value: object) -> str:
    """Return the name of a portal; it stands in keys, log lines and commands, so it is a plain word."""
    text = parse_text(value)
    if not _PORTAL_NAME.fullmatch(text):
        raise ValueRefused("is no name of a portal", "write small letters, digits and hyphens, at most 64")
    return text


# --- names and paths -------------------------------------------------------------------------------------------------


def parse_token(value: object) -> str:
    """Return a token as HTTP defines it (RFC 9110 §5.6.2): a method, a cookie's name."""
    text = parse_text(value)
    if not _TOKEN.fullmatch(text):
        raise ValueRefused("holds a character that a name may not have", "use letters, digits and hyphens")
    return text


def parse_method(value: object) -> str:
    """Return a method in upper case; CONNECT and TRACE are answered for no route."""
    method = parse_token(value)
    if method in {"CONNECT", "TRACE"}:
        raise ValueRefused(f"{method} is never forwarded", "leave it out")
    if method != method.upper():
        raise ValueRefused("is not in capital letters, and methods are told apart by case", f"write {method.upper()}")
    return method


def parse_cookie_name(value: object) -> str:
    """Return the name of our cookie, without the prefixes that Sidegate itself puts before it."""
    name = parse_token(value)
    if name.lower().startswith(("__host-", "__secure-")):
        raise ValueRefused("begins with a prefix that is added by itself on https", "write the name without it")
    return name


def parse_domain(value: object) -> str:
    """Return a cookie's domain in lower case, without a dot before it (RFC 6265 §5.2.3)."""
    text = parse_text(value).removeprefix(".").lower()
    host, port = _split_authority(text)
    if host is None or port is not None or "." not in text or re.fullmatch(r"[0-9.]+", text):
        raise ValueRefused("is no domain that a cookie can have", "write a domain such as example.com")
    return text


def parse_header_name(value: object) -> str:
    """Return the name of a header field that the file may name."""
    return parse_token(value)


def parse_own_header_name(value: object) -> str:
    """Return the name of a header field that Sidegate may set: nothing that changes how the message is read."""
    name = parse_token(value)
    try:
        checked_field_name(name)
    except ValueError as error:
        remedy = "choose a name such as X-Department"
        raise ValueRefused(f"{name} decides how a request is read and cannot be set", remedy) from error
    return name


def parse_template(value: object) -> str:
    """Return the text of a header value, in which ``{claims.NAME}`` stands for a claim."""
    text = parse_text(value)
    if re.search(r"[{}]", re.sub(r"\{claims\.[^{}]+\}", "", text)):
        raise ValueRefused("holds braces that are no {claims.NAME}", 'write for example "{claims.department}"')
    return text


def parse_local_path(value: object) -> str:
    """Return a path of our own origin, query allowed, that no browser takes for another origin."""
    text = parse_text(value)
    if not safe_return_to(text, ""):
        raise ValueRefused("is no path of this site", "write a path such as / or /start")
    return text


def parse_prefix(value: object) -> str:
    """Return a path of plain segments without a final slash, and not the root."""
    text = parse_text(value)
    if not _PLAIN_PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueRefused("is no plain path", "write a path such as /_sidegate, without a final slash")
    return text


def parse_pattern(value: object) -> str:
    """Return the pattern of a route as written; ``core.routing`` says what a pattern is."""
    text = parse_text(value)
    remedy = "write segments, * within one, ** at the end, such as /admin/**"
    if text.startswith("^") or text.endswith("$") or re.search(r"\.\*|\(\?|\[\^", text):
        raise ValueRefused("looks like a regular expression", remedy)
    if not text.startswith("/"):
        raise ValueRefused("does not begin with a slash", f"write /{text}" if ":" not in text else remedy)
    try:
        normalised_pattern(text)
    except ValueError as error:
        raise ValueRefused(f"is no pattern: {str(error).replace(';', ',')}", remedy) from error
    return text


# --- words of OpenID Connect -----------------------------------------------------------------------------------------


def parse_scopes(value: object) -> str:
    """Return scopes with a space between them, as a token request has them (RFC 6749 §3.3)."""
    return " ".join(map(parse_scope, parse_text(value).split()))


def parse_scope(value: object) -> str:
    """Return one scope (RFC 6749 §3.3)."""
    text = parse_text(value)
    if not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", text):
        raise ValueRefused("is no single scope", "write one scope for each item of the list")
    return text


def parse_locale(value: object) -> str:
    """Return a language tag in small letters with hyphens, one of a language whose dates and lists are known."""
    text = parse_text(value)
    tag = text.lower().replace("_", "-")
    if not _TAG.fullmatch(text) or not (tag in LANGUAGES_OF_OURS or _is_known_language(tag)):
        raise ValueRefused(f"{text} is no language that is known here", "write a tag such as de or pt-BR")
    return tag


def _is_known_language(tag: str) -> bool:
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - for languages that do not come with us

    try:
        Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return False
    return True


def parse_algorithm(value: object) -> str:
    """Return a signature algorithm that needs no shared secret (RFC 8725 §3.1, §3.2)."""
    text = parse_text(value)
    if text.lower() == "none":
        raise ValueRefused("none would accept unsigned tokens", "write RS256 or what the realm signs with")
    if text.upper().startswith("HS"):
        raise ValueRefused(f"{text} is signed with a shared secret, and only asymmetric algorithms are accepted",
                           "write RS256 or what the realm signs with")  # fmt: skip
    if text not in ASYMMETRIC_ALGORITHMS:
        raise ValueRefused(
            f"{text} is no signature algorithm known here", f"write one of {', '.join(ASYMMETRIC_ALGORITHMS)}"
        )
    return text


def parse_role(value: object) -> str:
    """Return a role rule: ``admin`` (realm), ``client:role``, ``realm:a:b`` for a realm role with a colon."""
    text = parse_text(value)
    if text.startswith(":") or text.endswith(":"):
        raise ValueRefused("has nothing on one side of its colon", "write role, client:role or realm:role")
    return text


def parse_claim_values(value: object) -> tuple[str | float | bool, ...]:
    """Return the values of which a claim must be one; a single value is a list of one, ``*`` stands for any text."""
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueRefused("is an empty list", "name at least one, or leave the key out")
    return tuple(item if isinstance(item, bool | int | float) else parse_text(item) for item in items)


def parse_acr_values(value: object) -> tuple[str, ...]:
    """Return authentication context class references, any of which will do; a single value is a list of one."""
    items = [parse_text(item) for item in (value if isinstance(value, list | tuple) else [value])]
    if not items:
        raise ValueRefused("is an empty list", "name at least one, or leave the key out")
    for item in items:
        if not ACR_VALUE.fullmatch(item):
            remedy = "write a value of the realm's ACR to LoA mapping: letters, digits and . _ : / # ~ + -"
            raise ValueRefused(f"{item!r} is no value of acr", remedy)
    if len(" ".join(items)) > MAX_ACR_VALUES_LENGTH:
        raise ValueRefused(f"has more than {MAX_ACR_VALUES_LENGTH} characters", "name fewer values")
    return tuple(items)


def parse_assertion_lifetime(value: object) -> float:
    """Return seconds for which a signed assertion holds."""
    seconds = parse_duration(value)
    if not MIN_ASSERTION_LIFETIME_S <= seconds <= MAX_ASSERTION_LIFETIME_S:
        least, most = duration_text(MIN_ASSERTION_LIFETIME_S), duration_text(MAX_ASSERTION_LIFETIME_S)
        raise ValueRefused(f"is not between {least} and {most}", "write 60s")
    return seconds


def parse_max_age(value: object) -> float:
    """Return seconds since the person was asked for proof, at most."""
    seconds = parse_duration_or_zero(value)
    if seconds < MIN_MAX_AGE_S:
        shortest = duration_text(MIN_MAX_AGE_S)
        raise ValueRefused(f"is shorter than {shortest}: people would be asked again on their way back", "write 5m")
    return seconds
