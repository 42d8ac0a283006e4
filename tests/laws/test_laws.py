"""The laws of the house, each broken on purpose in a copy of the source: a named test must then fail.

A test that cannot fail proves nothing. Here every law has one line that breaks it; the line must still stand in the
source (else the break has to be found anew), and the tests named beside it must notice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("proxy", "tests", "config", "pyproject.toml")
TIMEOUT_S = 90


@dataclass(frozen=True, slots=True)
class Break:
    """How a law is broken, and who must notice.

    Attributes:
        stands: text that stands exactly once in ``file``.
        tests: what pytest is asked to run; fast, and without a real Keycloak.
    """

    law: str
    file: str
    stands: str
    becomes: str
    tests: tuple[str, ...]


BREAKS = (
    Break(
        "1 only decide makes an Allow",
        "proxy/core/policy.py",
        "if proof is not _PROOF:",
        "if False:",
        ("tests/core/test_policy.py",),
    ),
    Break(
        "1 nothing is forwarded without an Allow",
        "proxy/forward/exchange.py",
        "if not isinstance(forward.allow, Allow):",
        "if False:",
        ("tests/forward/test_exchange.py", "-k", "allow"),
    ),
    Break(
        "2 every reading meets the same route",
        "proxy/core/target.py",
        "        states.extend(_next_states(reading, budget, rules))\n",
        "",
        ("tests/core/test_target.py", "tests/properties"),
    ),
    Break(
        "3 identity headers of clients are dropped in every spelling",
        "proxy/core/headers.py",
        "dropped = NEVER_PASSED | self.rules.identity_names | _PUT_BY_US",
        "dropped = NEVER_PASSED | _PUT_BY_US",
        ("tests/gate/test_handler.py", "-k", "spelling"),
    ),
    Break(
        "4 a connection that belongs to one client is given to no other",
        "proxy/forward/exchange.py",
        "elif self._is_pinned or self._pins():",
        "elif False:",
        ("tests/forward", "-k", "ntlm or negotiate or pin"),
    ),
    Break(
        "4 a kept form is sent on for the person who sent it alone",
        "proxy/gate/keeping.py",
        "        if session is None or subject_hash(session.identity.issuer, session.identity.subject) "
        "!= kept.subject_hash:\n",
        "        if session is None:\n",
        ("tests/gate/test_keeping.py", "-k", "another_person"),
    ),
    Break(
        "5 replace never creates",
        "proxy/sessions/memory.py",
        "        record = self._live_record(_checked_key(cookie_value, session))\n        if record is None or",
        "        record = self._live_record(_checked_key(cookie_value, session))\n"
        "        if record is None:\n"
        "            self._records[session.key] = _Record(session)\n"
        "            return session\n"
        "        if",
        ("tests/contracts/test_session_store_contract.py", "-k", "memory"),
    ),
    Break(
        "6 a store that is away is never a pass",
        "proxy/gate/authenticate.py",
        '        """\n        session = await self._store.load(cookie_value)\n',
        '        """\n        try:\n'
        "            session = await self._store.load(cookie_value)\n"
        "        except Exception:\n"
        "            return None\n",
        ("tests/gate",),
    ),
    Break(
        "7 a jti is remembered only after the deletion",
        "proxy/web/backchannel.py",
        "    ended = await sessions.delete_matching(which, EndCause.BACKCHANNEL)\n",
        "    await sessions.spend_jti(spent_id, claims.expires_at)\n"
        "    ended = await sessions.delete_matching(which, EndCause.BACKCHANNEL)\n",
        ("tests/web/test_backchannel.py",),
    ),
    Break(
        "8 the old record is gone before the new cookie is set",
        "proxy/web/establish.py",
        "        await sessions.delete(session_key(old), EndCause.REPLACED)\n",
        "        pass\n",
        ("tests/web",),
    ),
    Break(
        "8 nothing of the old session is left when it goes on under another cookie",
        "proxy/sessions/memory.py",
        "            await self._make_way(old_key)\n",
        "",
        ("tests/contracts/test_session_store_contract.py", "-k", "memory and goes_on"),
    ),
    Break(
        "9 nothing goes upstream after a refusal",
        "proxy/gate/handler.py",
        "        refusal = None if cookie_value is None else cross_site_verdict("
        "accepted, route, allowed=rules.allowed_origins)\n",
        "        refusal = None\n",
        ("tests/gate/test_handler.py", "-k", "another_site"),
    ),
    Break(
        "9 a request with two lengths is framed in no way",
        "proxy/forward/framing.py",
        "    if len(lengths) + len(codings) > 1:\n",
        "    if False:\n",
        ("tests/forward/test_framing.py",),
    ),
    Break(
        "9 a form of another site is not kept",
        "proxy/gate/keeping.py",
        "        if obstacle is not None:\n            return self._refused(form, obstacle)\n",
        "",
        ("tests/gate/test_keeping.py", "-k", "same_origin"),
    ),
    Break(
        "9 a form of nobody is not kept",
        "proxy/gate/keeping.py",
        "        if owner is None:\n            return self._refused(form, NotKept.NOBODY)\n",
        '        owner = owner or ""\n',
        ("tests/gate/test_keeping.py", "-k", "nobody_is_not_read"),
    ),
    Break(
        "10 a way back is a path of our own origin",
        "proxy/core/return_to.py",
        '    if any(reading.path[:2] in {b"//", b"/\\\\"} for reading in parsed.readings):\n        return False\n',
        "",
        ("tests/core/test_return_to.py", "tests/properties"),
    ),
    Break(
        "11 a secret shows nothing",
        "proxy/core/secret.py",
        '        return "***"\n\n    __str__',
        "        return self._text\n\n    __str__",
        ("tests/core/test_secret.py",),
    ),
    Break(
        "12 memory is bounded: token ids that were spent",
        "proxy/sessions/memory.py",
        "if known is None and self._spent_until.is_full(now):",
        "if False:",
        ("tests/sessions/test_memory.py",),
    ),
    Break(
        "12 memory is bounded: bodies that are read to be kept",
        "proxy/forward/keeping.py",
        "elif not self._has_room(size):",
        "elif False:",
        ("tests/forward/test_keeping.py", "-k", "held_at_once"),
    ),
    Break(
        "13 verification has no off switch",
        "proxy/oidc/jws.py",
        "if parsed.algorithm not in KEY_OF_ALGORITHM or parsed.algorithm not in allowed:",
        "if False:",
        ("tests/oidc/test_jws.py",),
    ),
)


def test_every_law_is_broken_once() -> None:
    assert {int(one.law.split()[0]) for one in BREAKS} == set(range(1, 14))


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.law)
def test_a_broken_law_is_noticed(one: Break, tmp_path: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            # With what is compiled already, which is valid for all but the broken file; others may be writing there.
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(source, tmp_path / name)
    broken = tmp_path / one.file
    text = broken.read_text("utf-8")
    assert text.count(one.stands) == 1, f"{one.file} has changed: find anew how this law is broken"
    broken.write_text(text.replace(one.stands, one.becomes), "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *one.tests],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 1, f"nobody noticed:\n{done.stdout[-2000:]}{done.stderr[-500:]}"
