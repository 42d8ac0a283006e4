"""The picture of a run: CPU per answer of each server at each load, as bars in an SVG of our own making."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.contestants import OURS, AccessLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.samples import Figure, Key

SCENARIOS = ("800/s", "2,000/s", "saturated", "many sessions, 2,000/s", "WebSocket, 2,000/s")
"""Those that can stand on one axis: microseconds per answer."""

WIDTH = 760
LEFT = 150
RIGHT = 90
BAR = 16
GAP = 5
TITLE = 34

# Readable on light and dark pages alike; ours stands out, and bars carry their names and figures as text.
_OURS = "#d9730d"
_OTHERS = "#7a8694"
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#5a6572}.h{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#c3ccd6}}"
)


def svg(figures: Mapping[Key, Figure], log: AccessLog = AccessLog.AS_SHIPPED) -> str:
    """Return the picture; one group of bars a load, each group to its own scale."""
    groups = {
        scenario: {name: figure for (its, at, name), figure in figures.items() if (its, at) == (scenario, log)}
        for scenario in SCENARIOS
    }
    pieces: list[str] = []
    y = 28
    for scenario, group in groups.items():
        if group:
            pieces += _group(scenario, group, y)
            y += TITLE + len(group) * (BAR + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 6}" role="img" '
        f'aria-label="CPU per answer">\n<style>{_STYLE}</style>\n'
        f'<text x="8" y="18" class="h">CPU per answer, µs (access log {escape(log.value)}); less is better</text>\n'
        + "\n".join(pieces)
        + "\n</svg>\n"
    )


def _group(scenario: str, group: Mapping[str, Figure], top: int) -> Iterable[str]:
    yield f'<text x="8" y="{top + 22}" class="h">{escape(scenario)}</text>'
    largest = max(figure.cpu_us for figure in group.values()) or 1.0
    for place, (name, figure) in enumerate(sorted(group.items(), key=lambda item: item[1].cpu_us)):
        y = top + TITLE + place * (BAR + GAP)
        width = max(1.0, figure.cpu_us / largest * (WIDTH - LEFT - RIGHT))
        color = _OURS if name == OURS else _OTHERS
        yield f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{color}"/>'
        yield f'<text x="{LEFT + width + 6:.1f}" y="{y + 12}">{figure.cpu_us:,.0f}</text>'
