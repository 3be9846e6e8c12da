"""What is known but not read is named, and how to export it is said."""

import cv2
import numpy as np
import pytest

from dmtrack.errors import DecodeError, VideoError
from dmtrack.video.archive import inside
from dmtrack.video.modality import find_modality
from dmtrack.video.stream_files import open_source

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("thermal.mp4", POINTER, "Git LFS pointer.*git lfs pull"),
        ("robot.bag", POINTER, "Git LFS pointer"),
        ("e.csv", POINTER, "Git LFS pointer"),
        ("tower.ravi", b"RIFF" + bytes(60), "Optris.*export"),
        ("walk.svo2", bytes(60), "ZED.*export"),
        ("walk.SVO", bytes(60), "ZED.*export"),
        ("lab.ats", bytes(60), "FLIR.*export"),
        ("clip.webp", b"RIFF" + bytes(60), "WebP is not read.*save it"),
    ],
)
def test_what_is_not_read_is_named(name, content, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VideoError, match=said):
        open_source(path)


def test_a_pointer_to_an_archive_is_named_wherever_it_is_unpacked(tmp_path):
    (tmp_path / "set.zip").write_bytes(POINTER)
    for unpack in (inside, open_source, find_modality):
        with pytest.raises(VideoError, match=r"set\.zip: .*Git LFS pointer.*git lfs pull"):
            unpack(tmp_path / "set.zip")


def test_a_folder_of_pointers_says_so(tmp_path):
    (tmp_path / "0001.png").write_bytes(POINTER)
    with pytest.raises(DecodeError, match=r"Git LFS pointer.*git lfs pull"):
        open_source(tmp_path)


def test_radiometric_pictures_of_dji_are_read_as_shown_and_named(tmp_path):
    jpeg = bytes(cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))[1].tobytes())
    made_by = b"\xff\xe1\x00\x10Exif\0\0  DJI\0\0\0"
    raw = b"\xff\xe3\x10\x00" + bytes(0x1000 - 2)
    turn = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turn = b"\xff\xe1" + (len(turn) + 2).to_bytes(2, "big") + turn
    for name, data in (
        ("thermal", made_by + raw),
        ("visible", made_by),
        ("turned", turn + raw[:-3] + b"DJI"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(jpeg[:2] + data + jpeg[2:])
        with open_source(tmp_path / name) as source:
            said = "".join(source.info.notes)
        assert ("holds DJI's R-JPEG" in said) == (name != "visible")
        assert ("EXIF says to turn" in said) == (name == "turned")
