"""What somebody else knows is asked for at each scrape, and one that cannot answer harms no other."""

from __future__ import annotations

from proxy.observe import asked_figures as module
from proxy.observe.asked_figures import MAX_FILES, AskedFigures, Sort


class Faults:
    """How often somebody could not answer."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def values(asked: AskedFigures) -> dict[str, float]:
    return {sample.name: sample.value for family in asked.collect() for sample in family.samples}


def test_a_figure_is_there_before_anybody_can_be_asked() -> None:
    asked = AskedFigures(Faults())
    asked.add("x", "X.")
    asked.add("y", "Y.", sort=Sort.COUNTER)
    asked.add("z", "Z.", labels=("part",))

    assert values(asked) == {"x": 0, "y_total": 0}
    assert [family.type for family in asked.collect()] == ["gauge", "counter", "gauge"]


def test_it_is_asked_anew_each_time() -> None:
    asked, known = AskedFigures(Faults()), [1.0]
    asked.add("x", "X.")
    asked.ask("x", lambda: known[0])
    assert values(asked) == {"x": 1}

    known[0] = 2.0
    assert values(asked) == {"x": 2}


def test_whoever_cannot_answer_is_left_out_and_counted_and_the_others_are_there() -> None:
    faults = Faults()
    asked = AskedFigures(faults)

    def broken() -> float:
        raise RuntimeError("closed")

    asked.add("x", "X.")
    asked.add("y", "Y.")
    asked.ask("x", broken)
    asked.ask("y", lambda: 3)

    assert values(asked) == {"y": 3}
    assert faults.count == 1


def test_series_have_their_labels_and_an_end() -> None:
    asked = AskedFigures(Faults())
    asked.add("x", "X.", labels=("file",))
    asked.ask_each("x", lambda: {(f"f{n}",): n for n in range(MAX_FILES + 5)})

    (family,) = asked.collect()
    assert len(family.samples) == module.MAX_FILES
    assert family.samples[3].labels == {"file": "f3"}
