"""Pictures without loss: bits, times, and files that are whole or not there."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from dmtrack.drawing.animation import AnimationWriter
from dmtrack.drawing.pictures import LosslessVideo, PictureFolder, picture_writer
from dmtrack.errors import OutputError
from dmtrack.video.stream_files import open_source

RNG = np.random.default_rng(5)
PICTURES = [RNG.integers(0, 256, (31, 47, 3), dtype=np.uint8) for _ in range(7)]


@pytest.mark.parametrize("name", ["a.mkv", "folder"])
def test_every_bit_comes_back(name, tmp_path):
    path = tmp_path / name
    with picture_writer(path) as writer:
        for index, picture in enumerate(PICTURES):
            writer.write(picture, index, Fraction(1, 25))
    with open_source(path, folder_rate=Fraction(25)) as source:
        frames = list(source)
    assert [float(frame.time_s) for frame in frames] == pytest.approx([n / 25 for n in range(7)])
    for frame, picture in zip(frames, PICTURES, strict=True):
        np.testing.assert_array_equal(frame.pixels, picture)


def test_stamps_closer_than_a_millisecond_are_moved_apart(tmp_path):
    with LosslessVideo(tmp_path / "a.mkv") as writer:
        for index in range(4):
            writer.write(PICTURES[index], 10 * index, Fraction(1, 1_000_000))
    with open_source(tmp_path / "a.mkv") as source:
        assert [frame.pts for frame in source] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["a.mkv", "folder"])
def test_nothing_written_is_no_file(name, tmp_path):
    picture_writer(tmp_path / name).close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["a.mkv", "folder"])
def test_closing_twice_is_harmless(name, tmp_path):
    writer = picture_writer(tmp_path / name)
    writer.write(PICTURES[0], 0, Fraction(1))
    writer.close()
    writer.close()
    assert not list(tmp_path.rglob(".*"))


def test_an_existing_video_is_refused(tmp_path):
    (tmp_path / "a.mkv").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        picture_writer(tmp_path / "a.mkv")
    assert (tmp_path / "a.mkv").read_text() == "mine"


def test_other_files_of_a_folder_stay(tmp_path):
    (tmp_path / "000000.png").write_bytes(b"old")
    (tmp_path / "000009.png").write_bytes(b"old")
    (tmp_path / "notes.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="holds pictures already"):
        PictureFolder(tmp_path)
    with PictureFolder(tmp_path, overwrite=True) as writer:
        writer.write(PICTURES[0], 1, Fraction(1, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.png", "notes.png", "times_us.txt"]
    assert (tmp_path / "times_us.txt").read_text() == "333333\n"


def test_a_picture_that_cannot_be_written_whole_leaves_nothing(tmp_path):
    """A full disk left one of no bytes, which no reader takes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    with PictureFolder(tmp_path) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8), 0, Fraction(1, 30))
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
            with pytest.raises(OutputError, match=r"000001\.png: the file has reached the size limit"):
                writer.write(noise, 1, Fraction(1, 30))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.png", "times_us.txt"]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_that_cannot_be_encoded_leaves_an_old_one(tmp_path, suffix):
    """An empty file took its place."""
    path = tmp_path / f"a.{suffix}"
    path.write_text("old")
    writer = AnimationWriter(path, overwrite=True)
    with pytest.raises(OutputError, match="cannot be encoded"):
        writer.write(np.zeros((8, 70_000, 3), np.uint8), 0, Fraction(1, 10))
    with suppress(OutputError):
        writer.close()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
