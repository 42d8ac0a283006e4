"""Who is answered, as ``respond`` wants to know it: in which manner and language, and where the links of a page lead.

All of it follows from the head and from what was settled about it. Every place that a link leads to passes the rule of
``core.return_to`` here, or is the start (law 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct

from proxy.core.cross_site import is_framed, is_navigation, is_websocket, wants_html
from proxy.core.languages import languages_of
from proxy.core.referer import page_around, referring_page
from proxy.core.return_to import safe_return_to
from proxy.respond import Asker, Manner

if TYPE_CHECKING:
    from proxy.core.cookies import OwnCookies
    from proxy.core.request import RequestHead
    from proxy.gate.settled import Settled
    from proxy.ports import RequestEvent


class Askers(Struct, frozen=True):
    """Makes what ``respond`` knows of the visitors of one site.

    Attributes:
        prefix: of our own pages, the public URL's path before it.
    """

    prefix: bytes
    cookies: OwnCookies

    def asker(
        self,
        head: RequestHead | None,
        event: RequestEvent,
        *,
        target: bytes = b"/",
        manner: Manner | None = None,
        kept_id: str | None = None,
    ) -> Asker:
        """Return who asks; ``head`` is None when none could be read.

        Args:
            target: where a login leads back to.
            manner: None for what the head says.
            kept_id: of a form that waits for that login.
        """
        here = self._here(head)
        return Asker(
            request_id=event.request_id,
            manner=manner or (Manner.PROBLEM if head is None else _manner(head)),
            login_url=self.url_back_to(target, b"/login", kept_id),
            start_url=self.url_back_to(target, b"/start", kept_id),
            languages=() if head is None else languages_of(head, self.cookies),
            username=event.username or event.subject,
            here=here,
            language_url=self._language_url(here),
        )

    def url_back_to(self, target: bytes, page: bytes, kept_id: str | None = None) -> str:
        """Return the path of a page of ours that leads to ``target`` afterwards."""
        return_to = safe_return_to(target.decode("latin-1"), "/", prefix=self.prefix)
        members = [] if return_to == "/" else [f"return_to={quote(return_to, safe='/')}"]
        members += [] if kept_id is None else [f"kept={kept_id}"]
        url = (self.prefix + page).decode()
        return f"{url}?{'&'.join(members)}" if members else url

    def page_before(self, head: RequestHead, scheme: str, host: str) -> bytes:
        """Return the page of ours that led here; the start when none did."""
        return (referring_page(head, own_origin=f"{scheme}://{host}", prefix=self.prefix) or "/").encode()

    def page_around(self, head: RequestHead, settled: Settled) -> bytes:
        """Return where somebody who signs in out of a frame finds the whole page again; the start when nobody knows."""
        own_origin = f"{settled.scheme}://{settled.host}"
        return (page_around(head, own_origin=own_origin, prefix=self.prefix) or "/").encode()

    def _here(self, head: RequestHead | None) -> str:
        """Return what was asked as a link can ask it again, empty when none can: it was no GET, or no place of ours."""
        if head is None or head.method != b"GET":
            return ""
        return safe_return_to(head.target.decode("latin-1"), "", prefix=self.prefix)

    def _language_url(self, here: str) -> str:
        if not here:
            return ""
        return f"{self.prefix.decode()}/language?return_to={quote(here, safe='/')}&ui_locales="


def _manner(head: RequestHead) -> Manner:
    if not wants_html(head):
        return Manner.PROBLEM
    return Manner.FRAME if is_framed(head) else Manner.PAGE


def manner_of_stranger(head: RequestHead) -> Manner:
    """Say how somebody without a session is answered (contract §4): programs get 401 whatever they accept.

    A form that a browser posts by navigating waits for a page too, and a person cannot read problem+json.
    """
    if not (is_navigation(head) or head.value(b"sec-fetch-mode") == b"navigate") or is_websocket(head):
        return Manner.PROBLEM
    return Manner.FRAME if is_framed(head) else Manner.PAGE
