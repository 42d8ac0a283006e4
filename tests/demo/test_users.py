"""The people of the provider."""

from __future__ import annotations

import pytest

from proxy.demo import totp
from proxy.demo.users import User, Users, effective_roles


def someone(**attributes: object) -> User:
    return User(**{"username": "alice", "password": "pw", **attributes})  # type: ignore[arg-type]


def test_a_user_is_found_by_name_and_by_email_in_any_case() -> None:
    users = Users()
    alice = users.add(someone(email="alice@acme.test"))

    assert users.find("ALICE") is alice
    assert users.find("Alice@Acme.Test") is alice
    assert users.by_subject(alice.subject) is alice


def test_a_name_can_be_taken_once() -> None:
    users = Users()
    users.add(someone())

    with pytest.raises(ValueError, match="Alice"):
        users.add(someone(username="Alice"))


def test_a_removed_user_is_not_found() -> None:
    users = Users()
    users.add(someone())

    users.remove("alice")

    assert users.find("alice") is None
    with pytest.raises(KeyError):
        users["alice"]


def test_a_one_time_code_is_good_once() -> None:
    user = someone(otp_secret=b"secret")
    code = totp.code_at(b"secret", 1000)

    assert user.spends_otp(code, 1000)
    assert not user.spends_otp(code, 1000)


def test_default_roles_bring_the_account_and_offline_access() -> None:
    roles = effective_roles(someone(realm_roles=("viewer", "default-roles-acme"), client_roles={"app": ("editor",)}))

    assert set(roles.realm) == {"viewer", "default-roles-acme", "offline_access", "uma_authorization"}
    assert roles.clients == {"app": ("editor",), "account": ("manage-account", "manage-account-links", "view-profile")}


def test_without_default_roles_there_is_nothing_but_what_was_given() -> None:
    roles = effective_roles(someone(realm_roles=("viewer",), client_roles={"app": ()}))

    assert roles.realm == ("viewer",)
    assert roles.clients == {}


def test_a_user_without_names_has_no_name() -> None:
    assert someone().name is None
    assert someone(first_name="Alice").name == "Alice"
