"""Clips in every form a table may hold, as pictures evenly spaced; and why some are none."""

import io
import struct
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import film
from PIL import Image

from bouba import read
from bouba.data import decode
from bouba.data.decode import films
from bouba.data.kinds import KINDS
from bouba.data.video import chosen, moves, video
from bouba.errors import DataError, MissingExtraError

GREYS = [12 * i for i in range(20)]


def frames(greys=GREYS):
    return [Image.new("RGB", (32, 16), (grey,) * 3) for grey in greys]


def animated(form="WEBP", greys=GREYS, **how):
    first, *others = frames(greys)
    file = io.BytesIO()
    first.save(file, form, save_all=True, append_images=others, duration=40, **how)
    return file.getvalue()


def seen(pictures):
    return [picture.getpixel((8, 8))[0] for picture in pictures]


@given(st.integers(1, 200), st.integers(1, 12))
def test_definition_of_evenly_spaced(n, count):
    """Frame k stands in slice floor(k T / n) of T equal slices; each gives the one nearest its middle."""
    numbers = chosen(n, count)
    if n <= count:
        assert numbers == list(range(n))
        return
    assert len(numbers) == count
    for place, number in enumerate(numbers):
        assert place * n / count <= number + 0.5 <= (place + 1) * n / count + 0.5
        assert abs((number + 0.5) - (place + 0.5) * n / count) <= 0.5


@pytest.mark.parametrize("form", ["WEBP", "GIF", "PNG"])
def test_animations_give_the_frames_that_were_written(form):
    how = {"lossless": True} if form == "WEBP" else {}
    pictures = video(animated(form, **how), 4)
    assert [picture.mode for picture in pictures] == ["RGB"] * 4
    assert seen(pictures) == [GREYS[i] for i in (2, 7, 12, 17)]
    assert seen(video(animated(form, GREYS[:3], **how), 8)) == GREYS[:3]  # a short clip has fewer


@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("matroska", "libx264")]
)
def test_films_give_the_frames_that_were_written(form, codec):
    pictures = video(film(frames(), form, codec), 5)
    np.testing.assert_allclose(seen(pictures), [GREYS[i] for i in (2, 6, 10, 14, 18)], atol=6)  # lossy
    assert len(video(film(frames()[:3], form, codec), 8)) == 3


def test_a_film_taken_with_a_turned_camera_is_upright():
    wide = [Image.new("RGB", (32, 16), "white") for _ in range(3)]
    for picture in wide:
        picture.paste((0, 0, 0), (0, 0, 16, 16))  # black on the left
    (upright, *_) = video(film(wide, "mp4", "libx264", rotation=90))
    assert upright.size == (16, 32)
    assert upright.getpixel((8, 28))[0] < 60 < upright.getpixel((8, 4))[0]  # counter-clockwise: left goes down


def test_all_forms_of_the_same_clip_are_one(tmp_path):
    file = animated(lossless=True)
    (tmp_path / "a.webp").write_bytes(file)
    pictures = frames()
    forms = [
        file,
        str(tmp_path / "a.webp"),
        tmp_path / "a.webp",
        {"bytes": file, "path": "a.webp"},
        {"bytes": None, "path": str(tmp_path / "a.webp")},
        Image.open(io.BytesIO(file)),
        pictures,
        [np.asarray(picture) for picture in pictures],
        np.stack([np.asarray(picture) for picture in pictures]),
        np.stack([np.asarray(picture) for picture in pictures]) / 255,
        np.stack([np.asarray(picture)[:, :, 0] for picture in pictures]),
    ]
    for form in forms:
        assert seen(video(form, 4)) == [GREYS[i] for i in (2, 7, 12, 17)]
    assert forms[5].tell() == 0  # what is given stays as it was


def test_transparency_lies_on_white_and_a_still_picture_is_one_frame():
    clear = [Image.new("RGBA", (16, 16), (grey, 0, 0, 0)) for grey in (0, 90)]
    assert seen(video(clear)) == [255, 255]
    assert seen(video(Image.new("RGBA", (16, 16), (0, 0, 0, 0)))) == [255]
    assert seen(video(animated(greys=[7], lossless=True))) == [7]


def test_what_moves():
    assert moves(animated()) is True
    assert moves(animated(greys=[1])) is False
    assert moves(b"nothing") is None
    assert moves("nowhere.gif") is None
    pages = io.BytesIO()
    frames()[0].save(pages, "TIFF", save_all=True, append_images=frames()[1:3])
    assert moves(pages.getvalue()) is False  # pages of a document


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (b"", r"not a clip: 0 bytes \(these bytes are no known film format\)"),
        (b"this is no clip", r"not a clip: 15 bytes \(these bytes are no known film format\)"),
        ("nowhere.mp4", r"not a clip: 'nowhere.mp4' \(no such file\)"),
        ("nowhere.gif", r"not a clip: 'nowhere.gif' \(no such file\)"),
        (np.zeros((3, 4)), r"an array of shape \(3, 4\); give \(frames, height, width, 3\)"),
        (np.zeros((0, 4, 4, 3)), r"not a clip: ndarray \(it holds no frame\)"),
        ([], r"not a clip: list \(it holds no frame\)"),
        (7, r"not a clip: int"),
    ],
)
def test_refusals_say_which_and_why(cell, reason):
    with pytest.raises(DataError, match=reason):
        video(cell)
    assert KINDS["video"].fault(cell) is not None
    with pytest.raises(DataError, match="a clip gives 1 picture or more, asked for 0"):
        video(cell, 0)


@pytest.mark.parametrize("form", ["WEBP", "GIF", "PNG"])
def test_animations_that_break_off_are_refused(form):
    whole = animated(form)
    with pytest.raises(DataError, match="not a clip"):
        video(whole[: len(whole) * 6 // 10])


@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("matroska", "libx264")]
)
def test_films_that_break_off_are_refused(form, codec):
    noise = np.random.default_rng(0).integers(0, 255, (20, 16, 32, 3), np.uint8)
    whole = film([Image.fromarray(frame) for frame in noise], form, codec)
    assert KINDS["video"].fault(whole) is None
    with pytest.raises(DataError, match="not a clip"):
        video(whole[: len(whole) * 6 // 10])


def test_a_film_without_the_extra_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"av is not installed; it comes with: pip install 'bouba\[video\]'"):
        video("a.mp4")
    assert len(video(animated())) == 8  # animations need none


@pytest.fixture
def clips(tmp_path):
    """grow/a.webp, grow/b.gif, shrink/c.webp, one that breaks off and one of zero length."""
    for folder in ("grow", "shrink"):
        (tmp_path / folder).mkdir()
    (tmp_path / "grow" / "a.webp").write_bytes(animated())
    (tmp_path / "grow" / "b.gif").write_bytes(animated("GIF"))
    (tmp_path / "grow" / "aa_cut.gif").write_bytes(animated("GIF")[:60])
    (tmp_path / "shrink" / "c.webp").write_bytes(animated())
    (tmp_path / "shrink" / "nothing.webp").touch()
    return tmp_path


def test_a_folder_of_animations_is_a_view_of_clips(clips):
    views = read(clips)
    assert views.modalities == {"video": "video", "name": "text"}
    assert views.y["label"].tolist() == ["grow", "grow", "grow", "shrink", "shrink"]
    assert views.present["video"].tolist() == [True, False, True, True, False]
    reasons = {bad["row"]: bad["reason"] for bad in views.bad_rows}
    assert set(reasons) == {1, 4}
    assert "aa_cut.gif" in reasons[1]
    assert "nothing.webp" in reasons[4]
    assert read(clips, image="video").modalities["video"] == "image"  # overruled: the first frames


def test_a_folder_of_films_and_animations(clips):
    (clips / "shrink" / "d.mp4").write_bytes(film(frames()))
    views = read(clips)
    assert views.modalities == {"video": "video", "name": "text"}
    assert views.present["video"].sum() == 4


def test_pictures_that_do_not_move_stay_pictures(tmp_path):
    for name in ("a.gif", "b.webp"):
        frames()[0].save(tmp_path / name)
    assert read(tmp_path).modalities == {"image": "image", "name": "text"}


def test_a_column_of_animations_in_a_table_is_clips(clips):
    table = clips / "t.csv"
    table.write_text("clip,caption\ngrow/a.webp,it grows\n,nothing here\ngrow/b.gif,it grows again\n")
    views = read(table)
    assert views.modalities == {"clip": "video", "caption": "text"}
    assert views.present["clip"].tolist() == [True, False, True]
    assert read(table, image="clip").modalities["clip"] == "image"
    assert read({"clip": [animated(), animated()]}).modalities == {"clip": "video"}
    assert read({"clip": np.zeros((2, 3, 4, 4, 3), np.uint8)}).modalities == {"clip": "video"}


def test_files_that_differ_in_their_ending_are_one_row(tmp_path):
    import soundfile

    for name in ("cat", "dog"):
        frames()[0].save(tmp_path / f"{name}.png")
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(80), 8000)
    (tmp_path / "dog.wav").unlink()
    frames()[0].save(tmp_path / "cat.jpg")  # a second picture: a row of its own
    (tmp_path / "cat.txt").write_bytes(b"a cat and what it says\xff\n")  # not quite UTF-8
    (tmp_path / "README.txt").write_text("nobody's caption")
    views = read(tmp_path)
    assert views.modalities == {"image": "image", "audio": "audio", "text": "text"}
    assert len(views) == 3
    assert views.present["audio"].tolist() == [True, False, False]
    assert [views["text"][i] for i in range(3)] == ["a cat and what it says\ufffd"] * 2 + [None]


def test_a_folder_of_sounds(tmp_path):
    import soundfile

    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        soundfile.write(tmp_path / word / "1.wav", np.zeros(80), 8000)
    (tmp_path / "no" / "2.wav").touch()
    views = read(tmp_path)
    assert views.modalities == {"audio": "audio"}
    assert views.y["label"].tolist() == ["no", "yes"]  # a row with nothing in it is left out, and said
    assert [bad["row"] for bad in views.bad_rows] == [1]


@pytest.mark.parametrize(
    "cell",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hosts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '/etc/hosts'\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'></MPD>",
        b";FFMETADATA1\ntitle=x\n",
    ],
)
def test_lists_of_other_files_are_no_clips(cell, tmp_path):
    (tmp_path / "a.mp4").write_bytes(cell)
    for form in (cell, str(tmp_path / "a.mp4")):
        assert "these bytes are no known film format" in KINDS["video"].header_fault(form)
        with pytest.raises(DataError, match="these bytes are no known film format"):
            video(form)


def patched(content, mark, place, values):
    """An MP4 of which the box after `mark` says something else, `place` bytes on."""
    at = content.index(mark) + 4 + place
    return content[:at] + values + content[at + len(values) :]


def test_films_beyond_the_bounds_are_refused_by_their_header(monkeypatch):
    whole = film(frames(), "mp4", "mpeg4")
    endless = patched(whole, b"stts", 8, struct.pack(">I", 2**31 - 1))
    assert "2,147,483,647 frames, at most 262,144; cut it into clips" in KINDS["video"].header_fault(endless)
    wide = b"YUV4MPEG2 W32768 H32768 F25:1 Ip A0:0 C420\nFRAME\n" + bytes(100)
    assert "not a clip" in KINDS["video"].header_fault(wide)
    monkeypatch.setattr(films, "MOST_PIXELS", 500)
    assert "32 x 16 is 512 pixels, at most 500" in KINDS["video"].header_fault(whole)
    monkeypatch.setattr(films, "MOST_PIXELS", 512)
    assert KINDS["video"].header_fault(whole) is None
    monkeypatch.setattr(films, "LONGEST", 1.0)
    assert "2 s long, at most 1; cut it into clips" in KINDS["video"].header_fault(whole)


def test_a_size_that_only_the_frames_tell_is_bounded(monkeypatch):
    whole = film(frames(), "mp4", "mpeg4")
    small = patched(whole, b"mp4v", 24, struct.pack(">HH", 8, 8))
    small = patched(small, b"tkhd", 76, struct.pack(">II", 8 << 16, 8 << 16))
    assert len(video(small, 3)) == 3
    monkeypatch.setattr(films, "MOST_PIXELS", 100)
    assert "at most 100" in decode.check("video", small)


def test_what_a_clip_is_is_settled_by_content(tmp_path):
    moving = animated("GIF")
    (tmp_path / "a.mp4").write_bytes(moving)
    (tmp_path / "b.gif").write_bytes(film(frames(), "mp4", "mpeg4"))
    assert seen(video(str(tmp_path / "a.mp4"), 4)) == [GREYS[i] for i in (2, 7, 12, 17)]
    np.testing.assert_allclose(seen(video(str(tmp_path / "b.gif"), 4)), [GREYS[i] for i in (2, 7, 12, 17)], atol=6)


@pytest.mark.parametrize("form", ["WEBP", "GIF", "PNG"])
def test_the_header_of_a_clip_tells_that_it_was_cut_off(form):
    whole = animated(form)
    assert KINDS["video"].header_fault(whole) is None
    assert "not a clip" in KINDS["video"].header_fault(whole[: len(whole) * 6 // 10])
