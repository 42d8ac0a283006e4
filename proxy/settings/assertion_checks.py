"""What no single key can know about what an app is told by signature or by a token of its own; see ``checks.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.core.headers import IDENTITY_NAMES, fold
from proxy.settings.problems import Finding, KeyPath, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.settings.draft import Draft
    from proxy.settings.model import RouteSettings

_OF_OTHERS: Final = frozenset({
    b"authorization", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
    b"x-request-id", b"traceparent",
})  # fmt: skip
"""Names, folded, by which every request says something else."""

_USUAL: Final = fold(b"X-Sidegate-Assertion")


def assertion_name(draft: Draft) -> Iterator[Finding]:
    """The assertion's header is nobody else's: what an app reads there is the signed statement or nothing."""
    identity, path = draft.settings.identity_headers, ("identity_headers", "assertion", "header")
    if identity.assertion is None:
        return
    name = identity.assertion.header
    folded = fold(name.encode())
    set_by: list[KeyPath] = [("identity_headers", "set", other) for other in identity.set]
    for index, route in enumerate(draft.settings.routes):
        set_by += [("routes", index, "headers", "set", other) for other in route.headers.set]
    if folded in _OF_OTHERS or (folded in IDENTITY_NAMES and folded != _USUAL):
        yield Finding(path, f"is {name}, by which an app is told something else",
                      "choose a name of its own, such as X-Sidegate-Assertion")  # fmt: skip
    for other in set_by:
        if fold(str(other[-1]).encode()) == folded:
            yield Finding(other, "is the header of the assertion too (identity_headers.assertion.header)",
                          "choose another name for one of the two", depends_on=(path,))  # fmt: skip


def token_exchange(draft: Draft) -> Iterator[Finding]:
    """Whoever asks for a token for somebody can prove who asks, and there is somebody."""
    method = draft.settings.keycloak.client_auth.method
    for index, route in enumerate(draft.settings.routes):
        path = ("routes", index, "token_exchange")
        if route.token_exchange is None:
            continue
        if method == "none":
            yield Finding(path, "needs a client that can prove who it is, and client_auth.method is none",
                          "give the client a secret, or take this out",
                          depends_on=(("keycloak", "client_auth", "method"),))  # fmt: skip
        if route.access == "public":
            yield Finding(path, "has no effect, for on a public route nobody is asked who they are",
                          "write access: authenticated, or take it out",
                          depends_on=(("routes", index, "access"),))  # fmt: skip
        yield from _other_token(draft, index, route)


def _other_token(draft: Draft, index: int, route: RouteSettings) -> Iterator[Finding]:
    """An app gets one token."""
    upstream = draft.settings.upstreams.get(draft.settings.upstream_of(route))
    if upstream is not None and upstream.access_token:
        name = draft.settings.upstream_of(route)
        yield Finding(("routes", index, "token_exchange"), "is sent instead of the person's own token",
                      f"take access_token out of upstreams.{name} unless other routes need it", Level.WARNING,
                      depends_on=(("upstreams", name, "access_token"), ("routes", index, "upstream")))  # fmt: skip


def narrowing(draft: Draft) -> Iterator[Finding]:
    """What is narrowed is sent at all."""
    for index, route in enumerate(draft.settings.routes):
        for key in ("roles", "groups"):
            if route.access == "public" and getattr(route.headers, key) is not None:
                yield Finding(("routes", index, "headers", key), "has no effect, for a public route sends no identity",
                              "take it out", Level.WARNING, (("routes", index, "access"),))  # fmt: skip
