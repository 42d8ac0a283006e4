"""The management API over HTTP: the door, the paths, the errors, and a stream that ends well."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.core.secret import Secret
from proxy.ports import AuditEvent
from proxy.web import management_api as subject
from proxy.web.admin_access import BURST, AdminAccess
from proxy.web.administration import DEFAULT_LIMIT, StoreAdministration
from proxy.web.management_api import MAX_FOLLOWERS, ApiServices, management_api
from tests.support.administration import Office, make_office
from tests.support.clocks import START
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient

TOKEN = {"Authorization": "Bearer correct-horse"}


@pytest.fixture
def office() -> Office:
    return make_office()


@pytest_asyncio.fixture
async def api(office: Office, aiohttp_client: Any) -> TestClient[Any, Any]:
    services = ApiServices(
        access=AdminAccess(lambda: Secret("correct-horse"), clock=office.clock),
        administration=lambda operator: StoreAdministration(office.parts, operator),
        observer=office.observer,
    )
    client: TestClient[Any, Any] = await aiohttp_client(management_api(services))
    return client


async def said(answer: ClientResponse) -> tuple[int, dict[str, Any]]:
    document: dict[str, Any] = json.loads(await answer.text())
    return answer.status, document


class TestTheDoor:
    @pytest.mark.parametrize("path", ["/api/sessions", "/api/audit", "/api/audit?follow=true", "/api", "/"])
    @pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "OPTIONS"])
    async def test_nothing_is_answered_without_the_token(
        self, office: Office, api: TestClient[Any, Any], method: str, path: str
    ) -> None:
        await office.signed_in("a")

        status, document = await said(await api.request(method, path))

        assert (status, document["code"]) == (401, "no_token")
        assert await office.is_live("a")

    async def test_a_wrong_token_is_401_and_then_429(self, api: TestClient[Any, Any]) -> None:
        wrong = {"Authorization": "Bearer wrong"}
        answers = [await api.get("/api/sessions", headers=wrong) for _ in range(BURST + 1)]

        assert [answer.status for answer in answers] == [401] * BURST + [429]
        assert answers[0].headers["WWW-Authenticate"] == 'Bearer realm="sidegate", error="invalid_token"'
        assert "Retry-After" in answers[-1].headers
        assert (await api.get("/api/sessions", headers=TOKEN)).status == 429

    async def test_who_tries_tokens_is_told_of_and_the_token_is_not(
        self, office: Office, api: TestClient[Any, Any]
    ) -> None:
        for _ in range(3 * BURST):
            await api.get("/api/sessions", headers={"Authorization": "Bearer guessed"})

        told = office.observer.warnings
        assert len(told) == BURST
        assert {(fields["reason"], fields["address"]) for _, fields in told} == {("wrong_token", "127.0.0.1")}
        assert "guessed" not in str(told)

    async def test_without_a_token_of_ours_it_is_403(self, office: Office, aiohttp_client: Any) -> None:
        services = ApiServices(
            access=AdminAccess(lambda: None, clock=office.clock),
            administration=lambda operator: StoreAdministration(office.parts, operator),
            observer=office.observer,
        )
        api = await aiohttp_client(management_api(services))

        status, document = await said(await api.get("/api/sessions", headers=TOKEN))

        assert (status, document["code"]) == (403, "not_configured")
        assert "management.admin_token" in document["detail"]

    async def test_every_answer_is_kept_by_nobody_and_names_no_software(self, api: TestClient[Any, Any]) -> None:
        for answer in (await api.get("/api/sessions"), await api.get("/api/sessions", headers=TOKEN)):
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Server" not in answer.headers


class TestSessions:
    async def test_they_are_listed(self, office: Office, api: TestClient[Any, Any]) -> None:
        await office.signed_in("a")
        await office.signed_in("b", subject="bob-id")

        _, everybody = await said(await api.get("/api/sessions", headers=TOKEN))
        _, bob = await said(await api.get("/api/sessions?user=bob&limit=5", headers=TOKEN))
        _, one = await said(await api.get("/api/sessions?sid=sid-of-a", headers=TOKEN))

        assert everybody["total"] == 2
        assert [session["username"] for session in bob["sessions"]] == ["bob"]
        assert [session["sid"] for session in one["sessions"]] == ["sid-of-a"]

    async def test_without_a_limit_they_are_a_hundred(self, office: Office, api: TestClient[Any, Any]) -> None:
        for number in range(DEFAULT_LIMIT + 1):
            await office.signed_in(f"s{number}", subject=f"{number}-id")

        _, document = await said(await api.get("/api/sessions", headers=TOKEN))

        assert (len(document["sessions"]), document["total"]) == (100, 101)

    @pytest.mark.parametrize("query", ["user=alice", "sid=sid-of-a", "all=true"])
    async def test_they_end(self, office: Office, api: TestClient[Any, Any], query: str) -> None:
        await office.signed_in("a")

        status, document = await said(await api.delete(f"/api/sessions?{query}", headers={**TOKEN, "User-Agent": "x"}))

        assert (status, document["sessions_ended"]) == (200, 1)
        assert not await office.is_live("a")
        (event,) = office.observer.audits
        assert (event.event, event.username, event.reason) == ("session.revoked", "alice", "admin")
        assert (event.details["by"], event.address, event.user_agent) == ("management_api", "127.0.0.1", "x")
        assert event.request_id

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "all=false",
            "all=1",
            "all=",
            "all",
            "user=",
            "sid=",
            "usr=alice",
            "User=alice",
            "user=alice&sid=s1",
            "user=alice&all=true",
            "user=alice&user=bob",
            "all=true&all=true",
            "limit=5",
            "user=" + "x" * 3000,
        ],
    )
    async def test_whoever_names_nothing_clearly_ends_nothing(
        self, office: Office, api: TestClient[Any, Any], query: str
    ) -> None:
        await office.signed_in("a")

        status, document = await said(await api.delete(f"/api/sessions?{query}", headers=TOKEN))

        assert (status, document["status"]) == (400, 400)
        assert await office.is_live("a")
        assert office.observer.audits == []

    @pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=99999999999", "limit=²", "all=true"])
    async def test_a_bad_query_is_400(self, api: TestClient[Any, Any], query: str) -> None:
        answer = await api.get(f"/api/sessions?{query}", headers=TOKEN)

        assert answer.status == 400
        assert answer.content_type == "application/problem+json"

    async def test_a_store_that_is_away_is_503(self, office: Office, api: TestClient[Any, Any]) -> None:
        office.sessions.go_away()

        for answer in (
            await api.get("/api/sessions", headers=TOKEN),
            await api.delete("/api/sessions?all=true", headers=TOKEN),
        ):
            assert (answer.status, answer.headers["Retry-After"]) == (503, "6")

    async def test_another_method_is_405_and_another_path_404(self, api: TestClient[Any, Any]) -> None:
        answer = await api.post("/api/sessions", headers=TOKEN)

        assert (answer.status, answer.headers["Allow"]) == (405, "DELETE,GET")
        assert (await api.head("/api/sessions", headers=TOKEN)).status == 405
        assert (await api.get("/api/sessions/1", headers=TOKEN)).status == 404

    async def test_a_fault_of_ours_tells_nothing(
        self, office: Office, api: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: Any, **__: Any) -> None:
            raise KeyError("tell nobody")

        monkeypatch.setattr(office.sessions.inner, "find", fail)

        status, document = await said(await api.get("/api/sessions", headers=TOKEN))

        assert status == 500
        assert "tell nobody" not in json.dumps(document)
        assert "tell nobody" not in str(office.observer.errors)
        assert office.observer.errors


class TestAudit:
    async def test_it_is_read(self, office: Office, api: TestClient[Any, Any]) -> None:
        for second, username in enumerate(("alice", "bob", "alice")):
            office.trail.add(AuditEvent(event="login.succeeded", username=username), START + second)

        _, everybody = await said(await api.get("/api/audit", headers=TOKEN))
        _, alice = await said(await api.get(f"/api/audit?user=alice&since={START + 1}", headers=TOKEN))
        _, last = await said(await api.get("/api/audit?limit=1&follow=false", headers=TOKEN))

        assert [event["username"] for event in everybody["events"]] == ["alice", "bob", "alice"]
        assert [event["at"] for event in alice["events"]] == ["2027-01-15T08:00:02.000Z"]
        assert len(last["events"]) == 1

    @pytest.mark.parametrize("query", ["since=yesterday", "since=nan", "follow=yes", "follow=true&limit=0"])
    async def test_a_bad_query_is_400(self, api: TestClient[Any, Any], query: str) -> None:
        assert (await api.get(f"/api/audit?{query}", headers=TOKEN)).status == 400

    async def test_where_nothing_is_kept_it_is_404_with_the_reason(self, aiohttp_client: Any) -> None:
        office = make_office(trail=None)
        services = ApiServices(
            access=AdminAccess(lambda: Secret("correct-horse"), clock=office.clock),
            administration=lambda operator: StoreAdministration(office.parts, operator),
            observer=office.observer,
        )
        api = await aiohttp_client(management_api(services))

        for query in ("", "?follow=true"):
            status, document = await said(await api.get(f"/api/audit{query}", headers=TOKEN))
            assert (status, document["code"]) == (404, "audit_not_kept")


class TestFollowing:
    async def test_events_come_as_lines_when_they_happen(self, office: Office, api: TestClient[Any, Any]) -> None:
        office.trail.add(AuditEvent(event="login.succeeded", username="alice"), START)
        async with api.get("/api/audit?follow=true&user=alice", headers=TOKEN) as answer:
            first = json.loads(await answer.content.readline())
            office.trail.add(AuditEvent(event="login.succeeded", username="bob"), START)
            office.trail.add(AuditEvent(event="logout.local", username="alice"), START)
            second = json.loads(await answer.content.readline())

            assert answer.content_type == "application/x-ndjson"
            assert [first["event"], second["event"]] == ["login.succeeded", "logout.local"]

    async def test_silence_is_broken_by_empty_lines(
        self, api: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(subject, "FIRST_S", 0.01)
        monkeypatch.setattr(subject, "HEARTBEAT_S", 0.01)

        async with api.get("/api/audit?follow=true", headers=TOKEN) as answer:
            assert [await answer.content.readline() for _ in range(3)] == [b"\n"] * 3

    async def test_only_so_many_follow_and_who_leaves_makes_room(
        self, office: Office, api: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(subject, "HEARTBEAT_S", 0.01)
        office.trail.add(AuditEvent(event="login.succeeded"), START)
        following = [await api.get("/api/audit?follow=true", headers=TOKEN) for _ in range(MAX_FOLLOWERS)]

        refused = await api.get("/api/audit?follow=true", headers=TOKEN)
        following.pop().close()

        assert refused.status == 503

        async def status() -> int:
            return (await api.get("/api/audit?follow=true", headers=TOKEN)).status

        await eventually(status, 200, within_s=10)

    async def test_the_end_of_the_process_ends_the_streams(self, office: Office, api: TestClient[Any, Any]) -> None:
        office.trail.add(AuditEvent(event="login.succeeded"), START)
        answer = await api.get("/api/audit?follow=true", headers=TOKEN)
        await answer.content.readline()

        async with asyncio.timeout(10):
            await api.server.close()

        assert office.trail._followers == set()
