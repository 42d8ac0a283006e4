"""``sidegate explain`` and the gate are of one mind; what it says besides, about people, headers and readings."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.request import RequestHead
from proxy.core.secret import Secret
from proxy.explain import Person, Question, QuestionRefused, explain
from proxy.ports import Forward, KeepBody, OwnPage, Reply
from tests.gate.conftest import GateInHand
from tests.support.sessions import make_session, make_tokens

if TYPE_CHECKING:
    from proxy.explanation import Explanation
    from proxy.ports import Admission
    from proxy.settings.model import Settings

STAFF = {"all_roles": ["admin"], "any_group": ["staff"], "claims": {"department": ["finance", "it-*"]}}
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
        "routes": [
            {"path": "/signout", "logout": True},
            {"path": "/api/**", "methods": ["GET"], "on_unauthenticated": 401, "preflight": "pass"},
            {"path": "/admin/**", "access": STAFF, "headers": {"set": {"X-A": "b"}, "remove": ["Accept"]}},
            {"path": "/**", "access": "authenticated", "service_worker": True},
        ],
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
        await gate.store.create(value, replace(session, identity=who))
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
    explanation = explain(gate.settings, question)
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


def settings_with(**file: Any) -> Settings:
    return GateInHand(**file).settings


def asked(url: str, method: str = "GET", *headers: str, file: dict[str, Any] | None = None, **of: Any) -> Explanation:
    person = None if of.pop("is_anonymous", False) else Person(**of)
    question = Question(method=method, url=url, headers=headers, person=person)
    return explain(settings_with(**(file or {"routes": FILES[2]["routes"]})), question)


class TestRoute:
    def test_the_routes_before_it_are_told_with_why_they_did_not_match(self) -> None:
        lines = "\n".join(asked("/admin/x").lines())

        assert "route:      routes[2] /admin/**" in lines
        assert "not routes[0] /signout: the path differs" in lines
        assert "not routes[1] GET /api/**: the path differs" in lines
        assert "routes[3]" not in lines

    def test_a_method_that_no_route_of_the_pattern_takes_is_told_with_those_that_they_take(self) -> None:
        explanation = asked("/api/x", "POST")

        assert (explanation.decision, explanation.reason) == ("refused", "method_not_allowed")
        assert explanation.sentence.endswith("they take GET, HEAD")
        assert [one.why.name for one in explanation.looked] == ["PATH", "METHOD", "PATH", "PATTERN"]

    def test_a_path_with_two_meanings_is_told_with_both_readings_and_both_routes(self) -> None:
        explanation = asked("/%61dmin/x")

        assert explanation.decision == "refused"
        assert [(str(one.reading), str(one.route)) for one in explanation.readings] == [
            ("/%61dmin/x (as sent)", "routes[3] /**"),
            ("/admin/x (percent-decoded)", "routes[2] /admin/**"),
        ]

    def test_a_dot_segment_is_told_with_the_reading_in_which_it_is_one(self) -> None:
        assert "dot segment when read so: /a/../b (percent-decoded)" in asked("/a/%2e%2e/b").sentence

    def test_what_could_be_ours_in_one_reading_is_told_with_it(self) -> None:
        sentence = asked("/_SideGate/login").sentence

        assert sentence.endswith("read as /_sidegate/login (letters folded)")

    def test_a_host_that_is_not_ours_is_refused_with_421(self) -> None:
        explanation = asked("https://other.example/x")

        assert explanation.reply is not None
        assert (explanation.decision, explanation.reply.status) == ("refused", 421)

    def test_a_preflight_that_passes_meets_the_route_of_the_method_to_come(self) -> None:
        explanation = asked(
            "/api/x", "OPTIONS", "Origin: https://x.example", "Access-Control-Request-Method: GET", is_anonymous=True
        )

        assert (explanation.decision, explanation.reason) == ("allow", "preflight")
        assert str(explanation.route) == "routes[1] GET /api/**"


class TestPerson:
    def test_each_condition_is_told_with_whether_it_is_met(self) -> None:
        explanation = asked("/admin/x", roles=("admin",), groups=("other",), claims=("department=it-2",))

        assert [(one.condition, one.is_met) for one in explanation.conditions] == [
            ("signed_in", True),
            ("all_roles", True),
            ("any_group", False),
            ("claims.department", True),
        ]
        assert explanation.sentence == "the account lacks the group /staff"

    def test_a_claim_that_is_json_is_what_json_says_and_any_other_is_text(self) -> None:
        file = {"routes": [{"path": "/**", "access": {"claims": {"level": 5, "name": "5", "flag": True}}}]}

        explanation = asked("/", claims=("level=5", 'name="5"', "flag=true"), file=file)

        assert explanation.decision == "allow"

    def test_a_text_that_was_not_given_meets_no_condition(self) -> None:
        file = {"routes": [{"path": "/**", "access": {"claims": {"email": "*"}}}]}

        assert asked("/", file=file).decision == "forbid"

    def test_roles_have_the_names_that_rules_use(self) -> None:
        roles = ("admin", "legacy-app:editor", "other:x", "realm:a:b")

        assert asked("/", roles=roles).asked.person == {"roles": sorted(roles), "groups": [], "claims": {}}

    @pytest.mark.parametrize(
        ("of", "sentence"),
        [
            ({"roles": ("",)}, "no token gives such a role"),
            ({"roles": (":x",)}, "no token gives such a role"),
            ({"groups": ("/",)}, "no token gives such a group"),
            ({"claims": ("department",)}, "write NAME=VALUE"),
            ({"claims": ("sub=5",)}, "sub is text"),
        ],
    )
    def test_a_person_who_cannot_be_is_refused_with_the_remedy(self, of: dict[str, Any], sentence: str) -> None:
        with pytest.raises(QuestionRefused, match=sentence):
            asked("/", **of)


class TestHeaders:
    def test_what_only_a_real_request_has_stands_in_brackets(self) -> None:
        upstreams = {"app": {"url": "http://127.0.0.1:8000", "access_token": True}}

        explanation = asked("/x", file={"upstreams": upstreams}, claims=("email=a@example.com",))

        assert explanation.passed is not None
        headers = dict(explanation.passed.headers)
        assert headers["Authorization"] == "Bearer <access token>"
        assert headers["X-Request-ID"] == "<request id>"
        assert headers["X-Forwarded-For"] == "<client address>"
        assert headers["X-Auth-Subject"] == "<sub>"
        assert "X-Auth-Email" not in headers
        assert explanation.notes[0].startswith("the e-mail address is not sent, for it is not verified")

    def test_what_is_taken_out_is_named(self) -> None:
        explanation = asked(
            "/admin/x",
            "GET",
            "X-Auth-Roles: admin",
            "Cookie: theirs=1; sidegate-login=2",
            roles=("admin",),
            groups=("staff",),
            claims=("department=finance",),
        )

        assert explanation.removed == ("Accept", "Cookie __Host-sidegate", "X-Auth-Roles", "Cookie sidegate-login")

    def test_a_header_whose_claim_was_not_given_is_told(self) -> None:
        file = {"identity_headers": {"set": {"X-Department": "{claims.department}"}}}

        assert asked("/", file=file).notes == ("X-Department is not sent: no claim department was given",)

    def test_another_site_is_told_apart_by_its_header(self) -> None:
        explanation = asked("/x", "POST", "Sec-Fetch-Site: cross-site")

        assert (explanation.decision, explanation.reason) == ("forbid", "cross_site")
        assert "allowed_origins" in explanation.sentence

    def test_a_form_that_waits_for_more_proof_is_told_to_be_kept(self) -> None:
        explanation = asked(
            "/x",
            "POST",
            "Content-Type: application/x-www-form-urlencoded",
            "Sec-Fetch-Site: same-origin",
            file={"routes": [{"path": "/**", "access": {"acr": "gold"}}]},
        )

        assert explanation.decision == "step_up"
        assert explanation.notes[0].startswith("what was sent is kept")


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (Question(method="get", url="/"), "write it in capitals"),
        (Question(method="GET", url="x"), "write a path that begins with /"),
        (Question(method="GET", url=""), "write a path that begins with /"),
        (Question(method="GET", url="https://user@app.example.com/"), "is no URL"),
        (Question(method="GET", url="ftp://app.example.com/"), "is no URL"),
        (Question(method="GET", url="/", headers=("x",)), "write 'Name: value'"),
        (Question(method="GET", url="/", headers=("X: a\nB: c",)), "write 'Name: value'"),
    ],
)
def test_a_request_that_cannot_be_is_refused_with_the_remedy(question: Question, sentence: str) -> None:
    with pytest.raises(QuestionRefused, match=sentence):
        explain(settings_with(), question)
