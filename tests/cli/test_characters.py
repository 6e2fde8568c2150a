"""What a person sees: nothing in a table steers the terminal, and a file of any name is shown as text."""

import io
import json
import os

import numpy as np
from PIL import Image

from bouba.cli.printing import Terminal, text_columns
from bouba.data.characters import printable
from bouba.search import Index


def test_nothing_steers_the_terminal():
    stream = io.StringIO()
    Terminal(stream).write("a\x1b[2Jb\x9b\u202e\x00\x7f\nc\td é 名\u200d")
    assert stream.getvalue() == r"a\u001b[2Jb\u009b\u202e\u0000\u007f" + "\nc\td é 名\u200d"
    text = "x\x7f\x9by\udce9"
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text, "JSON stays JSON"


def test_a_cell_stands_in_one_line():
    assert text_columns([["a\nb", "c"], ["d", "e\u2028\r\nf"]]) == "a b  c\nd    e f"


def test_a_hit_leads_to_the_file_whatever_its_name(tmp_path):
    file = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Image.new("RGB", (2, 2)).save(file)
    made = Index.create(tmp_path / "i", {"v": np.eye(1)}, paths={"v": [file]})
    assert [hit.path for hit in made.search(np.ones(1))] == [file]
