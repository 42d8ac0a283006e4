"""From a path to settings: every problem at once, each with its place, and never an exception."""

from __future__ import annotations

import errno
import os
import random
import re
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from proxy.errors import SettingsError
from proxy.settings.load import LARGEST_FILE_BYTES, load, load_alone, load_settings
from tests.settings.conftest import file_with
from tests.support.hypothesis_profile import MORE

if TYPE_CHECKING:
    from tests.settings.conftest import LoadText

CONFIG = Path(__file__).parents[2] / "config"

ALL_AT_ONCE = """\
server:
  public_url: https://app.example.com
  listn: 0.0.0.0:1
  prefix: ${NOT_SET}
  prefix: /x
  timeouts: {head: 10, idle: 5s}
  trusted_proxies: [10.0.0.0/8]
keycloak:
  issuer: https://sso.example.com/realms/acme
  client_auth: {method: none, secret: {env: CLIENT_SECRET}}
upstreams:
  app: {url: http://127.0.0.1:8000}
routes:
- {path: /admin/**, upstream: ap}
- {path: /admin/x}
"""


def test_every_problem_is_told_at_once_in_the_order_of_the_file(load_text: LoadText) -> None:
    assert [str(problem) for problem in load_text(ALL_AT_ONCE).problems] == [
        "s.yaml:3:3  server.listn: unknown key; did you mean server.listen?",
        "s.yaml:4:3  server.prefix: needs the variable NOT_SET, which is not set; set it, or write ${NOT_SET:-default}",
        "s.yaml:5:3  server.prefix: duplicate key, already set on line 4; keep one of the two",
        "s.yaml:6:14  server.timeouts.head: 10 has no unit; write 10s if seconds are meant",
        "s.yaml:8:1  keycloak.client_id: is missing; add client_id: legacy-app",
        (
            "s.yaml:10:31  keycloak.client_auth.secret: is never used with method none; "
            "take it out, or write another method"
        ),
        (
            "s.yaml:13:1  routes: warning: have no /**, so every other path is 404; "
            "add {path: /**, access: authenticated} at the end if the app has more"
        ),
        "s.yaml:14:21  routes[0].upstream: names ap, and there is no such upstream; did you mean app?",
        (
            "s.yaml:15:4  routes[1].path: warning: is shadowed and never matches, for routes[0] (/admin/**) "
            "takes every such request; put it before that one, or take it out"
        ),
    ]


def test_a_file_with_warnings_alone_can_be_used(load_text: LoadText) -> None:
    loaded = load_text(file_with("sessions", "cookie: {domain: example.com}"))

    assert loaded.settings is not None
    assert loaded.errors == ()
    assert len(loaded.warnings) == 1


def test_variables_are_put_in_before_types_are_judged(load_text: LoadText, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTS", "3")
    monkeypatch.setenv("REGISTRATION", "true")
    lines = 'max_concurrent: ${GRANTS}\nregistration: ${REGISTRATION}\ncsrf_lifetime: "${MINUTES:-5}m"'

    settings = load_text(file_with("login", lines)).settings

    assert settings is not None
    assert (settings.login.max_concurrent, settings.login.registration) == (3, True)
    assert settings.login.csrf_lifetime == 300


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "s.yaml: is empty; start from config/sidegate.minimal.yaml"),
        ("# a comment\n", "s.yaml: is empty; start from config/sidegate.minimal.yaml"),
        ("- a\n- b\n", "s.yaml:1:1  the file must be keys and values at the top; begin with a key such as server:"),
        ("hello", "s.yaml:1:1  the file must be keys and values at the top; begin with a key such as server:"),
        ("server:\n\tx: 1\n", "s.yaml:2:1  the file is not YAML here: a tab; indent with spaces"),
        ("a: b\n---\nc: d\n", "s.yaml:2:1  a second document begins here; keep one and take out the line ---"),
        ("server: {x: ${HOME}}\n", ("s.yaml:1:14  the file is not YAML here: expected ',' or '}', but got '{'; "
         "put text with ${…} in quotes")),
        ("a:\n  b: 1\n c: 2\n", ("s.yaml:3:2  the file is not YAML here: expected <block end>, but found "
         "'<block mapping start>'; check indentation, colons, brackets and quotes")),
        ("a: *x\n", ("s.yaml:1:4  the file is not YAML here: found undefined alias 'x'; "
         "check indentation, colons, brackets and quotes")),
        ("a: 1\nb: \x07\n", "s.yaml:2:4  holds a control character; take it out"),
        ("a: " + "[" * 5000, "s.yaml: is nested too deeply; start from config/sidegate.minimal.yaml"),
        ("a: [1\n", ("s.yaml:2:1  the file is not YAML here: expected ',' or ']', but got '<stream end>'; "
         "check indentation, colons, brackets and quotes")),
    ],
)  # fmt: skip
def test_what_is_no_settings_file_is_one_sentence(text: str, sentence: str, load_text: LoadText) -> None:
    loaded = load_text(text)

    assert [str(problem) for problem in loaded.problems] == [sentence]
    assert loaded.settings is None


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "nope.yaml"

    assert [str(problem) for problem in load(path).problems] == [
        f"{path}: there is no such file; check the path after -c"
    ]


def test_a_directory_is_one_sentence(tmp_path: Path) -> None:
    assert [str(problem) for problem in load(tmp_path).problems] == [
        f"{tmp_path}: is a directory; name the YAML file in it"
    ]


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _mode: str) -> None:
        # The tests may run as root, who may read everything.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)

    problem = load(tmp_path / "s.yaml").problems[0]

    assert (problem.message, problem.remedy) == (
        "cannot be read (permission denied)",
        "let the user that runs sidegate read it",
    )


def test_a_device_is_one_sentence() -> None:
    assert [str(problem) for problem in load(Path("/dev/zero")).problems] == [
        "/dev/zero: is larger than 1 MiB; check the path after -c"
    ]


def test_a_path_that_is_none_is_one_sentence() -> None:
    assert "is no path of a file" in str(load(Path("a\0b")).problems[0])


def test_a_file_that_is_no_utf_8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes("server:\n  # é".encode() + b"\xe9\n")

    assert str(load(path).problems[0]) == f"{path}:2:6  the file is not UTF-8 text from here on; save it as UTF-8"


def test_a_byte_order_mark_does_not_move_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + file_with("", "sever: 1").encode())

    assert str(load(path).problems[0]) == f"{path}:1:1  sever: unknown key; did you mean server?"


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = file_with("", "")
    path.write_text(text + "#" * (LARGEST_FILE_BYTES - len(text)))

    assert load(path).settings is not None


def test_settings_or_an_error_with_each_error_on_its_line(load_text: LoadText) -> None:
    load_text(ALL_AT_ONCE)

    with pytest.raises(SettingsError) as refused:
        load_settings(Path("s.yaml"))

    lines = str(refused.value).splitlines()
    assert len(lines) == 7
    assert all(line.startswith("s.yaml:") and "warning" not in line for line in lines)


WEIRD: tuple[Any, ...] = (
    None, 5, -1, 1.5, True, "", [], {}, "x", [None], [1, "a"], {"a": 1}, {"a": None}, "é", "/", "a b", ["x", "x"],
    {"<word>": 1}, {"[key]": {}}, [[[]]], "${NOT_SET}", "${", 10**17,
)  # fmt: skip


def places_in(data: Any) -> list[tuple[Any, Any]]:
    """Return every container with every key or index of it."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data))) if isinstance(data, list) else []
    return [place for key in keys for place in ((data, key), *places_in(data[key]))]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_stands_in_a_file_each_problem_is_a_sentence_and_none_is_an_exception(
    seed: int, load_text: LoadText
) -> None:
    chance = random.Random(seed)
    example = (CONFIG / "sidegate.example.yaml").read_text()
    right = yaml.safe_load(re.sub(r"^( *)#(?=\w+:)", r"\1", example, flags=re.MULTILINE))

    for _ in range(8 * MORE):
        data = deepcopy(right)
        for _ in range(chance.randint(1, 6)):
            container, key = chance.choice(places_in(data))
            container[key] = deepcopy(chance.choice(WEIRD))
        loaded = load_text(yaml.safe_dump(data))

        assert (loaded.settings is None) == bool(loaded.errors)
        assert all(problem.message and problem.remedy and problem.key_path for problem in loaded.problems)
        assert not any("does not fit" in problem.message for problem in loaded.problems)


def test_settings_of_a_good_file(load_text: LoadText) -> None:
    load_text(file_with("", ""))

    assert load_settings(Path("s.yaml")).keycloak.client_id == "legacy-app"


@pytest.mark.parametrize(
    "text",
    [
        "server: 1\nkeycloak: 2\nupstreams: 3\nroutes: 4\n",
        "server:\nkeycloak:\nupstreams:\nroutes:\n",
        "server: {public_url: []}\nkeycloak: {client_auth: {secret: []}, scopes: [[], {}, 1]}\nupstreams: {a: }\n",
        "sessions: {encryption_keys: [1, {file: 2}, {zzz: 3}, {}]}\n",
        "routes: [[], {}, {path: {}}, {path: /a, access: {claims: [1]}}, {path: /a, headers: {set: []}}]\n",
        "login: {providers: [1, {alias: 2}, {label: []}]}\n",
        "routes:\n- {path: /a, methods: [1, get, {}], access: {any_role: [1, [], {}], claims: {1: {}}}}\n",
    ],
)
def test_a_file_that_is_wrong_throughout_is_still_read_to_its_end(text: str, load_text: LoadText) -> None:
    loaded = load_text(text)

    assert loaded.settings is None
    assert all(problem.message and problem.remedy and problem.key_path for problem in loaded.problems)
    assert not any("does not fit" in problem.message for problem in loaded.problems)


def test_a_file_can_be_read_alone_where_the_files_and_secrets_that_it_names_are_not(tmp_path: Path) -> None:
    file = tmp_path / "sidegate.yaml"
    file.write_text(
        "server: {public_url: https://app.example.com, tls: {cert_file: /nowhere/c.pem, key_file: /nowhere/k.pem}}\n"
        "keycloak:\n"
        "  issuer: https://sso.example.com/realms/acme\n"
        "  client_id: legacy-app\n"
        "  ca_file: /nowhere/ca.pem\n"
        "  client_auth: {secret: {file: /nowhere/secret}}\n"
        "login: {logo_file: /nowhere/logo.svg, templates_dir: /nowhere/templates}\n"
        "sessions:\n"
        "  store: redis\n"
        "  encryption_keys: [{env: NOBODY_SETS_THIS}]\n"
        '  redis: {url: "rediss://redis", tls: {ca_file: /nowhere/redis.pem}}\n'
        "upstreams: {app: {url: 'https://127.0.0.1:8443', tls: {ca_file: /nowhere/app.pem}}}\n"
        "management: {admin_token: {file: /nowhere/token}}\n"
    )

    assert len(load(file).errors) == 10
    assert load_alone(file).errors == ()


def test_what_is_wrong_in_the_file_itself_is_told_of_a_file_read_alone_too(tmp_path: Path) -> None:
    file = tmp_path / "sidegate.yaml"
    file.write_text("server: {public_url: https://app.example.com}\nroutes: [{path: /a}, {path: /A}]\n")

    told = [problem.key_path for problem in load_alone(file).errors]

    assert "routes[1].path" in told
    assert "keycloak.issuer" in told
