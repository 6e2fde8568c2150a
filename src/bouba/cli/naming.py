"""Messages of the library name its arguments, `label=...`; on the command line they name its options, `--label`."""

from __future__ import annotations

import re
from collections.abc import Mapping

import typer

PROTECTED = r"(?<!\w)'[^']*'|\"[^\"]*\"|\w\([^()]*\)"  # what was given, and calls: GatedFusion(drop=0.2)
AS_KEYWORDS = re.compile(r"(?:\w+\.)*\w+\(\.\.\., (\w+=[^()]*)\)")  # read(..., label=...)
GAPS = {"...", "[...]", "[names]"}


def options_of(app: typer.Typer, command: str | None) -> dict[str, str]:
    """Argument -> option of a command: {"random_state": "--seed"}; none where there is no such command."""
    chosen = getattr(typer.main.get_command(app), "commands", {}).get(command)
    parameters = [] if chosen is None else chosen.params
    flags = {re.sub(r"^(columns|files)_", "", p.name): p.opts[0] for p in parameters if p.opts[0].startswith("-")}
    return {name: option for name, option in flags.items() if name != "help"}


def in_options(message: str, options: Mapping[str, str]) -> str:
    """A message with options for arguments; what stands in quotes and in calls stays as it is.

    >>> in_options("no label column 'dim=2'; name it: read(..., label=...)", {"label": "--label", "dim": "--dim"})
    "no label column 'dim=2'; name it: --label"
    >>> in_options("CLIP: dim=0 lies outside 1 to 9; try fit(dim=2)", {"dim": "--dim"})
    'CLIP: --dim 0 lies outside 1 to 9; try fit(dim=2)'
    """
    if not options:
        return message
    name = "|".join(map(re.escape, sorted(options, key=len, reverse=True)))
    argument = rf"(?<![\w.-])(?P<given>{name})=(?P<value>'[^']*'|\[[^\]]*\]|[^\s,;:()]*)"
    codes = "|".join([re.escape(each) for each in options if "_" in each] or ["(?!)"])  # no words of English
    word = rf"(?<![\w.-])(?P<word>(?:{name})(?= must | needs )|(?:{codes})\b)"

    def option(match: re.Match) -> str:
        if match["given"]:
            value = match["value"]
            return options[match["given"]] + ("" if value in GAPS or not value else f" {value}")
        return options[match["word"]] if match["word"] else match[0]

    return re.sub(rf"{PROTECTED}|{argument}|{word}", option, AS_KEYWORDS.sub(r"\1", message))
