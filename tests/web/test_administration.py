"""What operators see and end, and what the trail says of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.core.session import EndCause, session_key
from proxy.errors import ManagementRefused, RequestRefused, StoreUnavailable
from proxy.ports import AuditEvent
from proxy.web.administration import MAX_LIMIT, MAX_NAMED, ManagedSite
from proxy.web.session_ids import SessionIds
from tests.support.administration import Office, make_office
from tests.support.clocks import START
from tests.support.sessions import ISSUER, make_session


async def an_office() -> Office:
    """Alice twice, Bob once, and Alice at another site."""
    office = make_office()
    await office.signed_in("a1", sid="s1", address="203.0.113.7", user_agent="curl/8")
    await office.signed_in("a2", sid="s2")
    await office.signed_in("b", subject="bob-id", sid="s3")
    await office.signed_in("elsewhere", client_id="other-site", sid="s4")
    return office


def listed(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["username"], one["sid"]) for one in document["sessions"]]


class TestListing:
    async def test_a_session_is_told_without_its_key_or_cookie(self) -> None:
        office = await an_office()

        document = await office.administration.list_sessions(user=None, sid="s1", limit=10)

        key = session_key(Secret("a1"))
        assert document == {
            "sessions": [
                {
                    "id": SessionIds(b"k" * 32).id_of(key),
                    "username": "alice",
                    "subject": "alice-id",
                    "client_id": "legacy-app",
                    "sid": "s1",
                    "created_at": int(START),
                    "last_seen": int(START),
                    "expires_at": int(START + 30 * 86400),
                    "address": "203.0.113.7",
                    "user_agent": "curl/8",
                }
            ],
            "total": 1,
        }
        assert key not in json.dumps(document)

    async def test_one_person_or_one_sid_or_everybody(self) -> None:
        administration = (await an_office()).administration

        assert len(listed(await administration.list_sessions(user=None, sid=None, limit=10))) == 4
        assert listed(await administration.list_sessions(user="bob", sid=None, limit=10)) == [("bob", "s3")]
        assert listed(await administration.list_sessions(user="nobody", sid=None, limit=10)) == []

    async def test_the_most_recently_used_come_first_and_the_rest_is_counted(self) -> None:
        office = await an_office()
        office.clock.advance(60)
        session = await office.sessions.load(Secret("b"))
        office.sessions.touch(session)

        document = await office.administration.list_sessions(user=None, sid=None, limit=1)

        assert listed(document) == [("bob", "s3")]
        assert document["total"] == 4

    @pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1])
    async def test_a_limit_out_of_range_is_refused(self, limit: int) -> None:
        with pytest.raises(RequestRefused):
            await (await an_office()).administration.list_sessions(user=None, sid=None, limit=limit)

    async def test_two_filters_are_refused(self) -> None:
        with pytest.raises(RequestRefused):
            await (await an_office()).administration.list_sessions(user="alice", sid="s3", limit=1)


class TestEnding:
    async def test_one_persons_sessions_end_with_the_cause_of_an_operator(self) -> None:
        office = await an_office()

        document = await office.administration.end_sessions(user="bob", sid=None)

        assert document["sessions_ended"] == 1
        assert listed(document) == [("bob", "s3")]
        assert not await office.is_live("b")
        assert await office.is_live("a1")
        tombstone = await office.sessions.tombstone(Secret("b"))
        assert tombstone.cause is EndCause.ADMIN

    async def test_one_sid_ends_and_may_sign_in_again(self) -> None:
        office = await an_office()

        assert (await office.administration.end_sessions(user=None, sid="s1"))["sessions_ended"] == 1

        assert not await office.is_live("a1")
        assert await office.is_live("a2")
        await office.signed_in("a3", sid="s1")

    @pytest.mark.parametrize(("user", "sid"), [(None, None), ("alice", "s1")])
    async def test_nothing_named_or_two_things_end_nothing(self, user: str | None, sid: str | None) -> None:
        office = await an_office()

        with pytest.raises(RequestRefused):
            await office.administration.end_sessions(user=user, sid=sid)

        assert await office.sessions.count() == 4

    async def test_everything_of_the_site_ends_and_what_was_under_way_too(self) -> None:
        office = await an_office()

        document = await office.administration.end_every_session()

        assert document["sessions_ended"] == 3
        assert [await office.is_live(cookie) for cookie in ("a1", "a2", "b")] == [False] * 3
        assert await office.is_live("elsewhere")
        marks: dict[str, Any] = {"issuer": ISSUER, "sid": "new", "subject": "new-id", "issued_at": START}
        assert await office.sessions.has_ended(client_id="legacy-app", **marks)
        assert not await office.sessions.has_ended(client_id="other-site", **marks)

    async def test_a_store_that_is_away_says_so(self) -> None:
        office = await an_office()
        office.sessions.go_away()

        for asked in (
            office.administration.end_every_session(),
            office.administration.end_sessions(user="alice", sid=None),
            office.administration.list_sessions(user=None, sid=None, limit=1),
        ):
            with pytest.raises(StoreUnavailable):
                await asked
        assert office.observer.audits == []


class TestTheTrailOfIt:
    async def test_each_person_has_an_event_that_says_who_asked(self) -> None:
        office = await an_office()

        await office.administration.end_every_session()

        events = [(one.event, one.username, one.sessions_affected, one.reason) for one in office.observer.audits]
        assert events == [
            ("session.revoked", "alice", 2, "admin"),
            ("session.revoked", "bob", 1, "admin"),
        ]
        assert office.observer.audits[0].details == {"by": "command", "asked": "all"}

    async def test_an_act_that_ended_nothing_is_an_event_too(self) -> None:
        office = make_office()

        await office.administration.end_sessions(user="nobody", sid=None)

        (event,) = office.observer.audits
        assert (event.sessions_affected, event.details["asked"]) == (0, "user")

    async def test_a_crowd_is_one_event(self) -> None:
        office = make_office()
        for number in range(MAX_NAMED + 1):
            await office.signed_in(f"c{number}", subject=f"user-{number}-id")

        await office.administration.end_every_session()

        (event,) = office.observer.audits
        assert (event.username, event.sessions_affected) == (None, MAX_NAMED + 1)


class TestReadingTheTrail:
    async def test_events_have_the_names_of_the_log(self) -> None:
        office = make_office()
        office.trail.add(AuditEvent(event="login.failed", username="alice", details={"a": "b"}), START + 0.5)

        document = await office.administration.read_audit(user="alice", since=0, limit=10)

        (event,) = document["events"]  # type: ignore[misc]
        assert event == {
            "at": "2027-01-15T08:00:00.500Z",
            "event": "login.failed",
            "request_id": None,
            "route": None,
            "subject": None,
            "username": "alice",
            "address": None,
            "user_agent": None,
            "sessions_affected": 0,
            "reason": None,
            "details": {"a": "b"},
        }

    async def test_following_begins_with_the_past(self) -> None:
        office = make_office()
        office.trail.add(AuditEvent(event="login.failed"), START)

        following = office.administration.follow_audit(user=None, since=0, limit=10)

        assert isinstance(following, AsyncIterator)
        assert (await anext(following))["event"] == "login.failed"

    @pytest.mark.parametrize("since", [float("nan"), float("inf"), float("-inf"), 1e300, -1e300])
    async def test_an_instant_that_is_none_is_refused(self, since: float) -> None:
        with pytest.raises(RequestRefused):
            await make_office().administration.read_audit(user=None, since=since, limit=1)

    async def test_where_nothing_is_kept_it_is_said(self) -> None:
        administration = make_office(trail=None).administration

        with pytest.raises(ManagementRefused, match=r"audit\.keep"):
            await administration.read_audit(user=None, since=0, limit=1)
        with pytest.raises(ManagementRefused):
            await anext(administration.follow_audit(user=None, since=0, limit=1))


class TestSeveralSites:
    """Operators see the portals of a process together."""

    @staticmethod
    async def office() -> Office:
        staff = "https://sso.example.com/realms/staff"
        sites = (
            ManagedSite("wiki", ISSUER, "wiki", b"w" * 32),
            ManagedSite("admin", staff, "admin", b"a" * 32),
        )
        office = make_office(sites=sites)
        await office.signed_in("w", client_id="wiki", portal="wiki", sid="s1")
        alice = replace(make_session(Secret("a")).identity, issuer=staff)
        await office.signed_in("a", client_id="admin", portal="admin", sid="s2", identity=alice)
        return office

    async def test_somebody_is_found_at_every_provider_and_the_portal_is_told(self) -> None:
        office = await self.office()

        everybody = await office.administration.list_sessions(user=None, sid=None, limit=10)
        alice = await office.administration.list_sessions(user="alice", sid=None, limit=10)

        assert sorted(one["portal"] for one in listed_whole(alice)) == ["admin", "wiki"]
        assert everybody == alice
        ids = {one["portal"]: one["id"] for one in listed_whole(alice)}
        assert ids["admin"] == SessionIds(b"a" * 32).id_of(session_key(Secret("a")))

    async def test_one_sid_is_ended_where_it_is(self) -> None:
        office = await self.office()

        ended = await office.administration.end_sessions(user=None, sid="s2")

        assert ended["sessions_ended"] == 1
        assert (await office.is_live("w"), await office.is_live("a")) == (True, False)

    async def test_everything_is_everything_of_all_portals(self) -> None:
        office = await self.office()

        ended = await office.administration.end_every_session()

        assert ended["sessions_ended"] == 2
        assert [await office.is_live(cookie) for cookie in ("w", "a")] == [False, False]


def listed_whole(document: dict[str, Any]) -> list[dict[str, Any]]:
    return list(document["sessions"])
