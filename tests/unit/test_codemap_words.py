"""Words, queries, tokens and paths: the pure parts of the code map."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.codemap.content import MAX_SOURCE, is_written
from coder.codemap.paths import handicap, is_test, is_worth_reading, words_in_paths
from coder.codemap.query import Query
from coder.codemap.tokens import line_cost, tokens
from coder.codemap.words import stem, words


def test_an_identifier_is_found_by_its_parts_and_whole() -> None:
    assert set(words("parseHTTPHeader_v2")) == {"pars", "http", "head", "v2", "parsehttpheader_v2"}
    assert words("x") == ()
    assert words("self") == ()


@pytest.mark.parametrize("word", ["escape", "escapes", "escaped", "escaping"])
def test_prose_and_code_meet_in_one_stem(word: str) -> None:
    assert words(word) == ("escap",)


@pytest.mark.parametrize(
    "family",
    [
        "skip skips skipped skipping",
        "hydrate hydrates hydrated hydrating hydration",
        "create creates created creating creation",
        "validate validation validator validators",
        "query queries",
        "parse parser parsers parsing parsed",
    ],
)
def test_a_family_of_words_has_one_stem(family: str) -> None:
    assert len({stem(word) for word in family.split()}) == 1


def test_neighbouring_words_are_found_as_one_name() -> None:
    assert {"keepalive", "keep_alive"} <= Query.of("The keep alive of the router").words.keys()


def test_a_query_knows_names_paths_and_frames() -> None:
    query = Query.of(
        "Crash in `Session.save`\n\n"
        'File "/usr/lib/python3/site-packages/flask/sessions.py", line 12, in open_session\n'
        "calls getSigningSerializer(app), see tests/test_basic.py::TestX::test_session_path and flask.json.tag\n"
    )

    assert {"Session", "save", "open_session", "getSigningSerializer", "test_session_path"} <= set(query.names)
    assert "usr/lib/python3/site-packages/flask/sessions.py" in query.paths
    assert "tests/test_basic.py" in query.paths
    assert "flask/json/tag" in query.paths
    assert not query.is_about_tests


def test_that_something_is_wrong_says_little_about_what() -> None:
    query = Query.of("x\n\nFix broken cookie when the session fails")

    assert query.words[stem("cookie")] > 3 * query.words["fix"] > 0
    assert query.words["fail"] == query.words["fix"]


def test_a_title_weighs_more_than_the_body() -> None:
    query = Query.of("cookie\n\nsession")

    assert query.words[words("cookie")[0]] > query.words[words("session")[0]]


def test_a_title_about_tests_is_about_tests() -> None:
    assert Query.of("Flaky test in the scheduler").is_about_tests


@given(st.text(max_size=3000))
def test_any_text_is_a_query(text: str) -> None:
    assert all(weight > 0 for weight in Query.of(text).words.values())


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\n"), max_size=80)))
def test_tokens_of_a_text_are_those_of_its_lines(lines: list[str]) -> None:
    assert tokens("\n".join(lines)) == ceil(sum(line_cost(line) for line in lines or [""]) / 100)


# The larger count of the vocabularies cl100k and o200k (tiktoken 0.12), with a line break at the end.
@pytest.mark.parametrize(
    ("text", "counted"),
    [
        (
            "src/_pytest/mark/expression.py\n  311: class Expression\n  352: def compile(cls, input: str) -> Expression",
            31,
        ),
        (
            "tsdb/head_wal.go\n  717: func (h *Head) appendWALFloat(ms *memSeries, s record.RefSample, opts chunkOpts)",
            35,
        ),
        ("packages/runtime-core/src/components/KeepAlive.ts\n  85: const KeepAliveImpl: ComponentOptions = {", 23),
        (
            "sympy/simplify/trigsimp.py\n  nsimplify hyperexpand_special _eval_simplify expand_trig TR5i fuglambda factor_terms",
            33,
        ),
        (
            "okhttp/src/commonJvmAndroid/kotlin/okhttp3/internal/http2/Http2Connection.kt\n  writePingAndAwaitPong:560 addPingTimeoutTask",
            36,
        ),
        (
            "src/t_zset.c\n  zsetTypeRandomElement zslDeleteRangeByLex zrangeGenericCommand ZADD_IN_NX genericZrangebyrankCommand",
            34,
        ),
    ],
)
def test_tokens_are_not_fewer_than_a_tokenizer_counts(text: str, counted: int) -> None:
    assert counted <= tokens(text) <= 1.25 * counted


@pytest.mark.parametrize("name", ["xkqzvbwtr", "XKQZVBWTR", "nsmplfy", "Ünïcödé", "\\x1b[31m", "日本語"])
def test_what_is_no_word_costs_by_its_size(name: str) -> None:
    assert tokens(name * 10) - tokens("") >= 0.3 * 10 * len(name)


def test_a_build_script_is_less_likely_than_what_it_builds() -> None:
    for path in ("build.gradle.kts", "core/build.rs", "setup.py", "vite.config.ts", "mix.exs"):
        assert handicap(path) > handicap("core/lib.rs"), path
    for path in ("src/config.ts", "lib/setup.rb", "src/builder.rs", "src/history.ts", "app/release.py"):
        assert handicap(path) == 0, path


def test_a_module_of_tests_in_rust_is_a_test() -> None:
    assert is_test("src/net/tests.rs")
    assert not is_test("src/net/tester.rs")


def test_what_nobody_wrote_is_not_read() -> None:
    for path in ("node_modules/x/y.js", "go/vendor/a.go", "app.min.js", "api_pb2.py", "Cargo.lock", "a/b.png"):
        assert not is_worth_reading(path), path
    for path in ("src/vendors.py", "a/binary.py", "lock.go", "Makefile", "src/tools/x.py"):
        assert is_worth_reading(path), path


def test_tests_are_known_by_their_paths() -> None:
    for path in ("tests/x.py", "a/test_b.py", "a/b_test.go", "x/a.spec.ts", "src/test/java/A.java", "x/FooTest.java"):
        assert is_test(path), path
    for path in ("src/testimony.py", "contest.py", "src/latest/x.go", "a/Attestation.java"):
        assert not is_test(path), path


def test_code_is_likelier_than_prose() -> None:
    assert handicap("src/a.py") < handicap("docs/a.py") < handicap("notes.txt") < handicap("CHANGELOG.md")


def test_words_in_paths_are_found_as_in_code() -> None:
    paths = ["packages/runtime-core/scheduler.ts", "Makefile", "İ/a\ncart.py", "lib/HTTPHeader.v2/parseURL.go"]

    found = words_in_paths(paths, {"runtim", "schedul", "cart", "head", "httpheader", "v2", "ts", "missing"})

    assert found == {
        0: frozenset({"runtim", "schedul"}),
        2: frozenset({"cart"}),
        3: frozenset({"head", "httpheader", "v2"}),
    }


def test_generated_binary_and_minified_texts_are_left_out() -> None:
    assert is_written(b"def f(): pass\n", "python")
    assert not is_written(b"\x00\x01", "python")
    assert not is_written(b"// Code generated by protoc. DO NOT EDIT.\npackage x\n", "go")
    assert not is_written(b"x" * (MAX_SOURCE + 1), "python")
    assert not is_written(b"a=1;" * 50_000, "javascript")
