"""The reference of the settings file as Markdown: every key with its type, its default and what it does.

Made from the schema, so it says what the file takes, and nothing else. ``docs/reference.md`` is its output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.settings.schema import Fragment, flow_text, generated, shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD: Final = """# Every key of the file

Made by `sidegate schema --markdown`; a test holds that it is not stale. The same words are shown by editors that read
[`sidegate.schema.json`](../config/sidegate.schema.json), and
[`sidegate.example.yaml`](../config/sidegate.example.yaml) has each key once.

- A **duration** is a number with `ms`, `s`, `m`, `h` or `d`; a **size** one with `B`, `KiB`, `MiB` or `GiB`.
- A **secret** is exactly one of `{file: PATH}`, `{env: NAME}`, `{value: TEXT}`; files are read again when they change.
- Any text may hold `${NAME}` or `${NAME:-default}`, taken from the environment.
- Unknown keys are errors. `sidegate check -c FILE` tells every problem with its line, and what to write instead.
"""

_KINDS_BY_PATTERN: Final = (("ms|s|m|h|d", "duration"), ("KiB", "size"))
_KINDS: Final = {
    "string": "text",
    "boolean": "switch",
    "integer": "number",
    "number": "number",
    "object": "mapping",
    "null": "",
}


def reference_text() -> str:
    """Return the whole page, ending with a newline."""
    whole = generated()
    parts = [_HEAD]
    for key, field in whole["properties"].items():
        parts.append("\n".join(_section(key, field, is_required=key in whole.get("required", ()))))
    return "\n".join(parts)


def _section(key: str, field: Fragment, *, is_required: bool) -> Iterator[str]:
    yield f"\n## {key}\n"
    yield _about(field, is_required=is_required)
    rows = list(_rows(key, field))
    if rows:
        yield ""
        yield "| key | type | default | |"
        yield "|---|---|---|---|"
        yield from rows


def _about(field: Fragment, *, is_required: bool) -> str:
    words = [field.get("description") or _described_by_section(field)]
    if is_required:
        words.append("**Required.**")
    kinds = _kind(field)
    if not any(shape.get("properties") for shape in shapes(field)):
        words.append(f"A {kinds}; default {_default(field)}." if _default(field) else f"A {kinds}.")
    return " ".join(word for word in words if word)


def _described_by_section(field: Fragment) -> str:
    return next((shape["description"] for shape in shapes(field) if "description" in shape), "")


def _rows(path: str, field: Fragment) -> Iterator[str]:
    """Yield a row for each key below ``path``, depth first in the order of the file."""
    for name, section in _sections(path, field):
        required = section.get("required", ())
        for key, below in section["properties"].items():
            default = "**required**" if key in required else _default(below)
            yield f"| `{name}.{key}` | {_cell(_kind(below))} | {default} | {_cell(_meaning(below))} |"
            yield from _rows(f"{name}.{key}", below)


def _sections(path: str, field: Fragment) -> Iterator[tuple[str, Fragment]]:
    """Yield each section that may stand at ``path``: itself, in a list, or under names that the file chooses."""
    for shape in shapes(field):
        if _is_secret(shape):
            continue
        if shape.get("properties"):
            yield path, shape
        if "items" in shape:
            yield from _sections(f"{path}[]", shape["items"])
        if isinstance(shape.get("additionalProperties"), dict):
            yield from _sections(f"{path}.NAME", shape["additionalProperties"])


def _is_secret(shape: Fragment) -> bool:
    return set(shape.get("properties", ())) == {"file", "env", "value"}


def _kind(field: Fragment) -> str:
    """Return the types that a value may have, in words."""
    return " or ".join(dict.fromkeys(word for shape in shapes(field) if (word := _word(shape))))


def _word(shape: Fragment) -> str:
    if _is_secret(shape):
        return "secret"
    if words := shape.get("enum", [shape["const"]] if "const" in shape else []):
        return ", ".join(f"`{word}`" for word in words)
    if shape.get("type") == "array":
        inner = _kind(shape.get("items", {}))
        return f"list of {inner}" if inner else "list"
    for sign, word in _KINDS_BY_PATTERN:
        if sign in shape.get("pattern", ""):
            return word
    return _word_of_type(shape.get("type"))


def _word_of_type(of_type: object) -> str:
    if isinstance(of_type, list):
        return " or ".join(dict.fromkeys(_KINDS.get(one, str(one)) for one in of_type))
    return _KINDS.get(of_type, "") if isinstance(of_type, str) else ""


def _default(field: Fragment) -> str:
    default = field.get("default")
    if default is None or isinstance(default, dict):
        return ""
    return f"`{flow_text(default)}`" if default != "" else "empty"


def _meaning(field: Fragment) -> str:
    words = field.get("description") or _described_by_section(field)
    examples: Iterable[object] = field.get("examples") or ()
    shown = next((flow_text(example) for example in examples if example != field.get("default")), None)
    return words if shown is None else f"{words} Example: `{shown}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
