"""From a path to settings, with every problem of the file at once.

The way: bytes -> text -> :mod:`tree` (YAML, variables, positions) -> :mod:`model` (types) -> :mod:`checks` (across
keys). A file with a wrong key still goes the whole way: the wrong value is taken out, a placeholder is put where one
must be, and the checks look at the rest. What rests on a wrong key is not reported.
"""

from __future__ import annotations

import os
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

import yaml
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, ValidationError
from yaml.reader import ReaderError

from proxy.errors import SettingsError
from proxy.settings import wording
from proxy.settings.checks import CHECKS, CHECKS_OF_THE_FILE_ALONE, findings_of
from proxy.settings.draft import Draft
from proxy.settings.model import PortalSettings, Settings
from proxy.settings.portals import DraftedSite, SiteSettings, findings_between, shape_findings, sites_of
from proxy.settings.problems import Finding, KeyPath, Level, Problem, key_text
from proxy.settings.secret_source import reason_of, remedy_for
from proxy.settings.tree import Position, Tree, read_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from proxy.settings.checks import Check

LARGEST_FILE_BYTES: Final = 1024 * 1024
"""A thousand routes have 100 KB; more is a wrong path."""

MOST_MENDS: Final = 10
"""Each round takes out what was wrong; a section, a required key in it and that key's parts need three."""

_PLACEHOLDERS: Final[dict[str, object]] = {
    "public_url": "http://placeholder.invalid",
    "issuer": "http://placeholder.invalid",
    "url": "http://placeholder.invalid",
    "path": "/placeholder",
    "cert_file": "placeholder",
    "key_file": "placeholder",
    "server": {},
    "keycloak": {},
    "client_auth": {"method": "none"},
    "upstreams": {"placeholder": {"url": "http://placeholder.invalid"}},
}
"""What stands for a required key while the rest is checked."""


class Loaded(Struct, frozen=True):
    """What a file gave.

    Attributes:
        sites: one, or those of the portals; empty when there is an error among the problems.
        problems: in the order of the file, warnings included.
    """

    sites: tuple[SiteSettings, ...]
    problems: tuple[Problem, ...]

    @property
    def settings(self) -> Settings | None:
        """Return those of the first site, in which the keys of the process are the same as in any other."""
        return self.sites[0].settings if self.sites else None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Return the problems that keep the file from being used."""
        return tuple(problem for problem in self.problems if problem.level is Level.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Return the problems that do not."""
        return tuple(problem for problem in self.problems if problem.level is Level.WARNING)


def load(path: Path) -> Loaded:
    """Return the settings of a file, and everything that is wrong with it; never raises for a bad file."""
    return _load(path, CHECKS)


def load_alone(path: Path) -> Loaded:
    """Return the same, but look at no file that it names and at no secret: those may be on another machine."""
    return _load(path, CHECKS_OF_THE_FILE_ALONE)


def _load(path: Path, checks: Sequence[Check]) -> Loaded:
    try:
        text = _read(path)
        tree = _parse(path, text)
    except _FileRefused as refusal:
        return Loaded((), (refusal.problem,))
    return _load_tree(path, tree, checks)


def one_site(settings: Settings) -> tuple[SiteSettings, ...]:
    """Return the sites of a file without portals."""
    return (SiteSettings("", settings),)


def load_sites(path: Path) -> tuple[SiteSettings, ...]:
    """Return the settings of each site of a file; keys of the process as a whole are equal in all of them.

    Raises:
        SettingsError: with each error on a line of its own.
    """
    loaded = load(path)
    if not loaded.sites:
        raise SettingsError("\n".join(map(str, loaded.errors)))
    return loaded.sites


def load_settings(path: Path) -> Settings:
    """Return the settings of a file; of one with portals the first site's, whose keys of the process are all sites'.

    Raises:
        SettingsError: with each error on a line of its own.
    """
    return load_sites(path)[0].settings


# --- the file --------------------------------------------------------------------------------------------------------


class _FileRefused(Exception):
    """The file as a whole cannot be read; carries the one problem."""

    def __init__(self, path: Path, message: str, remedy: str, at: Position | None = None) -> None:
        super().__init__(message)
        line, column = (at.line, at.column) if at else (0, 0)
        self.problem = Problem(str(path), line, column, "", message, remedy, Level.ERROR)


def _read(path: Path) -> str:
    """Return the text of the file."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise _FileRefused(path, "there is no such file", "check the path after -c") from error
    except IsADirectoryError as error:
        raise _FileRefused(path, "is a directory", "name the YAML file in it") from error
    except OSError as error:
        raise _FileRefused(path, f"cannot be read ({reason_of(error)})", remedy_for(error)) from error
    except ValueError as error:
        raise _FileRefused(path, "is no path of a file", "check the path after -c") from error
    if len(content) > LARGEST_FILE_BYTES:
        raise _FileRefused(path, "is larger than 1 MiB", "check the path after -c")
    return _decoded(path, content)


def _decoded(path: Path, content: bytes) -> str:
    """Return the bytes as text."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, start = before.count(b"\n") + 1, before.rfind(b"\n") + 1
        at = Position(line, len(before[start:].decode()) + 1)
        raise _FileRefused(path, "the file is not UTF-8 text from here on", "save it as UTF-8", at) from error


def _parse(path: Path, text: str) -> Tree:
    """Return the file as plain data: a mapping."""
    try:
        tree = read_tree(text, os.environ)
    except yaml.MarkedYAMLError as error:
        raise _FileRefused(path, *_syntax_sentence(error, text), _position_of(error)) from error
    except ReaderError as error:
        raise _FileRefused(path, *_unprintable(error, text)) from error
    except RecursionError as error:
        raise _FileRefused(path, "is nested too deeply", "start from config/sidegate.minimal.yaml") from error
    if tree.data is None and not tree.findings:
        raise _FileRefused(path, "is empty", "start from config/sidegate.minimal.yaml")
    if not isinstance(tree.data, dict):
        remedy = "begin with a key such as server:"
        raise _FileRefused(path, "the file must be keys and values at the top", remedy, Position(1, 1))
    return tree


def _syntax_sentence(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str]:
    """Return what is wrong with the YAML, and the likeliest remedy."""
    problem = (error.problem or "it cannot be read").replace("\n", " ")
    mark = error.problem_mark
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if "\t" in line:
        return "the file is not YAML here: a tab", "indent with spaces"
    if "${" in line and not any(quote in line for quote in "\"'"):
        return f"the file is not YAML here: {problem}", "put text with ${…} in quotes"
    if re.search(r":\s+#[0-9A-Fa-f]{3}", _around(error, text)):
        return "the file is not YAML here: an unquoted # began a comment", "put a colour in quotes"
    if "document" in problem:
        return "a second document begins here", "keep one and take out the line ---"
    return f"the file is not YAML here: {problem}", "check indentation, colons, brackets and quotes"


def _around(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return the lines between where PyYAML began to wonder and where it gave up."""
    marks = [mark.line for mark in (error.context_mark, error.problem_mark) if mark]
    return "\n".join(text.splitlines()[min(marks, default=0) : max(marks, default=0) + 1])


def _position_of(error: yaml.MarkedYAMLError) -> Position:
    """Return where PyYAML gave up."""
    mark = error.problem_mark or error.context_mark
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def _unprintable(error: ReaderError, text: str) -> tuple[str, str, Position]:
    """Return the sentence and the place of a character that YAML does not allow."""
    before = text[: error.position]
    at = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
    return "holds a control character", "take it out", at


# --- the settings ----------------------------------------------------------------------------------------------------


def _is_said_at_the_top(finding: Finding, said: Sequence[Finding], data: Mapping[str, object]) -> bool:
    """Say whether a portal has this fault from a section at the top, of which the same is said."""
    match finding.path:
        case ("portals", int(index), str(section), *below):
            portals = data.get("portals")
            portal = portals[index] if isinstance(portals, list) else None
            at_top = (section, *below)
            return (isinstance(portal, dict) and section not in portal) and any(
                (one.path, one.message) == (at_top, finding.message) for one in said
            )
        case _:
            return False


def _load_tree(path: Path, tree: Tree, checks: Sequence[Check]) -> Loaded:
    """Return settings and problems of plain data."""
    data = dict(tree.data) if isinstance(tree.data, dict) else {}
    drafted, wrong, checked = _judged(data, checks)
    wrong = [finding for finding in wrong if not any(_is_within(broken, finding.path) for broken in tree.broken)]
    spoiled = tree.broken | {finding.path for finding in wrong}
    wrong += [finding for finding in checked if not _rests_on(finding, spoiled)]
    # What portals have from the top is judged with each of them, and said once, where it stands.
    wrong = [finding for finding in wrong if not _is_said_at_the_top(finding, wrong, data)]
    located = [*tree.findings, *((finding, tree.position_of(finding.path)) for finding in wrong)]
    told = dict.fromkeys(_problem(path, *item) for item in located)
    problems = tuple(sorted(told, key=lambda problem: (problem.line, problem.column)))
    is_usable = not any(problem.level is Level.ERROR for problem in problems)
    sites = tuple(SiteSettings(one.given.name if one.given.place else "", one.settings) for one in drafted)
    return Loaded(sites if is_usable else (), problems)


def _judged(data: dict[str, Any], checks: Sequence[Check]) -> tuple[list[DraftedSite], list[Finding], list[Finding]]:
    """Return the sites of a file, what is wrong with single values, and what the checks say; each finding once."""
    wrong, checked = [*_portals_themselves(data), *shape_findings(data)], list[Finding]()
    drafted: list[DraftedSite] = []
    for given in sites_of(data):
        for section in ("server", "keycloak"):
            given.data.setdefault(section, {})
        settings, of_values = _validate(given.data)
        wrong += map(given.in_file, of_values)
        if settings is not None:
            drafted.append(DraftedSite(given, settings))
            checked += map(given.in_file, findings_of(Draft(settings, given.data), checks))
    checked += findings_between(drafted)
    # Two portals have a key of the top in common, and what is wrong with it is said once.
    return drafted, list(dict.fromkeys(wrong)), list(dict.fromkeys(checked))


def _portals_themselves(data: dict[str, Any]) -> list[Finding]:
    """Return what is wrong with the list of portals, and with names and hosts in it."""
    try:
        _Portals.model_validate({"portals": data.get("portals", [])})
    except ValidationError as error:
        return [wording.finding_of(detail) for detail in error.errors(include_url=False)]
    return []


class _Portals(BaseModel):
    """That list alone; no section of the file, which has it at its top."""

    model_config = ConfigDict(hide_input_in_errors=True)

    portals: tuple[PortalSettings, ...]


def _validate(data: dict[str, Any]) -> tuple[Settings | None, list[Finding]]:
    """Return the settings as far as they can be understood, and what is wrong with single values."""
    findings: list[Finding] = []
    mended = data
    for _ in range(MOST_MENDS):
        try:
            return Settings.model_validate(mended), findings
        except ValidationError as error:
            details = error.errors(include_url=False)
        findings = findings or [wording.finding_of(detail) for detail in details]
        mended = deepcopy(mended) if mended is data else mended
        for detail in details:
            _mend(mended, detail)
    return None, findings


def _mend(data: dict[str, Any], detail: ErrorDetails) -> None:
    """Take a wrong value out, or put a placeholder where one is missing; indexes of routes stay what they are."""
    path = wording.path_of(detail)
    parent: Any = data
    for part in path[:-1]:
        try:
            parent = parent[part]
        except (KeyError, IndexError):
            return  # an error before this one took the parent out
    if detail["type"] == "missing":
        parent[path[-1]] = _PLACEHOLDERS.get(str(path[-1]), "placeholder")
    elif isinstance(parent, dict):
        parent.pop(path[-1], None)
    elif path[:-1] == ("routes",):
        parent[path[-1]] = {"path": "/placeholder"}
    else:
        parent.clear()


def _rests_on(finding: Finding, spoiled: set[KeyPath]) -> bool:
    """Say whether a finding is void, because its key or one that it rests on is wrong itself."""
    return any(
        _is_within(finding.path, wrong)
        or any(_is_within(path, wrong) or _is_within(wrong, path) for path in finding.depends_on)
        for wrong in spoiled
    )


def _is_within(path: KeyPath, parent: KeyPath) -> bool:
    """Say whether ``path`` is ``parent`` or lies under it."""
    return path[: len(parent)] == parent


def _problem(path: Path, finding: Finding, position: Position) -> Problem:
    """Return a finding as people read it."""
    key = key_text(finding.path)
    return Problem(str(path), position.line, position.column, key, finding.message, finding.remedy, finding.level)
