"""Figures that somebody else knows: asked for at each scrape, so that nobody has to tell each change of them.

Whoever is asked answers at once. What it cannot say is left out of that scrape and counts as a fault of the observer's:
a part that is closing must not take the other figures with it.

===========  ==============  =================================================
structure    cap             at the cap
===========  ==============  =================================================
files        ``MAX_FILES``   further ones are not looked into
===========  ==============  =================================================
"""

from __future__ import annotations

from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

MAX_FILES: Final = 200
"""Certificates that have a series; a file names a handful."""

Value = float | int
Labels = tuple[str, ...]
Ask = "Callable[[], Value]"


class Sort(Enum):
    """What a figure does between two scrapes."""

    GAUGE = "gauge"
    COUNTER = "counter"


class _Asked(Struct):
    sort: Sort
    documentation: str
    labels: Labels
    ask: Callable[[], Mapping[Labels, Value]]


class AskedFigures:
    """A collector of prometheus-client."""

    def __init__(self, on_fault: Callable[[], object]) -> None:
        """Begin with no figure; ``on_fault`` hears of each that could not be had."""
        self._figures: dict[str, _Asked] = {}
        self._on_fault = on_fault

    def add(self, name: str, documentation: str, *, sort: Sort = Sort.GAUGE, labels: Labels = ()) -> None:
        """Have a figure, which is 0 until somebody is there to be asked; with labels it has no series until then."""
        nothing: Mapping[Labels, Value] = {} if labels else {(): 0}
        self._figures[name] = _Asked(sort, documentation, labels, lambda: nothing)

    def ask(self, name: str, value: Callable[[], Value]) -> None:
        """Ask ``value`` for a figure without labels."""
        self._figures[name].ask = lambda: {(): value()}

    def ask_each(self, name: str, values: Callable[[], Mapping[Labels, Value]]) -> None:
        """Ask ``values`` for every series of a figure, by the values of its labels."""
        self._figures[name].ask = values

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for name, figure in self._figures.items():
            family: GaugeMetricFamily | CounterMetricFamily
            if figure.sort is Sort.COUNTER:
                family = CounterMetricFamily(name, figure.documentation, labels=figure.labels)
            else:
                family = GaugeMetricFamily(name, figure.documentation, labels=figure.labels)
            for labels, value in self._answers(figure):
                family.add_metric(labels, value)
            yield family

    def _answers(self, figure: _Asked) -> Iterable[tuple[Labels, Value]]:
        try:
            return list(islice(figure.ask().items(), MAX_FILES))
        except Exception:  # noqa: BLE001 - one figure that cannot be had must not cost all of them
            self._on_fault()
            return ()
