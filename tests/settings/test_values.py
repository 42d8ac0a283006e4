"""Single values: what each is read as, and what is refused with which words."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from proxy.pages.look import LOCALES
from proxy.settings import values
from proxy.settings.problems import ValueRefused
from proxy.settings.values import PublicUrl, Substituted, TcpAddress, UnixAddress, UpstreamUrl

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("10s", 10.0), ("5m", 300.0), ("12h", 43200.0), ("30d", 2592000.0)]
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert values.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["250ms", "10s", "75s", "5m", "12h", "30d", "0s"])
def test_a_duration_is_written_back_as_it_was_read(text: str) -> None:
    assert values.duration_text(values.parse_duration_or_zero(text)) == text


def test_a_duration_of_nothing_is_taken_only_where_it_makes_sense() -> None:
    assert values.parse_duration_or_zero("0s") == 0

    with pytest.raises(ValueRefused, match="longer than 0"):
        values.parse_duration("0s")


@pytest.mark.parametrize(
    ("value", "size"), [("64KiB", 65536), ("1MiB", 1048576), ("2GiB", 2147483648), ("7B", 7), (0, 0)]
)
def test_a_size_is_bytes(value: object, size: int) -> None:
    assert values.parse_size(value) == size
    assert values.size_text(size) == value


@pytest.mark.parametrize(
    ("text", "colour"),
    [("#0F766E", "#0f766e"), ("#fc0", "#ffcc00"), (" #fc0 ", "#ffcc00"), (Substituted("#000f"), "#000000")],
)
def test_an_accent_is_any_hexadecimal_colour_of_css(text: str, colour: str) -> None:
    assert values.parse_accent(text) == colour


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, 'is empty, for an unquoted # begins a comment; write it in quotes: "#2457c5"'),
        ("0f766e", 'is a colour without its #; write it in quotes: "#0f766e"'),
        (112233, 'is a colour without its #; write it in quotes: "#112233"'),
        ("teal", 'is no colour; write it in quotes: "#2457c5", a # and three or six hexadecimal digits'),
        ("#12345", "is no colour; "),
        ("#fff;} body{display:none", "is no colour; "),
        ("rgb(1 2 3)", "is no colour; "),
        ("", "is no colour; "),
        (True, "is no colour; "),
        (["#fff"], "is no colour; "),
    ],
)
def test_an_accent_that_is_none_is_told_how_to_write_one(value: object, sentence: str) -> None:
    with pytest.raises(ValueRefused, match=f"^{re.escape(sentence)}"):
        values.parse_accent(value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:4180", TcpAddress("0.0.0.0", 4180)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:4180", TcpAddress("::1", 4180)),
        ("unix:/run/sidegate.sock", UnixAddress("/run/sidegate.sock")),
    ],
)
def test_an_address_is_a_host_and_a_port_or_a_socket_and_is_written_back(text: str, address: object) -> None:
    assert values.parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "url", "host_name"),
    [
        ("https://App.Example.com", PublicUrl("https", "app.example.com", ""), "app.example.com"),
        ("https://app.example.com:443/", PublicUrl("https", "app.example.com", ""), "app.example.com"),
        ("http://127.0.0.1:4180/old/app/", PublicUrl("http", "127.0.0.1:4180", "/old/app"), "127.0.0.1"),
        ("http://[::1]:80", PublicUrl("http", "[::1]", ""), "[::1]"),
        ("https://[::1]:80", PublicUrl("https", "[::1]:80", ""), "[::1]"),
    ],
)
def test_the_public_url_is_kept_as_browsers_say_it(text: str, url: PublicUrl, host_name: str) -> None:
    assert values.parse_public_url(text) == url
    assert url.host_name == host_name
    assert str(url) == f"{url.scheme}://{url.authority}{url.path}" == url.origin + url.path


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8000/", UpstreamUrl("http", TcpAddress("127.0.0.1", 8000))),
        ("https://app", UpstreamUrl("https", TcpAddress("app", 443))),
        ("http://[fd00::1]", UpstreamUrl("http", TcpAddress("fd00::1", 80))),
        ("unix:/run/app.sock", UpstreamUrl("http", UnixAddress("/run/app.sock"))),
    ],
)
def test_an_upstream_has_an_address_to_connect_to(text: str, url: UpstreamUrl) -> None:
    assert values.parse_upstream_url(text) == url
    assert values.parse_upstream_url(str(url)) == url


@pytest.mark.parametrize("text", ["https://sso.example.com/realms/acme", "https://sso.example.com/", "http://SSO:8080"])
def test_an_issuer_is_kept_byte_for_byte(text: str) -> None:
    assert values.parse_provider_url(text) == text


def test_an_endpoint_may_have_a_query_which_an_issuer_may_not() -> None:
    url = "https://sso.example.com/authorize?p=policy"

    assert values.parse_endpoint_url(url) == url
    with pytest.raises(ValueRefused):
        values.parse_provider_url(url)


def test_an_origin_is_compared_as_browsers_write_it() -> None:
    assert values.parse_origin("https://Portal.example.com:443/") == "https://portal.example.com"


def test_a_single_address_is_a_network_of_one() -> None:
    assert values.parse_network("10.1.2.3") == ip_network("10.1.2.3/32")
    assert values.parse_network("fd00::/8") == ip_network("fd00::/8")


@pytest.mark.parametrize(
    "text", ["/", "/**", "/admin/**", "/admin", "/a/*/b", "/*.css", "/.well-known/x", "/user/@me", "/a/", "/café/**"]
)
def test_a_pattern_is_kept_as_written(text: str) -> None:
    assert values.parse_pattern(text) == text


@pytest.mark.parametrize("text", ["admin", "legacy-app:editor", "realm:a:b"])
def test_a_role_is_kept_as_written(text: str) -> None:
    assert values.parse_role(text) == text


@pytest.mark.parametrize("value", ["finance", "it-*", 3, 1.5, True])
def test_a_claim_is_compared_with_text_a_number_or_a_truth_value(value: object) -> None:
    assert values.parse_claim_values(value) == (value,)
    assert values.parse_claim_values([value, "x"]) == (value, "x")


def test_text_that_came_from_a_variable_may_stand_for_a_number_or_a_switch() -> None:
    assert values.parse_integer(Substituted.of("8", is_from_environment=True)) == 8
    assert values.parse_switch(Substituted.of("true", is_from_environment=True)) is True
    assert values.parse_switch(Substituted.of("false", is_from_environment=False)) is False


def test_text_of_the_file_stands_for_neither() -> None:
    with pytest.raises(ValueRefused, match="must be a whole number, not text"):
        values.parse_integer("8")
    with pytest.raises(ValueRefused, match="must be true or false, not text"):
        values.parse_switch("yes")


def test_a_number_is_no_switch_and_a_switch_is_no_number() -> None:
    with pytest.raises(ValueRefused, match="not a number"):
        values.parse_switch(1)
    with pytest.raises(ValueRefused, match="not true or false"):
        values.parse_integer(value=True)


def test_substituted_text_becomes_plain_text() -> None:
    assert type(values.parse_text(Substituted.of("x", is_from_environment=True))) is str
    assert type(values.parse_word(Substituted.of("x", is_from_environment=True))) is str


def test_a_cookie_domain_loses_its_dot_and_its_capitals() -> None:
    assert values.parse_domain(".Example.com") == "example.com"


@pytest.mark.parametrize(
    ("written", "known_by"),
    [
        ("App.example.com", "app.example.com"),
        ("app.example.com.", "app.example.com"),
        ("app.example.com.:8443", "app.example.com:8443"),
        ("*.Apps.example.com.", "*.apps.example.com"),
        ("[0:0::1]", "[::1]"),
        ("[2001:DB8::0]:8443", "[2001:db8::]:8443"),
        ("127.0.0.1:80", "127.0.0.1:80"),
    ],
)
def test_a_host_is_as_requests_are_known_by(written: str, known_by: str) -> None:
    """Otherwise nobody would ever be answered there, and two portals might have one host."""
    assert values.parse_host(written) == known_by


NO_DURATION = "is not a duration; write a number and one of ms, s, m, h, d, such as 10s or 5m"
NO_ADDRESS = "is no address to listen on; write host:port, [IPv6]:port or unix:/path"
NO_SOCKET = "is no path of a socket; write unix: and an absolute path, such as unix:/run/app.sock"
LONG_SOCKET = "is longer than the 107 bytes a socket's path may have; choose a shorter path"
NO_URL = "is no http(s) URL; write a URL such as https://app.example.com"
MORE_THAN_URL = "has a space, user name, query or fragment; write a URL such as https://app.example.com"
NO_AUTHORITY = "has no valid host and port; write a URL such as https://app.example.com"
NOT_PLAIN = "has a path that is not plain; use letters, digits, . _ ~ - between single slashes"
WIDE = "has a wildcard that is too wide; write at least two labels after it: *.apps.example.com"
NO_HOST = "is no host; write a name such as app.example.com or app.example.com:8443, without a scheme"
UPSTREAM_PATH = "has a path, and paths are forwarded as they were sent; write only scheme, host and port"
RESERVED = "{} decides how a request is read and cannot be set; choose a name such as X-Department"
NO_TOKEN = "holds a character that a name may not have; use letters, digits and hyphens"
PREFIXED = "begins with a prefix that is added by itself on https; write the name without it"
NO_LOCAL = "is no path of this site; write a path such as / or /start"
NO_PREFIX = "is no plain path; write a path such as /_sidegate, without a final slash"
EXPRESSION = "looks like a regular expression; write segments, * within one, ** at the end, such as /admin/**"
NO_TEMPLATE = 'holds braces that are no {claims.NAME}; write for example "{claims.department}"'

REFUSED: list[tuple[Callable[[object], object], object, str]] = [
    (values.parse_text, 5, "must be text, not a number; put it in quotes"),
    (values.parse_text, " ", "is empty; write something or leave the key out"),
    (values.parse_text, "a\nb", "holds a control character or a line break; write it on one line"),
    (values.parse_duration, 10, "10 has no unit; write 10s if seconds are meant"),
    (values.parse_duration, "10", NO_DURATION),
    (values.parse_duration, "1h30m", NO_DURATION),
    (values.parse_duration, "-1s", NO_DURATION),
    (values.parse_duration, "10s\n", NO_DURATION),
    (values.parse_size, 32, "32 has no unit; write 32KiB or 32B"),
    (values.parse_size, "1MB", "is not a size; write a number and one of B, KiB, MiB, GiB, such as 64KiB"),
    (values.parse_size, False, "is not a size; write a number and one of B, KiB, MiB, GiB, such as 64KiB"),
    (values.parse_address, "4180", NO_ADDRESS),
    (values.parse_address, "::1:4180", NO_ADDRESS),
    (values.parse_address, "host:65536", NO_ADDRESS),
    (values.parse_address, "unix:app.sock", NO_SOCKET),
    (values.parse_address, f"unix:/{'x' * 107}", LONG_SOCKET),
    (values.parse_public_url, "app.example.com", NO_URL),
    (values.parse_public_url, "ftp://x", NO_URL),
    (values.parse_public_url, "https://u:p@x", MORE_THAN_URL),
    (values.parse_public_url, "https://x?a", MORE_THAN_URL),
    (values.parse_public_url, "https://", NO_AUTHORITY),
    (values.parse_public_url, "https://[::x]", NO_AUTHORITY),
    (values.parse_public_url, "https://x//a", NOT_PLAIN),
    (values.parse_public_url, "https://x/a%20b", NOT_PLAIN),
    (values.parse_public_url, "https://x/../b", "has a path with dot segments; write the path that the browser shows"),
    (values.parse_origin, "https://x/a", "has a path, and an origin has none; write only scheme, host and port"),
    (values.parse_upstream_url, "http://x/app", UPSTREAM_PATH),
    (values.parse_host, "https://x", NO_HOST),
    (values.parse_host, "*.com", WIDE),
    (values.parse_host, "*.10.0.0.1", WIDE),
    (values.parse_host, "a.*.example.com", NO_HOST),
    (values.parse_public_url, "https://*.com", WIDE),
    (values.parse_network, "10.0.0.1/8", "has bits set beyond its prefix length; write 10.0.0.0/8 or a single address"),
    (values.parse_network, "proxy", "is no network; write a CIDR such as 10.0.0.0/8 or fd00::/8"),
    (values.parse_method, "get", "is not in capital letters, and methods are told apart by case; write GET"),
    (values.parse_method, "TRACE", "TRACE is never forwarded; leave it out"),
    (values.parse_method, "GET,POST", NO_TOKEN),
    (values.parse_cookie_name, "__Host-x", PREFIXED),
    (values.parse_cookie_name, "a=b", NO_TOKEN),
    (values.parse_domain, "localhost", "is no domain that a cookie can have; write a domain such as example.com"),
    (values.parse_domain, "127.0.0.1", "is no domain that a cookie can have; write a domain such as example.com"),
    (values.parse_own_header_name, "Host", RESERVED.format("Host")),
    (values.parse_own_header_name, "Transfer_Encoding", RESERVED.format("Transfer_Encoding")),
    (values.parse_header_name, "X Y", NO_TOKEN),
    (values.parse_template, "{department}", NO_TEMPLATE),
    (values.parse_own_header_name, "Proxy-X", RESERVED.format("Proxy-X")),
    (values.parse_text, "a\u2028b", "holds a control character or a line break; write it on one line"),
    (values.parse_local_path, "https://x", NO_LOCAL),
    (values.parse_local_path, "//evil", NO_LOCAL),
    (values.parse_local_path, "/\\evil", NO_LOCAL),
    (values.parse_prefix, "/", NO_PREFIX),
    (values.parse_prefix, "/a/../b", NO_PREFIX),
    (values.parse_pattern, "admin", "does not begin with a slash; write /admin"),
    (values.parse_pattern, "^/admin", EXPRESSION),
    (values.parse_pattern, "/admin/.*", EXPRESSION),
    (values.parse_scope, "openid profile", "is no single scope; write one scope for each item of the list"),
    (values.parse_algorithm, "none", "none would accept unsigned tokens; write RS256 or what the realm signs with"),
    (values.parse_role, ":editor", "has nothing on one side of its colon; write role, client:role or realm:role"),
    (values.parse_role, "client:", "has nothing on one side of its colon; write role, client:role or realm:role"),
    (values.parse_claim_values, [], "is an empty list; name at least one, or leave the key out"),
    (values.parse_claim_values, ["a", []], "must be text, not a list; write one line of text"),
    (values.parse_claim_values, None, "must be text, not nothing; write one line of text"),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "value", "sentence"), REFUSED)
def test_a_wrong_value_is_refused_with_what_to_write_instead(
    parse: Callable[[object], object], value: object, sentence: str
) -> None:
    with pytest.raises(ValueRefused) as refused:
        parse(value)

    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "pattern", ["/a/**/b", "/a**", "/a//b", "/a/../b", "/a?b", "/a;b", "/a%2Fb%00", "/a/.", "/a\\b"]
)
def test_what_the_route_table_could_not_compile_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueRefused, match="is no pattern"):
        values.parse_pattern(pattern)


@pytest.mark.parametrize(
    ("text", "tag"), [("en", "en"), ("pt-BR", "pt-br"), ("pt_BR", "pt-br"), ("zh-Hant", "zh-hant")]
)
def test_a_language_is_named_by_its_tag(text: str, tag: str) -> None:
    assert values.parse_locale(text) == tag


@pytest.mark.parametrize("text", ["", "xx", "english", "de-", "de/../fr", "d", "de-XX-YY-ZZ-QQ", 7, None, ["de"]])
def test_what_is_no_language_is_refused(text: object) -> None:
    with pytest.raises(ValueRefused):
        values.parse_locale(text)


def test_the_languages_of_the_file_are_those_that_there_are_words_for() -> None:
    assert values.LANGUAGES_OF_OURS == LOCALES


@pytest.mark.parametrize("algorithm", ["HS256", "hs512", "RS1", "None", "RS256 "])
def test_only_known_asymmetric_algorithms_are_taken(algorithm: str) -> None:
    with pytest.raises(ValueRefused):
        values.parse_algorithm(algorithm)
