"""The templates: ours, and before them a company's own, in a sandbox.

A company's ``login.html`` stands for ours, and reaches ours as ``sidegate/login.html`` to change single blocks of it.
Its files are read once, at the start. A template is text that a person wrote, not code that we trust: it sees values
and a few functions, never an object that leads to files, modules or secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct, field

from proxy.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

OURS: Final = "sidegate"
"""Before the name of a template of ours, for a template that stands in its place."""

MOST_TEMPLATES: Final = 64
LARGEST_TEMPLATE_BYTES: Final = 256 * 1024
"""Ours have 4 KB; all of a company's are kept in memory."""


class OwnTemplates(Struct):
    """A company's templates as they were at the start.

    Attributes:
        folder: where they were read; in tracebacks the file of a template is a path below it.
        sources: text by name, as templates name one another: ``login.html``, ``parts/foot.html``.
        used: names that somebody asked for.
    """

    folder: Path
    sources: dict[str, str]
    used: set[str] = field(default_factory=set)

    def path(self, name: str) -> Path:
        """Return the file of a template."""
        return self.folder / name


class _OwnLoader(BaseLoader):
    """Finds a company's templates, and notes which were found."""

    def __init__(self, templates: OwnTemplates) -> None:
        self._templates = templates

    def get_source(self, _environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Return text, file, and that it has not changed."""
        if template not in self._templates.sources:
            raise TemplateNotFound(template)
        self._templates.used.add(template)
        return self._templates.sources[template], str(self._templates.path(template)), lambda: True


def read_templates(folder: Path) -> OwnTemplates:
    """Return every ``*.html`` of the folder and of those in it.

    Raises:
        SettingsError: one cannot be read or is too large, or there are too many.
    """
    try:
        paths = sorted(path for path in folder.rglob("*.html") if not _is_hidden(path.relative_to(folder)))
        if not folder.is_dir():
            raise SettingsError(f"{folder} is no folder; name the one with your templates, or leave the key out")
        if len(paths) > MOST_TEMPLATES:
            raise SettingsError(f"{folder} has more than {MOST_TEMPLATES} templates; keep those that pages use")
        return OwnTemplates(folder, {path.relative_to(folder).as_posix(): _text(path) for path in paths})
    except OSError as error:
        raise SettingsError(f"{folder} cannot be read ({error.strerror}); check path and permissions") from error


def make_environment(own: OwnTemplates | None = None) -> Environment:
    """Return where templates are found and what they may do: everything escaped, every name known, nothing changed.

    Source: Jinja, "Sandbox"; ``range`` is bounded there too.
    """
    ours = PackageLoader("proxy.pages", "templates")
    loaders: Iterable[BaseLoader] = (PrefixLoader({OURS: ours}), ours)
    return ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([*([] if own is None else [_OwnLoader(own)]), *loaders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _is_hidden(path: Path) -> bool:
    # The ..data of a mounted ConfigMap holds every file a second time.
    return any(part.startswith(".") for part in path.parts)


def _text(path: Path) -> str:
    content = path.read_bytes()
    if len(content) > LARGEST_TEMPLATE_BYTES:
        raise SettingsError(f"{path} is larger than {LARGEST_TEMPLATE_BYTES // 1024} KiB; make it smaller")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}:{line}  is not UTF-8 text from here on; save it as UTF-8") from error
