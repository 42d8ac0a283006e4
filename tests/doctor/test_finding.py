"""Findings as values: what is not well has a remedy, and the worst one counts."""

from __future__ import annotations

import pytest

from proxy.doctor.finding import Diagnosis, Finding, Group, Place, Verdict, fail, of_fault, ok, warn, worst
from proxy.errors import SidegateError


@pytest.mark.parametrize(("verdict", "remedy"), [(Verdict.OK, "do this"), (Verdict.WARN, ""), (Verdict.FAIL, "")])
def test_whatever_is_not_well_has_a_remedy_and_nothing_else_has(verdict: Verdict, remedy: str) -> None:
    with pytest.raises(ValueError, match="keys"):
        Finding("keys", verdict, "they are so", remedy)


def test_a_fault_that_knows_its_remedy_keeps_it() -> None:
    known = of_fault("keys", SidegateError("it is away; start it"), remedy="look")
    unknown = of_fault("keys", SidegateError("it is away"), remedy="look")

    assert known == fail("keys", "it is away", "start it")
    assert unknown == fail("keys", "it is away", "look")


def test_the_worst_verdict_counts() -> None:
    assert worst([]) is Verdict.OK
    assert worst([Verdict.WARN, Verdict.OK]) is Verdict.WARN
    assert worst([Verdict.FAIL, Verdict.WARN]) is Verdict.FAIL


def test_a_diagnosis_counts_over_every_place_and_group() -> None:
    group = Group("keys", "Keys", (ok("a", "b"), warn("c", "d", "e")))
    diagnosis = Diagnosis("f", (Place(None, "u", (group,)), Place("p", "v", (group, Group("x", "X", ())))))

    assert dict(diagnosis.counts) == {Verdict.OK: 2, Verdict.WARN: 2}
    assert diagnosis.verdict is Verdict.WARN
