"""What a cell may point to: regular files and bytes; all else is listed at once, never waited for."""

import os
import socket
import struct
import sys

import pytest

from bouba import read
from bouba.data import decode
from bouba.data.kinds import FILES, KINDS
from bouba.errors import DataError


@pytest.fixture
def places(tmp_path):
    """Names in a folder that are no files with content."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "circle.png").symlink_to("circle2.png")
    (tmp_path / "circle2.png").symlink_to("circle.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "nowhere.png").symlink_to("gone.png")
    return tmp_path


REASONS = {
    "pipe.png": "it is a named pipe; give a file",
    "endless.png": "it is a device; give a file",
    "circle.png": "too many levels of symbolic links",
    "folder.png": "it is a folder; give a file",
    "empty.png": "the file is empty",
    "nowhere.png": "no such file",
    "x" * 5000 + ".png": "file name too long",
    "a\0b.png": "embedded null byte",
}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_file_is_refused_at_once(places, kind, monkeypatch):
    for name, reason in REASONS.items():
        for check in (KINDS[kind].header_fault, KINDS[kind].fault):
            assert reason in check(os.path.join(places, name))
    listener = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(places)  # names of sockets are short
    listener.bind("socket.png")
    assert "it is a socket" in decode.check(kind, str(places / "socket.png"))
    listener.close()


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/a.png", "ftp://host/a.wav", "tcp://127.0.0.1:9", "s3://b/c.mp4"]
)
def test_nothing_is_fetched(kind, address):
    assert "this is an address; download it and give the file" in decode.check(kind, address)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("name", ["concat:/etc/hosts", "pipe:0", "-", "lavfi:testsrc", "~/a.png", "C:\\a\\b.png", " "])
def test_names_that_mean_something_elsewhere_are_names_here(kind, name):
    assert "no such file" in decode.check(kind, name)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_must_not_be_read_says_so(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "a.png").chmod(0)
    assert "permission denied" in decode.check("image", str(tmp_path / "a.png"))


def test_a_table_of_such_names_is_read_and_lists_them(places, png):
    (places / "good.png").write_bytes(png())
    names = ["good.png", *(name for name in REASONS if "\0" not in name)]
    table = places / "t.csv"
    table.write_text("photo,caption\n" + "".join(f"{name},some words\n" for name in names))
    views = read(table, image="photo", text="caption")
    assert views.present["photo"].tolist() == [True] + [False] * (len(names) - 1)
    assert [bad["row"] for bad in views.bad_rows] == list(range(1, len(names)))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "npy"])
def test_a_table_that_is_a_pipe_or_a_device_is_refused(tmp_path, ending):
    pipe = tmp_path / f"t.{ending}"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="is a named pipe; give a file or a folder"):
        read(pipe)
    device = tmp_path / f"d.{ending}"
    device.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is a device; give a file or a folder"):
        read(device)


def test_relative_names_as_windows_writes_them(tmp_path, png):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.PNG").write_bytes(png())
    table = tmp_path / "t.csv"
    table.write_text(
        "photo,caption\nphotos\\a.PNG,some words\n" + (tmp_path / "photos" / "a.PNG").as_uri() + ",others\n"
    )
    views = read(table)
    assert views.modalities["photo"] == "image"
    assert views.present["photo"].tolist() == [True, True]


def test_a_file_that_grows_into_another_stays_bounded(tmp_path, png):
    """A file is looked at again after it was opened, so that one put in its place meanwhile is bounded too."""
    file = tmp_path / "a.png"
    file.write_bytes(png())
    assert KINDS["image"].header_fault(str(file)) is None
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DataError, match="it is a named pipe"):
        decode.image(str(file))


def test_parts_as_long_as_the_file_are_not_read(tmp_path):
    """2 GB of text in a sparse PNG: refused by its size."""
    file = tmp_path / "a.png"
    header = struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0) + bytes(4)
    with file.open("wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 2**31 - 1) + b"tEXt")
        out.truncate(2**31 + 100)
    assert "2,147,483,748 bytes, at most 536,870,912" in decode.check("image", str(file))


def test_kinds_that_do_not_exist():
    with pytest.raises(DataError, match="no kind 'images'; did you mean 'image'"):
        decode.check("images", b"")
    assert decode.check("text", 3.5) is None


def test_a_caption_that_is_a_pipe_is_not_waited_for(tmp_path, png):
    for name in ("cat", "dog"):
        (tmp_path / f"{name}.png").write_bytes(png())
    (tmp_path / "cat.txt").write_text("a cat")
    os.mkfifo(tmp_path / "dog.txt")
    views = read(tmp_path)
    assert views.present["text"].tolist() == [True, False]
