"""What a query of PromQL asks for: its metrics with the labels that it chooses by, and those that it groups by.

No parser of the language; promtool is one. It knows the few forms that our queries have.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OF_THE_SCRAPE = frozenset({"job", "instance"})
"""Labels that Prometheus itself adds to each series."""

_SELECTOR = re.compile(r"\b((?:sidegate|process)_[a-z_]+)(?:\{([^{}]*)\})?")
_MATCHER = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"')
_GROUPS = re.compile(r"\bby\s*\(([^)]*)\)")
_SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}")


def selected(query: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each metric of the query with the labels by which it is chosen."""
    for name, matchers in _SELECTOR.findall(query):
        yield name, frozenset(_MATCHER.findall(matchers))


def grouped(query: str) -> frozenset[str]:
    """Return the labels that the query groups by."""
    return frozenset(label.strip() for group in _GROUPS.findall(query) for label in group.split(","))


def shown(text: str) -> frozenset[str]:
    """Return the labels that a legend or an annotation shows."""
    return frozenset(_SHOWN.findall(text))


def unknown(query: str, exposed: Mapping[str, frozenset[str]], *, texts: str = "") -> list[str]:
    """Return what the query, or what is written about its result, names that is not exposed."""
    found: list[str] = []
    labels: set[str] = set()
    for name, chosen in selected(query):
        if name not in exposed:
            found.append(name)
            continue
        known = exposed[name] | OF_THE_SCRAPE
        labels |= known
        found += [f"{name}{{{label}}}" for label in sorted(chosen - known)]
    groups = grouped(query)
    found += [f"by ({label})" for label in sorted(groups - labels)]
    left = groups or labels
    return found + [f"{{{{{label}}}}}" for label in sorted(shown(texts) - left)]
