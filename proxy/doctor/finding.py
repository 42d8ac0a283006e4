"""A finding, and many of them: values without a network.

``check`` is a word that does not change, for programs; what is new gets a new one.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


SETUP: Final = "sidegate keycloak-setup"
"""What remedies say for the command that mends the client; it is written out once, below all of them."""


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and will not always, or not as well as it could."""
    FAIL = "fail"
    """Somebody cannot sign in, sign out or reach the app because of it, or is not protected."""


class Finding(Struct, frozen=True):
    """What one look saw.

    Attributes:
        check: what was looked at.
        remedy: what to do, at its exact place; empty when it is well.
    """

    check: str
    verdict: Verdict
    sentence: str
    remedy: str = ""

    def __post_init__(self) -> None:
        """Hold the rule that what is not well has a remedy, and nothing else has.

        Raises:
            ValueError: it is broken.
        """
        if bool(self.remedy) is (self.verdict is Verdict.OK):
            raise ValueError(f"{self.check}: {self.verdict} with the remedy {self.remedy!r}")


def ok(check: str, sentence: str) -> Finding:
    """Return what is well."""
    return Finding(check, Verdict.OK, sentence)


def warn(check: str, sentence: str, remedy: str) -> Finding:
    """Return what works and could be better."""
    return Finding(check, Verdict.WARN, sentence, remedy)


def fail(check: str, sentence: str, remedy: str) -> Finding:
    """Return what does not work."""
    return Finding(check, Verdict.FAIL, sentence, remedy)


def of_fault(check: str, fault: Exception, *, remedy: str) -> Finding:
    """Return the finding for a fault whose sentence may end in a remedy of its own, after a semicolon."""
    sentence, _, own = str(fault).partition("; ")
    return fail(check, sentence, own or remedy)


class Group(Struct, frozen=True):
    """Findings about one thing.

    Attributes:
        name: a word that does not change.
        title: of its lines.
        not_looked_at: sentences on what could not be seen, and how to see it.
    """

    name: str
    title: str
    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...] = ()


class Place(Struct, frozen=True):
    """What belongs to one site: the whole file, or one of its portals.

    Attributes:
        portal: its name; None where the file has none.
        setup: the whole command that remedies mean by :data:`SETUP`.
    """

    portal: str | None
    public_url: str
    groups: tuple[Group, ...]
    setup: str = ""

    @property
    def asks_for_setup(self) -> bool:
        """Say whether a remedy names that command."""
        return any(SETUP in finding.remedy for group in self.groups for finding in group.findings)


class Diagnosis(Struct, frozen=True):
    """Everything that was seen."""

    file: str
    places: tuple[Place, ...]

    @property
    def findings(self) -> Iterator[Finding]:
        """Give every finding in the order of its line."""
        return (finding for place in self.places for group in place.groups for finding in group.findings)

    @property
    def counts(self) -> Counter[Verdict]:
        """Return how many findings there are of each kind."""
        return Counter(finding.verdict for finding in self.findings)

    @property
    def verdict(self) -> Verdict:
        """Return the worst."""
        return worst(finding.verdict for finding in self.findings)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some; none at all is well."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.OK)
