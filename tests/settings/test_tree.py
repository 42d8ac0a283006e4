"""YAML into plain data, with positions; variables put in; nothing that makes an object."""

from __future__ import annotations

import pytest
import yaml

from proxy.settings.problems import Finding
from proxy.settings.tree import BROKEN, MOST_NODES, Position, Tree, read_tree
from proxy.settings.values import Substituted

ENVIRONMENT = {"NAME": "there", "EMPTY": "", "BRACE": "${NAME}"}


def tree_of(text: str) -> Tree:
    return read_tree(text, ENVIRONMENT)


def findings_of(text: str) -> list[tuple[int, int, str]]:
    return [
        (position.line, position.column, f"{finding.message}; {finding.remedy}")
        for finding, position in tree_of(text).findings
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("off", "off"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("12:30", "12:30"),
        ("2026-11-21", "2026-11-21"),
        ("0x10", "0x10"),
        ("1e3", "1e3"),
        ("true", True),
        ("False", False),
        ("42", 42),
        ("-1", -1),
        ("1.5", 1.5),
        ("~", None),
        ("", None),
        ('"42"', "42"),
        ("'true'", "true"),
        ("!!str 42", "42"),
        ("/**", "/**"),
    ],
)
def test_a_scalar_is_read_by_the_core_schema_of_yaml_1_2(written: str, value: object) -> None:
    assert tree_of(f"a: {written}").data == {"a": value}


def test_each_key_and_each_item_has_its_position() -> None:
    tree = tree_of("a: 1\nb:\n  - x\n  - {c: 2}\n")

    assert tree.positions == {
        ("a",): Position(1, 1),
        ("b",): Position(2, 1),
        ("b", 0): Position(3, 5),
        ("b", 1): Position(4, 5),
        ("b", 1, "c"): Position(4, 6),
    }


def test_a_key_that_is_not_there_is_looked_for_at_its_nearest_parent() -> None:
    tree = tree_of("# nothing\na:\n  b: 1\n")

    assert tree.position_of(("a", "x", "y")) == Position(2, 1)
    assert tree.position_of(("z",)) == Position(1, 1)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${NAME}", "there"),
        ("<${NAME}:${NAME}>", "<there:there>"),
        ("${ABSENT:-or this}", "or this"),
        ("${ABSENT:-}", ""),
        ("${EMPTY:-or this}", "or this"),
        ("${EMPTY}", ""),
        ("${NAME:-or this}", "there"),
        ("$${NAME}", "${NAME}"),
        ("$NAME $ 5$", "$NAME $ 5$"),
        ("${BRACE}", "${NAME}"),
    ],
)
def test_a_variable_is_put_in_once(written: str, value: str) -> None:
    assert tree_of(f'a: "{written}"').data == {"a": value}


@pytest.mark.parametrize(
    ("written", "is_from_environment"),
    [("${NAME}", True), ("${ABSENT:-x}", False), ("${EMPTY:-x}", False), ("a${ABSENT:-x}${NAME}", True)],
)
def test_it_is_known_whether_the_environment_said_anything(written: str, *, is_from_environment: bool) -> None:
    data = tree_of(f'a: "{written}"').data
    assert isinstance(data, dict)
    value = data["a"]

    assert isinstance(value, Substituted)
    assert value.is_from_environment is is_from_environment


def test_an_unset_variable_is_a_finding_and_the_reading_goes_on() -> None:
    tree = tree_of("a:\n  b: ${ABSENT}\n  c: 1\n")

    message = "needs the variable ABSENT, which is not set"
    assert tree.findings == [
        (Finding(("a", "b"), message, "set it, or write ${ABSENT:-default}"), Position(2, 3)),
    ]
    assert tree.data == {"a": {"b": BROKEN, "c": 1}}
    assert tree.broken == {("a", "b")}


@pytest.mark.parametrize("written", ["${1x}", "${NAME", "${}", "${NAME-x}", "${NA ME}"])
def test_a_brace_that_is_no_variable_is_a_finding(written: str) -> None:
    sentence = "holds a ${ that is no ${NAME}; write ${NAME} or ${NAME:-default}, or $${ for a plain ${"

    assert findings_of(f'a: "{written}"') == [(1, 1, sentence)]


def test_a_duplicate_key_is_a_finding_at_the_second_and_the_first_counts() -> None:
    tree = tree_of("a:\n  b: 1\n  b: 2\n")

    assert findings_of("a:\n  b: 1\n  b: 2\n") == [(3, 3, "duplicate key, already set on line 2; keep one of the two")]
    assert tree.data == {"a": {"b": 1}}
    assert tree.broken == set()


def test_a_tag_makes_no_object() -> None:
    text = "a: !!python/object/apply:os.system [id]\nb: !env X\nc: !!int x\n"

    assert findings_of(text) == [
        (1, 1, "has the tag !!python/object/apply:os.system; write a plain value"),
        (2, 1, "has the tag !env; write a plain value"),
        (3, 1, "has the tag !!int; write a plain value"),
    ]


def test_an_anchor_may_be_used_again_and_each_use_keeps_the_place_of_its_key() -> None:
    tree = tree_of("a: &x {k: 1}\nb: *x\nc: [*x]\n")

    assert tree.data == {"a": {"k": 1}, "b": {"k": 1}, "c": [{"k": 1}]}
    assert tree.positions["b",] == Position(2, 1)
    assert tree.positions["b", "k"] == Position(1, 8)


def test_a_merge_key_fills_what_is_not_set() -> None:
    tree = tree_of("a: &x {k: 1, l: 2}\nb: &y {<<: *x, k: 3}\nc:\n  <<: [*y, *x]\n  m: 4\n")

    assert tree.data == {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}, "c": {"k": 3, "l": 2, "m": 4}}
    assert tree.findings == []


@pytest.mark.parametrize(("text", "column"), [("a: &x {b: *x}\n", 8), ("a: &x [*x]\n", 4), ("a: &x {b: [1, *x]}\n", 4)])
def test_an_alias_that_holds_itself_is_a_finding(text: str, column: int) -> None:
    sentence = "repeats itself without end; write it out instead of using an alias"

    # An item of a list that is an alias stands where its anchor does: YAML's nodes know no other place.
    assert findings_of(text) == [(1, column, sentence)]


def test_a_merge_of_itself_is_a_finding() -> None:
    assert (
        findings_of("a: &x\n  <<: *x\n")[0][2]
        == "merges something that is no other mapping; write <<: *name of a mapping"
    )


def test_a_small_file_cannot_grow_without_end() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))

    tree = tree_of(text)

    assert any(finding.message == "repeats itself without end" for finding, _ in tree.findings)
    assert len(tree.positions) < 3 * MOST_NODES


def test_a_small_file_cannot_merge_without_end() -> None:
    text = "a0: &a0 {k: 1}\n"
    text += "".join(f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))

    tree = tree_of(text)

    assert any(finding.message == "merges without end" for finding, _ in tree.findings)
    assert len(tree.findings) < 1000
    assert len(tree.positions) < 3 * MOST_NODES


def test_a_key_that_is_no_word_is_a_finding() -> None:
    assert findings_of("a:\n  [x]: 1\n") == [
        (2, 3, "has a key that is a list or a mapping; write a plain word as the key")
    ]


def test_a_key_is_the_text_that_stands_there() -> None:
    assert tree_of("on: 1\n5: 2\n~: 3\n").data == {"on": 1, "5": 2, "~": 3}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_a_file_of_nothing_is_none(text: str) -> None:
    assert tree_of(text).data is None


def test_what_is_no_yaml_is_an_error_with_its_place() -> None:
    with pytest.raises(yaml.MarkedYAMLError) as error:
        tree_of("a: [1\nb: 2\n")

    assert error.value.problem_mark is not None
