"""What the site shows beside docs/: a hook of mkdocs (mkdocs.yml), run by `make docs`.

It makes a page of reference for each room of src/bouba, from docstrings, with every public name of the room; takes
CHANGELOG, CONTRIBUTING and SECURITY in as pages; and mends links that lead out of docs/. Of the package the command
line alone is imported, for the text of `--help`: names are read from the rooms' `__init__.py`, docstrings by griffe.
"""

import ast
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[1]
SOURCE = HOME / "src" / "bouba"
CHINESE = "中文"
PROJECT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Pages of the project's root that the site shows; links to other files of the project become plain text."""


@dataclass(frozen=True)
class Room:
    """One page of reference.

    Args:
        page: its file below reference/. title: heading. text: what stands under the heading, in Markdown.
        modules: modules below `bouba` whose public names it lists; of a room, those of its `__init__.py`.
        names: names below `bouba` that it lists first.
    """

    page: str
    title: str
    text: str
    modules: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def paths(self) -> list[str]:
        """Dotted paths of what the page documents, each once, in order."""
        paths = [f"bouba.{name}" for name in self.names]
        return [*paths, *(path for module in self.modules for path in public_paths(module))]

    def markdown(self) -> str:
        """The page, for mkdocstrings to fill in."""
        blocks = "\n\n".join(f"::: {path}" for path in self.paths())
        return f"# {self.title}\n\n{self.text}\n\n{blocks}\n"


LEARNERS = (
    "Estimators that are trained have what [`Learner`](learner.md) has: `fit`, `transform`, `embed`, `score`, `save`."
)
ROOMS = (
    Room(
        "align",
        "Align",
        f"Which picture belongs to which caption? [Which method when](../align.md). {LEARNERS}",
        ("align",),
    ),
    Room(
        "fuse",
        "Fuse",
        f"What do all views say together? [Which method when](../fuse.md). {LEARNERS}",
        ("fuse", "nn.fusion"),
    ),
    Room(
        "transfer",
        "Transfer",
        f"What would the missing view look like? [Which method when](../transfer.md). {LEARNERS}",
        ("transfer",),
    ),
    Room(
        "adapt",
        "Adapt",
        f"Does it still work on the other source? [Which method when](../adapt.md). {LEARNERS}",
        ("adapt",),
    ),
    Room(
        "learner",
        "Learner",
        "The estimator that every trained method is: towers, an objective, one loop.",
        ("learner",),
        ("persist.load",),
    ),
    Room(
        "terms",
        "Terms",
        "What is trained: each is a pure function on tensors and a description that is weighed and added, "
        "`InfoNCE() + 0.3 * DomainAdversarial()`.",
        ("terms",),
    ),
    Room("towers", "Towers", "What reads a view: an encoder, then a projection into the shared space.", ("towers",)),
    Room(
        "data",
        "Data",
        "From a table to `Views`: read, split, find what is there twice.",
        ("data", "data.planted"),
        ("data.samples", "data.duplicates.duplicates"),
    ),
    Room("metrics", "Metrics", "Arrays in, numbers out.", ("metrics",)),
    Room(
        "evaluation",
        "Evaluation",
        "Numbers with intervals and chance; [how sure is a number](../evaluation.md).",
        ("evaluation",),
    ),
    Room("runs", "Runs", "What comes of fitting a table, as an object and as a folder.", ("runs",)),
    Room("search", "Search", "The index of a run, and what it finds.", ("search",)),
    Room("report", "Report", "One HTML file that shows what was learnt and how well.", ("report",)),
    Room("errors", "Errors", "What bouba raises on purpose.", ("errors",)),
)


def public_paths(module: str) -> list[str]:
    """Where the public names of a room are defined, as its `__init__.py` lists them; or those of a single file."""
    package = SOURCE.joinpath(*module.split("."), "__init__.py")
    if package.exists():
        return [f"{home}.{name}" for name, home in room_names(package) if home != f"bouba.{module}"]
    tree = ast.parse(package.parent.with_suffix(".py").read_text(encoding="utf-8"))
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return [f"bouba.{module}.{name}" for name in defined if not name.startswith("_")]


def room_names(package: Path) -> list[tuple[str, str]]:
    """(name, the module it comes from) for each line under `if TYPE_CHECKING:`; see bouba.lazy."""
    tree = ast.parse(package.read_text(encoding="utf-8"))
    blocks = (node.body for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [node for block in blocks for node in block if isinstance(node, ast.ImportFrom)]
    return [(alias.name, str(node.module)) for node in imports for alias in node.names]


def index_markdown() -> str:
    """The first page of the reference: every name of `import bouba`, with the page that holds it."""
    pages = {path.rpartition(".")[2]: room for room in reversed(ROOMS) for path in room.paths()}
    rows = [
        "| name | room |\n|---|---|",
        *(
            f"| [`{name}`][{_path(pages[name], name)}] | [{pages[name].title}]({pages[name].page}.md) |"
            for name, home in sorted(room_names(SOURCE / "__init__.py"), key=lambda pair: pair[0].lower())
            if home != "bouba"
        ),
    ]
    rooms = "\n".join(f"- [{room.title}]({room.page}.md): {_first_sentence(room.text)}" for room in ROOMS)
    text = "Everything public, from the docstrings of the code: a page a room, and below what `import bouba` gives."
    return f"# Reference\n\n{text}\n\n{rooms}\n\n## What `import bouba` gives\n\n" + "\n".join(rows) + "\n"


def commands_markdown() -> str:
    """What `bouba COMMAND --help` prints, for every command."""
    import typer

    from bouba.cli import COMMANDS, _app

    text = "`bouba COMMAND --help` prints the same. [Recipes](../recipes.md) say longer settings in a file."
    sections = []
    for name, summary in COMMANDS.items():
        command = typer.main.get_command(_app(name)).commands[name]  # type: ignore[attr-defined]
        context = command.context_class(command, info_name=f"bouba {name}", terminal_width=88)
        sections.append(f"## {name}\n\n{summary}\n\n```text\n{command.get_help(context).strip()}\n```")
    return "\n\n".join([f"# Commands\n\n{text}", *sections]) + "\n"


def _path(room: Room, name: str) -> str:
    return next(path for path in room.paths() if path.endswith(f".{name}"))


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.?]) ", text, maxsplit=1)[0]


def on_startup(**_: Any) -> None:
    """What cuts Chinese text into words for the search says nothing of its dictionary."""
    import logging

    import jieba  # type: ignore[import-untyped]

    jieba.setLogLevel(logging.WARNING)


def on_config(config: Any) -> Any:
    """The reference's pages in the navigation, and pages of docs/ that it does not list yet at the end of theirs."""
    sections = {name: entry for entry in config.nav for name in entry}
    pages = [{room.title: f"reference/{room.page}.md"} for room in ROOMS]
    sections["Reference"]["Reference"] = [
        {"Reference": "reference/index.md"},
        {"Commands": "reference/commands.md"},
        *pages,
    ]
    docs = Path(config.docs_dir)
    listed = set(_pages_of(config.nav))
    for page in sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md")):
        if page not in listed:
            section = CHINESE if page.startswith("zh/") else "Guides"
            sections[section][section].append(page)
    return config


def _pages_of(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for entry in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _pages_of(entry)


def on_files(files: Any, *, config: Any) -> Any:
    """The pages that docs/ does not hold."""
    from mkdocs.structure.files import File

    made = {f"reference/{room.page}.md": room.markdown() for room in ROOMS}
    made["reference/index.md"] = index_markdown()
    made["reference/commands.md"] = commands_markdown()
    for name in PROJECT_PAGES:
        made[name] = (HOME / name).read_text(encoding="utf-8")
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


LINK = re.compile(r"(?<!!)\[([^\]\n]+(?:\n[^\]\n]+)?)\]\(([^)#:\s]*)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Links of the project's own pages lead to docs/ pages of the site; links to what the site lacks become text."""
    name = page.file.src_uri
    place = posixpath.dirname(name if name in PROJECT_PAGES else f"docs/{name}")

    def mended(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        if not target or name.startswith("reference/"):
            return link[0]
        wanted = posixpath.normpath(posixpath.join(place, target))
        on_site = wanted.removeprefix("docs/")
        if files.get_file_from_path(on_site) is not None and (wanted.startswith("docs/") or wanted in PROJECT_PAGES):
            return f"[{text}]({posixpath.relpath(on_site, posixpath.dirname(name) or '.')}{anchor})"
        return text if (HOME / wanted).exists() else link[0]

    markdown = LINK.sub(mended, markdown)
    return markdown if name.startswith("reference/") or name in PROJECT_PAGES else with_references(markdown)


UNTOUCHED = re.compile(r"^```.*?^```$|^#.*?$|<!--.*?-->|\[[^\]]*\]\([^)]*\)", re.MULTILINE | re.DOTALL)
"""What keeps its code as it is: blocks, headings, comments, links."""


def with_references(markdown: str) -> str:
    """The first mention of each public class or function on a page leads to its reference: `CLIP`, `bouba.evaluate`."""
    paths = {path.rpartition(".")[2]: path for room in reversed(ROOMS) for path in room.paths()}
    seen: set[str] = set()

    def linked(code: re.Match[str]) -> str:
        name = code[1]
        is_word = name.islower() and "_" not in name and "bouba." not in code[0]
        if is_word or name not in paths or name in seen:
            return code[0]
        seen.add(name)
        return f"[{code[0]}][{paths[name]}]"

    made, at = [], 0
    for kept in UNTOUCHED.finditer(markdown):
        made += [re.sub(MENTION, linked, markdown[at : kept.start()]), kept[0]]
        at = kept.end()
    return "".join([*made, re.sub(MENTION, linked, markdown[at:])])


MENTION = r"(?<![`\w\[])`(?:bouba\.)?([A-Za-z]\w{2,})(?:\(\))?`(?!`)"
