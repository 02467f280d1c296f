"""The rules of CONTRIBUTING.md that no linter knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
_FOLDERS = ("benches", "docs", "examples", "protos", "python", "requirements", "rust", "scripts", "tests")
_TEXT = {".cfg", ".ini", ".json", ".md", ".proto", ".py", ".pyi", ".rs", ".sh", ".toml", ".txt", ""}
#: Homes of users and build machines. In pieces, so that this file does not name what it refuses.
_MACHINE_PATH = re.compile("(?<![\\w.])/(" + "home|Users|root|work|workspace" + ")/\\w")
_REGISTRY = re.compile("|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "crates" + r"\.io")))
_SUPPRESSION = re.compile(r"#\s*(noqa|type: ignore)")
_REASONED = re.compile(r"#\s*(noqa: [A-Z0-9, ]+ - \S|type: ignore\[[a-z-]+(, [a-z-]+)*\])")


def sources(*patterns):
    """The files that people wrote."""
    found = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return sorted(path for path in found if not {"_proto", "__pycache__", "results"} & set(path.parts))


PYTHON = sources("python/**/*.py", "tests/**/*.py", "benches/**/*.py", "examples/**/*.py", "scripts/**/*.py")
LIBRARY = sources("python/**/*.py")
RUST = sources("rust/**/*.rs", "benches/**/*.rs", "fuzz/*.rs")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def texts():
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != "Cargo.lock"]
    files += [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(path for path in files if path.suffix in _TEXT and "__pycache__" not in path.parts)


def places(pattern, paths):
    """``path:line`` of every line that the pattern matches."""
    return [
        f"{name_of(path)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_only_one_file_names_pyo3():
    core = [path for path in RUST if "tests" not in path.parts]
    assert {place.split(":")[0] for place in places(re.compile(r"\bpyo3"), core)} == {"rust/py.rs"}


@pytest.mark.parametrize("path", PYTHON + RUST, ids=name_of)
def test_modules_stay_short(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_MODULE_LINES


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_functions_stay_short(path):
    long = [node.name for node in functions(path) if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES]
    assert long == []


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_modules_postpone_annotations_and_state_nothing_by_assert(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    code = [node for node in tree.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    if code:
        assert isinstance(code[0], ast.ImportFrom)
        assert code[0].module == "__future__"
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []


def test_docstrings_say_what_is_raised_in_the_section_of_google():
    assert places(re.compile(r"^\s*:raises\b"), sources("python/**/*.py", "python/**/*.pyi")) == []


def test_every_suppression_says_why():
    suppressing = set(places(_SUPPRESSION, LIBRARY))
    assert suppressing - set(places(_REASONED, LIBRARY)) == set()


def test_no_test_sleeps_or_is_skipped():
    others = [path for path in sources("tests/**/*.py") if path != Path(__file__)]
    sleeping = re.compile(r"\btime\.sleep\(|mark\.(skip|skipif|xfail)|pytest\.(skip|xfail|importorskip)\(|@skip")
    assert places(sleeping, others) == []
    assert places(re.compile(r"#\[ignore"), RUST) == []


def test_nothing_names_a_machine_or_a_registry():
    assert places(_MACHINE_PATH, texts()) == []
    assert places(_REGISTRY, texts()) == []
