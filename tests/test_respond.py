"""The one table of answers: laws of ``respond``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from proxy import errors
from proxy.core.kept import NotKept
from proxy.core.policy import Challenge, Forbid, Lack, LackKind, Reason, StepUp
from proxy.pages.catalog import load_catalogs
from proxy.pages.look import Look
from proxy.pages.render import JinjaPages
from proxy.respond import ROWS, Again, Asker, Manner, Responder, last_resort, row_of

LOOK = Look(title="Acme", description="", own_path="/_sidegate", home="/", form_origins=("https://sso.example.com",))


@pytest.fixture(scope="module")
def pages() -> JinjaPages:
    return JinjaPages(LOOK)


@pytest.fixture
def responder(pages: JinjaPages) -> Responder:
    return Responder(pages)


def asker(manner: Manner) -> Asker:
    return Asker(request_id="r-1", manner=manner, login_url="/_sidegate/login?return_to=/a", username="<b>alice</b>")


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("manner", Manner)
def test_no_answer_shows_the_operators_sentence(
    responder: Responder, kind: type[errors.SidegateError], manner: Manner
) -> None:
    answer = responder.error(kind("10.0.0.7:6379 refused the password"), asker(manner))

    fields = {name.lower(): value for name, value in answer.headers}
    assert answer.status >= 400
    assert b"10.0.0.7" not in answer.body
    assert b"r-1" in answer.body
    assert fields[b"x-request-id"] == b"r-1"
    assert fields[b"cache-control"] == b"no-store"
    assert b"server" not in fields


def test_a_problem_is_one_of_rfc_9457(responder: Responder) -> None:
    answer = responder.error(errors.UpstreamTimeout("x"), asker(Manner.PROBLEM))

    document = json.loads(answer.body)
    assert dict(answer.headers)[b"Content-Type"] == b"application/problem+json"
    assert document["status"] == answer.status == 504
    assert document["code"] == "upstream_timeout"
    assert document["request_id"] == "r-1"


def test_an_error_without_a_row_of_its_own_has_that_of_its_parent() -> None:
    class Newer(errors.StoreUnavailable):
        pass

    assert row_of(Newer("x")) is ROWS[errors.StoreUnavailable]


@pytest.mark.parametrize("kind", [kind for kind, row in ROWS.items() if row.status == 503], ids=lambda k: k.__name__)
def test_every_503_says_when_to_come_again(responder: Responder, kind: type[errors.SidegateError]) -> None:
    answer = responder.error(kind("x"), asker(Manner.PROBLEM))

    assert int(dict(answer.headers)[b"Retry-After"]) > 0


def test_who_must_sign_in_is_redirected_or_told(responder: Responder) -> None:
    challenge = Challenge(Reason.NO_SESSION)

    page = responder.challenge(challenge, asker(Manner.PAGE))
    program = responder.challenge(challenge, asker(Manner.PROBLEM))

    assert (page.status, dict(page.headers)[b"Location"]) == (302, b"/_sidegate/login?return_to=/a")
    assert program.status == 401
    assert b"WWW-Authenticate" in dict(program.headers)


@pytest.mark.parametrize(
    ("decision", "query", "challenge"),
    [
        (
            StepUp(Reason.ACR_INSUFFICIENT, ("gold", "urn:x:y")),
            "acr_values=gold+urn%3Ax%3Ay",
            'acr_values="gold urn:x:y"',
        ),
        (StepUp(Reason.AUTHENTICATION_TOO_OLD, (), 90.9), "max_age=90", 'max_age="90"'),
        (
            StepUp(Reason.ACR_INSUFFICIENT, ("gold",), 300.0),
            "acr_values=gold&max_age=300",
            'acr_values="gold", max_age="300"',
        ),
    ],
)
def test_who_must_prove_more_is_led_to_the_provider_or_told_as_in_rfc_9470(
    responder: Responder, decision: StepUp, query: str, challenge: str
) -> None:
    led = responder.step_up(decision, replace(asker(Manner.PAGE), start_url="/_sidegate/start?return_to=/a"))
    told = responder.step_up(decision, replace(asker(Manner.PROBLEM), start_url="/_sidegate/start"))

    assert (led.status, dict(led.headers)[b"Location"].decode()) == (302, f"/_sidegate/start?return_to=/a&{query}")
    document = json.loads(told.body)
    assert (told.status, document["code"]) == (401, "insufficient_user_authentication")
    assert document["login_url"] == f"/_sidegate/start?{query}"
    said = dict(told.headers)[b"WWW-Authenticate"].decode()
    assert said == f'Bearer realm="sidegate", error="insufficient_user_authentication", {challenge}'


def test_a_frame_whose_person_must_prove_more_leads_out_of_it(responder: Responder) -> None:
    framed = replace(asker(Manner.FRAME), start_url="/_sidegate/start?return_to=/a")

    answer = responder.step_up(StepUp(Reason.ACR_INSUFFICIENT, ("gold",)), framed)

    assert answer.status == 401
    assert b'href="/_sidegate/start?return_to=/a&amp;acr_values=gold"' in answer.body


def test_names_of_people_are_shown_as_text(responder: Responder) -> None:
    lack = Lack(LackKind.ROLE, ("<admin>",))
    answer = responder.forbid(Forbid(Reason.ROLE_MISSING, (lack,), ("admin",)), asker(Manner.PAGE))

    assert answer.status == 403
    assert b"<b>alice" not in answer.body
    assert b"&lt;admin&gt;" in answer.body


def test_what_belongs_on_every_answer_is_on_every_answer() -> None:
    responder = Responder(JinjaPages(LOOK), everywhere=((b"Strict-Transport-Security", b"max-age=1"),))

    answers = [
        responder.error(errors.UpstreamTimeout("x"), asker(Manner.PROBLEM)),
        responder.error(errors.UpstreamTimeout("x"), asker(Manner.PAGE)),
        responder.challenge(Challenge(Reason.NO_SESSION), asker(Manner.PAGE)),
        responder.redirect(308, b"https://app.example.com/", asker(Manner.PAGE)),
    ]

    assert all((b"Strict-Transport-Security", b"max-age=1") in answer.headers for answer in answers)


def test_405_has_allow(responder: Responder) -> None:
    answer = responder.method_not_allowed(("GET", "HEAD"), asker(Manner.PROBLEM))

    assert dict(answer.headers)[b"Allow"] == b"GET, HEAD"


def test_the_last_resort_needs_no_template_and_shows_no_markup() -> None:
    answer = last_resort("<script>")

    assert answer.status == 500
    assert b"<script>" not in answer.body


# --- words and waiting ------------------------------------------------------------------------------------------------


def person(**changes: Any) -> Asker:
    """Somebody who navigates to a page by GET."""
    return replace(
        asker(Manner.PAGE), here="/a?b=1", language_url="/_sidegate/language?return_to=/a&ui_locales=", **changes
    )


@pytest.mark.parametrize("tag", ["en", "de", "fr", "es"])
@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_a_person_reads_every_refusal_in_their_language(
    responder: Responder, kind: type[errors.SidegateError], tag: str
) -> None:
    words = load_catalogs()[tag]
    row = row_of(kind("x"))

    answer = responder.error(kind("x"), person(languages=(tag,)))

    page = answer.body.decode()
    assert (dict(answer.headers)[b"Content-Language"], f'<html lang="{tag}"' in page) == (tag.encode(), True)
    assert words.text(row.title_id) in page
    assert words.text(row.sentence_id) in page
    assert (row.title_id in words, row.sentence_id in words) == (True, True)


def test_a_page_that_is_for_people_who_signed_in_leads_there(responder: Responder) -> None:
    answer = responder.unauthorized(person())

    assert answer.status == 401
    assert b'href="/_sidegate/login?return_to=/a"' in answer.body


def test_programs_get_english_whatever_they_read(responder: Responder) -> None:
    answer = responder.error(errors.UpstreamTimeout("x"), replace(asker(Manner.PROBLEM), languages=("de",)))

    assert json.loads(answer.body)["title"] == "The application takes too long"


PASSING = [kind for kind, row in ROWS.items() if row.again is Again.BY_ITSELF]


def test_what_passes_is_told_from_what_somebody_must_mend() -> None:
    assert errors.ProviderUnavailable in PASSING
    assert errors.StoreUnavailable in PASSING
    assert not {errors.ClientMisconfigured, errors.StoreFull, errors.TooManyLogins, errors.UpstreamTimeout} & {*PASSING}


@pytest.mark.parametrize("kind", PASSING, ids=lambda kind: kind.__name__)
def test_a_page_that_waits_asks_again_by_itself(responder: Responder, kind: type[errors.SidegateError]) -> None:
    fields = dict(responder.error(kind("x"), person()).headers)

    assert fields[b"Refresh"] == fields[b"Retry-After"]
    assert 4 <= int(fields[b"Refresh"]) <= 6


def test_what_was_sent_is_never_sent_again_by_itself(responder: Responder) -> None:
    answer = responder.error(errors.ProviderUnavailable("x"), replace(person(), here="", language_url=""))

    assert b"Refresh" not in dict(answer.headers)
    assert dict(answer.headers)[b"Retry-After"] == b"5"
    assert b"by itself" not in answer.body


def test_many_who_wait_come_back_one_after_the_other_and_later_the_longer_it_lasts() -> None:
    now = 1000.0
    responder = Responder(JinjaPages(LOOK), monotonic=lambda: now, chance=lambda: 0.0)

    def wait_s() -> int:
        return int(dict(responder.error(errors.ProviderUnavailable("x"), person()).headers)[b"Refresh"])

    crowd = [wait_s() for _ in range(200)]
    now += 200
    later = wait_s()

    assert (crowd[0], crowd[-1]) == (4, 14)
    assert later == 50


@pytest.mark.parametrize("why", NotKept)
def test_who_loses_a_form_is_told_why_and_how_to_go_on(responder: Responder, why: NotKept) -> None:
    answer = responder.not_kept(why, person())

    fields = dict(answer.headers)
    assert answer.status == 401
    assert fields[b"WWW-Authenticate"]
    assert fields[b"Cache-Control"] == b"no-store"
    assert b"frame-ancestors 'self'" in fields[b"Content-Security-Policy"]
    assert f"not_kept.{why}".encode() not in answer.body
    assert b'target="_top"' in answer.body


def test_a_logout_in_a_frame_leads_out_of_it(responder: Responder) -> None:
    answer = responder.logout_in_frame("/_sidegate/logout?return_to=/a", person())

    assert answer.status == 200
    assert b'href="/_sidegate/logout?return_to=/a" target="_top"' in answer.body
