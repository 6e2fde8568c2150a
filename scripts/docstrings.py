"""Docstrings as the site shows them: an extension of griffe (mkdocs.yml), which reads the code for mkdocstrings.

Docstrings are written to be read in an editor: formulas and small tables indented by four spaces, doctests as they are,
several short arguments on one line. Here they become Markdown; what `help()` shows stays as it is.
"""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import griffe


def _sibling(name: str) -> ModuleType:
    """Another file of this folder, which is no package to griffe."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


SECTION = re.compile(r"(?:Args|Returns|Raises|Yields|Attributes|Warns):$")
ERRORS = frozenset(
    (
        "UsageError",
        "DataError",
        "DataTypeError",
        "RecipeError",
        "ModalityError",
        "MissingExtraError",
        "StorageError",
        "TypeError",
        "ValueError",
    )
)
ITEM = re.compile(r"(?<=[.;)]) (?=([A-Za-z_]\w*(?:, [A-Za-z_]\w*)*): \S)")


def markdown(text: str, arguments: frozenset[str] = frozenset()) -> str:
    """A docstring in the form that griffe's reader of Google style and Markdown expect.

    Args:
        text: the docstring, without the indentation of its code.
        arguments: names of the arguments; where one follows another on the same line, it gets a line of its own.
    """
    lines, made, at = text.splitlines(), [], 0
    while at < len(lines):
        line = lines[at]
        end = at + 1
        if line in ("Example:", "Examples:"):
            while end < len(lines) and (not lines[end].strip() or lines[end].startswith("    ")):
                end += 1
            example = "\n".join(line.removeprefix("    ") for line in lines[at + 1 : end])
            made += ["", *markdown(example, arguments).splitlines()]
        elif SECTION.fullmatch(line):
            while end < len(lines) and (not lines[end].strip() or lines[end].startswith("    ")):
                end += 1
            named = {"Args:": arguments, "Raises:": ERRORS}.get(line)
            made += [line, *(lines[at + 1 : end] if named is None else _items(lines[at + 1 : end], named))]
        elif line.startswith(">>> "):
            while end < len(lines) and lines[end].strip():
                end += 1
            made += ["```pycon", *lines[at:end], "```"]
        elif line.startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            while end < len(lines) and lines[end].startswith("    "):
                end += 1
            made += _indented([line[4:] for line in lines[at:end]])
        else:
            made.append(line)
        at = end
    return "\n".join(made)


def _indented(lines: list[str]) -> list[str]:
    """A block that was indented: code as code, else a formula or a table."""
    code = "\n".join(lines)
    try:
        ast.parse(code)
    except SyntaxError:
        return [_sibling("formulas").block(lines)]
    is_code = re.search(r'"|\b(?:import|for|bouba)\b|^Learner\(', code, re.MULTILINE)
    return ["```python", *lines, "```"] if is_code else [_sibling("formulas").block(lines)]


def _items(lines: list[str], arguments: frozenset[str]) -> list[str]:
    """The lines of `Args:` or `Raises:`, an argument or error a line, where those named here follow on one line."""
    items: list[str] = []
    for line in lines:
        if line.startswith("     ") and items and items[-1].strip():
            items[-1] += " " + line.strip()
        else:
            items.append(line)
    made = []
    for item in items:
        cuts = [found.start() for found in ITEM.finditer(item) if set(found[1].split(", ")) <= arguments]
        parts = [item[a:b].strip() for a, b in zip([0, *cuts], [*cuts, len(item)])]
        made += [f"    {part}" if part else "" for part in parts]
    return made


class Docstrings(griffe.Extension):
    """Rewrites every docstring of a package once it is read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        waiting: list[Any] = [pkg]
        while waiting:
            thing = waiting.pop()
            if thing.is_alias:
                continue
            waiting += thing.members.values()
            if thing.docstring is not None and not thing.is_module:
                thing.docstring.value = markdown(thing.docstring.value, _arguments(thing))


def _arguments(thing: Any) -> frozenset[str]:
    if thing.is_class:
        names = {parameter.name for parameter in thing.parameters}
        return frozenset(names | {name for name, member in thing.all_members.items() if member.is_attribute})
    return frozenset(parameter.name for parameter in thing.parameters) if thing.is_function else frozenset()
