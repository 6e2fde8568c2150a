"""No code block on a page goes unexecuted: a test that names its page runs it, or it is excused here with a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_docs import BLOCK, HOME, IN_CHINESE

CODE = ("python", "bash")
EXCUSED = {
    # how the block begins: why no test runs it. Such a block has <!-- skip --> before it.
    "git clone": "clones and installs; CI does the same on a clean checkout",
    "pip install": "installs; what is started after it, a server or Jupyter, has tests of its own",
    "python3.11 -m venv": "installs",
    "bouba search runs/demo": "asks the run of `bouba demo`, which takes four minutes",
    "bouba inspect things.csv\nbouba fit things.csv -o runs/mine\nbouba serve": "serves until Ctrl-C; tests/serve",
    "bouba serve": "serves until Ctrl-C; tests/serve",
    "at=http": "asks a server that runs; tests/serve/test_command.py compares it with the API",
    "bouba encoders": "reads every encoder that pip has; tests/cli runs each command",
    "bouba fit X.npy": "tests/cli/test_methods.py runs these methods on such files",
    "bouba fit 'lake": "wants eight GPUs and a cluster; tests/runs and tests/cli run them small",
    "bouba embed runs/x lake/": "wants a lake or a cluster; tests/cli and tests/runs do it small",
    "torchrun": "wants eight GPUs; tests/train runs two processes",
    "bouba predict runs/clip photos.csv --classes": "wants photographs; tests/runs/test_zero_shot.py",
    "bouba fit things.csv --image 'photo_*'": "wants several photographs a row; tests/towers/test_pooled.py",
    'run = bouba.Run.open("hf:': "wants the network; tests/runs/test_hub.py has a stand-in",
    'run = bouba.Run.fit("things.csv", out="runs/mine", epochs=20, tracker=': "wants an account; its adapter is run",
}
ELSEWHERE = {
    # page -> the test that runs all of it by machinery of its own
    "docs/extending.md": "tests/test_extending.py",
}


@cache
def code_blocks() -> tuple[tuple[str, str, str, bool], ...]:
    """(page, language, code, whether it is marked as skipped) of every Python and shell block."""
    pages = [*sorted(HOME.glob("*.md")), *sorted(HOME.glob("docs/**/*.md"))]
    return tuple(
        (str(page.relative_to(HOME)), language, code, bool(skip))
        for page in pages
        for skip, language, code in BLOCK.findall(page.read_text(encoding="utf-8"))
        if language in CODE
    )


def english(page: str) -> str:
    """The page whose code a Chinese one repeats line by line, which tests/test_docs.py compares; itself otherwise."""
    if page == "README.zh.md":
        return "README.md"
    name = page.removeprefix("docs/zh/").removesuffix(".md")
    return f"docs/{name}.md" if page.startswith("docs/zh/") and name in IN_CHINESE else page


def functions() -> Iterator[tuple[set[str], set[str]]]:
    """(words, names that are called) of each function of the tests, its decorators and module constants included."""
    for file in sorted(HOME.glob("tests/**/*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        constants = {
            target.id: words_of(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and file != Path(__file__):
                used = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
                words = words_of(node).union(*(constants[name] for name in used if name in constants))
                called = {
                    part.func.id
                    for part in ast.walk(node)
                    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)
                }
                yield words, called


def words_of(node: ast.AST) -> set[str]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


@cache
def executed() -> frozenset[tuple[str, str]]:
    """(page, language) that some test names and runs: by `run(page)`, `lines(page)`, or `blocks(page, language)`."""
    found = set()
    for words, called in functions():
        for page in (word for word in words if word.endswith(".md")):
            if "run" in called or ("blocks" in called and "python" in words):
                found.add((page, "python"))
            if "lines" in called or ("blocks" in called and "bash" in words):
                found.add((page, "bash"))
    return frozenset(found)


PAGES = sorted({(english(page), language) for page, language, _, skipped in code_blocks() if not skipped})


@pytest.mark.parametrize(("page", "language"), PAGES)
def test_a_test_runs_every_block_that_is_not_excused(page, language):
    if page in ELSEWHERE:
        assert page.rpartition("/")[2] in (HOME / ELSEWHERE[page]).read_text(encoding="utf-8")
    else:
        assert (page, language) in executed(), (
            f"no test runs the {language} of {page}: call `run` or `blocks` in one, or excuse them in EXCUSED"
        )


def test_what_is_skipped_is_excused_with_a_reason_and_nothing_else_is():
    skipped = [(page, code) for page, _, code, skip in code_blocks() if skip]
    unexplained = [(page, code.splitlines()[0]) for page, code in skipped if not code.startswith(tuple(EXCUSED))]
    assert not unexplained
    stale = [begins for begins in EXCUSED if not any(code.startswith(begins) for _, code in skipped)]
    assert not stale


def test_a_new_page_would_be_noticed():
    assert ("docs/new.md", "python") not in executed()
    assert {("docs/fuse.md", "python"), ("docs/fuse.md", "bash"), ("docs/which.md", "bash")} <= executed()
