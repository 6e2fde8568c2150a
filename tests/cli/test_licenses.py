"""The licences of what is installed, and the version."""

import json
import subprocess
import sys
from email.message import Message

import pytest
from test_commands import bouba

from bouba import __version__
from bouba.cli import licenses


class Package:
    """What importlib.metadata knows of an installed package."""

    version = "1.0"

    def __init__(self, headers=(), files=()):
        self.metadata = Message()
        for name, value in [("Name", "thing"), *headers]:
            self.metadata[name] = value
        self.files = [type("File", (), {"name": name}) for name in files]


@pytest.mark.parametrize(
    ("headers", "license", "copyleft"),
    [
        ([("License-Expression", "MIT")], "MIT", False),
        ([("License-Expression", "MPL-2.0 AND MIT")], "MPL-2.0 AND MIT", True),
        (
            [("License", "Copyright\nlong text"), ("Classifier", "License :: OSI Approved :: BSD License")],
            "BSD License",
            False,
        ),
        ([("License", "LGPL 2.1\nlong text")], "LGPL 2.1", True),
        (
            [("Classifier", "License :: OSI Approved :: GNU General Public License v3 (GPLv3)")],
            "GNU General Public License v3 (GPLv3)",
            True,
        ),
        ([], "not said", False),
    ],
)
def test_the_licence_a_package_names(headers, license, copyleft):
    facts = licenses._facts(Package(headers))
    assert (facts["license"], facts["copyleft"]) == (license, copyleft)


def test_libraries_in_a_wheel_have_their_own_licences():
    files = ["libx264-d6533a8d.so.165", "libx265.dll", "libsndfile_x86_64.so", "libpng16-1.so", "x264.py"]
    assert licenses._facts(Package(files=files))["bundles"] == {
        "sndfile": "LGPL-2.1-or-later",
        "x264": "GPL-2.0-or-later",
        "x265": "GPL-2.0-or-later",
    }


def test_the_command_lists_bouba_and_what_it_requires(capsys):
    assert bouba("licenses", "--json") == 0
    found = {facts["name"]: facts for facts in json.loads(capsys.readouterr().out)}
    assert found["numpy"]["license"].startswith("BSD-3-Clause")
    assert {"torch", "scikit-learn", "safetensors"} <= found.keys()
    assert bouba("licenses") == 0
    assert capsys.readouterr().out.startswith("package")


def test_version_imports_nothing_heavy():
    code = "import sys; sys.argv = ['bouba', '--version']\nfrom bouba.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'numpy', 'sklearn'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == f"bouba {__version__}\n[]\n"
