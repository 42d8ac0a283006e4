"""The page of ours from which a request was made, as its ``Referer`` says: a place to go back to. Pure.

Anybody can write the field; so it is only ever a path of our own origin, judged by ``core.return_to`` as what a visitor
names is.

Source: RFC 9110 §10.1.3; Referrer Policy §8 (what browsers send from one of our pages to another).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.return_to import safe_return_to

if TYPE_CHECKING:
    from proxy.core.request import RequestHead


def referring_page(head: RequestHead, *, own_origin: str, prefix: bytes) -> str | None:
    """Return the path and query of the page of ours that led here, None when it says none, or none to go back to.

    Args:
        own_origin: scheme and host as the browser used them.
        prefix: of our own pages.
    """
    values = head.values(b"referer")
    if len(values) != 1:
        return None
    text = values[0].decode("latin-1")
    if not text.startswith(f"{own_origin}/"):
        return None
    return safe_return_to(text.removeprefix(own_origin), "", prefix=prefix) or None


def page_around(head: RequestHead, *, own_origin: str, prefix: bytes) -> str | None:
    """Return the page that holds the frame for which this navigation is; None when nobody can say.

    A frame that is loaded by itself has the page around it for its ``Referer``. One that a click fills has the page of
    that click, and where frames are all that a page has (``<frameset>``) that is another frame, which would be a place
    without the rest around it (Fetch Metadata §2.3: ``Sec-Fetch-User`` tells clicks).
    """
    is_click = head.values(b"sec-fetch-user") == (b"?1",)
    if is_click and head.values(b"sec-fetch-dest") == (b"frame",):
        return None
    return referring_page(head, own_origin=own_origin, prefix=prefix)
