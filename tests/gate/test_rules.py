"""What the gate is given, and what of it may be left out."""

from __future__ import annotations

from msgspec import NODEFAULT

from proxy.gate.rules import GateParts, GateRules


def left_out(kind: type[GateParts | GateRules]) -> set[str]:
    defaults = kind.__struct_defaults__
    last = kind.__struct_fields__[-len(defaults) :]
    return {name for name, default in zip(last, defaults, strict=True) if default is not NODEFAULT}


def test_only_what_a_file_may_do_without_has_a_default() -> None:
    assert left_out(GateParts) == {"assertion", "exchanged", "bearers"}
    assert left_out(GateRules) == {"https_origin", "own_hosts", "site", "forward_auth", "asked"}
