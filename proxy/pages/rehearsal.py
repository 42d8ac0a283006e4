"""Every page is drawn before anybody comes: a company's template that is broken is a sentence with file and line.

Two ways find more than one: what can be told from the text (a block that no page has, a name that no page knows, markup
that the policy of our pages stops), and what shows when each page is drawn with its specimens in every language.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Protocol

from jinja2 import TemplateError, TemplateNotFound, TemplateSyntaxError, meta, nodes
from msgspec import Struct

from proxy.pages.contexts import CONTEXT_OF
from proxy.pages.specimens import specimens

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from jinja2 import Environment

    from proxy.pages.environment import OwnTemplates

KEY: Final = "login.templates_dir"


class Draw(Protocol):
    """Draws a page."""

    def __call__(self, page: str, language: str, context: Mapping[str, object], /) -> object:
        """Return it; raises whatever a template raises."""


class TemplateFault(Struct, frozen=True):
    """What is wrong with a template, where a person can go and look; ``line`` from 1."""

    file: Path
    line: int
    message: str
    remedy: str

    def __str__(self) -> str:
        """Return ``FILE:LINE:COL  key.path: what is wrong; what to write instead``, as for the settings file."""
        return f"{self.file}:{self.line}:1  {KEY}: {self.message}; {self.remedy}"


class Rehearsal(Struct, frozen=True):
    """What is tried: the company's templates, in the environment that serves them, in these languages."""

    environment: Environment
    own: OwnTemplates
    shared_names: Collection[str]
    languages: Iterable[str]

    def faults(self, draw: Draw) -> tuple[TemplateFault, ...]:
        """Return everything that is wrong; pages are drawn only when nothing is wrong with the texts."""
        return tuple(self._faults_of_texts()) or tuple(dict.fromkeys(self._faults_of_pages(draw))) or self._unused()

    # --- by the text --------------------------------------------------------------------------------------------------

    def _faults_of_texts(self) -> Iterator[TemplateFault]:
        for name, source in self.own.sources.items():
            try:
                tree = self.environment.parse(source, name, str(self.own.path(name)))
            except TemplateSyntaxError as error:
                yield self._fault(name, error.lineno, _without_stop(error.message), "correct the template")
                continue
            yield from self._circle(name, tree)
            yield from self._unknown_blocks(name, tree)
            yield from self._unknown_names(name, tree)
            yield from self._stopped_markup(name, source)

    def _circle(self, name: str, tree: nodes.Template) -> Iterator[TemplateFault]:
        for extends in tree.find_all(nodes.Extends):
            if _parent(extends) == name:
                yield self._fault(name, extends.lineno, "extends itself", f'write {{% extends "sidegate/{name}" %}}')

    def _unknown_blocks(self, name: str, tree: nodes.Template) -> Iterator[TemplateFault]:
        """A block that the template above does not have is shown nowhere, and Jinja says nothing."""
        parent = next((_parent(extends) for extends in tree.find_all(nodes.Extends)), None)
        if parent is None or parent == name:
            return
        known = self._blocks_of(parent, seen=frozenset({name}))
        for block in (node for node in tree.body if isinstance(node, nodes.Block)):
            if block.name not in known:
                message = f"has a block {block.name}, and {parent} has none"
                yield self._fault(name, block.lineno, message, _meant(block.name, known))

    def _blocks_of(self, name: str, *, seen: frozenset[str]) -> set[str]:
        """Return the blocks of a template and of those above it; none when it cannot be found or read."""
        loader = self.environment.loader
        if loader is None or name in seen:
            return set()
        try:
            source, _, _ = loader.get_source(self.environment, name)
            tree = self.environment.parse(source, name)
        except TemplateError:
            return set()
        above = (_parent(extends) for extends in tree.find_all(nodes.Extends))
        blocks = {block.name for block in tree.find_all(nodes.Block)}
        return blocks.union(*(self._blocks_of(one, seen=seen | {name}) for one in above if one is not None))

    def _unknown_names(self, name: str, tree: nodes.Template) -> Iterator[TemplateFault]:
        """A name that the page does not know, in whatever branch; a part of several pages is tried by drawing them."""
        page = name.removesuffix(".html")
        if page not in CONTEXT_OF:
            return
        known = {*self.shared_names, *CONTEXT_OF[page].__annotations__, *_inherited(CONTEXT_OF[page])}
        asked_for = {test.node.name for test in tree.find_all(nodes.Test)
                     if test.name in {"defined", "undefined"} and isinstance(test.node, nodes.Name)}  # fmt: skip
        # What is set outside a block is known within it, which this look at the text does not see.
        is_set = {found.name for found in tree.find_all(nodes.Name) if found.ctx == "store"}
        unknown = meta.find_undeclared_variables(tree) - known - asked_for - is_set
        for found in tree.find_all(nodes.Name):
            if found.name in unknown:
                unknown.discard(found.name)
                message = f"uses {found.name}, which this page does not know"
                yield self._fault(name, found.lineno, message, _meant(found.name, known))

    def _stopped_markup(self, name: str, source: str) -> Iterator[TemplateFault]:
        for number, line in enumerate(source.splitlines(), 1):
            for pattern, message, remedy in _STOPPED:
                if pattern.search(line):
                    yield self._fault(name, number, message, remedy)

    # --- by drawing ---------------------------------------------------------------------------------------------------

    def _faults_of_pages(self, draw: Draw) -> Iterator[TemplateFault]:
        for page in CONTEXT_OF:
            for language in self.languages:
                for context in specimens(page):
                    try:
                        draw(page, language, context)
                    except Exception as fault:  # noqa: BLE001 - a template may raise anything, and none may stop the rest
                        yield self._fault_of(page, fault)

    def _fault_of(self, page: str, fault: Exception) -> TemplateFault:
        if isinstance(fault, TemplateNotFound):
            message = f"names {fault.message}, and there is no such template"
        elif isinstance(fault, RecursionError):
            message = "leads back to itself"
        else:
            message = _without_stop(str(fault)) or type(fault).__name__
        name, line = self._place(fault.__traceback__) or (f"{page}.html", 1)
        return self._fault(name, line, message, f"correct the template; page {page} cannot be drawn with it")

    def _place(self, traceback: TracebackType | None) -> tuple[str, int] | None:
        """Return template and line of the innermost frame that is a company's: Jinja writes both into tracebacks."""
        names = {str(self.own.path(name)): name for name in self.own.sources}
        place = None
        while traceback is not None:
            name = names.get(traceback.tb_frame.f_code.co_filename)
            place = place if name is None else (name, traceback.tb_lineno)
            traceback = traceback.tb_next
        return place

    def _unused(self) -> tuple[TemplateFault, ...]:
        """Return the templates that no page asked for: most likely a name is misspelt."""
        pages = [f"{page}.html" for page in CONTEXT_OF]
        return tuple(
            self._fault(name, 1, "is used by no page", _meant(name, pages))
            for name in self.own.sources
            if name not in self.own.used
        )

    def _fault(self, name: str, line: int, message: str, remedy: str) -> TemplateFault:
        return TemplateFault(self.own.path(name), line, message, remedy)


_STOPPED: Final = (
    (re.compile(r"<style[\s>]|\sstyle\s*=\s*[\"']"), "holds a style, which the policy of our pages stops",
     "put it into a file in assets/ and name it: <link rel=\"stylesheet\" href=\"{{ asset('acme.css') }}\">"),
    (re.compile(r"<script(?![^>]*\ssrc\s*=)|\son[a-z]+\s*=\s*[\"']|javascript:"),
     "holds a script, which the policy of our pages stops",
     "put it into a file in assets/ and name it: <script src=\"{{ asset('acme.js') }}\" defer></script>"),
    (re.compile(r"<(?:img|script|link|source|iframe)\b[^>]*\s(?:src|srcset|href)\s*=\s*[\"']?(?:https?:)?//"),
     "loads something from elsewhere, which the policy of our pages stops", "put the file into assets/"),
)  # fmt: skip


def _parent(extends: nodes.Extends) -> str | None:
    """Return the name of the template that is extended, when it stands there as text."""
    return extends.template.value if isinstance(extends.template, nodes.Const) else None


def _inherited(context: type) -> set[str]:
    """Return every name of a context, those of the contexts that it builds on too."""
    return set(getattr(context, "__required_keys__", ())) | set(getattr(context, "__optional_keys__", ()))


def _meant(name: str, known: Iterable[str]) -> str:
    """Return the remedy for a name that is not known."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"write one of {', '.join(names)}"


def _without_stop(sentence: str | None) -> str:
    return (sentence or "").rstrip(".").replace(";", ",")
