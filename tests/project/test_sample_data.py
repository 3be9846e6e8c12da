"""The sample clips are whole, and are what their README says."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

SAMPLES = Path(__file__).parents[2] / "sample_data"
CLIPS = ("night_street", "desk_depth", "road_event")
LIMIT_BYTES = 15_000_000


def boxes(clip):
    return np.loadtxt(SAMPLES / clip / "groundtruth.txt", delimiter=",")


def facts(clip):
    return json.loads((SAMPLES / clip / "clip.json").read_text())


def decoded(path, pixel_format):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=pixel_format) for frame in container.decode(video=0)]


def depth_files():
    return sorted((SAMPLES / "desk_depth" / "depth").glob("*.png"))


def shipped():
    return [path for clip in CLIPS for path in (SAMPLES / clip).rglob("*") if path.is_file()]


def test_every_file_has_its_sum():
    rows = (line.split("  ") for line in (SAMPLES / "SHA256SUMS").read_text().splitlines())
    expected = {name: digest for digest, name in rows}
    found = {p.relative_to(SAMPLES).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in shipped()}
    assert found == expected


def test_the_clips_stay_small():
    assert sum(path.stat().st_size for path in shipped()) < LIMIT_BYTES


@pytest.mark.parametrize(
    ("clip", "name", "codec", "pixel_format", "size", "rate", "frames", "start_s"),
    [
        ("night_street", "rgb.mp4", "h264", "yuv420p", (640, 360), 30, 180, 0),
        ("night_street", "thermal.mkv", "ffv1", "gray16le", (320, 180), 15, 90, Fraction(12, 1000)),
        ("desk_depth", "rgb.mp4", "h264", "yuv420p", (480, 360), 30, 150, 0),
        ("road_event", "rgb.mp4", "h264", "yuv420p", (346, 260), 25, 150, 0),
        ("road_event", "event.mp4", "png", "rgb24", (346, 260), 25, 150, 0),
    ],
)
def test_streams_are_what_the_readme_says(clip, name, codec, pixel_format, size, rate, frames, start_s):
    with av.open(str(SAMPLES / clip / name)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == (codec, pixel_format)
        assert (stream.width, stream.height) == size
        times = [frame.pts * stream.time_base for frame in container.decode(stream)]
    assert len(times) == frames
    exact = [start_s + Fraction(i, rate) for i in range(frames)]
    assert max(abs(a - b) for a, b in zip(times, exact, strict=True)) <= Fraction(1, 1000)  # MKV counts in ms
    declared = facts(clip)["streams"][name]
    assert (tuple(declared["size"]), Fraction(declared["rate"]), declared["frames"]) == (size, rate, frames)


def test_depth_folder_goes_with_the_colour_frames():
    files = depth_files()
    assert [f.name for f in files] == [f"{i:08d}.png" for i in range(1, 151)]
    assert facts("desk_depth")["streams"]["depth"]["frames"] == len(files)
    for file in files[::10]:
        depth = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert (depth.dtype, depth.shape) == (np.uint16, (360, 480))
        assert 0.05 < (depth == 0).mean() < 0.35, "holes, but not many"
        assert 300 < np.percentile(depth[depth > 0], 1) < np.percentile(depth[depth > 0], 99) < 3000


@pytest.mark.parametrize("clip", CLIPS)
def test_boxes_are_good_to_track(clip):
    rows, stream = boxes(clip), facts(clip)["streams"]["rgb.mp4"]
    width, height = stream["size"]
    assert rows.shape == (stream["frames"], 4)
    assert rows[0].tolist() == facts(clip)["start_box_xywh"]
    assert (rows[:, :2] >= 0).all()
    assert (rows[:, 0] + rows[:, 2] <= width).all()
    assert (rows[:, 1] + rows[:, 3] <= height).all()
    sides = np.sqrt(rows[:, 2] * rows[:, 3])
    assert sides.min() > 30
    assert sides.max() < 120
    centres = rows[:, :2] + rows[:, 2:] / 2
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    assert (steps < 0.5 * rows[1:, 2]).all(), "it never jumps"
    assert np.ptp(centres[:, 0]) > rows[:, 2].mean(), "it does move"


def test_thermal_shows_a_warm_target():
    frames = decoded(SAMPLES / "night_street" / "thermal.mkv", "gray16le")
    assert all(frame.dtype == np.uint16 for frame in frames)
    rows = boxes("night_street")
    for i in (0, 40, 89):
        time_s = 0.012 + i / 15
        x, y, w, h = rows[min(round(time_s * 30), len(rows) - 1)] / 2  # half the grid of the colour picture
        target = frames[i][round(y) : round(y + h), round(x) : round(x + w)]
        assert np.percentile(target, 97) > np.median(frames[i]) + 500, "five kelvin above the street"


def test_events_look_like_visevent():
    frames = decoded(SAMPLES / "road_event" / "event.mp4", "rgb24")
    tones = {(255, 255, 255), (220, 30, 30), (30, 30, 200)}
    for frame in frames[1::30]:
        assert {tuple(int(v) for v in tone) for tone in np.unique(frame.reshape(-1, 3), axis=0)} == tones
        assert 0.02 < (frame[..., 1] < 128).mean() < 0.4


def test_depth_puts_the_target_before_the_wall():
    rows = boxes("desk_depth")
    for i in (0, 149):
        x, y, w, h = rows[i].round().astype(int)
        depth = cv2.imread(str(depth_files()[i]), cv2.IMREAD_UNCHANGED)
        inner = depth[y + h // 4 : y + 3 * h // 4, x + w // 4 : x + 3 * w // 4]
        assert np.median(inner[inner > 0]) < np.percentile(depth, 95) - 500
