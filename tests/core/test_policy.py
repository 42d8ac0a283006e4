"""Who may pass: only `decide` says so."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.core.bearer import Bearer
from proxy.core.id_token import AskedProof, require_proof
from proxy.core.identity import Identity
from proxy.core.policy import (
    Allow,
    Challenge,
    Decision,
    Forbid,
    Lack,
    LackKind,
    Reason,
    StepUp,
    decide,
    decide_preflight,
    judged,
)
from proxy.core.routing import AUTHENTICATED, OPTIONAL, PUBLIC, Access, Conditions, Preflight, Route, compile_access
from proxy.core.secret import Secret
from proxy.core.session import NEVER, LoginOrigin, Session, SessionKey
from proxy.core.tokens import TokenSet
from proxy.errors import TokenRejected

NOW = 1000.0


def identity(**changes: object) -> Identity:
    alice = Identity(
        issuer="https://sso/realms/acme",
        subject="sub-1",
        roles=frozenset({"viewer", "legacy-app:editor", "realm:a:b"}),
        groups=frozenset({"/staff"}),
        claims={"department": ["it-ops"], "level": 5, "address": {"country": "DE"}, "member": True},
    )
    return replace(alice, **changes)


def session(**changes: object) -> Session:
    alive = Session(
        key=SessionKey("k"),
        client_id="legacy-app",
        identity=identity(),
        tokens=TokenSet(Secret("at"), None, None, 0.0, None, None),
        sid="sid",
        origin=LoginOrigin.FORM,
        issued_at=0.0,
        authenticated_at=0.0,
        acr=None,
        created_at=0.0,
        expires_at=NOW + 1,
        idle_timeout_s=60.0,
    )
    return dataclasses.replace(alive, **changes)


def bearer(**changes: object) -> Bearer:
    """Who shows the same rights by a token."""
    token = Secret("header.payload.signature")
    alive = Bearer(
        client_id="legacy-app",
        audience=("legacy-app",),
        identity=identity(),
        access_token=token,
        sid="sid",
        issued_at=0.0,
        authenticated_at=NEVER,
        acr=None,
        expires_at=NOW + 1,
        token_hash=token.sha256(),
    )
    return replace(alive, **changes)


def reason(decision: Decision) -> Reason:
    return decision.reason


def test_public_passes_without_looking_at_the_session() -> None:
    decision = decide(PUBLIC, session(), NOW)

    assert isinstance(decision, Allow)
    assert (decision.reason, decision.session) == (Reason.PUBLIC, None)


def test_optional_passes_with_and_without_a_session() -> None:
    with_one, without = decide(OPTIONAL, session(), NOW), decide(OPTIONAL, None, NOW)

    assert isinstance(with_one, Allow)
    assert isinstance(without, Allow)
    assert with_one.session == session()
    assert without.session is None


@pytest.mark.parametrize("access", [AUTHENTICATED, compile_access({"any_role": ["viewer"]})])
def test_a_stranger_is_challenged(access: object) -> None:
    assert decide(access, None, NOW) == Challenge(Reason.NO_SESSION)


@pytest.mark.parametrize("ended_at", [NOW, NOW - 1])
def test_a_session_past_its_end_is_none_whatever_the_store_said(ended_at: float) -> None:
    over = session(expires_at=ended_at)

    assert decide(AUTHENTICATED, over, NOW) == Challenge(Reason.NO_SESSION)
    assert decide(compile_access({"any_role": ["viewer"]}), over, NOW) == Challenge(Reason.NO_SESSION)
    stranger = decide(OPTIONAL, over, NOW)
    assert isinstance(stranger, Allow)
    assert stranger.session is None


@pytest.mark.parametrize(
    "stated",
    [
        {"any_role": ["admin", "viewer"]},
        {"all_roles": ["viewer", "legacy-app:editor", "realm:a:b"]},
        {"any_group": ["staff", "/other"]},
        {"claims": {"department": ["finance", "it-*"]}},
        {"claims": {"level": 5, "member": True}},
        {"claims": {"address.country": "DE"}},
        {"any_role": ["viewer"], "any_group": ["/staff"], "claims": {"level": [4, 5]}},
    ],
)
def test_who_meets_every_condition_passes(stated: dict[str, object]) -> None:
    decision = decide(compile_access(stated), session(), NOW)

    assert isinstance(decision, Allow)
    assert decision.reason is Reason.CONDITIONS_MET


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        ({"any_role": ["admin", "editor"]}, Reason.ROLE_MISSING),
        ({"any_role": ["other-app:editor"]}, Reason.ROLE_MISSING),
        ({"any_role": ["legacy-app:viewer"]}, Reason.ROLE_MISSING),
        ({"any_role": ["a:b"]}, Reason.ROLE_MISSING),
        ({"any_role": ["VIEWER"]}, Reason.ROLE_MISSING),
        ({"all_roles": ["viewer", "admin"]}, Reason.ROLE_MISSING),
        ({"any_group": ["/staff/it"]}, Reason.GROUP_MISSING),
        ({"any_group": ["/"]}, Reason.GROUP_MISSING),
        ({"claims": {"department": "finance"}}, Reason.CLAIM_MISMATCH),
        ({"claims": {"level": "5"}}, Reason.CLAIM_MISMATCH),
        ({"claims": {"absent": "*"}}, Reason.CLAIM_MISMATCH),
        ({"any_role": ["viewer"], "any_group": ["/x"]}, Reason.GROUP_MISSING),
        ({"any_role": ["viewer"], "claims": {"level": 6}}, Reason.CLAIM_MISMATCH),
    ],
)
def test_who_lacks_one_condition_is_forbidden(stated: dict[str, object], why: Reason) -> None:
    decision = decide(compile_access(stated), session(), NOW)

    assert isinstance(decision, Forbid)
    assert decision.reason is why


@pytest.mark.parametrize(
    ("lack", "said"),
    [
        (Lack(LackKind.ROLE, ("boss",)), "the role boss"),
        (Lack(LackKind.ROLE, ("admin", "editor")), "one of the roles admin, editor"),
        (Lack(LackKind.GROUP, ("/x", "/y")), "one of the groups /x, /y"),
        (Lack(LackKind.ATTRIBUTE, ("6", "7"), "level"), "the attribute level: 6 or 7"),
    ],
)
def test_what_is_missing_is_said_in_english_to_logs_and_programs(lack: Lack, said: str) -> None:
    assert str(lack) == said


def test_a_forbid_says_everything_that_is_missing() -> None:
    stated = {
        "any_role": ["admin", "editor"],
        "all_roles": ["viewer", "boss"],
        "any_group": ["x"],
        "claims": {"level": [6, 7]},
    }

    assert decide(compile_access(stated), session(), NOW) == Forbid(
        Reason.ROLE_MISSING,
        missing=(
            Lack(LackKind.ROLE, ("boss",)),
            Lack(LackKind.ROLE, ("admin", "editor")),
            Lack(LackKind.GROUP, ("/x",)),
            Lack(LackKind.ATTRIBUTE, ("6", "7"), "level"),
        ),
        required_roles=("admin", "editor", "viewer", "boss"),
        user_roles=("legacy-app:editor", "realm:a:b", "viewer"),
    )


class TestStepUp:
    @pytest.mark.parametrize(
        ("stated", "acr", "age_s"),
        [
            ({"acr": "gold"}, "gold", 1e9),
            ({"acr": ["gold", "platinum"]}, "platinum", 1e9),
            ({"max_age": 300}, None, 300.0),
            ({"acr": "gold", "max_age": 300, "any_role": ["viewer"]}, "gold", 0.0),
        ],
    )
    def test_who_proved_enough_and_lately_passes(
        self, stated: dict[str, object], acr: str | None, age_s: float
    ) -> None:
        decision = decide(compile_access(stated), session(acr=acr, authenticated_at=NOW - age_s), NOW)

        assert isinstance(decision, Allow)

    @pytest.mark.parametrize(
        ("stated", "acr", "age_s", "expected"),
        [
            ({"acr": "gold"}, "silver", 0.0, StepUp(Reason.ACR_INSUFFICIENT, ("gold",))),
            ({"acr": "gold"}, None, 0.0, StepUp(Reason.ACR_INSUFFICIENT, ("gold",))),
            ({"acr": "gold"}, "GOLD", 0.0, StepUp(Reason.ACR_INSUFFICIENT, ("gold",))),
            ({"acr": "1"}, "2", 0.0, StepUp(Reason.ACR_INSUFFICIENT, ("1",))),
            ({"max_age": 300}, "gold", 300.1, StepUp(Reason.AUTHENTICATION_TOO_OLD, (), 300.0)),
            ({"acr": ["a", "b"], "max_age": 10}, "c", 11, StepUp(Reason.AUTHENTICATION_TOO_OLD, ("a", "b"), 10.0)),
        ],
    )
    def test_who_did_not_is_to_prove_more(
        self, stated: dict[str, object], acr: str | None, age_s: float, expected: StepUp
    ) -> None:
        assert decide(compile_access(stated), session(acr=acr, authenticated_at=NOW - age_s), NOW) == expected

    def test_who_lacks_a_role_is_forbidden_and_not_sent_to_prove_more(self) -> None:
        stated = {"any_role": ["admin"], "acr": "gold", "max_age": 300}

        assert isinstance(decide(compile_access(stated), session(acr="silver"), NOW), Forbid)

    def test_a_stranger_signs_in_first(self) -> None:
        assert decide(compile_access({"acr": "gold"}), None, NOW) == Challenge(Reason.NO_SESSION)

    @given(
        asked=st.builds(
            AskedProof, st.lists(st.sampled_from("abc"), max_size=2).map(tuple), st.none() | st.floats(10, 400)
        ),
        acr=st.none() | st.sampled_from("abcd"),
        age_s=st.floats(-100, 500),
    )
    def test_the_gate_and_the_callback_never_disagree(self, asked: AskedProof, acr: str | None, age_s: float) -> None:
        access = Conditions(any_role=("viewer",), acr=asked.acr_values, max_age_s=asked.max_age_s)
        proved = session(acr=acr, authenticated_at=NOW - age_s)

        try:
            require_proof(asked, acr=acr, auth_time=proved.authenticated_at, now=NOW)
        except TokenRejected:
            assert isinstance(decide(access, proved, NOW), StepUp)
        else:
            assert isinstance(decide(access, proved, NOW), Allow)


ROLES = ["viewer", "admin", "legacy-app:editor"]
CLAIMS = {"department": ["finance", "it-*"], "level": 5}
CONDITIONS = st.builds(
    dict,
    all_roles=st.none() | st.lists(st.sampled_from(ROLES), min_size=1),
    any_role=st.none() | st.lists(st.sampled_from(ROLES), min_size=1),
    any_group=st.none() | st.just(["/staff", "/board"]),
    claims=st.none() | st.just(CLAIMS),
    acr=st.none() | st.just(["gold", "silver"]),
    max_age=st.none() | st.just(300),
).map(lambda stated: {name: value for name, value in stated.items() if value is not None})
ACCESSES = st.sampled_from([PUBLIC, OPTIONAL, AUTHENTICATED]) | CONDITIONS.filter(bool).map(compile_access)
SESSIONS = st.none() | st.builds(
    lambda who, **changes: session(identity=who, **changes),
    who=st.builds(
        identity,
        roles=st.frozensets(st.sampled_from(ROLES)),
        groups=st.frozensets(st.sampled_from(["/staff", "/other"])),
        claims=st.sampled_from([{}, {"department": "finance", "level": 5}, {"department": "law", "level": 5}]),
    ),
    acr=st.sampled_from([None, "gold", "bronze"]),
    authenticated_at=st.sampled_from([NOW, NOW - 300, NOW - 301]),
    expires_at=st.sampled_from([NOW, NOW + 1]),
)


class TestJudged:
    @given(access=ACCESSES, asking=SESSIONS)
    def test_the_conditions_one_by_one_and_the_decision_never_disagree(
        self, access: Access, asking: Session | None
    ) -> None:
        decision, conditions = decide(access, asking, NOW), judged(access, asking, NOW)

        first = next((condition for condition in conditions if not condition.is_met), None)
        assert isinstance(decision, Allow) is (first is None)
        if first is not None:
            assert decision.reason is first.reason
        if isinstance(decision, Forbid):
            unmet = [condition.lack for condition in conditions if not condition.is_met]
            assert [lack for lack in unmet if lack is not None] == list(decision.missing)

    def test_every_condition_is_named_as_in_the_file_in_the_order_of_reasons(self) -> None:
        stated = {"acr": "gold", "max_age": 300, "claims": CLAIMS, "any_group": ["staff"], "any_role": ["viewer", "x"]}

        conditions = judged(compile_access({**stated, "all_roles": ["a", "viewer"]}), session(), NOW)

        assert [(one.condition, one.any_of, one.is_met) for one in conditions] == [
            ("signed_in", (), True),
            ("all_roles", ("a",), False),
            ("all_roles", ("viewer",), True),
            ("any_role", ("viewer", "x"), True),
            ("any_group", ("/staff",), True),
            ("claims.department", ("finance", "it-*"), True),
            ("claims.level", ("5",), True),
            ("max_age", ("5m",), False),
            ("acr", ("gold",), False),
        ]

    def test_of_a_stranger_nothing_is_known_but_that_nobody_is_signed_in(self) -> None:
        conditions = judged(compile_access({"any_role": ["viewer"], "acr": "gold"}), None, NOW)

        assert [one.is_met for one in conditions] == [False, None, None]


def test_nobody_else_makes_an_allow() -> None:
    for proof in (None, object(), True):
        with pytest.raises(TypeError, match="only"):
            Allow(Reason.AUTHENTICATED, session(), AUTHENTICATED, proof)
    with pytest.raises(TypeError):
        Allow(Reason.AUTHENTICATED, session(), AUTHENTICATED)  # type: ignore[call-arg]


def test_an_allow_is_not_made_of_another_one() -> None:
    allow = decide(AUTHENTICATED, session(), NOW)
    assert isinstance(allow, Allow)

    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(allow)
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(allow, session=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        allow.session = None  # type: ignore[misc]


class TestPreflight:
    def test_it_passes_without_a_session_where_the_route_says_so(self) -> None:
        route = Route(pattern="/api/**", access=AUTHENTICATED, preflight=Preflight.PASS)

        decision = decide_preflight(route, session(), NOW)

        assert isinstance(decision, Allow)
        assert (decision.reason, decision.session) == (Reason.PREFLIGHT, None)

    def test_elsewhere_it_is_a_request_like_any_other(self) -> None:
        protected = Route(pattern="/api/**", access=AUTHENTICATED)
        public = Route(pattern="/x", access=PUBLIC, preflight=Preflight.PASS)

        assert decide_preflight(protected, None, NOW) == Challenge(Reason.NO_SESSION)
        assert reason(decide_preflight(protected, session(), NOW)) is Reason.AUTHENTICATED
        assert reason(decide_preflight(public, None, NOW)) is Reason.PUBLIC

    def test_deny_is_never_an_access(self) -> None:
        assert decide(Preflight.DENY, session(), NOW) == Challenge(Reason.NO_SESSION)


# --- bearers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [OPTIONAL, AUTHENTICATED, compile_access({"all_roles": ["viewer"]})])
def test_an_allow_of_a_bearer_holds_the_bearer_and_no_session(access: Access) -> None:
    who = bearer()

    decision = decide(access, who, NOW)

    assert isinstance(decision, Allow)
    assert (decision.session, decision.bearer, decision.person) == (None, who, who)


def test_an_allow_of_a_session_holds_no_bearer() -> None:
    who = session()

    decision = decide(AUTHENTICATED, who, NOW)

    assert isinstance(decision, Allow)
    assert (decision.session, decision.bearer, decision.person) == (who, None, who)


def test_nobody_is_let_in_as_nobody() -> None:
    decision = decide(OPTIONAL, None, NOW)

    assert isinstance(decision, Allow)
    assert decision.person is None


def test_a_bearer_is_nobody_from_the_instant_of_exp_on() -> None:
    assert isinstance(decide(AUTHENTICATED, bearer(expires_at=NOW + 0.001), NOW), Allow)
    assert isinstance(decide(AUTHENTICATED, bearer(expires_at=NOW), NOW), Challenge)


def test_a_bearer_without_the_role_is_forbidden_as_a_session_is() -> None:
    access = compile_access({"all_roles": ["admin"]})

    assert decide(access, bearer(), NOW) == decide(access, session(), NOW)


def test_a_bearer_that_does_not_say_when_somebody_was_asked_is_too_old_for_any_max_age() -> None:
    access = compile_access({"all_roles": ["viewer"], "max_age": 10.0**9})

    assert reason(decide(access, bearer(), 2 * 10.0**9 - 1)) is Reason.NO_SESSION
    assert isinstance(decide(access, bearer(expires_at=3e9), 2e9), StepUp)
    assert isinstance(decide(access, bearer(expires_at=3e9, authenticated_at=2e9 - 1), 2e9), Allow)


def test_a_bearer_of_another_level_is_asked_for_more_proof() -> None:
    access = compile_access({"acr": ["gold"]})

    assert isinstance(decide(access, bearer(acr="silver"), NOW), StepUp)
    assert isinstance(decide(access, bearer(acr="gold"), NOW), Allow)
