"""The names of audit events are those of the contract, and nobody in the code makes up another."""

from __future__ import annotations

import ast
from pathlib import Path

import proxy
from proxy.observe.events import AuditName

CONTRACT = """login.succeeded login.failed login.throttled logout.local logout.all logout.backchannel
logout.frontchannel logout.admin logout.rejected session.expired session.revoked refresh.failed access.denied"""


def test_the_names_are_those_of_the_contract() -> None:
    assert {name.value for name in AuditName} == set(CONTRACT.split())


def literal_events(tree: ast.AST) -> list[str]:
    """Return each text given as ``event`` to an ``AuditEvent``."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    audits = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "AuditEvent"]
    values = [word.value for call in audits for word in call.keywords if word.arg == "event"]
    return [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]


def test_every_audit_event_in_the_code_has_a_name_of_the_contract() -> None:
    files = list(Path(proxy.__file__).parent.rglob("*.py"))
    named = {(path.name, event) for path in files for event in literal_events(ast.parse(path.read_text()))}

    assert ("refresh_flight.py", "refresh.failed") in named
    assert {event for _, event in named} <= set(AuditName)
