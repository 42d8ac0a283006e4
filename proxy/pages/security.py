"""The fields that keep a page of ours from being framed, extended by script, or made to post elsewhere.

Source: CSP Level 3; contract §3 ("Own pages").
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.request import Headers

NOBODY = "'none'"
OURSELVES = "'self'"
"""Who may show a page in a frame; else origins with a space between (CSP Level 3 §6.4.2)."""

_FRAME_OPTIONS = {NOBODY: b"DENY", OURSELVES: b"SAMEORIGIN"}
"""The same for old browsers (RFC 7034), which know no other origin: they are told nothing then."""


def security_headers(
    form_origins: Sequence[str], *, frame_ancestors: str = NOBODY, fonts_from: str = NOBODY
) -> Headers:
    """Return the security fields of an HTML page.

    Args:
        form_origins: origins besides our own to which a form may post.
        frame_ancestors: who may frame it; somebody only where a page is made for frames.
        fonts_from: where fonts may come from; somewhere only where a company has its own.
    """
    frame_options = _FRAME_OPTIONS.get(frame_ancestors)
    return (
        (b"Content-Security-Policy", content_security_policy(form_origins, frame_ancestors, fonts_from).encode()),
        *(() if frame_options is None else ((b"X-Frame-Options", frame_options),)),
        # Not no-referrer: browsers would then send "Origin: null" with our own forms, and the same-origin rule of
        # /logout could not be kept (Fetch, "append a request Origin header").
        (b"Referrer-Policy", b"same-origin"),
    )


def content_security_policy(form_origins: Sequence[str], frame_ancestors: str, fonts_from: str = NOBODY) -> str:
    """Return the policy: nothing but our own style, script and images; forms to us and to ``form_origins``.

    Scripts may ask our own origin: the login form asks whether somebody signed in from another tab.
    """
    form_action = " ".join(["'self'", *dict.fromkeys(form_origins)])
    fonts = "" if fonts_from == NOBODY else f"font-src {fonts_from}; "
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        f"connect-src 'self'; {fonts}base-uri 'none'; "
        f"form-action {form_action}; frame-ancestors {frame_ancestors}"
    )


def with_form_target(headers: Headers, url: str) -> Headers:
    """Return the fields with the origin of ``url`` among the targets of forms.

    An end-session endpoint need not lie at the issuer's origin.
    """
    origin = origin_of(url).encode()
    return tuple((name, _with_origin(value, origin) if name in _POLICY else value) for name, value in headers)


_POLICY = frozenset({b"Content-Security-Policy"})


def _with_origin(policy: bytes, origin: bytes) -> bytes:
    before, directive, rest = policy.partition(b"form-action ")
    targets, semicolon, after = rest.partition(b";")
    if origin in targets.split(b" "):
        return policy
    return before + directive + targets + b" " + origin + semicolon + after


def origin_of(url: str) -> str:
    """Return ``scheme://host[:port]`` of an absolute http(s) URL, fit for a CSP source expression (RFC 6454 §6.2).

    Raises:
        ValueError: no such URL, or its authority holds what would end the expression.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not an absolute http(s) URL: {url!r}")
    authority = parts.netloc.rpartition("@")[2].lower()
    if not authority.isascii() or any(character in ";,'\" \t" for character in authority):
        raise ValueError(f"not an authority: {authority!r}")
    return f"{parts.scheme}://{authority}"
