"""What may be a password; the form itself is held by ``test_login.py`` and ``test_forms.py``."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.web.login_form import MAX_PASSWORD_BYTES, MAX_USERNAME_LENGTH, NO_FORM, LoginForm, can_be_right
from proxy.web.options import LoginOptions, OtpField

FORM = replace(NO_FORM, username="alice", password=Secret("pw"))


@pytest.mark.parametrize(
    "form",
    [
        FORM,
        replace(FORM, username="x" * MAX_USERNAME_LENGTH),
        replace(FORM, username="名前 🙂"),
        replace(FORM, password=Secret("x" * MAX_PASSWORD_BYTES)),
        replace(FORM, password=Secret(" \t\n ")),
        replace(FORM, otp=Secret("123456")),
    ],
)
def test_what_a_provider_could_accept_is_asked(form: LoginForm) -> None:
    assert can_be_right(form, LoginOptions())


@pytest.mark.parametrize(
    "form",
    [
        NO_FORM,
        replace(FORM, username=""),
        replace(FORM, username="x" * (MAX_USERNAME_LENGTH + 1)),
        replace(FORM, username="a\x00"),
        replace(FORM, username="a\x7f"),
        replace(FORM, username="\ud800"),
        replace(FORM, password=Secret("")),
        replace(FORM, password=Secret("é" * (MAX_PASSWORD_BYTES // 2) + "x")),
        replace(FORM, password=Secret("\udfff")),
        replace(FORM, password=Secret("a\x00")),
        replace(FORM, otp=Secret("1\x00")),
        replace(FORM, otp=Secret("1" * 65)),
        replace(FORM, otp=Secret("\ud800")),
    ],
)
def test_what_no_provider_could_accept_is_not(form: LoginForm) -> None:
    assert not can_be_right(form, LoginOptions())


def test_a_required_code_must_be_there() -> None:
    required = LoginOptions(otp=OtpField.REQUIRED)

    assert not can_be_right(FORM, required)
    assert can_be_right(replace(FORM, otp=Secret("1")), required)


def test_a_form_never_prints_its_password() -> None:
    assert "hunter2" not in repr(replace(FORM, password=Secret("hunter2"), otp=Secret("hunter2")))
