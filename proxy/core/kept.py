"""A form that was sent when the session was gone: whether it may be kept, and how it is sent on later. Pure.

Contract §4: kept only when the request is same-origin *and* somebody is known to whom it belongs (a tombstone, or a
live session that must prove itself anew); sent on once, to the same URL, for that person alone. Without the first it
would be a way around SameSite, without the second an upload store for strangers. What is sent on is a request like any
other: the browser's new GET with the method, the fields about the content and the content of the old POST, decided
anew by the rules of now.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core.cross_site import is_framed, is_navigation, named_origins, wants_html
from proxy.core.request import RequestHead
from proxy.core.return_to import safe_return_to

if TYPE_CHECKING:
    from proxy.core.cross_site import AllowedOrigins
    from proxy.core.request import Accepted, Headers, Scheme

MAX_KEPT_BODY = 1024 * 1024
"""Bytes of a body that is kept (contract §4)."""

KEPT_LIFETIME_S = 1800.0
"""Seconds for which it is kept: as long as a login may take (a root authentication session, contract §6)."""

KEPT_ID_BYTES = 16
"""Random bytes of the id: 128 bits, never guessed."""

_FORM_TYPES = frozenset({b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain"})
"""What a form can be (HTML §4.10.18.6): other content is a script's, which is told 401 and can send it again."""

_KEPT_FIELDS = (b"content-type", b"origin", b"referer")
"""What is kept of the head: what the content is, and where the form stood, for apps that look (Django does).
Cookies, Authorization and everything of the connection are those of the request that comes after the login."""

_CONDITIONAL = frozenset({b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"})
_NOT_OF_THE_GET = _CONDITIONAL.union(_KEPT_FIELDS, {b"range", b"content-length", b"transfer-encoding", b"expect"})
"""What the new GET says about a representation, or about a body of its own, means nothing for the POST."""

_MARK = re.compile(rb"([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{22})")


class NotKept(StrEnum):
    """Why a form is not kept, or not sent on; each has its sentence in ``locales`` (``not_kept.…``)."""

    FOREIGN = "foreign"
    NO_BODY = "no_body"
    NOBODY = "nobody"
    ADDRESS = "address"
    TOO_LARGE = "too_large"
    FULL = "full"
    GONE = "gone"
    OTHER_PERSON = "other_person"


class Place(Struct, frozen=True, kw_only=True):
    """Where a form was sent: scheme and host as the browser used them, and the target byte for byte."""

    scheme: str
    host: str
    target: bytes

    def digest(self) -> str:
        """Return 128 bits of SHA-256, Base64url: enough to see at once whether another request is for the same URL."""
        text = f"{self.scheme}://{self.host}".encode() + self.target
        return urlsafe_b64encode(sha256(text).digest()[:16]).rstrip(b"=").decode()


class Kept(Struct, frozen=True, kw_only=True):
    """What is known of a kept request without its content.

    Attributes:
        subject_hash: of the one person for whom it is sent on (``core.session.subject_hash``).
        headers: those of :data:`_KEPT_FIELDS` that it had.
        kept_at: Unix seconds.
    """

    place: Place
    subject_hash: str
    headers: Headers
    kept_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRequest:
    """A form that waits for a login; its method is POST."""

    kept: Kept
    body: bytes = field(repr=False)


def is_form_post(head: RequestHead) -> bool:
    """Say whether a person sent a form by navigating, and so waits for a page and has something to lose.

    Browsers that say nothing about modes (old ones, and all of them on plain http) are known by what they accept.
    """
    if head.method != b"POST" or _media_type(head) not in _FORM_TYPES:
        return False
    modes = head.values(b"sec-fetch-mode")
    if modes:
        return modes == (b"navigate",)
    return wants_html(head) and not head.values(b"x-requested-with")


def _media_type(head: RequestHead) -> bytes | None:
    values = head.values(b"content-type")
    if len(values) != 1 or head.values(b"content-encoding"):
        return None
    return values[0].partition(b";")[0].strip().lower()


def place_of(accepted: Accepted) -> Place:
    """Return where a request goes."""
    return Place(scheme=accepted.scheme, host=accepted.host, target=accepted.target.forward)


def keeping_obstacle(accepted: Accepted, *, allowed: AllowedOrigins, prefix: bytes) -> NotKept | None:
    """Say why this form is not kept whoever sent it; None when only the sender is still to be known.

    Args:
        allowed: origins of which one may be our own under a name that a proxy hid from us (``public_url``).
        prefix: of our own pages, to which no form is sent on.
    """
    if not _is_same_origin(accepted, allowed):
        return NotKept.FOREIGN
    target = accepted.target.forward.decode("latin-1")
    # A browser is sent there after the login, so it must be a place that a browser reads as ours (law 10).
    return None if safe_return_to(target, "", prefix=prefix) == target else NotKept.ADDRESS


def _is_same_origin(accepted: Accepted, allowed: AllowedOrigins) -> bool:
    """Want the browser's word that our own page sent it: none is not enough (Fetch Metadata §2.4, RFC 6454 §7)."""
    own = f"{accepted.scheme}://{accepted.host}".encode()
    sites, origins = accepted.head.values(b"sec-fetch-site"), named_origins(accepted.head)
    if sites:
        return sites == (b"same-origin",) and all(origin == own or allowed.have(origin, accepted) for origin in origins)
    return origins == (own,)


def kept_of(accepted: Accepted, *, subject_hash: str, now: float) -> Kept:
    """Return what is remembered of a form."""
    fields = tuple((name, value) for name, value in accepted.head.headers if name.lower() in _KEPT_FIELDS)
    return Kept(place=place_of(accepted), subject_hash=subject_hash, headers=fields, kept_at=now)


def kept_mark(kept_id: str, place: Place) -> str:
    """Return what the cookie ``…-kept`` says: which one waits, and for which URL, so that no other asks the store."""
    return f"{kept_id}.{place.digest()}"


def awaited_kept(mark: bytes | None, accepted: Accepted) -> str | None:
    """Return the id of the kept request in whose place this request comes, by the cookie that the login set; or None.

    It is a GET by which a person arrives at the same URL from a page of ours, or by their own hand. Not a prefetch, not
    a script, not a link of another site; and without a body of its own.
    """
    found = _MARK.fullmatch(mark) if mark is not None else None
    head = accepted.head
    if found is None or head.method != b"GET" or not is_navigation(head) or is_framed(head):
        return None
    if not set(head.values(b"sec-fetch-site")) <= {b"same-origin", b"none"}:
        return None
    if head.values(b"content-length") not in ((), (b"0",)) or head.values(b"transfer-encoding"):
        return None
    return found[1].decode() if found[2].decode() == place_of(accepted).digest() else None


def head_of_sent(head: RequestHead, kept: Kept) -> RequestHead:
    """Return the request that goes on: of the GET who asks and by which way, of the POST what is asked."""
    scheme: Scheme = head.scheme
    of_get = tuple(pair for pair in head.headers if pair[0].lower() not in _NOT_OF_THE_GET)
    return RequestHead(b"POST", head.target, (*of_get, *kept.headers), head.peer, scheme, head.version)
