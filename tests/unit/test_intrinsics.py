"""Intrinsics of the RGB camera, in files as cameras and programs write them; places of targets by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import pictures_in

from dmtrack.errors import ConfigError, FormatError
from dmtrack.geometry.box import Box
from dmtrack.geometry.intrinsics import Intrinsics, intrinsics_near, read_intrinsics
from dmtrack.options import command_words
from dmtrack.video.container.reader import VideoReader
from dmtrack.video.frame import Modality, VideoInfo
from dmtrack.video.pairing import camera_of, open_pair
from dmtrack.video.streams import PairingOptions
from dmtrack.video.track_choice import parse_track

CAMERA = (525.5, 526.25, 319.5, 239.75)
FX, FY, CX, CY = CAMERA
VGA = (640, 480)
MATRIX = [[FX, 0.0, CX], [0.0, FY, CY], [0.0, 0.0, 1.0]]
BY_ROWS = [cell for row in MATRIX for cell in row]
BY_COLUMNS = [MATRIX[row][column] for column in range(3) for row in range(3)]
REALSENSE = {"width": 640, "height": 480, "ppx": CX, "ppy": CY, "fx": FX, "fy": FY, "model": "brown_conrady"}
DEPTH_CAMERA = {"width": 848, "height": 480, "ppx": 1.0, "ppy": 2.0, "fx": 3.0, "fy": 4.0}
ROS_CALIBRATION = f"""\
image_width: 640
image_height: 480
camera_name: head
camera_matrix:
  rows: 3
  cols: 3
  data: [{FX}, 0, {CX}, 0, {FY}, {CY}, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.2, 0, 0, 0]
"""
ROS2_ECHO = "header:\n  frame_id: cam\nheight: 480\nwidth: 640\nd:\n- 0.5\nk:\n" + "".join(
    f"- {cell}\n" for cell in BY_ROWS
)
KALIBR = f"cam0:\n  camera_model: pinhole\n  intrinsics: [{FX}, {FY}, {CX}, {CY}]\n  resolution: [640, 480]\n"


def open3d() -> dict[str, object]:
    return {"width": 640, "height": 480, "intrinsic_matrix": BY_COLUMNS}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (f"{FX} {FY} {CX} {CY}\n", None),
        (f"# fx fy cx cy\n{FX},{FY},{CX},{CY}", None),
        (f"{FX} {FY} {CX} {CY}".replace(".", ","), None),
        (f"{FX};{FY};{CX};{CY}".replace(".", ","), None),
        (f"{FX} {FY} {CX} {CY}".replace(".", ",").replace(" ", ", "), None),
        (f"{FX} 526,25 {CX} 2,3975e2", None),
        (f"{FX}, {FY} , {CX},{CY}", None),
        (f"{FX} {FY} {CX} {CY} 0.2624 -0.9531 -0.0054 0.0026 1.1633", None),
        ("\n".join(" ".join(map(str, row)) for row in MATRIX), None),
        ("\n".join(" ".join(map(str, row)) for row in MATRIX).replace(".", ","), None),
        ("\n".join(" ".join(map(str, [*row, 0])) for row in MATRIX) + "\n0 0 0 1\n", None),
        (" ".join(map(str, BY_ROWS)), None),
        (json.dumps(REALSENSE), VGA),
        (json.dumps({"depth": DEPTH_CAMERA, "color": REALSENSE}), VGA),
        (json.dumps(open3d()), VGA),
        (json.dumps({"h": 480, "w": 640, "fps": 60, "K": BY_COLUMNS, "poses": [[0, 0, 0, 1, 0, 0, 0]]}), VGA),
        (json.dumps({"K": MATRIX}), None),
        (json.dumps({"camera_matrix": {"rows": 3, "cols": 3, "data": BY_ROWS}, "image_width": 640}), None),
        (ROS_CALIBRATION, VGA),
        (ROS2_ECHO, VGA),
        (f"height: 480\nwidth: 640\nK: {BY_ROWS}\n", VGA),
        (KALIBR, None),
    ],
    ids=[
        *(
            "TUM",
            "commas",
            "decimal commas",
            "decimal commas and semicolons",
            "two kinds of commas",
            "one decimal comma",
        ),
        *("commas and blanks", "TUM with distortion", "3x3", "3x3 with decimal commas", "4x4"),
        *("nine in a line", "RealSense"),
        *("two cameras", "Open3D", "Record3D", "JSON matrix", "OpenCV JSON", "ROS file", "ros2 topic echo"),
        *("ROS 1 message", "Kalibr"),
    ],
)
def test_files_of_many_kinds(tmp_path, text, size):
    (tmp_path / "camera").write_text(text)
    assert read_intrinsics(tmp_path / "camera") == Intrinsics(*CAMERA, size=size)


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
def test_what_opencv_writes(tmp_path, suffix):
    path = tmp_path / f"camera.{suffix}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", np.array(MATRIX))
    storage.write("distortion_coefficients", np.zeros((5, 1)))
    storage.release()
    assert read_intrinsics(path) == Intrinsics(*CAMERA, size=VGA)


def azure(width: int = 4096) -> str:
    """The numbers are shares of the sensor's width and height; the first camera is not the colour one."""
    colour = [0.5, 0.5125, 0.45, 0.6, 0.1, -0.05]
    cameras = [
        {"Purpose": "CALIBRATION_CameraPurposeDepth", "Intrinsics": {"ModelParameters": [0.1] * 14}},
        {
            "Purpose": "CALIBRATION_CameraPurposePhotoVideo",
            "Intrinsics": {"ModelParameterCount": 14, "ModelParameters": colour},
            "SensorWidth": width,
            "SensorHeight": 3 * width // 4,
        },
    ]
    return json.dumps({"CalibrationInformation": {"Cameras": cameras}})


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((2048, 1536), (0.45 * 2048, 0.6 * 1536, 1023.5, 0.5125 * 1536 - 0.5)),
        ((1280, 720), (0.45 * 1280, 0.6 * 960, 639.5, 0.5125 * 960 - 0.5 - 120)),
        ((1920, 1080), (0.45 * 1920, 0.6 * 1440, 959.5, 0.5125 * 1440 - 0.5 - 180)),
    ],
    ids=["4:3", "720p", "1080p"],
)
def test_azure_kinect_cuts_its_wide_pictures_from_the_sensor(tmp_path, size, expected):
    """Source: the modes of the sensor SDK: 720p is rows 120 to 840 of 1280x960, 1080p 180 to 1260 of 1440."""
    (tmp_path / "calibration.json").write_text(azure())
    found = read_intrinsics(tmp_path / "calibration.json").for_size(size)
    assert (found.fx, found.fy, found.cx, found.cy) == pytest.approx(expected)


def test_a_calibration_in_the_file_is_found(tmp_path):
    with av.open(str(tmp_path / "k4a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        container.add_attachment("calibration.json", "application/octet-stream", azure().encode())
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))
    with VideoReader(tmp_path / "k4a.mkv") as reader:
        assert reader.info.intrinsics.for_size((64, 48)).cx == pytest.approx(31.5)


@pytest.mark.parametrize("name", ["realsense_2_56.bag", "realsense_2_59.db3"])
def test_a_bag_says_those_of_its_colour_camera(name):
    """Files of the RealSense SDK: 60 px, the middle at 16, 12."""
    path = Path(__file__).parent / "files" / name
    options = PairingOptions(aux_track=parse_track("depth"))
    with open_pair(path, path, pairing=options) as pairs:
        pair = next(pair for pair in pairs if pair.aux is not None)
        assert pairs.rgb_info.intrinsics == Intrinsics(60, 60, 16, 12, (32, 24))
        assert f"Intrinsics were found in {name}." in pairs.remarks
    measure = pair.measure(Box(2, 4, 10, 8))
    assert measure is not None
    x, y, z = measure.position_m
    assert z == measure.median
    assert (x, y) == pytest.approx(((7 - 0.5 - 16) / 60 * z, (8 - 0.5 - 12) / 60 * z))


@pytest.fixture
def scene(tmp_path) -> Callable[..., tuple[Path, Path]]:
    """Folders of RGB and depth: a ball at X, Y, Z in metres before a wall, as a pinhole camera sees it."""

    def write(place: tuple[float, float, float], size: tuple[int, int] = (320, 240)) -> tuple[Path, Path]:
        factor = size[0] / 640
        x, y, z = place
        u = factor * (FX * x / z + CX + 0.5) - 0.5
        v = factor * (FY * y / z + CY + 0.5) - 0.5
        depth = np.full(size[::-1], 4000, np.uint16)
        cv2.circle(depth, (round(u), round(v)), 14, round(1000 * z), -1)
        for name, picture in (("rgb", np.zeros((*size[::-1], 3), np.uint8)), ("depth", depth)):
            pictures_in(tmp_path / name, [picture] * 2)
        return tmp_path / "rgb", tmp_path / "depth"

    return write


INFO = VideoInfo(Path("rgb"), 640, 480, Fraction(30), Fraction(1, 30), 0, 9, "rgb24", "png", 8, 3)
PLACE = (-0.3, 0.2, 1.5)
BALL = Box(320 * 214.4 / 640 - 14, 240 * 309.9 / 480 - 14, 28, 28)


def test_where_a_target_is_by_a_file_beside_the_pictures(scene, tmp_path):
    (tmp_path / "intrinsics.txt").write_text(f"{FX} {FY} {CX} {CY}")
    (tmp_path / "calib.txt").write_text("this is something else")
    (tmp_path / "metadata").mkdir()
    (tmp_path / "intrinsics.json").write_text('{"fx": 500, "fy":')
    rgb, depth = scene(PLACE, (640, 480))
    with open_pair(rgb, depth) as pairs:
        measure = next(iter(pairs)).measure(Box(214.4 - 14, 309.9 - 14, 28, 28))
        assert "Intrinsics were found in intrinsics.txt." in pairs.remarks
        (unread,) = [one for one in pairs.remarks if one.startswith("Not read: ")]
    assert f"{tmp_path / 'intrinsics.json'}: is not JSON" in unread
    assert measure.position_m == pytest.approx(PLACE, abs=0.003)


def test_intrinsics_of_larger_pictures_are_scaled(scene, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(REALSENSE))
    options = PairingOptions(intrinsics=read_intrinsics(tmp_path / "mine.json"))
    with open_pair(*scene(PLACE), pairing=options) as pairs:
        assert next(iter(pairs)).measure(BALL).position_m == pytest.approx(PLACE, abs=0.006)
    assert list(command_words(options)) == [f"--intrinsics={tmp_path / 'mine.json'}"]
    assert options.portable.intrinsics == options.intrinsics
    assert options.portable.intrinsics.path is None


def test_those_of_another_shape_are_refused_if_given_and_named_if_found(scene, tmp_path):
    streams = scene(PLACE, (320, 200))
    wrong = Intrinsics(*CAMERA, size=VGA)
    with pytest.raises(ConfigError, match="are for pictures of 640x480, these are 320x200"):
        open_pair(*streams, pairing=PairingOptions(intrinsics=wrong))
    with pytest.raises(ConfigError, match="--intrinsics is for depth, and the second stream is thermal"):
        open_pair(*streams, modality=Modality.THERMAL, pairing=PairingOptions(intrinsics=wrong))
    with pytest.raises(ConfigError, match="--intrinsics is for depth, and there is no second stream"):
        open_pair(streams[0], pairing=PairingOptions(intrinsics=wrong))
    (tmp_path / "intrinsics.json").write_text(json.dumps(REALSENSE))
    with open_pair(*streams) as pairs:
        assert next(iter(pairs)).measure(BALL).position_m is None
        assert any(
            "No positions of targets" in remark and "intrinsics.json" in remark for remark in pairs.remarks
        )


def test_the_matrix_of_stray_scanner_is_found(tmp_path):
    (tmp_path / "camera_matrix.csv").write_text("1594.5,0.0,958.5\n0.0,1594.5,724.5\n0.0,0.0,1.0\n")
    assert intrinsics_near(tmp_path / "rgb.mp4")[0] == Intrinsics(1594.5, 1594.5, 958.5, 724.5)


def test_tum_recordings_have_those_that_are_published(tmp_path):
    folder = tmp_path / "rgbd_dataset_freiburg2_desk" / "rgb"
    folder.mkdir(parents=True)
    published = Intrinsics(520.9, 521.0, 325.1, 249.7, VGA)
    assert intrinsics_near(folder) == (published, ())
    camera, notes = camera_of(replace(INFO, path=folder), None, Modality.DEPTH)
    assert camera == published
    assert "--depth-scale 0.2" in notes[0]
    assert intrinsics_near(tmp_path / "freiburg10" / "rgb") == (None, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "says no fx, fy, cx, cy"),
        ("hello", "'hello' is not a number"),
        ("1 2 3", "fx, fy, cx, cy"),
        ("500,500 320,240", "says no fx, fy, cx, cy"),
        ("0 525 320 240", "are no camera's"),
        ("nan 525 320 240", "not a finite number"),
        ("1e300 525 320 240", "are no camera's"),
        ("1 0 0\n0 1 0\n5 5 1\n3 3 3", "and no matrix fx 0 cx"),
        ("{", "not JSON"),
        ('{"a": 1}', "and no camera matrix"),
        ('{"K": [1, 2, 3]}', "and no matrix fx 0 cx"),
        ('{"K": ["a"]}', "says no fx"),
        ("camera_matrix:\n  data: [1, 2]\n", "and no matrix fx 0 cx"),
        (azure().replace("0.5, 0.5125, 0.45, 0.6, 0.1, -0.05", ""), "says no fx"),
        ('{"a":' * 200 + "1" + "}" * 200, "says no fx"),
    ],
)
def test_what_is_none_is_a_line_that_says_what_to_write(tmp_path, text, words):
    (tmp_path / "camera.txt").write_text(text)
    with pytest.raises(FormatError) as caught:
        read_intrinsics(tmp_path / "camera.txt")
    assert words in str(caught.value)
    assert "camera.txt" in str(caught.value)
    assert "fx fy cx cy" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_unreadable_beside_the_pictures_is_said(scene, tmp_path):
    (tmp_path / "calib.txt").write_text("P0: 1 2 3")
    with open_pair(*scene(PLACE)) as pairs:
        assert next(iter(pairs)).measure(BALL).position_m is None
        assert [one for one in pairs.remarks if f"Not read: {tmp_path / 'calib.txt'}: " in one]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"none\.txt"):
        read_intrinsics(tmp_path / "none.txt")
