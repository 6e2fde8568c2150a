"""python -m scripts.reliability [NAME ...] [--short] [--minutes M] [--seed N] [--write FILE]: run, print the table."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from pathlib import Path

from scripts.reliability.experiment import Tally
from scripts.reliability.experiments import EXPERIMENTS
from scripts.reliability.supervise import attempt, run

HEAD = """# What it survives

Made by `make reliability`, which takes at most 25 minutes on two cores; a short version is part of `make test`. Each
trial has a seed, a clock and a process of its own: what hangs, crashes or asks for too much memory has failed.

| experiment | a trial | tried | survived | survived means | seconds |
|---|---|---|---|---|---|
"""


def page(tallies: list[Tally]) -> str:
    """The table and the failures, in Markdown."""
    text = HEAD + "".join(f"{tally.row()}\n" for tally in tallies)
    failures = [(tally.experiment.name, *failure) for tally in tallies for failure in sorted(tally.failures.items())]
    if failures:
        text += "\n## What did not survive\n\nRepeat one with `python -m scripts.reliability NAME --seed N`.\n\n"
        text += "".join(f"- `{name} --seed {seed}`: {_plain(fault)}\n" for name, seed, fault in failures)
    seconds = sum(tally.seconds for tally in tallies)
    return f"{text}\nIn all {seconds / 60:.1f} minutes; Python {platform.python_version()} on {platform.machine()}.\n"


def _plain(fault: str) -> str:
    return fault.replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.reliability", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *EXPERIMENTS], default=[], metavar="NAME", help="all if none")
    parser.add_argument("--seed", type=int, help="one trial of one experiment, in this process")
    parser.add_argument("--short", action="store_true", help="a few trials of each")
    parser.add_argument("--minutes", type=float, help="for all of them, instead of at most 25")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the table to a file")
    given = parser.parse_args()
    chosen = [EXPERIMENTS[name] for name in given.names or EXPERIMENTS]
    if given.seed is not None:
        with tempfile.TemporaryDirectory() as folder:
            fault = attempt(chosen[0].trial, given.seed, Path(folder) / str(given.seed))
        print(fault or "survived")  # noqa: T201
        return int(fault is not None)
    share = 1.0 if given.minutes is None else 60 * given.minutes / sum(experiment.seconds for experiment in chosen)
    tallies = []
    for experiment in chosen:
        sys.stderr.write(f"{experiment.name} ...\n")
        seeds = list(range(experiment.few if given.short else experiment.trials))
        tallies.append(run(experiment, seeds, seconds=share * experiment.seconds))
    print(page(tallies))  # noqa: T201
    if given.write is not None:
        given.write.write_text(page(tallies), encoding="utf-8")
    return int(not all(tally.whole for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
