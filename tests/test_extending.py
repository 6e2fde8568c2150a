"""docs/extending.md: its examples work in a copy of the package, and take as many places as its table says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
PAGE = HOME / "docs" / "extending.md"
BLOCK = re.compile(r"(?:^`([\w/.]+)`\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| .*?\]\(#([\w-]+)\).*? \| (?:at most )?(\d+) \|", re.MULTILINE)
COMMAND = """
import shlex, sys, pytest
from bouba.cli import main
sys.argv = shlex.split({line!r})
with pytest.raises(SystemExit) as end:
    main()
assert not end.value.code
"""
USAGE = """
def test_usage_{number}(tmp_path, monkeypatch, things):
    monkeypatch.chdir(tmp_path)
    exec(compile({code!r}, "extending.md, {name}", "exec"), {{"__name__": "__main__"}})
"""


@dataclass
class Section:
    """What the page says below one heading: files to write, changes of files, code to run."""

    files: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    usage: list[str] = field(default_factory=list)

    @property
    def places(self) -> int:
        """The files that the extension touches."""
        return len({**self.files, **self.changes})


def sections() -> dict[str, Section]:
    """Anchor -> Section, of those that have code."""
    found = {}
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        section = Section()
        for path, language, code in BLOCK.findall(part):
            if language == "diff":
                section.changes[path] = code
            elif path:
                section.files[path] = code
            elif language == "bash":
                section.usage += [COMMAND.format(line=line) for line in code.splitlines()]
            else:
                section.usage.append(code)
        found[part.splitlines()[0].lower().replace(" ", "-")] = section
    return found


SECTIONS = sections()


def changed(text: str, change: str) -> str:
    """A file after a change in the form of a diff; what the change does not add must stand in it once."""
    for part in change.split("@@\n"):
        lines = part.splitlines(keepends=True)
        old = "".join(line[1:] or line for line in lines if line[0] in " -\n")
        new = "".join(line[1:] or line for line in lines if line[0] in " +\n")
        assert text.count(old) == 1, f"this stands {text.count(old)} times:\n{old}"
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """(test -> whether it passed, all that was printed), of the tests of the page, run in a copy of bouba."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(HOME / "src" / "bouba", copy / "src" / "bouba", ignore=shutil.ignore_patterns("emoji", "*.pyc"))
    for name in ("pyproject.toml", "tests/conftest.py", "tests/made.py", "tests/terms/test_contracts.py"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOME / name, copy / name)
    usage = ""
    for number, (name, section) in enumerate(SECTIONS.items()):
        for path, code in section.files.items():
            assert not (copy / path).exists(), f"{path} is there already"
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_text(code, encoding="utf-8")
        for path, change in section.changes.items():
            (copy / path).write_text(changed((copy / path).read_text(encoding="utf-8"), change), encoding="utf-8")
        if section.usage:
            usage += USAGE.format(number=number, name=name, code="\n".join(section.usage))
    (copy / "tests" / "test_usage.py").write_text(usage)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-rA",
            "--tb=short",
            "-p",
            "no:cacheprovider",
            "-k",
            "not test_contracts or uniformity",
        ],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
    )
    results = re.findall(r"^(PASSED|FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return {test: result == "PASSED" for result, test in results}, done.stdout[-20_000:] + done.stderr[-2_000:]


def test_the_table_counts_the_places():
    said = {name: int(places) for name, places in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    assert len(said) >= 6
    assert said == {name: SECTIONS[name].places for name in said}


@pytest.mark.parametrize("name", SECTIONS)
def test_the_example_works(name, outcomes):
    (passed, output), section, number = outcomes, SECTIONS[name], list(SECTIONS).index(name)
    expected = [path for path in section.files if path.startswith("tests/")]
    expected += [f"tests/test_usage.py::test_usage_{number}"] if section.usage else []
    for path in expected:
        results = [ok for test, ok in passed.items() if test.startswith(path)]
        assert results, f"no test of {path} was run:\n{output}"
        assert all(results), f"{path} failed:\n{output}"


def test_the_contract_of_terms_finds_the_new_one(outcomes):
    passed, _ = outcomes
    checked = [ok for test, ok in passed.items() if "test_contracts" in test and "Uniformity" in test]
    assert len(checked) > 5
    assert all(checked)
