"""Build the emoji sample: every emoji drawn in four styles, named in English and Chinese.

Needs Debian's librsvg2-bin (`rsvg-convert`) and five npm packages:

    npm install @iconify-json/noto @iconify-json/twemoji @iconify-json/openmoji \
        @iconify-json/fluent-emoji-flat emojibase-data
    python scripts/make_emoji.py node_modules src/bouba/data/emoji

Writes emoji.parquet (one row per drawing) and LICENSES.md beside it. A drawing is 64 x 64 RGB on white,
lossless WebP. A concept enters only when all four styles draw it and both languages name it.
"""

import argparse
import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

STYLES = {  # style -> npm package of its drawings
    "noto": "@iconify-json/noto",
    "twemoji": "@iconify-json/twemoji",
    "openmoji": "@iconify-json/openmoji",
    "fluent": "@iconify-json/fluent-emoji-flat",
}
SIZE = 64


def concept_key(hexcode: str) -> str:
    """'2764-FE0F' -> '2764': the variation selector only asks for a colour picture."""
    return "-".join(part for part in hexcode.lower().split("-") if part != "fe0f")


class IconSet:
    """One Iconify package: code point -> SVG document."""

    def __init__(self, folder: Path):
        self.icons = json.loads((folder / "icons.json").read_text())
        chars = json.loads((folder / "chars.json").read_text())
        self.name_of = {concept_key(code): name for code, name in chars.items()}

    def svg(self, key: str) -> str:
        name, flip = self.name_of[key], False
        if name not in self.icons["icons"]:
            alias = self.icons["aliases"][name]
            name, flip = alias["parent"], alias.get("hFlip", False)
        icon = self.icons["icons"][name]
        width = icon.get("width", self.icons.get("width", 16))
        height = icon.get("height", self.icons.get("height", 16))
        body = icon["body"]
        if flip:
            body = f'<g transform="translate({width} 0) scale(-1 1)">{body}</g>'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width} {height}" width="{SIZE}" height="{SIZE}">{body}</svg>'
        )


def render(svg: str) -> bytes:
    """SVG document -> lossless WebP bytes, 64 x 64, on white."""
    command = ["rsvg-convert", "-w", str(SIZE), "-h", str(SIZE), "--background-color", "white"]
    png = subprocess.run(command, input=svg.encode(), capture_output=True, check=True).stdout
    out = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.save(out, "WEBP", lossless=True, quality=100, method=6)
    return out.getvalue()


def concepts(folder: Path) -> dict[str, dict]:
    """key -> names, keywords and groups, for every emoji named in both languages."""
    load = lambda language, file: json.loads((folder / language / file).read_text())  # noqa: E731
    messages = load("en", "messages.json")
    group = {m["order"]: m["key"] for m in messages["groups"]}
    subgroup = {m["order"]: m["key"] for m in messages["subgroups"]}
    chinese = {concept_key(e["hexcode"]): e for e in load("zh", "data.json")}
    rows = {}
    for english in load("en", "data.json"):
        key = concept_key(english["hexcode"])
        if "group" not in english or key not in chinese:
            continue
        rows[key] = {
            "key": key,
            "emoji": english["emoji"],
            "name_en": english["label"],
            "keywords_en": ", ".join(english.get("tags", [])),
            "name_zh": chinese[key]["label"],
            "keywords_zh": "，".join(chinese[key].get("tags", [])),
            "group": group[english["group"]],
            "subgroup": subgroup[english["subgroup"]],
        }
    return rows


def licences(packages: Path) -> str:
    lines = ["# Where the emoji sample comes from", ""]
    for style, package in STYLES.items():
        info = json.loads((packages / package / "info.json").read_text())
        version = json.loads((packages / package / "package.json").read_text())["version"]
        licence, author = info["license"], info["author"]
        lines.append(
            f"- **{style}**: {info['name']}, {author['name']} <{author['url']}>, {licence['spdx']} "
            f"<{licence['url']}>, through npm `{package}` {version}, rendered to {SIZE} px on white."
        )
    base = json.loads((packages / "emojibase-data/package.json").read_text())
    lines.append(
        f"- names, keywords, groups: emojibase-data {base['version']}, {base['license']} "
        "<https://github.com/milesj/emojibase>; Unicode CLDR data, Unicode-3.0."
    )
    lines += [
        "",
        "The OpenMoji drawings, rendered, stay under CC-BY-SA-4.0 and the Twemoji drawings under CC-BY-4.0;",
        "bouba's own licence (Apache-2.0) covers the code and not these pictures.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("packages", type=Path, help="a node_modules folder with the five packages")
    parser.add_argument("out", type=Path, help="where emoji.parquet and LICENSES.md go")
    args = parser.parse_args()
    styles = {style: IconSet(args.packages / package) for style, package in STYLES.items()}
    rows = concepts(args.packages / "emojibase-data")
    keys = [key for key in rows if all(key in icons.name_of for icons in styles.values())]
    jobs = [(key, style) for style in styles for key in keys]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda job: render(styles[job[1]].svg(job[0])), jobs))
    table = [{"image": image, "style": style, **rows[key]} for (key, style), image in zip(jobs, images, strict=True)]
    args.out.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(table), args.out / "emoji.parquet", compression="zstd")
    (args.out / "LICENSES.md").write_text(licences(args.packages))
    sys.stdout.write(f"{len(keys)} concepts x {len(styles)} styles -> {args.out / 'emoji.parquet'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
