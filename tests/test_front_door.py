"""What a contributor meets first exists and holds together."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

import bouba
from tests.test_docs import blocks

HOME = Path(__file__).parent.parent
PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
MAKEFILE = (HOME / "Makefile").read_text()
TARGETS = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))


def load_floors():
    spec = importlib.util.spec_from_file_location("floors", HOME / "scripts" / "floors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_yaml(path: str) -> dict:
    return yaml.safe_load((HOME / path).read_text())


def test_the_workflow_runs_what_the_makefile_has():
    jobs = read_yaml(".github/workflows/test.yml")["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert "make test" in commands
    assert {command.removeprefix("make ") for command in commands} <= TARGETS


def test_one_version():
    assert "version" in PROJECT["dynamic"]
    assert read_yaml("CITATION.cff")["version"] == bouba.__version__
    assert f"## [{bouba.__version__}]" in (HOME / "CHANGELOG.md").read_text()


def test_citation_has_what_the_format_requires():
    citation = read_yaml("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == PROJECT["license"]


def test_classifiers_are_known():
    trove = pytest.importorskip("trove_classifiers")
    assert set(PROJECT["classifiers"]) <= trove.classifiers
    assert PROJECT["classifiers"] == sorted(PROJECT["classifiers"])


def test_issue_templates_ask_for_what_they_require():
    for path in (HOME / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        template = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= set(template), path
        ids = [field["id"] for field in template["body"]]
        assert len(ids) == len(set(ids)), path


def test_hooks_run_tools_of_the_environment():
    for repository in read_yaml(".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local", "nothing is fetched"
        assert all(hook["entry"].startswith(".venv/bin/") for hook in repository["hooks"])


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "SECURITY.md"])
def test_paths_and_commands_of_a_document_exist(document):
    text = (HOME / document).read_text()
    assert text.count("\n") <= 70, "one page"
    links = re.findall(r"\]\(([^)]+)\)", text)
    paths = re.findall(r"`((?:src|tests|docs|scripts)\b[\w./-]*|[\w-]+\.(?:md|toml|txt))`", text)
    missing = [path for path in [*links, *paths] if not (HOME / path).exists()]
    assert not missing
    assert set(re.findall(r"\bmake ([\w-]+)`", text)) <= TARGETS


def test_every_floor_is_at_most_the_pin():
    floors = load_floors()
    lowest, pinned = floors.floors(list(PROJECT["optional-dependencies"])), floors.pins()
    assert {"numpy", "lancedb", "transformers", "pytest"} <= set(lowest)
    above = {name: floor for name, floor in lowest.items() if name in pinned and Version(floor) > Version(pinned[name])}
    assert not above
    installed = set(lowest) - set(floors.floors(["bench"])) | set(floors.floors([]))
    assert installed <= set(pinned), "all but the rivals of a bench are pinned"


def test_law_floors_follow_extras_of_extras():
    floors = load_floors().floors
    assert set(floors(["lora"])) == set(floors([])) | {"transformers", "onnxruntime", "peft"}
    assert floors(["dev"])["datasets"] == floors(["hub"])["datasets"]


def test_refusal_of_a_requirement_without_a_floor(monkeypatch, tmp_path):
    floors = load_floors()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["numpy"]\n')
    monkeypatch.setattr(floors, "HOME", tmp_path)
    with pytest.raises(ValueError, match=r"'numpy' in pyproject.toml names no lowest version; write >="):
        floors.floors([])


def test_the_types_of_the_readmes_programs_pass_a_strangers_strict_check(tmp_path):
    """py.typed holds: someone else's mypy, in strict mode and without our settings, reads bouba's own annotations."""
    file = tmp_path / "programs.py"
    file.write_text("\n".join(blocks("README.md", "python")), encoding="utf-8")
    words = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--config-file=", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    wrong = file.with_name("wrong.py")
    wrong.write_text("import bouba\nbouba.CCA(n_components='three')\n")
    done = subprocess.run([*words[:-1], str(wrong)], capture_output=True, text=True, cwd=tmp_path)
    assert 'has incompatible type "str"; expected "int' in done.stdout
