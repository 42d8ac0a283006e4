"""Law 2: whatever path an app makes of a target, it meets the rule by which the target passed.

The models below are written from what the servers document, not from ``core.target``: each takes the path as sent and
returns the path that the app's own router sees, or None when that server refuses. They share no code with the law.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.routing import PUBLIC, Ambiguous, Matched, NoRoute, PathCase, Route, RouteTable
from proxy.core.target import Extensions, TargetRules, parse_target
from proxy.errors import TargetRefused
from tests.support.hypothesis_profile import MORE

if TYPE_CHECKING:
    from collections.abc import Callable

Model = "Callable[[bytes], bytes | None]"


def squeeze(path: bytes) -> bytes:
    return re.sub(rb"/+", b"/", path)


def resolved(path: bytes) -> bytes:
    """Dot segments resolved, slashes merged."""
    return b"/" + posixpath.normpath(b"/" + path.lstrip(b"/")).lstrip(b"/")


def wsgi(path: bytes) -> bytes:
    """gunicorn, uWSGI, mod_wsgi: PATH_INFO is decoded once, and nothing else (PEP 3333)."""
    return unquote_to_bytes(path)


def wsgi_static(path: bytes) -> bytes:
    """A WSGI app that serves files: PATH_INFO through posixpath.normpath."""
    return resolved(unquote_to_bytes(path))


def nginx(path: bytes) -> bytes:
    """``location`` sees: decoded once, dots resolved, slashes merged (merge_slashes on)."""
    return resolved(unquote_to_bytes(path))


def apache_nodecode(path: bytes) -> bytes:
    """AllowEncodedSlashes NoDecode, MergeSlashes On: decoded but for encoded slashes."""
    return resolved(re.sub(rb"%(?!2f)[0-9a-f]{2}", lambda found: unquote_to_bytes(found[0]), path, flags=re.IGNORECASE))


def tomcat(path: bytes) -> bytes:
    """Path parameters out, then decoded, then backslashes (ALLOW_BACKSLASH), slashes and dots (CoyoteAdapter)."""
    without = re.sub(rb";[^/]*", b"", path)
    return resolved(unquote_to_bytes(without).replace(b"\\", b"/"))


def spring(path: bytes) -> bytes:
    """UrlPathHelper without a strict firewall: semicolons removed after decoding too, double slashes merged."""
    return squeeze(re.sub(rb";[^/]*", b"", unquote_to_bytes(re.sub(rb";[^/]*", b"", path))))


def iis(path: bytes) -> bytes:
    """Double decoding, backslashes, Windows names without trailing dots, spaces and streams; case does not count."""
    twice = unquote_to_bytes(unquote_to_bytes(path)).partition(b"?")[0].replace(b"\\", b"/")
    segments = [segment.partition(b":")[0].rstrip(b". ") for segment in twice.split(b"/")]
    return resolved(b"/".join(segments)).lower()


def iis_last_name_only(path: bytes) -> bytes:
    """The file system looks at the last name in that way, the router of the app at the others as they are."""
    head, _, last = unquote_to_bytes(path).replace(b"\\", b"/").rpartition(b"/")
    return (head + b"/" + last.partition(b":")[0].rstrip(b". ")).lower()


def php_front_controller(path: bytes) -> bytes:
    """Symfony, Laravel: base name out of the path, decoded."""
    decoded = unquote_to_bytes(path)
    head, found, tail = decoded.partition(b"/index.php")
    return (head + tail or b"/") if found and tail[:1] in {b"", b"/"} else decoded


def express(path: bytes) -> bytes:
    """path-to-regexp on the path as sent; case does not count by default."""
    return path.lower()


def node_whatwg(path: bytes) -> bytes:
    """``new URL(request.url, base).pathname``: backslashes are slashes, a leading ``//`` is an authority."""
    straight = path.replace(b"\\", b"/")
    if straight.startswith(b"//"):
        _, slash, rest = straight.lstrip(b"/").partition(b"/")
        return slash + rest or b"/"
    return straight


def rails(path: bytes) -> bytes:
    """Journey: slashes squeezed, the last dropped, ``(.:format)`` taken for a format."""
    path = squeeze(path).rstrip(b"/") or b"/"
    return re.sub(rb"(?<=[^/])\.[^./?]+\Z", b"", path)


def kestrel(path: bytes) -> bytes:
    """ASP.NET Core decodes all but %2F; routing ignores case."""
    return re.sub(rb"%(?!2f)[0-9a-f]{2}", lambda f: unquote_to_bytes(f[0]), path, flags=re.IGNORECASE).lower()


def decoding_proxy(path: bytes) -> bytes:
    """A proxy that decodes and sends on what it decoded: the app splits at ``?`` and decodes once more."""
    decoded = unquote_to_bytes(path)
    return unquote_to_bytes(re.split(rb"[?#]", decoded, maxsplit=1)[0])


def urllib_parse(path: bytes) -> bytes:
    """urllib.parse.urlparse takes ``//name`` and the parameters of the last segment away."""
    try:
        return urlparse(path).path or b"/"
    except ValueError:
        return path


SENSITIVE = [
    wsgi,
    wsgi_static,
    nginx,
    apache_nodecode,
    tomcat,
    spring,
    node_whatwg,
    decoding_proxy,
    urllib_parse,
    php_front_controller,
    rails,
]
FOLDING = [iis, iis_last_name_only, express, kestrel]

RULES = TargetRules(extensions=Extensions.REMOVED, front_controllers=("index.php",))

PIECES = st.sampled_from(
    [
        "/",
        "/",
        "/",
        "//",
        "\\",
        "%2f",
        "%5c",
        "%252f",
        "%255c",
        "a",
        "admin",
        "Admin",
        "%61dmin",
        "%2561dmin",
        "public",
        "x",
        "b",
        "..",
        ".",
        "%2e",
        "%252e",
        ";s=1",
        ";",
        "..;",
        "%3b",
        "%3f",
        "%23",
        "%253f",
        ":",
        "::$DATA",
        "%20",
        ".",
        "%2e.",
        ".json",
        ".css",
        "index.php",
        "Index.PHP",
        "name",
        "@",
        "%25",
        "+",
        "%2525",
    ]
)
PATHS = st.lists(PIECES, min_size=1, max_size=7).map(lambda pieces: b"/" + "".join(pieces).encode())
SEGMENTS = st.sampled_from(["a", "admin", "public", "x", "*", "a*", "*.json", "index.php"])
PATTERNS = st.builds(
    lambda segments, rest: "/" + "/".join([*segments, *rest]) if segments or rest else "/",
    st.lists(SEGMENTS, max_size=3),
    st.sampled_from([[], ["**"]]),
)
TABLES = st.lists(PATTERNS, min_size=1, max_size=4, unique=True).map(lambda patterns: [*patterns, "/**"])


def meets(pattern: str, path: bytes) -> bool:
    """Say whether a pattern matches, segment by segment: written anew, so that it can disagree."""
    segments = path.removesuffix(b"/").split(b"/")[1:]
    for index, wanted in enumerate(pattern.removesuffix("/").split("/")[1:]):
        if wanted == "**":
            return True
        if index >= len(segments) or not segments[index]:
            return False
        if not re.fullmatch(re.escape(wanted.encode()).replace(rb"\*", rb".*"), segments[index], re.DOTALL):
            return False
    return len(segments) == len(pattern.removesuffix("/").split("/")[1:])


def first_that_meets(patterns: list[str], path: bytes) -> str | None:
    return next((pattern for pattern in patterns if meets(pattern, path)), None)


def table(patterns: list[str], path_case: PathCase = PathCase.SENSITIVE) -> RouteTable:
    return RouteTable(
        tuple(Route(pattern=pattern, access=PUBLIC, index=index) for index, pattern in enumerate(patterns)), path_case
    )


def passed_under(patterns: list[str], raw: bytes) -> str | None:
    """Return the pattern under which a path passes; None when it is refused."""
    try:
        target = parse_target(raw, rules=RULES)
    except TargetRefused:
        return None
    outcome = table(patterns).match(target, b"GET")
    return outcome.route.pattern if isinstance(outcome, Matched) else None


def patterns_are_distinct(patterns: list[str]) -> list[str]:
    return list(dict.fromkeys(pattern.removesuffix("/") or "/" for pattern in patterns))


@pytest.mark.parametrize("model", [*SENSITIVE, *FOLDING], ids=lambda model: model.__name__)
@settings(max_examples=100 * MORE, deadline=None, derandomize=True)
@given(raw=PATHS, patterns=TABLES)
def test_what_passes_under_a_route_is_read_by_the_app_under_the_same(
    model: Callable[[bytes], bytes], raw: bytes, patterns: list[str]
) -> None:
    patterns = patterns_are_distinct(patterns)
    passed = passed_under(patterns, raw)

    if passed is not None:
        assert first_that_meets(patterns, model(raw)) == passed, (raw, model(raw))


@settings(max_examples=100 * MORE, deadline=None, derandomize=True)
@given(raw=PATHS, patterns=TABLES)
def test_one_catch_all_rule_lets_every_path_pass_that_can_be_read_at_all(raw: bytes, patterns: list[str]) -> None:
    try:
        target = parse_target(raw, rules=RULES)
    except TargetRefused:
        return

    assert isinstance(table(["/**"]).match(target, b"GET"), Matched)
    assert not isinstance(table(patterns_are_distinct(patterns)).match(target, b"GET"), NoRoute)


@settings(max_examples=100 * MORE, deadline=None, derandomize=True)
@given(raw=PATHS)
def test_what_is_forwarded_is_what_was_sent(raw: bytes) -> None:
    try:
        target = parse_target(raw + b"?q=%2f", rules=RULES)
    except TargetRefused:
        return

    assert target.forward == raw + b"?q=%2f"
    assert all(reading.path.startswith(b"/") for reading in target.readings)


ADMIN_FIRST = ["/admin/**", "/**"]
PUBLIC_FIRST = ["/public/**", "/admin/**", "/**"]


@pytest.mark.parametrize("raw", [b"/files/a%2Fb", b"/app;jsessionid=1", b"//x", b"/Wiki"])
def test_what_the_contract_lets_pass_below_one_rule_passes(raw: bytes) -> None:
    assert passed_under(["/**"], raw) == "/**"
    assert passed_under(["/static/**", "/**"], raw) == "/**"


@pytest.mark.parametrize(
    "raw",
    [b"/public/..;/admin", b"/%61dmin", b"//admin", b"/admin%3F.css", b"/Admin", b"/admin.json", b"/index.php/admin"],
)
@pytest.mark.parametrize("patterns", [ADMIN_FIRST, PUBLIC_FIRST, ["/public/**", "/admin", "/**"]])
def test_what_the_contract_names_never_finds_a_weaker_rule(raw: bytes, patterns: list[str]) -> None:
    assert passed_under(patterns, raw) in {None, "/admin/**", "/admin"}


def test_the_refusal_names_the_reading_and_both_routes() -> None:
    outcome = table(ADMIN_FIRST).match(parse_target(b"/%61dmin", rules=RULES), b"GET")

    assert isinstance(outcome, Ambiguous)
    assert str(outcome) == (
        "the path as sent meets routes[1] /**, but read as /admin (percent-decoded) it meets routes[0] /admin/**"
    )


def test_an_app_that_ignores_case_gets_its_routes_without_regard_to_case() -> None:
    outcome = table(ADMIN_FIRST, PathCase.IGNORE).match(parse_target(b"/ADMIN/x", rules=RULES), b"GET")

    assert isinstance(outcome, Matched)
    assert outcome.route.pattern == "/admin/**"


NEEDED = [
    ("percent-decoded", b"/%61dmin%2f", ["/admin", "/**"]),
    ("percent-decoded but for %2F", b"/%61dmin/x%2Fy", ["/admin/*", "/**"]),
    ("backslash as slash", b"/admin\\x", ["/admin/*", "/**"]),
    ("path parameters removed", b"/admin;x/y", ["/admin/*", "/**"]),
    ("path parameters of the last segment removed", b"/a;b/c;d", ["/a*b/c", "/**"]),
    ("cut at ?", b"/admin%3Fx", ["/admin", "/**"]),
    ("cut at #", b"/admin%23x", ["/admin", "/**"]),
    ("//name taken for an authority", b"//name/admin", ["/admin", "/**"]),
    ("empty segments merged", b"/admin//x/y", ["/admin/x/y", "/**"]),
    ("trailing dots and spaces of segments removed", b"/admin./x", ["/admin/x", "/**"]),
    ("trailing dots and spaces of the last segment removed", b"/a./b..", ["/a.*/b", "/**"]),
    ("trailing spaces of segments removed", b"/a/..%20/b", ["/**"]),
    (":… of segments removed", b"/admin:x/y", ["/admin/y", "/**"]),
    (":… of the last segment removed", b"/t:x/e:y", ["/t:x/e", "/**"]),
    ("extension removed", b"/admin.json", ["/admin", "/**"]),
    ("front controller removed", b"/index.php/admin", ["/admin", "/**"]),
]


def test_there_is_a_path_for_every_transformation() -> None:
    assert [name for name, _, _ in NEEDED] == [step.name for step in RULES.steps]


@pytest.mark.parametrize(("name", "raw", "patterns"), NEEDED, ids=[name for name, _, _ in NEEDED])
def test_without_one_transformation_a_path_finds_a_weaker_rule(name: str, raw: bytes, patterns: list[str]) -> None:
    assert passed_under(patterns, raw) is None

    crippled = TargetRules(extensions=Extensions.REMOVED, front_controllers=("index.php",))
    object.__setattr__(crippled, "steps", tuple(step for step in crippled.steps if step.name != name))
    target = parse_target(raw, rules=crippled)

    assert isinstance(table(patterns).match(target, b"GET"), Matched)
