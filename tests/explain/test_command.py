"""``sidegate explain`` and the gate are of one mind."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Awaitable
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.core.request import RequestHead
from proxy.core.secret import Secret
from proxy.explain.command import explain
from proxy.explain.question import Person, Question
from proxy.ports import Forward, KeepBody, OwnPage, Reply
from proxy.settings.load import one_site
from tests.explain.conftest import ROUTES
from tests.gate.conftest import GateInHand
from tests.support.sessions import make_session, make_tokens

if TYPE_CHECKING:
    from proxy.ports import Admission

FILES: tuple[dict[str, Any], ...] = (
    {},
    {
        "server": {"https_redirect": True, "path_case": "ignore", "prefix": "/own"},
        "identity_headers": {"preset": "x-auth-request", "set": {"X-Department": "{claims.department}"}},
        "routes": [
            {"path": "/static/**", "access": "public", "strip_prefix": "/static"},
            {"path": "/Api/*", "methods": ["GET"], "access": {"any_role": ["viewer", "legacy-app:editor"]}},
            {"path": "/maybe", "access": "optional", "csrf": "off"},
            {"path": "/api/*", "methods": ["POST"], "access": {"acr": "gold", "max_age": "5m"}},
        ],
    },
    {
        "server": {"app_reads": {"extensions": True, "front_controllers": ["index.php"]}},
        "identity_headers": {"preset": "none"},
        "routes": ROUTES,
    },
)
FILES[1]["routes"][1]["path"] = "/api/*"

PIECES = ["static", "api", "admin", "maybe", "signout", "_sidegate", "own", "login", "/", "a", "A", "%61", "%2F", ";x"]
USUAL = ["/static/x", "/api/a", "/maybe", "/signout", "/admin/x", "/x", "/own/login", "/_sidegate/login", "/%61dmin"]
PATHS = st.sampled_from(USUAL) | st.lists(
    st.sampled_from([*PIECES, "..", "\\", ".json", "index.php", "?q=%2", "//"]), max_size=5
).map(lambda pieces: "/" + "".join(pieces))
URLS = PATHS | st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["app.example.com", "APP.example.com:443", "other.example"]),
    PATHS,
)
HEADERS = st.lists(
    st.sampled_from(
        [
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-origin",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Mode: cors",
            "Origin: https://evil.example",
            "Origin: https://app.example.com",
            "Access-Control-Request-Method: GET",
            "Content-Type: application/x-www-form-urlencoded",
            "Service-Worker: script",
            "Upgrade: websocket",
            "Connection: upgrade",
            "Accept: */*",
            "Authorization: Basic eA==",
            "X-Auth-Roles: admin",
            "Host: app.example.com",
        ]
    ),
    max_size=4,
    unique=True,
).map(tuple)
PEOPLE = st.none() | st.builds(
    Person,
    roles=st.lists(st.sampled_from(["viewer", "admin", "legacy-app:editor", "realm:a:b"]), unique=True).map(tuple),
    groups=st.sampled_from([(), ("/staff",), ("/staff", "/x")]),
    claims=st.sampled_from([(), ("department=finance",), ("department=law", "department=it-2")]),
    acr=st.sampled_from([None, "gold"]),
    authenticated_ago_s=st.sampled_from([0.0, 299.0, 3600.0]),
)
DEPARTMENTS: dict[tuple[str, ...], dict[str, object]] = {
    (): {},
    ("department=finance",): {"department": "finance"},
    ("department=law", "department=it-2"): {"department": ["law", "it-2"]},
}


@lru_cache
def gate_of(number: int) -> GateInHand:
    return GateInHand(
        **{name: dict(value) if isinstance(value, dict) else value for name, value in FILES[number].items()}
    )


async def admission_of(gate: GateInHand, question: Question) -> Admission:
    """What the gate does with this request, put together here without a look at how ``explain`` does it."""
    scheme, _, rest = question.url.partition("://")
    if not question.url.startswith("/"):
        host, slash, path = rest.partition("/")
        path = slash + path
    else:
        scheme, host, path = "https", "app.example.com", question.url
    given = [tuple(part.encode() for part in text.split(": ")) for text in question.headers]
    names = {name for name, _ in given}
    own = [field for field in ((b"Host", host.encode()), (b"Accept", b"text/html")) if field[0] not in names]
    if (person := question.person) is not None:
        value = Secret(secrets.token_urlsafe(32))
        session = make_session(
            value,
            acr=person.acr,
            authenticated_at=gate.clock.now() - person.authenticated_ago_s,
            tokens=make_tokens(access_expires_at=None),
        )
        who = replace(
            session.identity,
            subject="<sub>",
            username="<preferred_username>",
            name="<name>",
            email="<email>",
            email_is_verified=True,
            roles=frozenset(person.roles),
            groups=frozenset(person.groups),
            claims=DEPARTMENTS[person.claims],
        )
        await gate.store.create(value, dataclasses.replace(session, identity=who))
        own.append((b"Cookie", b"__Host-sidegate=" + value.reveal().encode()))
    head = RequestHead(
        method=question.method.encode(),
        target=path.encode(),
        headers=(*own, *given),
        peer="192.0.2.1",
        scheme="http" if scheme == "http" else "https",
    )
    admission = gate.gate.admit(head)
    return await admission if isinstance(admission, Awaitable) else admission


def location_of(admission: Admission) -> tuple[int, str | None] | None:
    if isinstance(admission, KeepBody):
        admission = admission.lead("<kept>")
    if not isinstance(admission, Reply):
        return None
    found = (value.decode() for name, value in admission.answer.headers if name.lower() == b"location")
    return admission.answer.status, next(found, None)


def fields_of(admission: Forward) -> list[tuple[str, str]]:
    made = {b"X-Request-ID": "<request id>", b"traceparent": "<trace context>", b"X-Forwarded-For": "<client address>"}
    return [(name.decode(), made.get(name) or value.decode()) for name, value in admission.headers]


def assert_of_one_mind(number: int, question: Question) -> None:
    gate = gate_of(number)
    explanation = explain(one_site(gate.settings), question)
    admission = asyncio.run(admission_of(gate, question))

    assert isinstance(admission, Forward | OwnPage | Reply | KeepBody)
    event = admission.event
    assert (explanation.decision, explanation.reason) == (event.decision.replace("redirect", "refused"), event.reason)
    if explanation.route is not None:
        assert explanation.route.pattern == event.route
    elif event.decision in {"allow", "forbid", "challenge", "step_up"}:
        assert event.reason == "own"
    answer = explanation.reply
    assert (None if answer is None else (answer.status, answer.location)) == location_of(admission)
    assert (explanation.passed is not None) is isinstance(admission, Forward)
    if explanation.passed is not None and isinstance(admission, Forward):
        assert list(explanation.passed.headers) == fields_of(admission)
        assert explanation.passed.target == admission.target.decode()
    if explanation.decision in {"allow", "challenge", "step_up"} and explanation.conditions:
        assert all(one.is_met for one in explanation.conditions) is (explanation.decision == "allow")
    assert list(explanation.lines())
    assert max(map(len, explanation.lines())) <= 80


NOBODY_IN_PARTICULAR = Person()
OVERDUE = Person(roles=("admin", "viewer"), groups=("/staff",), claims=("department=finance",), acr="gold")
FORM = ("Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin")


@pytest.mark.parametrize("number", range(len(FILES)))
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_explained_of_usual_requests_is_what_the_gate_does(number: int, method: str) -> None:
    people = (None, NOBODY_IN_PARTICULAR, OVERDUE, replace(OVERDUE, authenticated_ago_s=400.0))
    for url, person, headers in product((*USUAL, "http://app.example.com/maybe"), people, ((), FORM)):
        assert_of_one_mind(number, Question(method=method, url=url, headers=headers, person=person))


@settings(max_examples=150)
@given(
    number=st.integers(0, len(FILES) - 1),
    question=st.builds(
        Question,
        method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE"]),
        url=URLS,
        headers=HEADERS,
        person=PEOPLE,
    ),
)
def test_what_is_explained_is_what_the_gate_does(number: int, question: Question) -> None:
    assert_of_one_mind(number, question)
