"""What ``sidegate doctor`` prints: lines of at most 80 columns for people, a document for programs.

Pure. Addresses are never broken, so that they can be copied. The names of the document are documented in README.md and
do not change; what is new is added.
"""

from __future__ import annotations

import textwrap
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from proxy.doctor.finding import Verdict
from proxy.observe.redaction import mask_tokens, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.doctor.finding import Diagnosis, Finding, Group, Place

COLUMNS: Final = 80

_LABEL: Final = 18
"""Characters for the name of a check; a longer one has a line of its own."""

_TEXT: Final = 2 + 4 + 2 + _LABEL
"""Where the text begins: margin, verdict, a gap, the name."""


class Ink(Enum):
    """Whether the terminal shows colours."""

    PLAIN = "plain"
    COLOUR = "colour"


_CODES: Final = {Verdict.OK: 32, Verdict.WARN: 33, Verdict.FAIL: 31}
"""SGR codes (ECMA-48 §8.3.117); the words say the same without them."""

_COUNTED: Final = {Verdict.OK: ("ok", "ok"), Verdict.WARN: ("warning", "warnings"), Verdict.FAIL: ("fail", "fail")}


def lines(diagnosis: Diagnosis, ink: Ink = Ink.PLAIN) -> Iterator[str]:
    """Give the lines for people."""
    for place in diagnosis.places:
        yield from _place_lines(diagnosis, place, ink)
    yield ""
    yield f"{_safe(diagnosis.file)}: {_counted(diagnosis)}"


def document(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the document for programs."""
    groups = [(place, group) for place in diagnosis.places for group in place.groups]
    return {
        "file": diagnosis.file,
        "verdict": str(diagnosis.verdict),
        "setup": next((place.setup for place in diagnosis.places if place.asks_for_setup), None),
        "findings": [_finding_document(place, group, finding) for place, group in groups for finding in group.findings],
        "not_looked_at": [
            {"portal": place.portal, "group": group.name, "sentence": mask_tokens(sentence)}
            for place, group in groups
            for sentence in group.not_looked_at
        ],
    }


def _finding_document(place: Place, group: Group, finding: Finding) -> dict[str, Any]:
    return {
        "portal": place.portal,
        "group": group.name,
        "check": finding.check,
        "verdict": str(finding.verdict),
        "sentence": mask_tokens(finding.sentence),
        "remedy": mask_tokens(finding.remedy) or None,
    }


def _place_lines(diagnosis: Diagnosis, place: Place, ink: Ink) -> Iterator[str]:
    if len(diagnosis.places) > 1:
        yield ""
        site = "the site at the top" if place.portal is None else f"portal {place.portal}"
        yield _safe(f"=== {site}: {place.public_url}")
    for group in place.groups:
        if group.findings or group.not_looked_at:
            yield ""
            yield from _group_lines(group, ink)
    if place.asks_for_setup:
        yield ""
        yield "The client is mended in Keycloak's console, or by:"
        yield _safe(f"  {place.setup}")


def _group_lines(group: Group, ink: Ink) -> Iterator[str]:
    yield _safe(group.title)
    for finding in group.findings:
        yield from _finding_lines(finding, ink)
    for sentence in group.not_looked_at:
        yield from _filled(f"not looked at: {sentence}", first="  ", further="    ")


def _finding_lines(finding: Finding, ink: Ink) -> Iterator[str]:
    word = f"{finding.verdict:<4}"
    if ink is Ink.COLOUR:
        word = f"\x1b[{_CODES[finding.verdict]}m{word}\x1b[0m"
    text = [*_filled(finding.sentence), *(_filled(f"remedy: {finding.remedy}") if finding.remedy else ())]
    name = _safe(finding.check)
    if len(name) >= _LABEL:
        yield f"  {word}  {name}"
    else:
        yield f"  {word}  {name:<{_LABEL}}{text.pop(0).lstrip()}"
    yield from text


def _filled(text: str, *, first: str = " " * _TEXT, further: str = " " * _TEXT) -> list[str]:
    return textwrap.wrap(
        _safe(text),
        COLUMNS,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _counted(diagnosis: Diagnosis) -> str:
    counts = diagnosis.counts
    return ", ".join(f"{counts[one]} {_COUNTED[one][counts[one] != 1]}" for one in Verdict if counts[one])


def _safe(text: str) -> str:
    """Return text without what could write to a terminal, and without anything that has the shape of a token."""
    return mask_tokens(str(printable(text)))
