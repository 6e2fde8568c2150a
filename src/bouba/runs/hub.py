"""A run on the Hugging Face hub: what of it goes there, and how it is opened by hf://USER/NAME."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bouba.errors import DataError, StorageError, UsageError, require
from bouba.persist import MODEL_FILES, model_folder
from bouba.runs.card import card_of
from bouba.runs.folder import read_facts, write_facts

ADDRESS = re.compile(r"hf:/{1,2}(?P<name>[^/@]+/[^/@]+?)/?(?:@(?P<revision>.+))?")
NUMBERS = ("recipe.toml", "metrics.json", "metrics_meta.json", "differences.json", "history.jsonl", "certainty.json")
REPORT = "report.html"
OF_THE_INDEX = ("index", "known", "words.json")
PRIVATE = ("table",)
"""Facts of run.json that tell of the machine: where its table lies."""
CARD = "README.md"


@dataclass(frozen=True)
class Pushed:
    """What went to the hub.

    Args:
        address: hf://USER/NAME, by which `Run.open` opens it. url: of its page. files: path -> bytes.
        remarks: what these files may show, and what stayed.
    """

    address: str
    url: str
    files: dict[str, int]
    remarks: list[str]


def fetched(address: Any) -> Path:
    """The folder, in the hub's cache, of a run at hf://USER/NAME[@REVISION]. Only files of a run are fetched; none of
    them is code, and none is unpickled.

    Raises:
        UsageError: no such address or repository, or one that is private. DataError: it holds no run of bouba's.
        StorageError: the hub cannot be reached. MissingExtraError: huggingface_hub is not installed.
    """
    name, revision = _parsed(address)
    hub = require("huggingface_hub", "hub")
    model = [f"model/{file}" for file in sorted(MODEL_FILES)]
    patterns = [*model, "run.json", *NUMBERS, REPORT, CARD, *OF_THE_INDEX, *(f"{part}/*" for part in OF_THE_INDEX)]
    with _in_a_line(name, revision):
        folder = Path(hub.snapshot_download(name, revision=revision, allow_patterns=patterns))
    if not (folder / "model" / "model.json").exists():
        raise DataError(f"hf://{name} holds no run of bouba's; one is put there by: bouba push RUN {name}")
    return folder


def push(
    run: Any,
    name: str,
    *,
    private: bool = False,
    revision: str | None = None,
    index: bool = False,
    report: bool = True,
    license: str | None = None,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Pushed:
    """Put a Run on the hub as USER/NAME, which is made where it is not there.

    Raises:
        UsageError: a name that is none, a run without index where it is wanted, or a hub that refuses.
    """
    name, at = _parsed(f"hf://{name}")
    revision = revision or at
    hub = require("huggingface_hub", "hub")
    if index and not (run.path / "index").is_dir():
        raise UsageError(f"{run.path} has no index to push; leave --index out")
    address = f"hf://{name}" + (f"@{revision}" if revision else "")
    with tempfile.TemporaryDirectory(prefix="bouba-push-") as made:
        folder = Path(made)
        _gather(run, folder, index=index, report=report)
        (folder / CARD).write_text(card_of(run, address=address, license=license), "utf-8")
        files = {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
        remarks = list(_remarks(run, files, index=index))
        for line in (*(f"{path}  {size:,} bytes" for path, size in _listed(files)), *remarks):
            say(line)
        url = "" if dry_run else _uploaded(hub, folder, name, revision, private=private)
    return Pushed(address, url, files, remarks)


def _uploaded(hub: Any, folder: Path, name: str, revision: str | None, *, private: bool) -> str:
    """The page of what was uploaded, in one commit."""
    with _in_a_line(name, revision):
        api = hub.HfApi(library_name="bouba")
        url = str(api.create_repo(name, private=private, exist_ok=True))
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=folder, revision=revision, commit_message="A run of bouba", ignore_patterns=None
        )
    return url


def _gather(run: Any, folder: Path, *, index: bool, report: bool) -> None:
    """Copy what goes; of run.json what does not tell of this machine."""
    own = model_folder(run.path)
    (folder / "model").mkdir()
    for file in sorted(MODEL_FILES):
        shutil.copy(own / file, folder / "model")
    if own == run.path:
        return  # a model by itself
    for file in (*NUMBERS, *([REPORT] if report else [])):
        if (run.path / file).is_file():
            shutil.copy(run.path / file, folder)
    facts = {key: value for key, value in read_facts(run.path).items() if key not in ("format", *PRIVATE)}
    if facts:
        write_facts(folder, **facts)
    for part in OF_THE_INDEX if index else ():
        if (run.path / part).is_dir():
            shutil.copytree(run.path / part, folder / part)
        elif (run.path / part).is_file():
            shutil.copy(run.path / part, folder)


def _remarks(run: Any, files: dict[str, int], *, index: bool) -> Iterator[str]:
    """What a person should know of what goes."""
    if REPORT in files:
        yield "report.html shows pictures and captions of some rows; --no-report leaves it out"
    yield "model/model.json holds the names of classes and the words that texts were learnt from"
    if index:
        yield "the index holds captions, columns, vectors and the paths of files of every row; the files stay here"
    elif (run.path / "index").is_dir():
        yield "the index stays here, since it holds captions and columns of every row; --index pushes it, for search"


def _listed(files: dict[str, int]) -> list[tuple[str, int]]:
    """Files, those of a folder of the index as one."""
    sizes: dict[str, int] = {}
    for path, size in files.items():
        top = path.partition("/")[0]
        name = f"{top}/" if top in OF_THE_INDEX and "/" in path else path
        sizes[name] = sizes.get(name, 0) + size
    return list(sizes.items())


def _parsed(address: Any) -> tuple[str, str | None]:
    match = ADDRESS.fullmatch(os.fspath(address))
    if match is None:
        got = f"{os.fspath(address)!r:.120}"
        raise UsageError(f"a run on the hub is hf://USER/NAME or hf://USER/NAME@REVISION, got {got}")
    return match["name"], match["revision"]


@contextmanager
def _in_a_line(name: str, revision: str | None) -> Iterator[None]:
    """Turns what the hub's client raises into one line; no token is a part of it."""
    from huggingface_hub import errors

    at = f"hf://{name}" + (f"@{revision}" if revision else "")
    try:
        yield
    except errors.HFValidationError as error:
        raise UsageError(f"{name!r:.80} is no name of a repository; a run on the hub is hf://USER/NAME") from error
    except errors.RevisionNotFoundError as error:
        remedy = "leave it out, or name a branch, tag or commit"
        raise UsageError(f"hf://{name} has no revision {revision!r}; {remedy}") from error
    except errors.GatedRepoError as error:
        raise UsageError(f"{at} is gated; ask for access on its page, then: hf auth login") from error
    except errors.RepositoryNotFoundError as error:
        raise UsageError(f"there is no {at}, or it is private and you are not logged in: hf auth login") from error
    except errors.HfHubHTTPError as error:
        raise UsageError(_refusal(at, error)) from error
    except Exception as error:
        away = isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled)
        if not away and not type(error).__module__.startswith("httpx"):  # or httpx2, as the client pleases
            raise
        raise StorageError(f"the hub cannot be reached for {at}; connect to the network and try again") from error


def _refusal(at: str, error: Any) -> str:
    status = getattr(error.response, "status_code", None)
    if status in (401, 403):
        return f"the hub does not let you at {at} (HTTP {status}); log in with a token that may: hf auth login"
    return f"the hub refused {at} (HTTP {status}); try again later"
