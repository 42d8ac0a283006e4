"""What `sidegate explain` prints: the lines and the document."""

from __future__ import annotations

import json

from proxy.core.policy import Reason
from proxy.core.routing import PUBLIC, Looked, Route, WhyNot
from proxy.explain.explanation import SENTENCES, Asked, Explanation, Ink, Passed, Reply


def route(index: int, pattern: str = "/a") -> Route:
    return Route(pattern=pattern, access=PUBLIC, index=index)


def explanation(**changes: object) -> Explanation:
    asked = Asked(method="GET", url="https://app.example.com/a", person=None)
    given: dict[str, object] = {
        "asked": asked,
        "route": route(0),
        "looked": (Looked(route(0), WhyNot.TAKEN),),
        "decision": "allow",
        "reason": "public",
        "sentence": "anybody may",
        **changes,
    }
    return Explanation(**given)  # type: ignore[arg-type]


def test_every_reason_has_its_sentence() -> None:
    assert set(Reason) <= set(SENTENCES)


def test_the_lines_of_the_contract_stand_in_their_order() -> None:
    labels = [line.partition(":")[0] for line in explanation().lines() if not line.startswith(" ")]

    assert labels == ["request", "route", "decision", "reason", "headers"]


def test_many_routes_with_other_paths_are_one_line() -> None:
    looked = (*(Looked(route(number), WhyNot.PATH) for number in range(9)), Looked(route(9), WhyNot.TAKEN))

    lines = list(explanation(route=route(9), looked=looked).lines())

    assert "            not routes[0] to [8]: the path differs" in lines
    assert len(lines) == 7


def test_no_line_is_longer_than_80_columns_whatever_it_holds() -> None:
    passed = Passed(upstream="app", url="http://x", method="GET", target="/" + "a" * 200, headers=(("X", "b," * 99),))

    lines = list(explanation(passed=passed, sentence="word " * 60).lines())

    assert max(map(len, lines)) == 80


def test_nothing_that_somebody_wrote_reaches_the_terminal_as_a_command() -> None:
    lines = explanation(sentence="\x1b[2Jgone\u202e").lines()

    assert not any("\x1b" in line or "\u202e" in line for line in lines)


def test_colour_adds_nothing_but_colour() -> None:
    plain = list(explanation(reply=Reply(302, "/x")).lines())
    coloured = "\n".join(explanation(reply=Reply(302, "/x")).lines(Ink.COLOUR))

    assert "\x1b[32mallow\x1b[0m" in coloured
    assert coloured.replace("\x1b[32m", "").replace("\x1b[0m", "").split("\n") == plain


def test_the_document_has_every_key_always() -> None:
    document = json.loads(json.dumps(explanation().document()))

    assert list(document) == [
        "request",
        "route",
        "routes",
        "decision",
        "reason",
        "sentence",
        "conditions",
        "readings",
        "answer",
        "upstream",
        "headers",
        "removed",
        "notes",
        "portal",
    ]
    assert document["route"] == {"index": 0, "path": "/a", "methods": None}
    assert document["routes"] == [{"index": 0, "path": "/a", "methods": None, "outcome": "taken"}]
