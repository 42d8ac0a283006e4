"""The ports say what the rooms need, and the classes that fill them fit."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from proxy import ports
from proxy.clock import SystemClock
from proxy.observe.audit_memory import MemoryAuditTrail
from proxy.observe.audit_redis import RedisAuditTrail
from proxy.observe.observer import ProductionObserver
from proxy.sessions.live import LiveStreamRegistry
from proxy.sessions.memory import MemorySessionStore
from proxy.sessions.memory_authentication import MemoryAuthenticationStore
from proxy.sessions.refresher import SessionRefresher
from tests.support.clocks import FakeClock
from tests.support.observers import RecordingObserver

FILLED: list[tuple[type[Any], type[Any]]] = [
    (ports.Clock, SystemClock),
    (ports.Clock, FakeClock),
    (ports.Observer, ProductionObserver),
    (ports.Observer, RecordingObserver),
    (ports.SessionStore, MemorySessionStore),
    (ports.AuthenticationStore, MemoryAuthenticationStore),
    (ports.LiveStreams, LiveStreamRegistry),
    (ports.Refresher, SessionRefresher),
    (ports.AuditTrail, MemoryAuditTrail),
    (ports.AuditTrail, RedisAuditTrail),
]


def methods(kind: type[Any]) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}


@pytest.mark.parametrize(("port", "filling"), FILLED, ids=lambda kind: kind.__name__)
def test_what_fills_a_port_has_its_methods_with_its_parameters(port: type[Any], filling: type[Any]) -> None:
    for name, promised in methods(port).items():
        given = getattr(filling, name)
        assert inspect.iscoroutinefunction(given) is inspect.iscoroutinefunction(promised), name
        if port is not ports.Clock:  # the system's clock is made of C functions
            assert list(inspect.signature(given).parameters) == list(inspect.signature(promised).parameters), name


@pytest.mark.parametrize("port", [kind for kind in vars(ports).values() if getattr(kind, "_is_protocol", False)])
def test_every_method_of_a_port_says_what_it_promises(port: type[Any]) -> None:
    assert port.__doc__
    assert [name for name, method in methods(port).items() if not method.__doc__] == []


def test_a_request_event_is_filled_as_the_request_goes_on() -> None:
    event = ports.RequestEvent(request_id="r", started_at=1.0)
    event.status = 200

    assert (event.route, event.status, event.fault) == ("none", 200, None)


def test_two_audit_events_share_no_details() -> None:
    assert ports.AuditEvent(event="a").details is not ports.AuditEvent(event="a").details


def test_the_fields_that_tell_the_own_pages_who_calls_are_lower_case_and_ours() -> None:
    assert all(name == name.lower() and name.startswith(b"sidegate-") for name in ports.OWN_HEADERS)
