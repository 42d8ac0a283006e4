"""The outermost middleware with handlers that fail in every way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from proxy import errors, keys
from proxy.respond import Responder
from proxy.web.answers import RESPONDER, answer_everything
from proxy.web.options import OPTIONS, Feature
from tests.support.observers import RecordingObserver
from tests.support.own_pages import make_options, make_pages

GATE = {"sidegate-request-id": "req-9", "sidegate-address": "::1", "sidegate-scheme": "https"}


async def answer_to(
    aiohttp_client: Any, fault: BaseException, *, hsts: Feature = Feature.OFF, **headers: str
) -> tuple[Any, str, RecordingObserver]:
    """The answer when the handler raises ``fault``."""

    async def handler(_request: web.Request) -> web.StreamResponse:
        raise fault

    observer, options = RecordingObserver(), make_options(strict_transport_security=hsts)
    app = web.Application(middlewares=[answer_everything])
    app[OPTIONS], app[keys.OBSERVER] = options, observer
    app[RESPONDER] = Responder(make_pages(options))
    app.router.add_get("/", handler)
    client = await aiohttp_client(app)
    response = await client.get("/", headers={**GATE, **headers})
    return response, await response.text(), observer


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (errors.StoreUnavailable("redis is gone"), 503, "store_unavailable"),
        (errors.ProviderUnavailable("timeout"), 503, "provider_unavailable"),
        (errors.CsrfRejected("x"), 403, "csrf_rejected"),
        (errors.FormRejected("x"), 400, "form_rejected"),
        (errors.TooManyLogins("x"), 429, "too_many_logins"),
        (web.HTTPNotFound(), 404, "not_found"),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "body_too_large"),
        (web.HTTPBadRequest(text="a detail"), 400, "request_refused"),
    ],
)
async def test_every_error_has_the_answer_of_respond(
    aiohttp_client: Any, fault: BaseException, status: int, code: str
) -> None:
    response, text, _ = await answer_to(aiohttp_client, fault)

    assert (response.status, json.loads(text)["code"], json.loads(text)["request_id"]) == (status, code, "req-9")
    assert "redis" not in text
    assert "a detail" not in text


async def test_a_person_gets_a_page(aiohttp_client: Any) -> None:
    response, text, _ = await answer_to(aiohttp_client, errors.StoreUnavailable("x"), Accept="text/html")

    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "req-9" in text
    assert response.headers["Retry-After"] == "5"


async def test_what_the_operator_can_mend_is_said(aiohttp_client: Any) -> None:
    _, _, observer = await answer_to(aiohttp_client, errors.StoreUnavailable("redis is gone"))

    message, fields = observer.warnings[0]
    assert (message, fields) == ("redis is gone", {"reason": "store_unavailable", "request_id": "req-9"})


async def test_what_nobody_foresaw_is_500_by_kind_and_place_only(aiohttp_client: Any) -> None:
    response, text, observer = await answer_to(aiohttp_client, ValueError("password=hunter2"))

    assert response.status == 500
    assert "hunter2" not in text + repr(observer.errors)
    assert observer.errors[0][1]["where"].startswith("test_answers.py:")  # type: ignore[union-attr]
    assert response.headers["X-Request-ID"] == "req-9"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("hsts", "expected"), [(Feature.ON, "max-age=31536000"), (Feature.OFF, None)])
async def test_our_pages_demand_https_where_the_site_has_it(
    aiohttp_client: Any, hsts: Feature, expected: str | None
) -> None:
    response, _, _ = await answer_to(aiohttp_client, errors.CsrfRejected("x"), hsts=hsts)

    assert response.headers.get("Strict-Transport-Security") == expected
