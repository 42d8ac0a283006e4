"""Pydantic's errors into plain sentences: what is wrong, and what to write instead.

Pydantic speaks to programmers ("Input should be a valid dictionary or instance of TlsSettings"). People who edit YAML
get the word for what they wrote and an example of what to write. No sentence repeats a value that may be a secret.
"""

from __future__ import annotations

from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from proxy.settings import schema
from proxy.settings.problems import Finding, KeyPath, ValueRefused, key_text
from proxy.settings.values import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

_ACCESS_MARKS: Final = frozenset({"<word>", "<conditions>"})

Sentence = tuple[str, str]
"""What is wrong, and what to write instead."""


def finding_of(error: ErrorDetails) -> Finding:
    """Return what an error of pydantic means to the person who wrote the file."""
    path = path_of(error)
    describe = _SENTENCES.get(error["type"], _unforeseen)
    if error["input"] is None and error["type"] not in {"extra_forbidden", "missing", "value_error"}:
        describe = _nothing
    message, remedy = describe(error, path)
    return Finding(path, message, remedy)


def path_of(error: ErrorDetails) -> KeyPath:
    """Return the key to blame, without the marks that pydantic puts in for unions and for keys of mappings.

    Somebody may write a key that looks like a mark: it is one only where pydantic puts it.
    """
    location = error["loc"]
    if location[-1:] == ("[key]",) and error["type"] != "extra_forbidden":
        location = location[:-1]
    return tuple(
        part for before, part in pairwise(("", *location)) if not (before == "access" and part in _ACCESS_MARKS)
    )


def _refused(error: ErrorDetails, _path: KeyPath) -> Sentence:
    """Pass on what a parser of ours said."""
    cause = error["ctx"]["error"]
    if isinstance(cause, ValueRefused):
        return cause.message, cause.remedy
    return _unforeseen(error, _path)


def _missing(_error: ErrorDetails, path: KeyPath) -> Sentence:
    """Say what to add."""
    example = schema.example_at(path)
    return "is missing", f"add {path[-1]}: {example}" if example else f"add {path[-1]}"


def _unknown(_error: ErrorDetails, path: KeyPath) -> Sentence:
    """Suggest the key that was probably meant, or name those that there are."""
    key, known = str(path[-1]), schema.keys_at(path[:-1])
    close = get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    if close:
        return "unknown key", f"did you mean {key_text((*path[:-1], close[0]))}?"
    elsewhere = [section for section in schema.parents_of(key) if (section,) != path[:-1]]
    if key in schema.keys_at(()):
        return "unknown key", f"{key} stands at the top of the file, without indentation"
    if elsewhere:
        return "unknown key", f"did you mean {elsewhere[0]}.{key}?"
    return "unknown key", f"take it out; the keys here are {', '.join(known)}"


def _no_mapping(error: ErrorDetails, path: KeyPath) -> Sentence:
    """Ask for keys."""
    example = schema.example_at(path)
    keys = ", ".join(schema.keys_at(path))
    remedy = f"write {example}" if example and example.startswith("{") else f"write keys below it: {keys}"
    return f"must be a mapping, not {kind_of(error['input'])}", remedy


def _no_list(error: ErrorDetails, path: KeyPath) -> Sentence:
    """Ask for a list."""
    example = schema.example_at(path) or "[…]"
    return f"must be a list, not {kind_of(error['input'])}", f"write {example}"


def _no_word(error: ErrorDetails, _path: KeyPath) -> Sentence:
    """Name the words that are taken; one that is close is named alone."""
    expected = error["ctx"]["expected"].replace("'", "")
    words = expected.replace(" or ", ", ").split(", ")
    written = error["input"]
    if not isinstance(written, str | int) or isinstance(written, bool):
        return f"must be {expected}, not {kind_of(written)}", f"write {words[0]} without quotes"
    close = get_close_matches(str(written).lower(), [word.lower() for word in words], n=1, cutoff=0.6)
    remedy = next((f"did you mean {word}?" for word in words if [word.lower()] == close), f"write {expected}")
    return f"{_shown(str(written))} is no value of this key", remedy


def _too_small(error: ErrorDetails, _path: KeyPath) -> Sentence:
    """Name the bound."""
    return f"{error['input']} is too small", f"write {error['ctx']['ge']} or more"


def _nothing(_error: ErrorDetails, path: KeyPath) -> Sentence:
    """Say that a key without a value is not the same as no key."""
    example = schema.example_at(path)
    if schema.keys_at(path) and not example:
        return "has no value", f"write keys below it: {', '.join(schema.keys_at(path))}"
    return "has no value", f"write {example}, or leave the key out" if example else "write one, or leave the key out"


def _unforeseen(error: ErrorDetails, path: KeyPath) -> Sentence:
    """Say something true about an error that no rule here foresees."""
    example = schema.example_at(path)
    return (
        f"does not fit ({error['type'].replace('_', ' ')})",
        f"write {example}" if example else "see the example file",
    )


def _shown(text: str) -> str:
    """Return text of the file, quoted and cut, without anything that a terminal obeys."""
    cut = text if len(text) <= 40 else f"{text[:39]}…"
    return '"' + "".join(character if character.isprintable() else "�" for character in cut) + '"'


_SENTENCES: Final[dict[str, Callable[[ErrorDetails, KeyPath], Sentence]]] = {
    "value_error": _refused,
    "missing": _missing,
    "extra_forbidden": _unknown,
    "model_type": _no_mapping,
    "model_attributes_type": _no_mapping,
    "dict_type": _no_mapping,
    "tuple_type": _no_list,
    "literal_error": _no_word,
    "greater_than_equal": _too_small,
}
