"""Settings files that are right but for one thing, and what is said about it."""

from __future__ import annotations

import re
from textwrap import indent
from typing import TYPE_CHECKING, Protocol

import pytest

from proxy.settings.load import Loaded, load

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = {
    "server": {"public_url": "https://app.example.com", "trusted_proxies": "[10.0.0.0/8]"},
    "keycloak": {
        "issuer": "https://sso.example.com/realms/acme",
        "client_id": "legacy-app",
        "client_auth": "{secret: {env: CLIENT_SECRET}}",
    },
    "upstreams": {"app": "{url: http://127.0.0.1:8000}"},
}


def file_with(section: str, lines: str) -> str:
    """Return a settings file in which ``lines`` stand first under ``section``: at line 2, column 3.

    With an empty section they stand at the top: at line 1, column 1. A key that they set replaces the right one.
    """
    sections = {name: dict(keys) for name, keys in SECTIONS.items()}
    for key in re.findall(r"^(\w+):", lines, re.MULTILINE):
        sections.get(section, sections).pop(key, None)
    first = f"{section}:\n{indent(lines, '  ')}\n" if section else f"{lines}\n"
    first += "".join(f"  {key}: {value}\n" for key, value in sections.pop(section, {}).items())
    return first + "".join(
        f"{name}:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items()) for name, keys in sections.items()
    )


class LoadText(Protocol):
    """Load a settings file from its text."""

    def __call__(self, text: str) -> Loaded:
        """Return what the file gave."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "of the environment")
    monkeypatch.delenv("NOT_SET", raising=False)


@pytest.fixture
def load_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadText:
    """Return a function from text to what the file ``s.yaml`` gave."""
    monkeypatch.chdir(tmp_path)

    def load_it(text: str) -> Loaded:
        path = tmp_path / "s.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path.relative_to(tmp_path))

    return load_it
