"""The JSON Schema of the settings file, for editors and for the reference.

It is made from the model, so it cannot say anything else. It allows ``${NAME}`` wherever a value has another type than
text, because the file does.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from proxy.settings.model import Section, Settings
from proxy.settings.portals import OF_THE_PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.settings.problems import KeyPath

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SUBSTITUTION: Final = {"type": "string", "pattern": r"\$\{"}

# A fragment of JSON has any shape; it is walked, never trusted.
Fragment = dict[str, Any]


def schema_text() -> str:
    """Return the schema as ``config/sidegate.schema.json`` holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Fragment:
    """Return the schema of the whole file."""
    return {"$schema": DIALECT, "title": "Settings of Sidegate", **_with_portals(_polished(generated()))}


def _with_portals(whole: Fragment) -> Fragment:
    """Return the schema with what a portal may write: every key that is not of the process, and none that it must."""
    definitions, portal = dict(whole["$defs"]), dict(whole["$defs"]["PortalSettings"])
    properties = dict(portal["properties"])
    for key, fragment in whole["properties"].items():
        if (key,) in OF_THE_PROCESS:
            continue
        name = fragment.get("$ref", "").rpartition("/")[2]
        properties[key] = fragment
        if name in definitions:
            properties[key] = {**fragment, "$ref": f"#/$defs/{name}OfPortal"}
            definitions[f"{name}OfPortal"] = _section_of_portal(definitions[name], key)
    definitions["PortalSettings"] = {**portal, "properties": properties, "additionalProperties": False}
    return {**whole, "$defs": definitions}


def _section_of_portal(section: Fragment, key: str) -> Fragment:
    left_out = {path[1] for path in OF_THE_PROCESS if path[0] == key and len(path) > 1}
    left_out |= {"hosts"} if key == "server" else set()
    properties = {name: field for name, field in section["properties"].items() if name not in left_out}
    return {name: value for name, value in {**section, "properties": properties}.items() if name != "required"}


@cache
def generated() -> Fragment:
    """Return the schema as pydantic makes it, with defaults as the file writes them, once."""
    generated = Settings.model_json_schema()
    definitions = {"Settings": generated, **generated["$defs"]}
    models: list[type[Section]] = [Settings, *_subsections(Section)]
    for model in models:
        defaults = model.model_construct().model_dump(mode="json")
        for key, fragment in definitions[model.__name__]["properties"].items():
            if "default" in fragment:
                fragment["default"] = defaults[key]
            if "examples" in fragment:
                fragment["examples"] = model.model_fields[key].examples  # pydantic sorts the keys of its copy
    generated["properties"]["routes"]["default"] = [{"path": "/**", "access": "authenticated"}]
    return generated


def _subsections(model: type[Section]) -> Iterator[type[Section]]:
    """Yield the models of all sections below the top."""
    for subclass in model.__subclasses__():
        if subclass is not Settings:
            yield subclass


def _polished(fragment: Any) -> Any:
    """Return a fragment without machine-made titles, and with ``${NAME}`` allowed beside numbers and switches."""
    if isinstance(fragment, list):
        return [_polished(item) for item in fragment]
    if not isinstance(fragment, dict):
        return fragment
    polished = {key: _polished(value) for key, value in fragment.items() if not _is_noise(key, value)}
    return _with_substitution(polished)


def _is_noise(key: str, value: object) -> bool:
    """Say whether an entry helps nobody: titles made from names, a default that says what the keys below say."""
    return (key == "title" and isinstance(value, str)) or (
        key == "default" and (value is None or isinstance(value, dict))
    )


def _with_substitution(fragment: Fragment) -> Fragment:
    """Return a fragment that takes ``${NAME}`` too, when it is for a switch, a number, a pattern or a fixed word."""
    if fragment.get("type") in ("boolean", "integer") or "enum" in fragment or "pattern" in fragment:
        about: Fragment = {key: fragment[key] for key in ("description", "default", "examples") if key in fragment}
        plain = {key: value for key, value in fragment.items() if key not in about}
        return {**about, "anyOf": [plain, dict(_SUBSTITUTION)]} if plain != _SUBSTITUTION else fragment
    return fragment


# --- what the schema knows of one key --------------------------------------------------------------------------------


def keys_at(path: KeyPath) -> tuple[str, ...]:
    """Return the keys that a mapping at ``path`` may have; empty where any key is allowed or none is."""
    return tuple(key for shape in _shapes_at(path) for key in shape.get("properties", {}))


def parents_of(key: str) -> tuple[str, ...]:
    """Return the sections of the file (one level deep) that have a key of this name."""
    return tuple(section for section in keys_at(()) if key in keys_at((section,)))


def is_mapping_at(path: KeyPath) -> bool:
    """Say whether a mapping may stand at ``path``."""
    return any(shape.get("type") == "object" for shape in _shapes_at(path))


def example_at(path: KeyPath) -> str | None:
    """Return an example of the value at ``path``, as one would write it on one line of YAML, or None.

    Without an example the default is one.
    """
    field = _field_at(path)
    if field.get("examples"):
        return flow_text(field["examples"][0])
    default = field.get("default")
    return None if default in (None, [], {}, "") else flow_text(default)


def flow_text(value: object) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow_text(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f'"{text}"' if text[:1] in {"{", "*", "[", "&"} else text


def _field_at(path: KeyPath) -> Fragment:
    """Return the fragment of one field, with the words that stand beside its type; empty when there is none."""
    fields = [generated()]
    for part in path:
        fields = [step for field in fields for shape in shapes(field) for step in _step(shape, part)]
    return fields[0] if fields else {}


def _shapes_at(path: KeyPath) -> list[Fragment]:
    """Return each type that a value at ``path`` may have."""
    return list(shapes(_field_at(path)))


def shapes(fragment: Fragment) -> Iterator[Fragment]:
    """Yield each type of a fragment, references followed."""
    if "$ref" in fragment:
        yield from shapes(generated()["$defs"][fragment["$ref"].rpartition("/")[2]])
        return
    alternatives = fragment.get("anyOf") or fragment.get("oneOf")
    if not alternatives:
        yield fragment
        return
    for alternative in alternatives:
        yield from shapes(alternative)


def _step(shape: Fragment, part: str | int) -> Iterator[Fragment]:
    """Yield the fragment one key or one index deeper."""
    if isinstance(part, int):
        if "items" in shape:
            yield shape["items"]
    elif part in shape.get("properties", {}):
        yield shape["properties"][part]
    elif isinstance(shape.get("additionalProperties"), dict):
        yield shape["additionalProperties"]
