"""Routes: first match, methods within a pattern, access, our own prefix, what is taken away, what `check` tells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.claims import ClaimPattern
from proxy.core.routing import (
    AUTHENTICATED,
    OPTIONAL,
    PUBLIC,
    Access,
    Ambiguous,
    ClaimCondition,
    Conditions,
    Matched,
    MethodNotAllowed,
    NoRoute,
    PathCase,
    Route,
    RouteTable,
    RouteTrouble,
    UnderPrefix,
    WhyNot,
    compile_access,
    forward_target,
    lies_under,
    normalised_pattern,
    reading_under,
    route_problems,
)
from proxy.core.target import RequestTarget, TargetRules, parse_target
from proxy.errors import TargetRefused

RULES = TargetRules()


def target(raw: str) -> RequestTarget:
    return parse_target(raw.encode(), rules=RULES)


def table(*routes: str | tuple[str, tuple[str, ...]], path_case: PathCase = PathCase.SENSITIVE) -> RouteTable:
    compiled = []
    for index, stated in enumerate(routes):
        pattern, methods = (stated, None) if isinstance(stated, str) else stated
        compiled.append(Route(pattern=pattern, methods=methods, access=AUTHENTICATED, index=index))
    return RouteTable(tuple(compiled), path_case)


def matched(routes: RouteTable, path: str, method: bytes = b"GET") -> int | None:
    outcome = routes.match(target(path), method)
    return outcome.route.index if isinstance(outcome, Matched) else None


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/", "/"),
            ("/a", "/a"),
            ("/a", "/a/"),
            ("/a/", "/a"),
            ("/a/*", "/a/b"),
            ("/a/*/c", "/a/b/c/"),
            ("/a/*.pdf", "/a/x.pdf"),
            ("/a/x*", "/a/x"),
            ("/admin/**", "/admin"),
            ("/admin/**", "/admin/"),
            ("/admin/**", "/admin/a/b"),
            ("/*/**", "/a"),
            ("/**", "/"),
            ("/**", "/a/b"),
            ("/a.b", "/a.b"),
            ("/café/x", "/caf%C3%A9/x"),
            ("/café/x", "/caf%c3%a9/x"),
            ("/caf%C3%A9/x", "/caf%C3%A9/x"),
            ("/É", "/%C3%89"),
            ("/a b", "/a%20b"),
        ],
    )
    def test_a_path_that_the_pattern_means_matches(self, pattern: str, path: str) -> None:
        assert matched(table(pattern), path) == 0

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/", "/a"),
            ("/a", "/ab"),
            ("/a", "/a/b"),
            ("/a", "/b/a"),
            ("/a/*", "/a"),
            ("/a/*", "/a/"),
            ("/a/*", "/a/b/c"),
            ("/admin/**", "/administrator"),
            ("/*/**", "/"),
            ("/a.b", "/axb"),
            ("/a/*.pdf", "/a/b/x.pdf"),
        ],
    )
    def test_another_path_has_no_route(self, pattern: str, path: str) -> None:
        assert table(pattern).match(target(path), b"GET") == NoRoute()

    @pytest.mark.parametrize(
        "pattern",
        [
            "",
            "a",
            "/a//b",
            "/**/a",
            "/a**",
            "/a?b",
            "/a#b",
            "/a;b",
            "/a\\b",
            "/a%00",
            "/a%2525",
            "/a.",
            "/..",
            "/a /b",
            "/a%3Fb",
        ],
    )
    def test_what_could_never_match_in_one_way_is_no_pattern(self, pattern: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            normalised_pattern(pattern)

    def test_an_escaped_letter_that_needs_no_escape_is_not_the_pattern(self) -> None:
        assert isinstance(table("/café", "/**").match(target("/%63af%C3%A9"), b"GET"), Ambiguous)

    def test_letters_beyond_ascii_are_folded_too(self) -> None:
        assert isinstance(table("/über/**", "/**").match(target("/%C3%9Cber/x"), b"GET"), Ambiguous)


class TestMethods:
    def test_the_first_pattern_wins(self) -> None:
        assert matched(table("/a/b", "/a/**", "/**"), "/a/b") == 0
        assert matched(table("/**", "/a/**"), "/a/b") == 0

    def test_get_includes_head(self) -> None:
        assert matched(table(("/a", ("GET",))), "/a", b"HEAD") == 0

    def test_a_later_route_of_the_same_pattern_takes_another_method(self) -> None:
        routes = table(("/api/**", ("GET",)), "/x", "/api/**/", "/**")

        assert [matched(routes, "/api/a", method) for method in (b"GET", b"POST", b"PURGE")] == [0, 2, 2]

    def test_a_wider_route_never_takes_the_method_that_a_narrower_one_lacks(self) -> None:
        outcome = table(("/api/**", ("GET", "PUT")), ("/api/**", ("PATCH",)), "/**").match(target("/api/a"), b"POST")

        assert isinstance(outcome, MethodNotAllowed)
        assert outcome.allow == ("GET", "HEAD", "PUT", "PATCH")
        assert outcome.route.index == 0

    def test_methods_are_told_apart_by_case(self) -> None:
        assert isinstance(table(("/a", ("GET",))).match(target("/a"), b"get"), MethodNotAllowed)

    def test_no_route_is_no_route(self) -> None:
        assert RouteTable(()).match(target("/"), b"GET") == NoRoute()


class TestCase:
    def test_a_folded_path_that_meets_another_rule_is_ambiguous(self) -> None:
        outcome = table("/admin/**", "/**").match(target("/Admin/x"), b"GET")

        assert isinstance(outcome, Ambiguous)
        assert outcome.reading.path == b"/admin/x"
        assert (outcome.route_a, outcome.route_b) != (None, None)

    def test_a_pattern_with_upper_case_letters_takes_its_own_spelling_only(self) -> None:
        assert matched(table("/Admin/**", "/**"), "/Admin/x") == 0
        assert matched(table("/Admin/**", "/**"), "/admin/x") is None
        assert matched(table("/Admin/**", "/**"), "/Wiki/x") == 1

    def test_case_can_be_ignored(self) -> None:
        routes = table("/Admin/**", "/**", path_case=PathCase.IGNORE)

        assert [matched(routes, path) for path in ("/ADMIN", "/admin/x", "/Admin/Y", "/z")] == [0, 0, 0, 1]

    def test_routes_that_differ_only_in_case_are_refused(self) -> None:
        with pytest.raises(ValueError, match="only in case"):
            table("/a", "/A")

    def test_a_reading_without_any_route_is_ambiguous_too(self) -> None:
        outcome = table("/a").match(target("/a;x"), b"GET")

        assert isinstance(outcome, Ambiguous)
        assert "no route" in str(outcome)


class TestTrace:
    def test_a_trace_tells_of_each_route_why(self) -> None:
        routes = table(("/api/**", ("GET",)), "/x", ("/api/**", ("POST",)), "/**")

        why = [line.why for line in routes.trace(target("/api/a"), b"POST")]

        assert why == [WhyNot.METHOD, WhyNot.PATH, WhyNot.TAKEN, WhyNot.LATER]

    def test_a_trace_of_a_refused_method_takes_none(self) -> None:
        lines = table(("/api/**", ("GET",)), "/**").trace(target("/api/a"), b"POST")

        assert [line.why for line in lines] == [WhyNot.METHOD, WhyNot.PATTERN]

    def test_a_wider_route_that_stands_before_is_passed_over_for_the_pattern_that_matched_first(self) -> None:
        routes = table(("/api/**", ("GET",)), "/**", ("/api/**", ("POST",)))

        why = [line.why for line in routes.trace(target("/api/a"), b"POST")]

        assert why == [WhyNot.METHOD, WhyNot.PATTERN, WhyNot.TAKEN]

    def test_a_trace_ignores_case_when_the_table_does(self) -> None:
        lines = table("/b", "/A", path_case=PathCase.IGNORE).trace(target("/a"), b"GET")

        assert [line.why for line in lines] == [WhyNot.PATH, WhyNot.TAKEN]


PATTERNS = ["/", "/a", "/A/b", "/a/*", "/a/**", "/*/b", "/b.json", "/**"]
TABLES = st.builds(
    lambda routes, path_case: table(*routes, path_case=path_case),
    st.lists(
        st.tuples(st.sampled_from(PATTERNS), st.sampled_from([None, ("GET",), ("POST",), ("GET", "PUT")])), max_size=5
    ),
    st.sampled_from(PathCase),
)
PATHS = st.lists(st.sampled_from(["/", "a", "b", "A", "%61", "%2F", ";x", "\\", ".json", "."]), max_size=6).map(
    lambda pieces: "/" + "".join(pieces)
)


class TestMetAndTrace:
    @given(routes=TABLES, path=PATHS, method=st.sampled_from([b"GET", b"HEAD", b"POST", b"DELETE"]))
    def test_what_is_told_of_readings_and_routes_is_what_the_match_says(
        self, routes: RouteTable, path: str, method: bytes
    ) -> None:
        try:
            asked = target(path)
        except TargetRefused:
            return
        outcome, met, looked = routes.match(asked, method), routes.met(asked), routes.trace(asked, method)

        assert met[0].reading.path == asked.path or routes.path_case is PathCase.IGNORE
        assert isinstance(outcome, Ambiguous) is (len({one.route for one in met}) > 1)
        if isinstance(outcome, Ambiguous):
            assert outcome.reading in [one.reading for one in met]
            assert {outcome.route_a, outcome.route_b} <= {one.route for one in met}
            return
        taken = [line.route for line in looked if line.why is WhyNot.TAKEN]
        assert taken == ([outcome.route] if isinstance(outcome, Matched) else [])
        assert all(line.why is WhyNot.PATH for line in looked) is isinstance(outcome, NoRoute)
        assert all(not line.route.takes(method.decode()) for line in looked if line.why is WhyNot.METHOD)

    def test_a_pattern_with_capitals_is_met_by_another_reading_than_the_path_as_sent(self) -> None:
        met = table("/Admin").met(target("/admin"))

        assert [(str(one.reading), one.route and one.route.pattern) for one in met] == [
            ("/admin (as sent)", None),
            ("/admin (letters folded)", "/Admin"),
        ]


class TestAccess:
    @pytest.mark.parametrize(
        ("word", "access"), [("public", PUBLIC), ("optional", OPTIONAL), ("authenticated", AUTHENTICATED)]
    )
    def test_a_word_is_an_access(self, word: str, access: Access) -> None:
        assert compile_access(word) == access

    def test_a_mapping_is_conditions(self) -> None:
        stated = {
            "any_role": ["viewer", "legacy-app:editor"],
            "all_roles": ["realm:a:b"],
            "any_group": ["staff", "/x"],
            "claims": {"department": ["finance", "it-*"], "level": 5},
        }

        assert compile_access(stated) == Conditions(
            any_role=("viewer", "legacy-app:editor"),
            all_roles=("realm:a:b",),
            any_group=("/staff", "/x"),
            claims=(
                ClaimCondition("department", (ClaimPattern("finance"), ClaimPattern("it-*"))),
                ClaimCondition("level", (ClaimPattern(5),)),
            ),
        )

    @pytest.mark.parametrize(
        "stated",
        [
            "Public",
            "",
            None,
            5,
            [],
            {},
            {"role": ["a"]},
            {"any_role": []},
            {"any_role": [""]},
            {"any_role": [5]},
            {"any_role": ["a"], "all_roles": []},
            {"any_role": ["a"], "claims": {}},
            {"claims": {"x": []}},
            {"claims": {"x": {"y": 1}}},
            {"claims": ["x"]},
            {"claims": {"": "x"}},
        ],
    )
    def test_what_looks_like_a_rule_and_is_none_is_refused(self, stated: object) -> None:
        with pytest.raises(ValueError, match=r"."):
            compile_access(stated)


class TestPrefix:
    @pytest.mark.parametrize(
        "path", ["/_sidegate", "/_sidegate/", "/_sidegate/login?x", "/_sidegate/a%20b", "/_sidegate/A"]
    )
    def test_own_pages_lie_literally_under_the_prefix(self, path: str) -> None:
        assert lies_under(b"/_sidegate", target(path)) is UnderPrefix.ALL

    @pytest.mark.parametrize(
        "path",
        [
            "/_SIDEGATE/login",
            "/%5fsidegate/login",
            "//_sidegate/login",
            "//h/_sidegate",
            "/_sidegate;x/login",
            "/_sidegate%2flogin",
            "/_sidegate%3f",
            "/_sidegate./login",
            "/_sidegate:x",
            "/_sidegate%23",
            "/_sidegate\\login",
        ],
    )
    def test_a_path_of_which_only_some_reading_does_is_neither_ours_nor_the_apps(self, path: str) -> None:
        assert lies_under(b"/_sidegate", target(path)) is UnderPrefix.SOME
        assert reading_under(b"/_sidegate", target(path)).path.startswith(b"/_sidegate")

    @pytest.mark.parametrize(
        "path", ["/", "/_sidegatex", "/a/_sidegate", "/_sidegat", "/a?/_sidegate", "/x%2f_sidegate"]
    )
    def test_other_paths_are_the_apps(self, path: str) -> None:
        assert lies_under(b"/_sidegate", target(path)) is UnderPrefix.NONE


class TestStripPrefix:
    @pytest.mark.parametrize(
        ("path", "left"),
        [
            ("/old/x?y", "/x?y"),
            ("/old", "/"),
            ("/old/", "/"),
            ("/old?", "/?"),
            ("/old?x", "/?x"),
            ("/old/a%2Fb;c", "/a%2Fb;c"),
        ],
    )
    def test_what_stands_there_literally_is_taken_away(self, path: str, left: str) -> None:
        assert forward_target(target(path), b"/old") == left.encode()

    @pytest.mark.parametrize(
        "path",
        [
            "/x",
            "/Old/x",
            "/oldx",
            "/%6fld/x",
            "//old/x",
            "/old//x",
            "/old/%2fx",
            "/old/\\x",
            "/old/%5cx",
            "/old;a/x",
            "/old%2fx",
            "/old/;a/x",
            "/old/%252fx",
        ],
    )
    def test_what_would_not_leave_exactly_one_slash_is_refused(self, path: str) -> None:
        with pytest.raises(TargetRefused):
            forward_target(target(path), b"/old")

    def test_nothing_is_taken_away_by_default(self) -> None:
        assert forward_target(target("//x?"), b"") == b"//x?"


class TestProblems:
    def troubles(self, *specs: tuple[str, tuple[str, ...] | None]) -> list[tuple[RouteTrouble, int | None, int | None]]:
        return [(problem.trouble, problem.index, problem.by) for problem in route_problems(specs)]

    def test_a_good_list_has_none(self) -> None:
        assert not self.troubles(("/a/**", ("GET",)), ("/a/**", None), ("/b*", None), ("/**", None))

    def test_a_bad_pattern_is_an_error(self) -> None:
        [problem] = route_problems([("/a//b", None), ("/**", None)])

        assert (problem.trouble, problem.index) == (RouteTrouble.BAD_PATTERN, 0)
        assert problem.is_error

    def test_routes_that_differ_only_in_case_are_an_error(self) -> None:
        [problem] = route_problems([("/a", ("GET",)), ("/A", ("POST",)), ("/**", None)])

        assert (problem.trouble, problem.index, problem.by) == (RouteTrouble.SAME_BUT_CASE, 1, 0)
        assert problem.is_error

    @pytest.mark.parametrize(
        ("earlier", "later"),
        [
            (("/**", None), ("/a", None)),
            (("/a/**", ("GET",)), ("/a/b", None)),
            (("/a/*", None), ("/a/b", None)),
            (("/a/*", None), ("/a/x*", None)),
            (("/a/**", None), ("/a", None)),
            (("/a", None), ("/a/", ("GET",))),
            (("/a", ("GET",)), ("/a", ("HEAD",))),
            (("/a/b*", None), ("/a/bc*d", None)),
        ],
    )
    def test_a_route_that_can_never_match_is_told(
        self, earlier: tuple[str, tuple[str, ...] | None], later: tuple[str, tuple[str, ...] | None]
    ) -> None:
        assert (RouteTrouble.SHADOWED, 1, 0) in self.troubles(earlier, later)

    @pytest.mark.parametrize(
        ("earlier", "later"),
        [
            (("/a", None), ("/**", None)),
            (("/a/*", None), ("/a", None)),
            (("/*/**", None), ("/", None)),
            (("/*", None), ("/", None)),
            (("/a/*", None), ("/a/**", None)),
            (("/a", ("GET",)), ("/a", None)),
            (("/a/b*", None), ("/a/*", None)),
            (("/a/*b", None), ("/a/b*", None)),
        ],
    )
    def test_a_route_that_can_match_is_not_told(
        self, earlier: tuple[str, tuple[str, ...] | None], later: tuple[str, tuple[str, ...] | None]
    ) -> None:
        assert not any(trouble is RouteTrouble.SHADOWED for trouble, _, _ in self.troubles(earlier, later))

    def test_a_list_without_a_catch_all_is_told(self) -> None:
        assert self.troubles(("/a", None)) == [(RouteTrouble.NO_CATCH_ALL, None, None)]
