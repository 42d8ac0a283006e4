"""What the command line can say of a person and of a request."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.explain.command import explain
from proxy.explain.question import Question, QuestionRefused
from proxy.settings.load import one_site
from tests.explain.conftest import asked, settings_with


class TestPerson:
    def test_each_condition_is_told_with_whether_it_is_met(self) -> None:
        explanation = asked("/admin/x", roles=("admin",), groups=("other",), claims=("department=it-2",))

        assert [(one.condition, one.is_met) for one in explanation.conditions] == [
            ("signed_in", True),
            ("all_roles", True),
            ("any_group", False),
            ("claims.department", True),
        ]
        assert explanation.sentence == "the account lacks the group /staff"

    def test_a_claim_that_is_json_is_what_json_says_and_any_other_is_text(self) -> None:
        file = {"routes": [{"path": "/**", "access": {"claims": {"level": 5, "name": "5", "flag": True}}}]}

        explanation = asked("/", claims=("level=5", 'name="5"', "flag=true"), file=file)

        assert explanation.decision == "allow"

    def test_a_text_that_was_not_given_meets_no_condition(self) -> None:
        file = {"routes": [{"path": "/**", "access": {"claims": {"email": "*"}}}]}

        assert asked("/", file=file).decision == "forbid"

    def test_roles_have_the_names_that_rules_use(self) -> None:
        roles = ("admin", "legacy-app:editor", "other:x", "realm:a:b")

        assert asked("/", roles=roles).asked.person == {"roles": sorted(roles), "groups": [], "claims": {}}

    @pytest.mark.parametrize(
        ("of", "sentence"),
        [
            ({"roles": ("",)}, "no token gives such a role"),
            ({"roles": (":x",)}, "no token gives such a role"),
            ({"groups": ("/",)}, "no token gives such a group"),
            ({"claims": ("department",)}, "write NAME=VALUE"),
            ({"claims": ("sub=5",)}, "sub is text"),
        ],
    )
    def test_a_person_who_cannot_be_is_refused_with_the_remedy(self, of: dict[str, Any], sentence: str) -> None:
        with pytest.raises(QuestionRefused, match=sentence):
            asked("/", **of)


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (Question(method="get", url="/"), "write it in capitals"),
        (Question(method="GET", url="x"), "write a path that begins with /"),
        (Question(method="GET", url=""), "write a path that begins with /"),
        (Question(method="GET", url="https://user@app.example.com/"), "is no URL"),
        (Question(method="GET", url="ftp://app.example.com/"), "is no URL"),
        (Question(method="GET", url="/", headers=("x",)), "write 'Name: value'"),
        (Question(method="GET", url="/", headers=("X: a\nB: c",)), "write 'Name: value'"),
    ],
)
def test_a_request_that_cannot_be_is_refused_with_the_remedy(question: Question, sentence: str) -> None:
    with pytest.raises(QuestionRefused, match=sentence):
        explain(one_site(settings_with()), question)
