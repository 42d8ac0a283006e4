"""Law 10, judged by a model of how a browser parses a Location (WHATWG URL §4.4, special schemes)."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.return_to import MAX_RETURN_TO, safe_return_to
from tests.support.hypothesis_profile import MORE

DEFAULT = "/default"
BASE_HOST = "app.example.com"


def browser_goes_to(location: str) -> tuple[str, str, str]:
    """Return scheme, host and path of a Location that was answered by ``https://app.example.com/dir/page``."""
    text = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(0x21)))))
    if found := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text):
        scheme, rest = found[1].lower(), text[found.end() :]
        if scheme not in {"http", "https", "ws", "wss", "ftp"}:
            return scheme, "", rest
        if scheme != "https" or rest[:1] in {"/", "\\"}:
            return scheme, *authority_and_path(rest.lstrip("/\\"))
        text = rest
    if text[:1] in {"/", "\\"} and text[1:2] in {"/", "\\"}:
        return "https", *authority_and_path(text.lstrip("/\\"))
    path = re.split(r"[?#]", text, maxsplit=1)[0]
    return "https", BASE_HOST, normal_path(path if path[:1] in {"/", "\\"} else "/dir/" + path)


def authority_and_path(rest: str) -> tuple[str, str]:
    authority, path = re.fullmatch(r"([^/\\?#]*)(.*)", rest, re.DOTALL).groups()
    return authority.rpartition("@")[2].lower(), normal_path(re.split(r"[?#]", path, maxsplit=1)[0] or "/")


def normal_path(path: str) -> str:
    kept: list[str] = []
    segments = path.replace("\\", "/").split("/")[1:]
    for index, segment in enumerate(segments):
        dots = re.sub(r"%2e", ".", segment, flags=re.IGNORECASE)
        if dots == "..":
            kept = kept[:-1]
        if dots not in {".", ".."}:
            kept.append(segment)
        elif index == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)


PIECES = st.sampled_from(
    [
        "/",
        "\\",
        "//",
        "/\\",
        "\t",
        "\n",
        "\r",
        " ",
        "\x00",
        "\x0b",
        "\x7f",
        "\x85",
        "\xa0",
        "%09",
        "%2f",
        "%5c",
        "%0d%0a",
        "evil.example",
        "@",
        ":",
        "https:",
        "javascript:alert(1)",
        "data:",
        "..",
        ".",
        "%2e%2e",
        "?",
        "#",
        "a",
        "b",
        ";",
        "_sidegate",
        "login",
        "logout",
        "start",
        "callback",
        "%5fsidegate",
        "_SIDEGATE",
        "%",
        "é",
        "\udc80",
        "\u2028",
        chr(0xFF0F),
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=8).map("".join),
    st.lists(PIECES, max_size=6).map(lambda pieces: "/" + "".join(pieces)),
    st.text(max_size=20),
)


@settings(max_examples=500 * MORE, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_a_browser_that_follows_stays_at_home(text: str) -> None:
    result = safe_return_to(text, DEFAULT)

    scheme, host, path = browser_goes_to(result)
    assert (scheme, host) == ("https", BASE_HOST)
    assert not path.startswith("//")
    assert re.fullmatch(r"/[\x21-\x7e]*", result)
    assert len(result) <= MAX_RETURN_TO


@settings(max_examples=500 * MORE, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_a_browser_that_follows_does_not_land_where_it_began(text: str) -> None:
    _, _, path = browser_goes_to(safe_return_to(text, DEFAULT))

    assert not re.match(r"/_sidegate/(login|start|callback|logout)(/|\Z)", path.lower())


def test_the_model_knows_the_ways_off_site() -> None:
    ways = [
        "//e",
        "/\\e",
        "\\/e",
        "/\t/e",
        " //e",
        "https://e",
        "https:/\\e",
        "https:\\e",
        "\x00//e",
        "//a@e",
        "/\n\\e",
    ]

    assert {browser_goes_to(way)[1] for way in ways} == {"e"}
    assert browser_goes_to("https:x")[1] == BASE_HOST
    assert browser_goes_to("/a/%2E%2e/b/.")[2] == "/b/"
