"""Events in bags, written by the library `rosbags`, and packed here by what the formats say."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from event_files import columns, evt3_words, packed, some_events
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from dmtrack.errors import FormatError, VideoError
from dmtrack.video.events.bag_events import open_bag_events
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_reader import open_events
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.frame import Modality
from dmtrack.video.inspection import inspect_pair
from dmtrack.video.pairing import open_pair
from dmtrack.video.stream_files import open_source
from dmtrack.video.streams import PairingOptions
from dmtrack.video.track_choice import parse_track

SIZE = (64, 48)
START_NS = 1_700_000_000_250_000_000
EVENTS = some_events(3000, SIZE, start_us=0, step_us=5)
TOLD = columns(EVENTS)
DEFINITIONS = {
    "dvs_msgs/msg/Event": "uint16 x\nuint16 y\nbuiltin_interfaces/Time ts\nbool polarity\n",
    "dvs_msgs/msg/EventArray": (
        "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
    ),
    "event_camera_msgs/msg/EventPacket": (
        "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\nstring encoding\n"
        "bool is_bigendian\nuint8[] events\n"
    ),
}


def store(is_ros2):
    types = get_typestore(Stores.ROS2_HUMBLE if is_ros2 else Stores.ROS1_NOETIC)
    for name, text in DEFINITIONS.items():
        text = text if is_ros2 else text.replace("builtin_interfaces/Time", "time")
        types.register(get_types_from_msg(text, name))
    return types


def header(types, ns):
    time = types.types["builtin_interfaces/msg/Time"](ns // 10**9, ns % 10**9)
    kind = types.types["std_msgs/msg/Header"]
    return kind(time, "cam") if "seq" not in kind.__dataclass_fields__ else kind(1, time, "cam")


def list_message(types, events, start_ns=START_NS):
    event, array = (types.types[f"dvs_msgs/msg/{name}"] for name in ("Event", "EventArray"))
    time = types.types["builtin_interfaces/msg/Time"]
    rows = []
    for one in events:
        ns = START_NS + one.t * 1000
        rows.append(event(one.x, one.y, time(ns // 10**9, ns % 10**9), bool(one.p)))
    return array(header(types, start_ns), SIZE[1], SIZE[0], rows)


def packet(types, encoding, data, ns=START_NS, base_ns=0):
    kind = types.types["event_camera_msgs/msg/EventPacket"]
    data = np.frombuffer(data, np.uint8)
    return kind(header(types, ns), SIZE[1], SIZE[0], 7, base_ns, encoding, False, data)


def image(types, number):
    pixels = np.full((SIZE[1], SIZE[0], 3), 40 + number, np.uint8)
    ns = START_NS + number * 1_000_000
    kind = types.types["sensor_msgs/msg/Image"]
    return kind(header(types, ns), SIZE[1], SIZE[0], "rgb8", 0, SIZE[0] * 3, pixels.reshape(-1))


def write(path, messages, is_ros2, storage=StoragePlugin.SQLITE3):
    """Write messages, `(topic, type, message or bytes)` each, and return the bag."""
    types = store(is_ros2)
    writer = Writer2(path, version=9, storage_plugin=storage) if is_ros2 else Writer1(path)
    with writer as bag:
        connections = {
            topic: bag.add_connection(topic, kind, typestore=types)
            for topic, kind in {m[:2] for m in messages}
        }
        for number, (topic, kind, message) in enumerate(messages):
            serialize = types.serialize_cdr if is_ros2 else types.serialize_ros1
            data = message if isinstance(message, bytes) else bytes(serialize(message, kind))
            bag.write(connections[topic], START_NS + number * 1_000_000, data)
    return path


LIST, PACKET, IMAGE = "dvs_msgs/msg/EventArray", "event_camera_msgs/msg/EventPacket", "sensor_msgs/msg/Image"
KINDS = {
    "ros1": (False, "e.bag", None),
    "db3": (True, "e", StoragePlugin.SQLITE3),
    "mcap": (True, "e", StoragePlugin.MCAP),
}


def bag_of(kind, tmp_path, messages):
    is_ros2, name, storage = KINDS[kind]
    types = store(is_ros2)
    made = [(topic, msgtype, make(types) if callable(make) else make) for topic, msgtype, make in messages]
    return write(tmp_path / name, made, is_ros2, storage)


def read(path):
    with open_events(path) as reader:
        batches = list(reader)
    return {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in "txyp"}, reader


def require_told(path):
    found, reader = read(path)
    assert reader.size == SIZE
    assert reader.damaged == 0
    for name in "xyp":
        assert np.array_equal(found[name], TOLD[name]), name
    assert np.array_equal(found["t"] - START_NS // 1000, TOLD["t"])


@pytest.mark.parametrize("kind", KINDS)
def test_lists_of_events(kind, tmp_path):
    parts = [EVENTS[:1], EVENTS[1:2000], [], EVENTS[2000:]]
    messages = [("/dvs/events", LIST, lambda types, part=part: list_message(types, part)) for part in parts]
    require_told(bag_of(kind, tmp_path, messages))


def mono(events):
    return b"".join(struct.pack("<IHH", one.t * 1000, one.x, one.y | int(one.p) << 15) for one in events)


def libcaer(events):
    return b"".join(
        struct.pack("<Ii", one.x << 17 | one.y << 2 | int(one.p) << 1 | 1, one.t) for one in events
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["evt3", "mono", "libcaer"])
def test_packets(encoding, kind, tmp_path):
    words = packed(evt3_words(EVENTS), 2)
    half = len(words) // 4 * 2
    first_ns = START_NS + EVENTS[0].t * 1000
    parts = {
        "evt3": [(words[:half], first_ns, 0), (words[half:], START_NS + 999_999_999, 0)],
        "mono": [(mono(EVENTS[:900]), START_NS + 5000, 5000), (mono(EVENTS[900:]), START_NS, 5000)],
        "libcaer": [(libcaer(EVENTS[:900]), 0, START_NS), (libcaer(EVENTS[900:]), 0, START_NS)],
    }[encoding]
    messages = [
        ("/cam/events", PACKET, lambda types, part=part: packet(types, encoding, *part)) for part in parts
    ]
    path = bag_of(kind, tmp_path, messages)
    found, reader = read(path)
    assert reader.format == f"ROS events ({encoding})"
    expected = TOLD["t"] + (5 if encoding == "mono" else 0)
    assert np.array_equal(found["t"] - START_NS // 1000, expected)
    assert all(np.array_equal(found[name], TOLD[name]) for name in "xyp")


@pytest.mark.parametrize("kind", KINDS)
def test_a_camera_that_records_pictures_and_events_is_a_pair(kind, tmp_path):
    """Both have the clock of ROS: a picture goes with the events from its stamp on."""
    pictures = [("/dvs/image_raw", IMAGE, lambda types, n=n: image(types, n)) for n in range(4)]
    messages = [("/dvs/events", LIST, lambda types: list_message(types, EVENTS)), *pictures]
    path = bag_of(kind, tmp_path, messages)
    with open_pair(path, path) as source:
        pairs = list(source)
    assert source.modality is Modality.EVENT
    assert [int(pair.rgb.pixels[0, 0, 0]) for pair in pairs] == [40, 41, 42, 43]
    for number, pair in enumerate(pairs[:3]):
        inside = (TOLD["t"] >= number * 1000) & (TOLD["t"] < (number + 1) * 1000)
        painted = (pair.aux.pixels != 255).any(axis=2)
        expected = np.zeros_like(painted)
        expected[TOLD["y"][inside], TOLD["x"][inside]] = True
        assert np.array_equal(painted, expected)
    report = inspect_pair(path, path, PairingOptions(aux_track=parse_track("event")))
    assert report.aux.track.title == "/dvs/events"
    with open_source(path) as alone:
        assert not isinstance(alone, EventSource)


def test_a_bag_of_events_goes_with_a_video(make_video, tmp_path):
    rgb = make_video("rgb.mp4", [np.full((48, 64, 3), 90, np.uint8)] * 5)
    path = bag_of("ros1", tmp_path, [("/e", LIST, lambda types: list_message(types, EVENTS))])
    with open_pair(rgb, path) as source:
        pairs = list(source)
    assert source.modality is Modality.EVENT
    assert pairs[0].skew_s == Fraction(0)
    assert (pairs[0].aux.pixels != 255).any()


@pytest.mark.parametrize("kind", ["ros1", "db3"])
def test_damaged_messages_are_skipped_and_counted(kind, tmp_path):
    is_ros2 = KINDS[kind][0]
    types = store(is_ros2)
    serialize = types.serialize_cdr if is_ros2 else types.serialize_ros1
    whole = bytes(serialize(list_message(types, EVENTS), LIST))
    messages = [("/e", LIST, one) for one in (whole[:-5], b"", whole)]
    path = bag_of(kind, tmp_path, messages)
    found, reader = read(path)
    assert len(found["t"]) == len(EVENTS)
    assert reader.damaged == 2
    only = tmp_path / "only"
    only.mkdir()
    with pytest.raises(FormatError, match="shorter than its events"):
        open_events(bag_of(kind, only, messages[:1]))


def test_what_is_not_read_is_said(tmp_path):
    messages = [("/e", PACKET, lambda types: packet(types, "libcaer_cmp", bytes(64)))]
    path = bag_of("ros1", tmp_path, messages)
    with pytest.raises(FormatError, match="'libcaer_cmp' are not read"):
        open_source(path)
    pictures = tmp_path / "p"
    pictures.mkdir()
    path = bag_of("ros1", pictures, [("/i", IMAGE, lambda types: image(types, 0))])
    with pytest.raises(FormatError, match="no events"):
        open_bag_events(path, EventOptions())
    with pytest.raises(VideoError, match="no such file"):
        open_pair(path, tmp_path / "none.bag")
