"""Files that kill parsers, index files that are none, names that are no text: the map goes on."""

import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from coder.codemap.build import build
from coder.codemap.index import SCHEMA_VERSION
from coder.codemap.languages import LANGUAGES
from coder.codemap.map import CodeMap
from coder.codemap.maps import Maps
from coder.codemap.parse import Job, Parsers, worker_command
from coder.codemap.parsed import Parsed
from coder.errors import CodeMapError
from tests.integration.codemap_tree import SHOP, MemoryTree

GROWN = [language for language in LANGUAGES if language.name in {"csharp", "cpp", "kotlin", "swift", "scala", "dart"}]


def results(parsers: Parsers, jobs: Iterable[Job]) -> dict[str, Parsed | None]:
    with parsers:
        return {job.path: parsed for job, parsed in parsers.parse(jobs)}


def job(number: int, source: bytes = b"def f(): pass\n", language: str = "python") -> Job:
    return Job(number, language, f"f{number}.{language}", source)


def test_a_file_that_eats_all_memory_costs_its_own_definitions(tmp_path: Path) -> None:
    bomb = (b"a<" * 500 + b"\n") * 100 + b"class Bomb {}\n"
    tree = MemoryTree({**SHOP, "src/Bomb.java": bomb})

    with CodeMap(tmp_path / "index.db") as codemap:
        text = codemap.map(tree, focus="total price of the cart, Bomb", max_tokens=400)
        outline = codemap.outline(tree, "src/Bomb.java")
        tree.reads.clear()
        codemap.map(tree, focus="cart", max_tokens=100)

    assert "def total_price(self, discount)" in text
    assert outline == "src/Bomb.java\n101: class Bomb {}"
    assert tree.reads == []


def test_jobs_behind_a_killer_are_done_by_another_process() -> None:
    jobs = [job(n) for n in range(30)]
    jobs[3] = job(3, b"a<" * 50_000, "java")

    found = results(Parsers(2), jobs)

    assert len(found) == 30
    assert [path for path, parsed in found.items() if parsed is None] == ["f3.java"]


def test_no_bracket_bomb_of_any_language_costs_more_than_itself() -> None:
    jobs = [
        Job(number, language.name, f"{number}.{language.name}", b"a<" * 20_000) for number, language in enumerate(GROWN)
    ]

    found = results(Parsers(2), [*jobs, job(1000, b"def after(): pass\n")])

    assert len(found) == len(jobs) + 1
    assert [one.name for one in getattr(found["f1000.python"], "definitions", ())] == ["after"]


def test_a_worker_that_is_killed_loses_one_file() -> None:
    parsers = Parsers(1)
    jobs = [job(n, b"def f(): pass\n" * 200) for n in range(100)]
    found: dict[str, Parsed | None] = {}

    with parsers:
        for number, (done, parsed) in enumerate(parsers.parse(iter(jobs))):
            found[done.path] = parsed
            if number == 5:
                for worker in parsers._workers:
                    os.kill(worker.process.pid, signal.SIGKILL)

    assert len(found) == 100
    assert len([path for path, parsed in found.items() if parsed is None]) <= 1


def test_a_worker_that_hangs_is_killed() -> None:
    boot = "import sys, time; sys.stdout.write('ready\\n'); sys.stdout.flush(); time.sleep(600)"
    parsers = Parsers(1, command=lambda: [sys.executable, "-c", boot], file_timeout_s=0.2)

    found = results(parsers, [job(1)])

    assert found == {"f1.python": None}


def test_a_worker_that_talks_nonsense_is_not_believed() -> None:
    boot = "import sys; print('ready'); print('[1, \"parsed\", [], []]'); sys.stdout.flush(); sys.stdin.read()"
    parsers = Parsers(1, command=lambda: [sys.executable, "-c", boot])

    assert results(parsers, [job(1)]) == {"f1.python": None}


@pytest.mark.parametrize("command", [["/does/not/exist"], [sys.executable, "-c", "raise SystemExit(3)"]])
def test_parsers_that_do_not_start_are_a_clear_error(command: list[str]) -> None:
    with pytest.raises(CodeMapError, match="parser process"):
        results(Parsers(2, command=lambda: command), [job(n) for n in range(20)])


def test_a_worker_sees_no_environment() -> None:
    command = worker_command()

    assert command[1:3] == ["-I", "-S"]


@pytest.mark.parametrize(
    "contents",
    [
        b"\x00\xff\xfe" * 3000,
        b"x = 1 " * 160_000,
        b"(" * 100_000,
        b"[" * 200_000 + b"]" * 200_000,
        b"if x:\n" + b" if y:\n" * 20_000,
        b"",
        b"def \xff\xfe(): pass\n",
    ],
    ids=["random", "one line", "parentheses", "brackets", "nesting", "empty", "not utf-8"],
)
@pytest.mark.parametrize("path", ["h.py", "h.js", "h.go"])
def test_strange_contents_cost_nothing_else(tmp_path: Path, contents: bytes, path: str) -> None:
    with CodeMap(tmp_path / "index.db") as codemap:
        text = codemap.map(MemoryTree({**SHOP, path: contents}), focus="total price", max_tokens=300)

    assert text.startswith("shop/cart.py\n")


def test_names_that_are_no_text_are_written_as_escapes(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9/\xff\n\x1b[31mcart.py")
    tree = MemoryTree(
        {odd: "def cart_price(): pass\n", "Cart.py": "def cart(): pass\n", "cart.py": "def cart(): pass\n"}
    )

    with CodeMap(tmp_path / "index.db") as codemap:
        text = codemap.map(tree, focus="cart price", max_tokens=300)
        symbol = codemap.places(tree, "cart_price").text()

    text.encode("utf-8")
    symbol.encode("utf-8")
    assert "\x1b" not in text + symbol
    assert "cart.py" in text
    assert len([line for line in text.split("\n") if not line.startswith("  ")]) == 3


def test_a_signature_cannot_steer_a_terminal(tmp_path: Path) -> None:
    tree = MemoryTree({"a.js": "function cart(a = '\x1b[2J\u202e') {}\n"})

    with CodeMap(tmp_path / "index.db") as codemap:
        text = codemap.map(tree, focus="cart", max_tokens=300)

    assert "cart" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("case", ["random bytes", "truncated", "foreign", "older", "damaged"])
def test_an_index_that_cannot_serve_is_made_anew(tmp_path: Path, case: str) -> None:
    path = tmp_path / "index.db"
    tree = MemoryTree(SHOP)
    with CodeMap(path) as codemap:
        expected = codemap.map(tree, focus="total price", max_tokens=300)
    spoil(path, case)

    with CodeMap(path) as codemap:
        assert codemap.map(tree, focus="total price", max_tokens=300) == expected
    assert path.with_name("index.db.old").exists()


@pytest.mark.parametrize(
    ("case", "said"),
    [("random bytes", "not a database"), ("truncated", "malformed"), ("foreign", "another"), ("older", "version")],
)
def test_an_index_that_is_made_anew_is_said_once(tmp_path: Path, case: str, said: str) -> None:
    path = tmp_path / "index.db"
    told: list[str] = []

    def mapped() -> str:
        with Maps(path, build, told.append) as maps:
            return maps.map(MemoryTree(SHOP), focus="total price", max_tokens=300)

    expected = mapped()
    spoil(path, case)

    assert [mapped(), mapped()] == [expected, expected]
    assert len(told) == 1
    assert said in told[0]


def spoil(path: Path, case: str) -> None:
    data = path.read_bytes()
    if case == "random bytes":
        path.write_bytes(os.urandom(20_000))
    elif case == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif case == "damaged":
        path.write_bytes(data[:4096] + b"\x5a" * (len(data) - 4096))
    else:
        path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE theirs (x)")
            if case == "older":
                other.execute(f"PRAGMA application_id = {0x434D4150}")
                other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
            other.commit()


def test_an_index_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CodeMapError, match="cannot open the code map's index"):
        CodeMap(tmp_path / "file" / "index.db")
    with pytest.raises(CodeMapError, match="cannot open the code map's index"):
        CodeMap(tmp_path)
