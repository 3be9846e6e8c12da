"""Zip archives of recordings, and those of the Record3D app, packed with Apple's LZFSE."""

from __future__ import annotations

import json
import sys
import zipfile
from fractions import Fraction

import cv2
import lzfse
import numpy as np
import pytest
from clips import archive

from dmtrack.errors import DecodeError, DmtrackError, VideoError
from dmtrack.geometry.intrinsics import Intrinsics
from dmtrack.video.archive import inside
from dmtrack.video.frame import Modality
from dmtrack.video.inspection import inspect_pair
from dmtrack.video.modality import find_modality
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position
from dmtrack.video.stream_files import open_source
from dmtrack.video.streams import PairingOptions
from dmtrack.video.track_choice import parse_track

DRAW = np.random.default_rng(8)
PICTURES = [DRAW.integers(0, 256, (24, 32, 3)).astype(np.uint8) for _ in range(12)]


def png(picture):
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def test_a_folder_of_pictures(tmp_path):
    members = {f"set/rgb/{number}.png": png(one) for number, one in enumerate(PICTURES)}
    path = archive(tmp_path / "a.zip", {**members, "__MACOSX/set/._0.png": b"x", "set/.DS_Store": b"y"})
    with open_source(path) as source:
        frames = list(source)
    assert source.info.path == path
    assert all(np.array_equal(frame.pixels, one) for frame, one in zip(frames, PICTURES, strict=True))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("lost", range(3))
def test_of_members_of_one_name_the_last_is_read_and_said(tmp_path, lost, caplog):
    """An archive to which pictures were added again; `./1.png` and `1.png` are one file too."""
    path = archive(tmp_path / "a.zip", {f"{number}.png": png(one) for number, one in enumerate(PICTURES)})
    with zipfile.ZipFile(path, "a") as file:
        for number in range(lost):
            file.writestr("./" * number + f"{number}.png", png(PICTURES[-1]))
    with open_source(path) as source:
        frames = [frame.pixels for frame in source]
    assert all(map(np.array_equal, frames, [PICTURES[-1]] * lost + PICTURES[lost:]))
    assert caplog.text.count("the last is read") == (lost > 0)
    assert lost == 0 or f"{path}: it holds 0.png 2 times" in caplog.text


@pytest.mark.parametrize("beside", ["README.txt", "calib.json", "notes.MD"])
def test_what_lies_beside_a_recording_does_not_hide_it(make_video, beside, tmp_path):
    members = {f"set/rgb/{number}.png": png(one) for number, one in enumerate(PICTURES)}
    with open_source(archive(tmp_path / "a.zip", {**members, beside: b"read me"})) as source:
        assert [frame.pixels[0, 0].tolist() for frame in source] == [one[0, 0].tolist() for one in PICTURES]
    video = {"rgb.mp4": make_video("rgb.mp4", PICTURES).read_bytes(), beside: b"read me"}
    with open_source(archive(tmp_path / "b.zip", video)) as source:
        assert len(list(source)) == len(PICTURES)


def test_a_video_and_events_in_archives_are_a_pair(make_video, tmp_path):
    rgb = archive(tmp_path / "rgb.zip", {"rgb.mp4": make_video("rgb.mp4", PICTURES).read_bytes()})
    events = "".join(f"{t},{t % 32},{t % 24},{t % 2}\n" for t in range(0, 400_000, 50))
    second = archive(tmp_path / "second.zip", {"e.csv": events})
    with open_pair(rgb, second) as source:
        pairs = list(source)
    assert source.modality is Modality.EVENT
    assert len(pairs) == len(PICTURES)
    assert source.rgb_info.path == rgb


def test_what_an_archive_measures_is_found_out(tmp_path):
    grey = [one[..., :1].repeat(3, axis=2) for one in PICTURES]
    path = archive(tmp_path / "g.zip", {f"{number}.png": png(one) for number, one in enumerate(grey)})
    assert find_modality(path).modality is Modality.THERMAL


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "holds nothing"),
        ({"rgb/1.png": b"x", "depth/1.png": b"y"}, "the folders depth, rgb; unpack it"),
        ({"a/1.png": b"no picture", "a/2.png": b"neither"}, "cannot be read"),
    ],
)
def test_archives_that_hold_no_recording(members, said, tmp_path):
    with pytest.raises((VideoError, DecodeError), match=said) as caught:
        open_source(archive(tmp_path / "a.zip", members))
    assert str(caught.value).startswith(f"{tmp_path}/a.zip"), "not where it was unpacked"


@pytest.mark.parametrize("left", ["Thumbs.db", "set/desktop.ini", "set/.DS_Store", "__MACOSX/._set"])
def test_what_systems_leave_beside_a_recording_is_passed_over(left, make_video, tmp_path):
    video = make_video("rgb.mp4", PICTURES).read_bytes()
    with open_source(archive(tmp_path / "a.zip", {"set/rgb.mp4": video, left: b"\xd0\xcf"})) as source:
        assert len(list(source)) == len(PICTURES)


def test_a_trap_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("dmtrack.video.archive._SMALL_BYTES", 1 << 20)
    path = archive(tmp_path / "a.zip", {"a.png": bytes(3 << 20)})
    with pytest.raises(VideoError, match="1 file of 3 MiB are more"):
        open_source(path)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(VideoError, match="no whole zip archive"):
        open_source(cut)


def test_no_member_leaves_the_folder(tmp_path):
    path = archive(tmp_path / "a.zip", {"../../out.png": png(PICTURES[0]), "/abs.png": png(PICTURES[1])})
    found = inside(path)
    assert found.name == "abs.png"
    assert not [*tmp_path.parent.rglob("out.png"), *found.parent.parent.glob("out.png")]


# --- Record3D -------------------------------------------------------------------------------------------

METRES = [(DRAW.random((20, 16)) * 4 + 0.3).astype("<f4") for _ in PICTURES]
METRES[0][3, 4] = np.nan


def record3d(path, *, metadata=None, depth=METRES, **changed):
    stamps = [100.0 + number / 30 + 0.001 * (number % 2) for number in range(len(PICTURES))]
    camera = {"w": 32, "h": 24, "K": [30, 0, 0, 0, 31, 0, 15.5, 11.5, 1]}
    metadata = metadata or {**camera, "dw": 16, "dh": 20, "fps": 30, "frameTimestamps": stamps}
    members = {"metadata": json.dumps(metadata).encode()}
    for number, (picture, metres) in enumerate(zip(PICTURES, depth, strict=True)):
        members[f"rgbd/{number}.jpg"] = png(picture)
        members[f"rgbd/{number}.depth"] = lzfse.compress(metres.tobytes())
        members[f"rgbd/{number}.conf"] = b"c"
    return archive(path, {**members, **changed}, zipfile.ZIP_STORED)


def test_a_recording_of_a_phone_is_a_pair(tmp_path):
    path = record3d(tmp_path / "walk.r3d")
    with open_pair(path, path) as source:
        pairs = list(source)
    assert source.modality is Modality.DEPTH
    assert source.aux_info.depth_unit_mm == 1
    assert source.rgb_info.intrinsics == Intrinsics(30, 31, 15.5, 11.5, (32, 24))
    assert [pair.rgb.time_s for pair in pairs[:2]] == [100, Fraction(100_034_333_333, 10**9)]
    assert {pair.skew_s for pair in pairs} == {0}
    for pair, picture, metres in zip(pairs, PICTURES, METRES, strict=True):
        assert np.array_equal(pair.rgb.pixels, picture)
        assert np.array_equal(pair.aux.pixels, np.rint(np.nan_to_num(metres).astype(float) * 1000))
    report = inspect_pair(path, options=PairingOptions(aux_track=parse_track("depth")))
    assert report.aux.size == (16, 20)


def test_without_times_and_sizes_the_rate_and_the_sensor_tell_them(tmp_path):
    lidar = [np.full((256, 192), 1.5, "<f4")] * len(PICTURES)
    path = record3d(tmp_path / "old.r3d", metadata={"fps": 60, "K": [1.0] * 9}, depth=lidar)
    with open_source(path, stream=1) as source:
        frames = list(source.read(Position(index=3)))
    assert source.info.size == (192, 256)
    assert frames[0].time_s == Fraction(50_000_000, 10**9)
    assert (frames[0].pixels == 1500).all()


def test_damaged_pictures_are_skipped_and_counted(tmp_path):
    bad = {"rgbd/2.depth": b"bvx2" + b"\xff" * 60, "rgbd/3.depth": lzfse.compress(bytes(50))}
    path = record3d(tmp_path / "a.r3d", **bad, **{"rgbd/4.depth": b""})
    with open_source(path, stream=1) as source:
        assert [frame.index for frame in source] == [0, 1, *range(5, 12)]
        assert source.damaged_packets == 3


def test_bad_recordings_are_one_line(tmp_path, monkeypatch):
    for name, members in {
        "none.r3d": {"a.txt": b"x"},
        "metadata.r3d": {"metadata": b"{", "rgbd/0.jpg": png(PICTURES[0])},
        "depth.r3d": {"metadata": b"{}", "rgbd/0.depth": b"x"},
    }.items():
        with pytest.raises(DmtrackError, match=name):
            open_source(archive(tmp_path / name, members), stream=name == "depth.r3d")
    path = record3d(tmp_path / "a.r3d")
    monkeypatch.setitem(sys.modules, "lzfse", None)
    with pytest.raises(VideoError, match=r"pip install \"dmtrack\[record3d\]\""):
        open_source(path, stream=1)
    with open_source(path) as colour:
        assert len(list(colour)) == len(PICTURES)
