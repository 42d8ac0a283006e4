"""What the gate is given, and what of it may be left out."""

from __future__ import annotations

from dataclasses import MISSING, fields

from proxy.gate.rules import GateParts, GateRules


def left_out(kind: type[GateParts | GateRules]) -> set[str]:
    return {one.name for one in fields(kind) if one.default is not MISSING}


def test_only_what_a_file_may_do_without_has_a_default() -> None:
    assert left_out(GateParts) == {"assertion", "exchanged", "bearers"}
    assert left_out(GateRules) == {"https_origin", "own_hosts", "site", "forward_auth", "asked"}
