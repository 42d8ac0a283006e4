"""Who is answered, and where the links of a page lead: laws of ``gate.asking``."""

from __future__ import annotations

import pytest

from proxy.core.cookies import OwnCookies
from proxy.core.request import RequestHead
from proxy.gate.asking import Askers, manner_of_stranger
from proxy.ports import RequestEvent
from proxy.respond import Manner

ASKERS = Askers(b"/_sidegate", OwnCookies())
HTML = (b"Accept", b"text/html")
NAVIGATES = (b"Sec-Fetch-Mode", b"navigate")
KEPT_ID = "a" * 22


def head_of(*headers: tuple[bytes, bytes], method: bytes = b"GET", target: bytes = b"/a?b=c") -> RequestHead:
    return RequestHead(method=method, target=target, headers=headers, peer="", scheme="https")


@pytest.mark.parametrize(
    ("target", "kept_id", "url"),
    [
        (b"/", None, "/_sidegate/login"),
        (b"/a?b=c&d", None, "/_sidegate/login?return_to=/a%3Fb%3Dc%26d"),
        (b"/a", KEPT_ID, f"/_sidegate/login?return_to=/a&kept={KEPT_ID}"),
        (b"/", KEPT_ID, f"/_sidegate/login?kept={KEPT_ID}"),
        (b"//evil.example", None, "/_sidegate/login"),
        (b"/_sidegate/logout", None, "/_sidegate/login"),
        (b"/" + b"x" * 3000, None, "/_sidegate/login"),
    ],
)
def test_a_login_leads_back_to_a_place_of_ours(target: bytes, kept_id: str | None, url: str) -> None:
    assert ASKERS.url_back_to(target, b"/login", kept_id) == url


def test_whoever_could_not_be_read_is_a_program() -> None:
    asker = ASKERS.asker(None, RequestEvent("r", 0.0))

    assert (asker.manner, asker.languages, asker.here, asker.language_url) == (Manner.PROBLEM, (), "", "")


def test_only_what_was_asked_by_get_can_be_asked_again() -> None:
    event = RequestEvent("r", 0.0)

    assert ASKERS.asker(head_of(HTML), event).here == "/a?b=c"
    assert ASKERS.asker(head_of(HTML), event).language_url == "/_sidegate/language?return_to=/a%3Fb%3Dc&ui_locales="
    assert ASKERS.asker(head_of(HTML, method=b"POST"), event).here == ""


@pytest.mark.parametrize(
    ("head", "manner"),
    [
        (head_of(HTML), Manner.PAGE),
        (head_of(NAVIGATES), Manner.PAGE),
        (head_of(NAVIGATES, method=b"POST"), Manner.PAGE),
        (head_of(NAVIGATES, (b"Sec-Fetch-Dest", b"iframe")), Manner.FRAME),
        (head_of(HTML, (b"Sec-Fetch-Mode", b"cors")), Manner.PROBLEM),
        (head_of((b"Accept", b"*/*")), Manner.PROBLEM),
        (head_of(HTML, (b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")), Manner.PROBLEM),
    ],
)
def test_a_page_is_for_who_navigates(head: RequestHead, manner: Manner) -> None:
    assert manner_of_stranger(head) is manner


@pytest.mark.parametrize(
    ("referer", "page"),
    [(b"https://app.example.com/inbox?x=1", b"/inbox?x=1"), (b"https://evil.example/inbox", b"/"), (b"", b"/")],
)
def test_the_page_before_is_ours_or_the_start(referer: bytes, page: bytes) -> None:
    head = head_of(HTML, (b"Referer", referer))

    assert ASKERS.page_before(head, "https", "app.example.com") == page
