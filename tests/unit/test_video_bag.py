"""ROS bags: files written by the RealSense SDK itself, and bags written here, exactly or with faults."""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore

from dmtrack.errors import DecodeError, InputError, VideoError
from dmtrack.video.container.bag import BagReader, unit_mm
from dmtrack.video.frame import Modality
from dmtrack.video.inspection import inspect_pair
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position
from dmtrack.video.stream_files import open_source
from dmtrack.video.streams import PairingOptions
from dmtrack.video.track_choice import TrackPicker, parse_track

FILES = Path(__file__).parent / "files"
SDK_FILES = [FILES / "realsense_2_56.bag", FILES / "realsense_2_59.db3"]
"""Recorded with the SDK's own recorder from a software device: 32x24, six colour frames; the depth frame of
number 3 was not sent; one count is 0.25 mm; four rows of depth are not measured."""
H, W = 24, 32
TYPES = get_typestore(Stores.ROS1_NOETIC)


def sdk_depth(number: int) -> np.ndarray:
    counts = (np.arange(W * H, dtype=np.uint16).reshape(H, W) * 20 + number * 1000).astype(np.uint16)
    counts[:4] = 0
    return counts


@pytest.mark.parametrize("path", SDK_FILES, ids=lambda path: path.name)
def test_a_file_of_the_sdk_is_read_to_the_bit(path):
    with open_pair(path, path) as source:
        pairs = list(source)
    assert source.modality is Modality.DEPTH
    assert source.aux_info.depth_unit_mm == Fraction(1, 4)
    assert "One count of depth is 0.25 mm." in source.remarks
    assert [tuple(pair.rgb.pixels[0, 0]) for pair in pairs] == [(10 * i, 0, 200) for i in range(6)]
    depth = {pair.aux.index: pair.aux.pixels for pair in pairs if pair.aux is not None}
    assert sorted(depth) == [0, 1, 2, 3, 4]
    for index, number in enumerate((0, 1, 2, 4, 5)):
        assert np.array_equal(depth[index], sdk_depth(number))


def test_the_camera_s_clock_is_used():
    """The SDK was given frames at 1000 ms + i / 30 s, colour 4 ms later."""
    with open_pair(SDK_FILES[0], SDK_FILES[0]) as source:
        pairs = list(source)
    assert pairs[0].rgb.time_s == Fraction("1.004")
    assert abs(pairs[2].rgb.time_s - Fraction("1.004") - Fraction(2, 30)) < Fraction(1, 1_000_000)
    assert abs(pairs[1].skew_s + Fraction(4, 1000)) < Fraction(1, 1_000_000)


@pytest.mark.parametrize("path", SDK_FILES, ids=lambda path: path.name)
def test_the_millimetres_are_what_is_encoded(path):
    """15 360 counts are 3.8 m, not 15 m: the published limit of 10 m must not cut them."""
    with open_pair(path, path) as source:
        images = [pair.image[..., 3:] for pair in source]
    with open_pair(path, path, modality=Modality.DEPTH) as again:
        assert all(
            np.array_equal(image, pair.image[..., 3:]) for image, pair in zip(images, again, strict=True)
        )
    assert len(np.unique(images[0].reshape(-1, 3), axis=0)) > 100


def test_inspect_names_the_topics():
    report = inspect_pair(SDK_FILES[0], SDK_FILES[0])
    assert report.aux.track.title == "/device_0/sensor_0/Depth_0/image/data"
    assert report.modality is Modality.DEPTH


@pytest.fixture
def write_bag(tmp_path):
    """Write pictures of topics: name -> list of (seconds, encoding, array, big endian)."""

    def written(topics, name="robot.bag", compression=None) -> Path:
        path = tmp_path / name
        image, header = TYPES.types["sensor_msgs/msg/Image"], TYPES.types["std_msgs/msg/Header"]
        time = TYPES.types["builtin_interfaces/msg/Time"]
        bag = Writer(path)
        if compression:
            bag.set_compression(compression)
        with bag as writer:
            for topic, messages in topics.items():
                connection = writer.add_connection(topic, image.__msgtype__, typestore=TYPES)
                for place, (seconds, encoding, pixels, big) in enumerate(messages):
                    height, width = pixels.shape[:2]
                    stamp = time(int(seconds), round(seconds % 1 * 1e9))
                    data = np.frombuffer(pixels.tobytes(), np.uint8)
                    step = len(data) // height
                    message = image(header(place, stamp, "c"), height, width, encoding, int(big), step, data)
                    serialised = TYPES.serialize_ros1(message, image.__msgtype__)
                    writer.write(connection, round((50 + place / 10) * 1e9), bytes(serialised))
        return path

    return written


RGB = np.random.default_rng(1).integers(0, 255, (H, W, 3)).astype(np.uint8)
COUNTS = np.random.default_rng(2).integers(0, 65536, (H, W)).astype(np.uint16)


@pytest.mark.parametrize(
    ("encoding", "stored", "big", "expected"),
    [
        ("rgb8", RGB, False, RGB),
        ("bgr8", RGB[..., ::-1], False, RGB),
        ("rgba8", np.dstack((RGB, RGB[..., :1])), False, RGB),
        ("bgra8", np.dstack((RGB[..., ::-1], RGB[..., :1])), False, RGB),
        ("mono8", RGB[..., 0], False, RGB[..., 0]),
        ("mono16", COUNTS, False, COUNTS),
        ("16UC1", COUNTS.astype(">u2"), True, COUNTS),
        ("32FC1", (COUNTS // 8 / 1000).astype(np.float32), False, COUNTS // 8),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("compression", [None, Writer.CompressionFormat.LZ4], ids=["plain", "lz4"])
def test_encodings(write_bag, encoding, stored, big, expected, compression):
    path = write_bag({"/camera": [(1.5, encoding, stored, big)] * 2}, compression=compression)
    with BagReader(path) as reader:
        frames = list(reader)
    assert len(frames) == 2
    assert np.array_equal(frames[0].pixels, expected)
    assert frames[0].time_s == Fraction(3, 2)
    assert frames[1].time_s > frames[0].time_s, "stamps rise even where the sender's do not"


def test_depth_in_metres_without_a_measurement_is_zero(write_bag):
    metres = np.array([[np.nan, np.inf, -1.0, 0.0, 1.2344, 70.0, *[2.0] * 194]], np.float32)
    with BagReader(write_bag({"/depth": [(1, "32FC1", metres, False)]})) as reader:
        assert next(iter(reader)).pixels.tolist() == [[0, 0, 0, 0, 1234, 65535, *[2000] * 194]]


def test_a_robot_s_bag_is_a_pair(write_bag):
    colour = [(10 + i / 10, "rgb8", RGB, False) for i in range(5)]
    depth = [(10.01 + i / 10, "16UC1", COUNTS, False) for i in range(5)]
    path = write_bag({"/cam/depth/image_raw": depth, "/cam/color/image_raw": colour})
    with open_pair(path, path) as source:
        pairs = list(source)
    assert source.rgb_info.track.title == "/cam/color/image_raw"
    assert [round(float(pair.skew_s), 6) for pair in pairs] == [0.01] * 5
    with open_source(path, stream=TrackPicker(parse_track("title:/cam/depth/image_raw"))) as depth_alone:
        part = list(depth_alone.read(Position(index=2), Position(time_s=Fraction(4, 10))))
    assert [frame.index for frame in part] == [2, 3]


def test_the_first_stream_may_be_a_video(write_bag, make_video):
    rgb = make_video("rgb.mp4", [RGB] * 5, rate=10)
    path = write_bag({"/depth": [(100 + i / 10, "16UC1", COUNTS, False) for i in range(5)]})
    with open_pair(rgb, path, pairing=PairingOptions(offset_s=Fraction(-100))) as source:
        assert all(pair.skew_s == 0 for pair in source)


def test_messages_that_are_damaged_are_skipped_and_counted(write_bag):
    small = (1.2, "mono8", RGB[:5, :, 0], False)
    unknown = (1.3, "bayer_magic", RGB[..., 0], False)
    good = [(1 + i / 10, "mono8", RGB[..., 0], False) for i in (0, 1, 4)]
    with BagReader(write_bag({"/c": [*good[:2], small, unknown, good[2]]})) as reader:
        frames = list(reader)
    assert [float(frame.time_s) for frame in frames] == [1.0, 1.1, 1.4]
    assert reader.damaged_packets == 2


def test_a_message_that_lies_about_its_size_takes_no_memory(tmp_path):
    stamp = struct.pack("<III", 0, 1, 0) + struct.pack("<I", 1) + b"c"
    lying = stamp + struct.pack("<II", 60_000, 60_000) + struct.pack("<I", 6) + b"mono16" + bytes([0])
    claimed = [struct.pack("<II", 120_000, length) + bytes(64) for length in (0xFFFFFFF0, 64)]
    messages = [lying + claim for claim in claimed] + [lying[:length] for length in range(len(lying))]
    with Writer(tmp_path / "a.bag") as writer:
        connection = writer.add_connection("/c", "sensor_msgs/msg/Image", typestore=TYPES)
        for place, message in enumerate(messages):
            writer.write(connection, place, message)
    with pytest.raises(DecodeError, match="no picture of /c can be read"):
        BagReader(tmp_path / "a.bag")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "the file is empty"),
        (lambda data: data[:7], "no whole ROS bag"),
        (lambda data: data[: len(data) // 2], "no whole ROS bag"),
        (lambda data: b"#ROSBAG V1.2\n" + data[13:], "no whole ROS bag"),
        (lambda data: b"RIFF" + data[4:], "no whole ROS bag"),
        (lambda data: data[:13] + bytes(len(data) - 13), "no whole ROS bag"),
    ],
    ids=["empty", "in the magic", "half", "old version", "wrong magic", "zeros"],
)
@pytest.mark.parametrize("source", SDK_FILES[:1], ids=["bag"])
def test_bags_that_are_none(tmp_path, source, damage, message):
    path = tmp_path / source.name
    path.write_bytes(damage(source.read_bytes()))
    with pytest.raises(VideoError, match=message) as caught:
        open_source(path)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("share", [0.0005, 0.3, 0.9])
def test_a_cut_database_is_an_error(tmp_path, share):
    data = SDK_FILES[1].read_bytes()
    path = tmp_path / "x.db3"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises((VideoError, DecodeError), match=r"x\.db3"), open_source(path) as source:
        list(source)


def test_flipped_bytes_never_raise_anything_but_our_errors(tmp_path):
    """A bag is read by a library over decompressors: whatever they raise has to come out as one of ours."""
    rng = np.random.default_rng(5)
    whole = np.frombuffer(SDK_FILES[0].read_bytes(), np.uint8)
    ends: set[object] = set()
    for trial in range(40):
        data = whole.copy()
        data[rng.integers(13, len(data), 3)] = rng.integers(0, 256, 3)
        path = tmp_path / f"{trial}.bag"
        path.write_bytes(data.tobytes())
        try:
            with open_source(path) as source:
                ends.add(len(list(source)) > 0)
        except (VideoError, DecodeError) as error:
            ends.add(type(error))
    assert len(ends) > 1


def test_a_bag_without_pictures_says_what_it_holds(tmp_path):
    path = tmp_path / "x.bag"
    with Writer(path) as writer:
        kind = TYPES.types["std_msgs/msg/UInt32"]
        connection = writer.add_connection("/n", kind.__msgtype__, typestore=TYPES)
        writer.write(connection, 1, bytes(TYPES.serialize_ros1(kind(3), kind.__msgtype__)))
    with pytest.raises(VideoError, match=r"no pictures.*std_msgs/msg/UInt32"):
        open_source(path)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.rosbag1", None)
    with pytest.raises(VideoError, match=r"needs the library rosbags; pip install \"dmtrack\[realsense\]\""):
        open_source(SDK_FILES[0])


@pytest.mark.parametrize(
    ("metres", "millimetres"), [(0.001, 1), (0.00025, Fraction(1, 4)), (0.0, None), (9.0, None)]
)
def test_units_are_exact(metres, millimetres):
    assert unit_mm(float(np.float32(metres))) == millimetres


def test_compressed_pictures(tmp_path):
    path = tmp_path / "x.bag"
    kind, header = TYPES.types["sensor_msgs/msg/CompressedImage"], TYPES.types["std_msgs/msg/Header"]
    time = TYPES.types["builtin_interfaces/msg/Time"]
    pictures = {
        "/color/compressed": ("rgb8; png compressed bgr8", cv2.imencode(".png", RGB[..., ::-1])[1].tobytes()),
        "/depth/compressedDepth": (
            "16UC1; compressedDepth png",
            bytes(12) + cv2.imencode(".png", COUNTS)[1].tobytes(),
        ),
    }
    with Writer(path) as writer:
        for topic, (name, data) in pictures.items():
            connection = writer.add_connection(topic, kind.__msgtype__, typestore=TYPES)
            message = kind(header(0, time(1, 0), "c"), name, np.frombuffer(data, np.uint8))
            writer.write(connection, 1, bytes(TYPES.serialize_ros1(message, kind.__msgtype__)))
    with open_pair(path, path) as source:
        (pair,) = source
    assert np.array_equal(pair.rgb.pixels, RGB)
    assert np.array_equal(pair.aux.pixels, COUNTS)


def _depth_bag(path, kind, name, data):
    """Write one colour picture and one of depth."""
    header, time = TYPES.types["std_msgs/msg/Header"], TYPES.types["builtin_interfaces/msg/Time"]
    image = TYPES.types["sensor_msgs/msg/Image"]
    stamp = header(0, time(1, 0), "c")
    colour = image(stamp, H, W, "rgb8", 0, W * 3, RGB.ravel())
    depth = TYPES.types[f"sensor_msgs/msg/{kind}"]
    picture = np.frombuffer(data, np.uint8)
    message = (
        depth(stamp, H, W, name, 0, len(data) // H, picture)
        if kind == "Image"
        else depth(stamp, name, picture)
    )
    with Writer(path) as writer:
        for topic, one in (("/color", colour), ("/depth", message)):
            connection = writer.add_connection(topic, one.__msgtype__, typestore=TYPES)
            writer.write(connection, 1, bytes(TYPES.serialize_ros1(one, one.__msgtype__)))
    return path


METRES = np.full((H, W), 2.0, np.float32)
METRES[5:9, 6:12] = 1.2
METRES[:, :2] = np.nan


@pytest.mark.parametrize("scale", [1, 1000], ids=["metres", "millimetres"])
def test_depth_of_32_bits_in_metres_or_millimetres(scale, tmp_path):
    path = _depth_bag(tmp_path / "x.bag", "Image", "32FC1", (METRES * scale).tobytes())
    with open_pair(path, path) as source:
        (pair,) = source
    assert np.array_equal(pair.aux.pixels, np.nan_to_num(METRES * 1000).astype(np.uint16))


def test_compressed_depth_of_32_bits(tmp_path):
    """Inverse depth as `compressed_depth_image_transport` packs it: a / metres + b; 0 is not measured."""
    a, b = 10_100.0, 1 - 1010.0
    counts = np.nan_to_num(a / METRES + b).astype(np.uint16)
    counts[np.isnan(METRES)] = 0
    data = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", counts)[1].tobytes()
    path = _depth_bag(tmp_path / "x.bag", "CompressedImage", "32FC1; compressedDepth", data)
    with open_pair(path, path) as source:
        (pair,) = source
    assert np.abs(pair.aux.pixels - np.nan_to_num(METRES * 1000)).max() <= 1


def test_a_topic_that_cannot_be_read_says_why(tmp_path):
    path = _depth_bag(tmp_path / "x.bag", "Image", "64FC9", bytes(H * W))
    with pytest.raises(DecodeError, match=r"no picture of /depth can be read: .*'64FC9' are not supported"):
        open_source(path, stream=TrackPicker(parse_track("depth")))


def test_a_length_that_is_too_large_is_never_asked_for():
    """The memory of a read is taken before it is known that the file has fewer bytes."""
    with BagReader(SDK_FILES[0]) as source:
        file = source._log.bio
        file.seek(0)
        assert file.read(1 << 60) == SDK_FILES[0].read_bytes()


def _zeros(types, ros1):
    stamp = types.types["builtin_interfaces/msg/Time"](sec=17, nanosec=0)
    header = types.types["std_msgs/msg/Header"](**({"seq": 0} if ros1 else {}), stamp=stamp, frame_id="c")
    return types.types["sensor_msgs/msg/Image"](
        header=header,
        height=1024,
        width=2048,
        encoding="mono8",
        is_bigendian=0,
        step=2048,
        data=np.zeros(2048 * 1024, np.uint8),
    )


@pytest.mark.parametrize(
    "compression", ["BZ2", "LZ4", "MCAP STORAGE", "MCAP MESSAGE", "SQLITE3 MESSAGE", "SQLITE3 FILE"]
)
def test_a_small_bag_that_unpacks_to_much_is_not_unpacked(tmp_path, compression, monkeypatch):
    """With the bounds as they are in a release, 20 kB would otherwise be gigabytes."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
    from rosbags.rosbag2 import Writer as Ros2Writer

    kind, path = "sensor_msgs/msg/Image", tmp_path / "a.bag"
    if " " not in compression:
        writer, types = Writer(path), TYPES
        writer.set_compression(Writer.CompressionFormat[compression])
    else:
        path, types = tmp_path / "bag", get_typestore(Stores.ROS2_HUMBLE)
        storage, mode = compression.split()
        writer = Ros2Writer(path, version=8, storage_plugin=StoragePlugin[storage])
        writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        topic = writer.add_connection("/camera/image_raw", kind, typestore=types)
        serialize = types.serialize_ros1 if " " not in compression else types.serialize_cdr
        writer.write(topic, 17, serialize(_zeros(types, " " not in compression), kind))
    if compression == "SQLITE3 FILE":  # its name has another suffix then
        (path / "a.db3").touch()
    with open_source(path) as source:
        assert len(list(source)) == 1
    monkeypatch.setattr("dmtrack.video.container.bag_unpacking.MOST_CHUNK_BYTES", 1 << 20)
    monkeypatch.setattr("dmtrack.video.container.bag_unpacking._MOST_FILE_RATIO", 1)
    with pytest.raises(InputError, match="unpacks to more than a recorder writes"):
        open_source(path)


@pytest.mark.parametrize(
    ("storage", "as_folder", "packing"),
    [(storage, as_folder, "") for storage in ("MCAP", "SQLITE3") for as_folder in (True, False)]
    + [("SQLITE3", True, "FILE"), ("SQLITE3", True, "MESSAGE")],
)
def test_recordings_of_ros_2_are_read_as_folders_and_as_files(tmp_path, storage, as_folder, packing):
    """`ros2 bag record` makes a folder, and each of its files can be sent around alone."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
    from rosbags.rosbag2 import Writer as Ros2Writer

    types = get_typestore(Stores.ROS2_HUMBLE)
    kind = "sensor_msgs/msg/Image"
    writer = Ros2Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin[storage])
    if packing:
        writer.set_compression(CompressionMode[packing], CompressionFormat.ZSTD)
    with writer:
        topics = {
            encoding: writer.add_connection(topic, kind, typestore=types)
            for encoding, topic in (("rgb8", "/camera/color/image_raw"), ("16UC1", "/camera/depth/image_raw"))
        }
        for number in range(3):
            stamp = types.types["builtin_interfaces/msg/Time"](sec=17, nanosec=number * 40_000_000)
            header = types.types["std_msgs/msg/Header"](stamp=stamp, frame_id="c")
            for encoding, pixels in (
                ("rgb8", np.full((H, W, 3), 60 + number, np.uint8)),
                ("16UC1", np.full((H, W), 1200 + number, np.uint16)),
            ):
                message = types.types[kind](
                    header=header,
                    height=H,
                    width=W,
                    encoding=encoding,
                    is_bigendian=0,
                    step=pixels.strides[0],
                    data=pixels.view(np.uint8).reshape(-1),
                )
                writer.write(topics[encoding], 17 * 10**9 + number, types.serialize_cdr(message, kind))
    path = tmp_path / "bag"
    if as_folder and not packing:
        record = (path / "metadata.yaml").rename(tmp_path / "metadata.yaml")  # as where recording was killed
        with pytest.raises(VideoError, match=r"no pictures .*; it has bag\.(db3|mcap): name one of them"):
            open_source(path)
        record.rename(path / "metadata.yaml")
    if not as_folder:
        path = next(one for one in path.iterdir() if one.suffix != ".yaml")
    with open_pair(path, path) as source:
        pairs = list(source)
    assert source.modality is Modality.DEPTH
    assert [(int(pair.rgb.pixels[0, 0, 0]), int(pair.aux.pixels[0, 0])) for pair in pairs] == [
        (60, 1200),
        (61, 1201),
        (62, 1202),
    ]
    assert [pair.rgb.time_s for pair in pairs] == [17, 17 + Fraction(1, 25), 17 + Fraction(2, 25)]
