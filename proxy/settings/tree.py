"""YAML text into plain data, with the line and column of every key and the variables of the environment put in.

Only maps, lists and plain scalars come out, by the rules of YAML 1.2's core schema: ``off``, ``no`` and ``12:30`` are
text, ``0o17`` too. No tag makes an object. Duplicate keys, unset variables and loops are findings, and what they spoil
is :data:`BROKEN`, so that the reading goes on and finds the rest.

Source: YAML 1.2.2 §10.3 (core schema).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import yaml
from msgspec import Struct, field
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from proxy.settings.problems import Finding, KeyPath
from proxy.settings.values import Substituted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_NODES: Final = 20_000
"""Aliases can make a small file grow without end ("billion laughs"); a thousand routes have 10,000 nodes."""

MOST_MERGED: Final = 100_000
"""Merge keys can do the same without a node more: what they bring in is looked at entry by entry, each time anew."""

_CORE: Final = "tag:yaml.org,2002:"
_PLAIN_SCALARS: Final = {
    "null": re.compile(r"^(?:~|null|Null|NULL|)$"),
    "bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "int": re.compile(r"^[-+]?[0-9]{1,18}$"),
    "float": re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]{1,3})?$"),
}
_VARIABLE: Final = re.compile(
    r"\$(?P<escaped>\$)(?=\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|\$\{"
)


class _Broken:
    """The place of a value that could not be had; it fits no key, and what is said of it is not repeated."""

    __slots__ = ()


BROKEN: Final = _Broken()


class _CoreSchema(BaseResolver):
    """Which plain scalars are no text."""


for _name, _pattern in _PLAIN_SCALARS.items():
    _CoreSchema.add_implicit_resolver(f"{_CORE}{_name}", _pattern, None)


class _Nodes(Reader, Scanner, Parser, Composer, _CoreSchema):
    """PyYAML's loader without its constructor: it makes nodes, never objects."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _CoreSchema.__init__(self)


class Position(Struct, frozen=True):
    """Line and column, from 1."""

    line: int
    column: int


class Tree(Struct):
    """A file as plain data.

    Attributes:
        data: mappings, lists, text, numbers, true, false and None; :data:`BROKEN` where a finding says why.
        positions: of each key (items of lists: of the item itself).
        findings: with the position to blame.
        broken: where :data:`BROKEN` stands.
    """

    data: object = None
    positions: dict[KeyPath, Position] = field(default_factory=dict)
    findings: list[tuple[Finding, Position]] = field(default_factory=list)
    broken: set[KeyPath] = field(default_factory=set)

    def position_of(self, path: KeyPath) -> Position:
        """Return where a key stands; of a key that is not there, where its nearest parent stands."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.positions:
                return self.positions[path[:length]]
        return Position(1, 1)


def read_tree(text: str, environment: Mapping[str, str]) -> Tree:
    """Return the file as plain data; ``data`` is None when there is nothing but comments.

    Raises:
        yaml.MarkedYAMLError: it is no YAML, or several documents.
        RecursionError: it is nested deeper than Python's stack.
    """
    node = _Nodes(text).get_single_node()
    builder = _Builder(environment)
    if node is not None:
        builder.tree.data = builder.build(node, ())
    return builder.tree


class _Builder:
    """One walk over the nodes of a file."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.tree = Tree()
        self._environment = environment
        self._ancestors: list[int] = []
        self._nodes = 0
        self._merged = 0

    def build(self, node: yaml.Node, path: KeyPath) -> object:
        """Return the value of a node."""
        self._nodes += 1
        if id(node) in self._ancestors or self._nodes > MOST_NODES:
            return self._refuse(path, "repeats itself without end", "write it out instead of using an alias")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in {f"{_CORE}map", f"{_CORE}seq"}:
            return self._refuse_tag(node, path)
        self._ancestors.append(id(node))
        try:
            return self._sequence(node, path) if isinstance(node, yaml.SequenceNode) else self._mapping(node, path)
        finally:
            self._ancestors.pop()

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[object]:
        """Return a list."""
        items: list[object] = []
        for index, item in enumerate(node.value):
            self.tree.positions[*path, index] = _position(item)
            items.append(self.build(item, (*path, index)))
        return items

    def _mapping(self, node: yaml.Node, path: KeyPath) -> dict[str, object]:
        """Return a mapping; the first of two equal keys counts, and the second is a finding."""
        mapping: dict[str, object] = {}
        for key_node, value_node in self._own_entries(node, path):
            key = key_node.value
            if key in mapping:
                first = self.tree.positions[*path, key].line
                message = f"duplicate key, already set on line {first}"
                self._note((*path, key), message, "keep one of the two", _position(key_node))
                continue
            self.tree.positions[*path, key] = _position(key_node)
            mapping[key] = self.build(value_node, (*path, key))
        for key_node, value_node in self._merged_entries(node, path):
            if key_node.value not in mapping:
                self.tree.positions[*path, key_node.value] = _position(key_node)
                mapping[key_node.value] = self.build(value_node, (*path, key_node.value))
        return mapping

    def _own_entries(self, node: yaml.Node, path: KeyPath) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """Yield the entries that stand in the mapping itself; a key that is no scalar is a finding."""
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                message = "has a key that is a list or a mapping"
                self._note(path, message, "write a plain word as the key", _position(key_node))
            elif not _is_merge(key_node):
                yield key_node, value_node

    def _merged_entries(self, node: yaml.Node, path: KeyPath) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """Yield the entries that ``<<: *name`` brings in (the merge key of YAML 1.1)."""
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and _is_merge(key_node):
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in sources:
                    yield from self._entries_of_source(source, path)

    def _entries_of_source(self, source: yaml.Node, path: KeyPath) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """Yield the entries of one merged mapping, those that it merges itself included."""
        if not isinstance(source, yaml.MappingNode) or id(source) in self._ancestors:
            message = "merges something that is no other mapping"
            self._note(path, message, "write <<: *name of a mapping", _position(source))
            return
        self._merged += 1 + len(source.value)
        if self._merged > MOST_MERGED:
            self._note(path, "merges without end", "write it out instead of using an alias", _position(source))
            return
        self._ancestors.append(id(source))
        yield from self._own_entries(source, path)
        yield from self._merged_entries(source, path)
        self._ancestors.pop()

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        """Return text, a number, true, false or None."""
        kind, text = node.tag.removeprefix(_CORE), node.value
        if kind == "str":
            return self._substitute(text, path)
        if kind not in _PLAIN_SCALARS or not _PLAIN_SCALARS[kind].match(text):
            return self._refuse_tag(node, path)
        if kind in {"int", "float"}:
            return int(text) if kind == "int" else float(text)
        return None if kind == "null" else text.lower() == "true"

    def _substitute(self, text: str, path: KeyPath) -> object:
        """Return text with each ``${NAME}`` and ``${NAME:-default}`` replaced; ``$${`` is a plain ``${``."""
        if "${" not in text:
            return text
        names = [match["name"] for match in _VARIABLE.finditer(text) if not match["escaped"]]
        if None in names:
            remedy = "write ${NAME} or ${NAME:-default}, or $${ for a plain ${"
            return self._refuse(path, "holds a ${ that is no ${NAME}", remedy)
        unset = [match["name"] for match in _VARIABLE.finditer(text) if self._is_unset(match)]
        if unset:
            remedy = f"set it, or write ${{{unset[0]}:-default}}"
            return self._refuse(path, f"needs the variable {unset[0]}, which is not set", remedy)
        is_from_environment = any(self._environment.get(name) for name in names)
        return Substituted.of(_VARIABLE.sub(self._replacement, text), is_from_environment=is_from_environment)

    def _is_unset(self, match: re.Match[str]) -> bool:
        """Say whether a ``${…}`` has nothing to stand for."""
        return not match["escaped"] and match["default"] is None and match["name"] not in self._environment

    def _replacement(self, match: re.Match[str]) -> str:
        """Return what one ``${…}`` stands for; with a default an empty variable counts as unset, as in shells."""
        if match["escaped"]:
            return "$"
        return self._environment.get(match["name"]) or (match["default"] or "").removeprefix(":-")

    def _refuse_tag(self, node: yaml.Node, path: KeyPath) -> _Broken:
        """Note a tag: a settings file holds plain values."""
        return self._refuse(path, f"has the tag {node.tag.replace(_CORE, '!!')}", "write a plain value")

    def _refuse(self, path: KeyPath, message: str, remedy: str) -> _Broken:
        """Note a value that cannot be had, and stand in for it."""
        self._note(path, message, remedy, self.tree.position_of(path))
        self.tree.broken.add(path)
        return BROKEN

    def _note(self, path: KeyPath, message: str, remedy: str, at: Position) -> None:
        """Note a finding."""
        self.tree.findings.append((Finding(path, message, remedy), at))


def _is_merge(node: yaml.ScalarNode) -> bool:
    """Say whether a key is the merge key, and not the text "<<" in quotes."""
    return node.value == "<<" and node.style is None


def _position(node: yaml.Node) -> Position:
    """Return where a node begins."""
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)
