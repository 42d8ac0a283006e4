"""A form meets a session that is gone: kept for its sender alone, sent on once, and never without both conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.answer_headers import AnswerToKept
from proxy.core.kept import KEPT_LIFETIME_S, MAX_KEPT_BODY, KeptRequest, NotKept, kept_mark
from proxy.core.secret import Secret
from proxy.core.session import EndCause, session_key, subject_hash
from proxy.errors import StoreFault, StoreFull, StoreUnavailable
from proxy.ports import Forward, KeepBody, Reply, SendKept
from tests.gate.conftest import HTML, GateInHand, header
from tests.support.sessions import ISSUER

if TYPE_CHECKING:
    from proxy.ports import Admission

ROUTES = [
    {"path": "/form", "methods": ["GET"], "access": "public"},
    {"path": "/form", "methods": ["POST"], "access": "authenticated"},
    {"path": "/save", "methods": ["POST"], "access": "authenticated"},
    {"path": "/admin/**", "access": {"any_role": ["admin"]}},
    {"path": "/gold", "access": {"acr": ["gold"]}},
    {"path": "/api/**", "access": "authenticated", "on_unauthenticated": 401},
    {"path": "/old/**", "strip_prefix": "/old"},
    {"path": "/**", "access": "authenticated"},
]
ALICE = subject_hash(ISSUER, "alice-id")
FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
NAVIGATES = (b"Sec-Fetch-Mode", b"navigate")
SAME_ORIGIN = (b"Sec-Fetch-Site", b"same-origin")
POSTED = (FORM, NAVIGATES, SAME_ORIGIN, HTML, (b"Content-Length", b"3"))
BODY = b"a=1"

Cookie = tuple[bytes, bytes]


@pytest.fixture
def gate() -> GateInHand:
    return GateInHand(routes=ROUTES)


async def ended(gate: GateInHand, **changes: Any) -> Cookie:
    """The Cookie field of a session that was ended by an administrator."""
    name, value = await gate.signed_in("viewer", **changes)
    key = session_key(Secret(value.partition(b"=")[2].decode()))
    await gate.store.delete(key, EndCause.ADMIN)
    return name, value


async def post(gate: GateInHand, target: bytes, *headers: tuple[bytes, bytes]) -> Admission:
    return await gate.admit(target, *(headers or POSTED), method=b"POST")


async def keep(gate: GateInHand, target: bytes = b"/save?x=1", body: bytes = BODY, **changes: Any) -> str:
    """Post as somebody whose session ended; returns the id under which the form waits."""
    admission = await post(gate, target, *POSTED, await ended(gate, **changes))
    assert isinstance(admission, KeepBody), admission
    reply = await admission.keep(body)
    location = (header(reply, b"location") or b"").decode()
    assert reply.answer.status == 303
    return location.rpartition("kept=")[2]


async def mark_of(gate: GateInHand, kept_id: str) -> bytes:
    kept = await gate.kept.peek(kept_id)
    assert kept is not None
    return b"__Host-sidegate-kept=" + kept_mark(kept_id, kept.place).encode()


async def back(gate: GateInHand, kept_id: str, target: bytes = b"/save?x=1", **changes: Any) -> Admission:
    """Come back from the login as somebody."""
    mark = await mark_of(gate, kept_id)
    name, value = await gate.signed_in("viewer", **changes)
    return await gate.admit(target, (name, value + b"; " + mark), NAVIGATES, SAME_ORIGIN, HTML)


# --- keeping


async def test_a_form_is_kept_and_its_sender_led_to_the_login(gate: GateInHand) -> None:
    admission = await post(gate, b"/save?x=1", *POSTED, await ended(gate))

    assert isinstance(admission, KeepBody)
    assert admission.max_bytes == MAX_KEPT_BODY == 2**20
    reply = await admission.keep(BODY)
    [kept_id] = gate.kept._requests
    assert reply.answer.status == 303
    assert header(reply, b"location") == b"/_sidegate/login?return_to=/save%3Fx%3D1&kept=" + kept_id.encode()
    assert header(reply, b"cache-control") == b"no-store"
    request = await gate.kept.take(kept_id)
    assert request is not None
    assert (request.kept.subject_hash, request.body) == (ALICE, BODY)
    assert BODY not in repr(gate.observer.notices).encode()


async def _told(gate: GateInHand, admission: Admission, why: NotKept) -> Reply:
    assert isinstance(admission, Reply)
    assert admission.answer.status == 401
    assert (header(admission, b"content-type") or b"").startswith(b"text/html")
    assert admission.event.reason == f"not_kept_{why}"
    assert len(gate.kept) == 0
    return admission


@pytest.mark.parametrize(
    "site", [(), ((b"Sec-Fetch-Site", b"cross-site"),), ((b"Sec-Fetch-Site", b"same-site"),)], ids=str
)
async def test_a_form_that_is_not_same_origin_is_not_read(gate: GateInHand, site: tuple[Cookie, ...]) -> None:
    # Where no session lives, the rule about other sites has refused nothing yet.
    gate = GateInHand(routes=[{"path": "/**", "access": "authenticated", "csrf": "off"}])
    cookie = await ended(gate)

    reply = await _told(gate, await post(gate, b"/save", FORM, NAVIGATES, HTML, *site, cookie), NotKept.FOREIGN)

    assert b"another site" in reply.answer.body


async def test_a_form_of_nobody_is_not_read(gate: GateInHand) -> None:
    unknown = (b"Cookie", b"__Host-sidegate=" + b"x" * 43)

    await _told(gate, await post(gate, b"/save"), NotKept.NOBODY)
    await _told(gate, await post(gate, b"/save", *POSTED, unknown), NotKept.NOBODY)


async def test_a_tombstone_names_its_person_for_a_day_and_no_longer(gate: GateInHand) -> None:
    cookie = await ended(gate)
    gate.clock.advance(24 * 3600 - 1)
    assert isinstance(await post(gate, b"/save", *POSTED, cookie), KeepBody)
    gate.clock.advance(2)

    await _told(gate, await post(gate, b"/save", *POSTED, cookie), NotKept.NOBODY)


async def test_whoever_cannot_have_a_form_kept_is_led_to_where_they_filled_it_in(gate: GateInHand) -> None:
    referer = (b"Referer", b"https://app.example.com/new?draft=1")

    reply = await _told(gate, await post(gate, b"/save", *POSTED, referer), NotKept.NOBODY)

    assert b"/_sidegate/login?return_to=/new%3Fdraft%3D1" in reply.answer.body


async def test_a_body_that_is_too_large_is_told(gate: GateInHand) -> None:
    admission = await post(gate, b"/save", *POSTED, await ended(gate))
    assert isinstance(admission, KeepBody)

    reply = await _told(gate, admission.refuse(NotKept.TOO_LARGE), NotKept.TOO_LARGE)

    assert b"too large" in reply.answer.body


@pytest.mark.parametrize("fault", [StoreFull("no room"), StoreUnavailable("away")], ids=["full", "away"])
async def test_a_store_that_is_full_or_away_is_told(
    gate: GateInHand, monkeypatch: pytest.MonkeyPatch, fault: StoreFault
) -> None:
    admission = await post(gate, b"/save", *POSTED, await ended(gate))
    assert isinstance(admission, KeepBody)

    async def refuse(_request: KeptRequest) -> str:
        raise fault

    monkeypatch.setattr(gate.kept, "keep", refuse)
    await _told(gate, await admission.keep(BODY), NotKept.FULL)


async def test_when_nobody_can_say_whose_it_is_it_is_503(gate: GateInHand) -> None:
    cookie = await ended(gate)
    gate.store.go_away()

    admission = await post(gate, b"/save", *POSTED, cookie)

    assert isinstance(admission, Reply)
    assert admission.answer.status == 503


@pytest.mark.parametrize(
    "headers",
    [
        ((b"Content-Type", b"application/json"), SAME_ORIGIN, NAVIGATES),
        (FORM, SAME_ORIGIN, (b"Sec-Fetch-Mode", b"cors")),
        (FORM, SAME_ORIGIN, (b"Accept", b"*/*")),
    ],
)
async def test_a_script_is_told_401_as_ever(gate: GateInHand, headers: tuple[Cookie, ...]) -> None:
    admission = await post(gate, b"/save", *headers, await ended(gate))

    assert isinstance(admission, Reply)
    assert admission.answer.status == 401
    assert admission.event.reason == "auth_required"


async def test_a_route_that_answers_401_keeps_nothing(gate: GateInHand) -> None:
    admission = await post(gate, b"/api/x", *POSTED, await ended(gate))

    assert isinstance(admission, Reply)
    assert admission.answer.status == 401


async def test_a_form_in_a_frame_is_kept_behind_the_page_that_leads_out_of_it(gate: GateInHand) -> None:
    admission = await post(gate, b"/save", *POSTED, (b"Sec-Fetch-Dest", b"iframe"), await ended(gate))
    assert isinstance(admission, KeepBody)

    reply = await admission.keep(BODY)

    [kept_id] = gate.kept._requests
    assert reply.answer.status == 401
    assert b'target="_top"' in reply.answer.body
    assert f"kept={kept_id}".encode() in reply.answer.body


async def test_a_form_is_kept_over_a_step_up(gate: GateInHand) -> None:
    cookie = await gate.signed_in("viewer")

    admission = await post(gate, b"/gold", *POSTED, cookie)

    assert isinstance(admission, KeepBody)
    reply = await admission.keep(BODY)
    [kept_id] = gate.kept._requests
    location = (header(reply, b"location") or b"").decode()
    assert reply.answer.status == 303
    assert location.startswith(f"/_sidegate/start?return_to=/gold&kept={kept_id}&acr_values=gold")
    request = await gate.kept.take(kept_id)
    assert request is not None
    assert request.kept.subject_hash == ALICE


async def test_a_form_of_another_site_is_not_kept_over_a_step_up(gate: GateInHand) -> None:
    foreign = (FORM, NAVIGATES, HTML, (b"Sec-Fetch-Site", b"cross-site"))

    admission = await post(gate, b"/gold", *foreign, await gate.signed_in("viewer"))

    assert isinstance(admission, Reply)
    assert admission.answer.status == 403


# --- sending on


async def test_the_same_person_s_way_back_sends_the_form_on(gate: GateInHand) -> None:
    kept_id = await keep(gate)

    admission = await back(gate, kept_id)

    assert isinstance(admission, SendKept)
    forward, session = admission.forward, admission.forward.allow.session
    assert (forward.method, forward.target, admission.body) == (b"POST", b"/save?x=1", BODY)
    assert session is not None
    assert session.identity.subject == "alice-id"
    names = {name.lower(): value for name, value in forward.headers}
    assert names[b"content-type"] == FORM[1]
    assert b"cookie" not in names
    assert names[b"x-auth-subject"] == b"alice-id"
    assert isinstance(forward.answer, AnswerToKept)
    assert forward.event.method == "POST"


async def test_the_answer_of_an_app_below_a_path_is_mended_for_a_form_too(gate: GateInHand) -> None:
    kept_id = await keep(gate, b"/old/save")

    admission = await back(gate, kept_id, b"/old/save")

    assert isinstance(admission, SendKept)
    assert admission.forward.target == b"/save"
    assert (b"Location", b"/old/saved") in admission.forward.answer.apply(303, ((b"Location", b"/saved"),))


async def test_a_form_is_sent_on_once(gate: GateInHand) -> None:
    kept_id = await keep(gate, b"/anything")
    mark = await mark_of(gate, kept_id)
    name, value = await gate.signed_in("viewer")
    asked = ((name, value + b"; " + mark), NAVIGATES, SAME_ORIGIN, HTML)

    first = await gate.admit(b"/anything", *asked)
    reload = await gate.admit(b"/anything", *asked)

    assert isinstance(first, SendKept)
    assert isinstance(reload, Forward)
    assert reload.method == b"GET"


async def test_another_person_s_way_back_sends_nothing_and_takes_nothing(gate: GateInHand) -> None:
    kept_id = await keep(gate, b"/anything")

    admission = await back(gate, kept_id, b"/anything", subject="bob-id")

    assert isinstance(admission, Forward)
    assert admission.method == b"GET"
    assert await gate.kept.peek(kept_id) is not None


async def test_nobody_s_way_back_sends_nothing(gate: GateInHand) -> None:
    kept_id = await keep(gate, b"/anything")

    mark = await mark_of(gate, kept_id)
    admission = await gate.admit(b"/anything", (b"Cookie", mark), NAVIGATES, SAME_ORIGIN, HTML)

    assert isinstance(admission, Reply)
    assert header(admission, b"location") == b"/_sidegate/login?return_to=/anything"
    assert await gate.kept.peek(kept_id) is not None


async def test_whoever_is_allowed_as_another_person_is_given_no_form(gate: GateInHand) -> None:
    """What the cookie says comes first, but for whom it is sent on is who was decided about."""
    kept_id = await keep(gate, b"/anything")
    kept = await gate.kept.peek(kept_id)
    assert kept is not None
    forward = await gate.admit(b"/anything", await gate.signed_in("viewer", subject="bob-id"), HTML)
    assert isinstance(forward, Forward)

    assert await gate.gate._keeper.sent(kept_id, kept, forward) is None
    assert await gate.kept.peek(kept_id) is not None


async def test_another_person_is_answered_as_if_there_were_no_form() -> None:
    rights = [
        {"path": "/p", "methods": ["POST"], "access": {"any_role": ["admin"]}},
        {"path": "/p", "access": "optional"},
    ]
    gate = GateInHand(routes=rights)
    kept_id = await keep(gate, b"/p")

    admission = await back(gate, kept_id, b"/p", subject="bob-id")

    assert isinstance(admission, Forward)
    assert admission.method == b"GET"


@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
async def test_a_link_of_another_site_sends_nothing(gate: GateInHand, site: bytes) -> None:
    kept_id = await keep(gate, b"/anything")
    mark = await mark_of(gate, kept_id)
    name, value = await gate.signed_in("viewer")

    admission = await gate.admit(b"/anything", (name, value + b"; " + mark), NAVIGATES, (b"Sec-Fetch-Site", site), HTML)

    assert isinstance(admission, Forward)
    assert admission.method == b"GET"


async def test_a_mark_for_another_url_asks_no_store(gate: GateInHand, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_id = await keep(gate, b"/anything")
    mark = await mark_of(gate, kept_id)
    monkeypatch.setattr(gate.kept, "peek", _fails)
    name, value = await gate.signed_in("viewer")

    admission = await gate.admit(b"/else", (name, value + b"; " + mark), NAVIGATES, SAME_ORIGIN, HTML)

    assert isinstance(admission, Forward)


async def _fails(_kept_id: str) -> None:
    raise AssertionError("nobody asks the store")


async def test_a_mark_moved_to_another_url_finds_nothing(gate: GateInHand) -> None:
    """The id says where: a mark is the browser's word only."""
    kept_id = await keep(gate, b"/anything")
    kept = await gate.kept.peek(kept_id)
    assert kept is not None
    moved = type(kept.place)(scheme="https", host="app.example.com", target=b"/admin/x")
    name, value = await gate.signed_in("admin")
    mark = b"__Host-sidegate-kept=" + kept_mark(kept_id, moved).encode()

    admission = await gate.admit(b"/admin/x", (name, value + b"; " + mark), NAVIGATES, SAME_ORIGIN, HTML)

    assert isinstance(admission, Forward)
    assert admission.method == b"GET"
    assert await gate.kept.peek(kept_id) is not None


async def test_a_form_is_decided_anew_by_the_rights_of_now(gate: GateInHand) -> None:
    kept_id = await keep(gate, b"/admin/users")

    admission = await back(gate, kept_id, b"/admin/users")

    assert isinstance(admission, Reply)
    assert admission.answer.status == 403
    assert await gate.kept.peek(kept_id) is not None


async def test_a_form_goes_to_the_route_of_its_method_whatever_the_get_would_meet(gate: GateInHand) -> None:
    """``/save`` takes no GET, and that of ``/form`` is public: nobody would be looked up for it."""
    for target in (b"/save", b"/form"):
        kept_id = await keep(gate, target)

        admission = await back(gate, kept_id, target)

        assert isinstance(admission, SendKept)
        assert admission.forward.allow.session is not None


async def test_a_form_that_needs_more_proof_after_the_login_waits_on_under_its_id(gate: GateInHand) -> None:
    kept_id = await keep(gate, b"/gold")

    admission = await back(gate, kept_id, b"/gold")

    assert isinstance(admission, Reply)
    assert f"kept={kept_id}&acr_values=gold".encode() in (header(admission, b"location") or b"")
    assert await gate.kept.peek(kept_id) is not None


async def test_a_form_is_forgotten_after_half_an_hour(gate: GateInHand) -> None:
    kept_id = await keep(gate, b"/anything")
    mark = await mark_of(gate, kept_id)
    gate.clock.advance(KEPT_LIFETIME_S)
    name, value = await gate.signed_in("viewer")

    admission = await gate.admit(b"/anything", (name, value + b"; " + mark), NAVIGATES, SAME_ORIGIN, HTML)

    assert isinstance(admission, Forward)
    assert admission.method == b"GET"


async def test_a_form_that_could_not_be_sent_is_there_again(gate: GateInHand) -> None:
    kept_id = await keep(gate, b"/anything")
    admission = await back(gate, kept_id, b"/anything")
    assert isinstance(admission, SendKept)
    assert await gate.kept.peek(kept_id) is None

    await admission.give_back()

    assert await gate.kept.peek(kept_id) is not None


async def test_a_store_that_is_away_is_503_and_not_a_get(gate: GateInHand, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_id = await keep(gate, b"/anything")
    mark = await mark_of(gate, kept_id)
    name, value = await gate.signed_in("viewer")
    gate.store.go_away()

    admission = await gate.admit(b"/anything", (name, value + b"; " + mark), NAVIGATES, SAME_ORIGIN, HTML)

    assert isinstance(admission, Reply)
    assert admission.answer.status == 503
