"""Fill the tables of README and docs from what the benches measured: `make tables`.

    python scripts/tables.py            rewrite the pages
    python scripts/tables.py --check    name the pages that would change, and fail

On a page a table stands between two comments, of which the first names the file in benchmarks/results and the table:

    <!-- table: emoji short -->
    <!-- end of table -->

Its command, date and cost are printed under it.
"""

import importlib
import re
import sys
from pathlib import Path

from bouba.bench.kept import Kept

HOME = Path(__file__).parents[1]
RESULTS = HOME / "benchmarks" / "results"
PAGES = [HOME / "README.md", HOME / "README.zh.md", *sorted((HOME / "docs").glob("**/*.md"))]
PLACE = re.compile(r"(<!-- table: (\S+) (.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def filled(page: str, results: Path = RESULTS) -> str:
    """A page with its tables made anew.

    Raises:
        FileNotFoundError: nothing was measured for a table. KeyError: a bench has no table of that name.
    """
    return PLACE.sub(lambda found: f"{found[1]}{_table(results / f'{found[2]}.json', found[3])}\n{found[4]}", page)


def _table(file: Path, name: str) -> str:
    kept = Kept.read(file)
    bench = importlib.import_module(f"bouba.bench.{kept.bench.replace('-', '_')}")
    table = bench.tables(kept.measured)[name]
    date = str(kept.environment["date"])[:10]
    cost = f"{kept.cpu_seconds / 60:,.0f} CPU-minutes" if kept.cpu_seconds >= 120 else f"{kept.cpu_seconds:.0f} CPU-s"
    return f"\n{table.markdown()}\n\n`{kept.command}`, {date}, {cost}.\n"


def main(arguments: list[str]) -> int:
    changed = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := filled(text)) != text:
            changed.append(page)
            if "--check" not in arguments:
                page.write_text(new, encoding="utf-8")
    for page in changed:
        sys.stdout.write(f"{page.relative_to(HOME)}: its tables {'differ' if '--check' in arguments else 'are new'}\n")
    return 1 if changed and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
