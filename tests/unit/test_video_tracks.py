"""Colour, depth and infrared in one Matroska file, as Azure Kinect and Orbbec recorders write them.

FFmpeg cannot write 16-bit big-endian video as FourCC b16g, so the file is put together here, element by
element: EBML header, Info, Tracks (V_MS/VFW/FOURCC with a BITMAPINFOHEADER), Tags, Clusters.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dmtrack.errors import ConfigError, DecodeError, VideoError
from dmtrack.video.frame import Modality
from dmtrack.video.pairing import open_pair
from dmtrack.video.stream_files import open_source
from dmtrack.video.streams import PairingOptions
from dmtrack.video.track_choice import (
    TrackChoice,
    TrackInfo,
    TrackKind,
    TrackPicker,
    kind_of_track,
    parse_track,
)

H, W = 30, 40


@dataclass
class Track:
    title: str
    fourcc: bytes
    pictures: list[np.ndarray]
    size: tuple[int, int] = (W, H)
    tags: tuple[str, ...] = ()
    every_ms: int = 33
    late_ms: int = 0


def element(name: str, content: bytes) -> bytes:
    for width in range(1, 9):
        if len(content) < (1 << (7 * width)) - 1:
            return bytes.fromhex(name) + ((1 << (7 * width)) | len(content)).to_bytes(width, "big") + content
    raise ValueError(len(content))


def number(name: str, value: int) -> bytes:
    return element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def text(name: str, value: str) -> bytes:
    return element(name, value.encode())


def write_matroska(path: Path, tracks: list[Track]) -> Path:
    entries = tags = b""
    for place, track in enumerate(tracks, start=1):
        width, height = track.size
        bits = 16 if track.fourcc == b"b16g" else 24
        picture_bytes = width * height * bits // 8 & 0xFFFFFFFF
        header = struct.pack(
            "<IiiHH4sIiiII", 40, width, height, 1, bits, track.fourcc, picture_bytes, 0, 0, 0, 0
        )
        kind = number("D7", place) + number("73C5", 100 + place) + number("83", 1) + number("9C", 0)
        name = text("536E", track.title) if track.title else b""
        codec = text("86", "V_MS/VFW/FOURCC") + element("63A2", header)
        entries += element(
            "AE", kind + name + codec + element("E0", number("B0", width) + number("BA", height))
        )
        for tag in track.tags:
            target = element("63C0", number("68CA", 30) + number("63C5", 100 + place))
            tags += element("7373", target + element("67C8", text("45A3", tag) + text("4487", "x")))
    blocks = sorted(
        (track.late_ms + i * track.every_ms, place, picture.tobytes())
        for place, track in enumerate(tracks, start=1)
        for i, picture in enumerate(track.pictures)
    )
    clusters = b"".join(
        element("1F43B675", number("E7", ms) + element("A3", bytes([0x80 | place]) + b"\0\0\x80" + content))
        for ms, place, content in blocks
    )
    info = element("1549A966", number("2AD7B1", 1_000_000))
    body = info + element("1654AE6B", entries) + (element("1254C367", tags) if tags else b"") + clusters
    head = element("1A45DFA3", text("4282", "matroska") + number("4287", 4) + number("4285", 2))
    path.write_bytes(head + element("18538067", body))
    return path


def depth(count: int) -> list[np.ndarray]:
    """Millimetres in big-endian samples, with the pixels at the top left not measured."""
    ramp = np.arange(H * W).reshape(H, W) * 7 + 500
    pictures = [(ramp + 100 * i).astype(">u2") for i in range(count)]
    for picture in pictures:
        picture[:3, :3] = 0
    return pictures


def infrared(count: int) -> list[np.ndarray]:
    return [np.full((H, W), 300 + i, ">u2") for i in range(count)]


def bgr(count: int) -> list[np.ndarray]:
    """RGB24 in a DIB is stored bottom up, in BGR order."""
    return [np.full((H, W, 3), (40, 90, 10 * i), np.uint8) for i in range(count)]


@pytest.fixture
def kinect(tmp_path: Path) -> Path:
    """Depth before colour, as no index would expect, and one depth frame fewer."""
    return write_matroska(
        tmp_path / "recording.mkv",
        [
            Track("DEPTH", b"b16g", depth(5), tags=("K4A_DEPTH_MODE", "K4A_DEPTH_TRACK")),
            Track("IR", b"b16g", infrared(5), tags=("K4A_IR_MODE",)),
            Track("COLOR", b"\0\0\0\0", bgr(6), tags=("K4A_COLOR_MODE",)),
        ],
    )


def test_one_file_is_both_streams(kinect):
    with open_pair(kinect, kinect) as source:
        pairs = list(source)
    assert (source.rgb_info.track.title, source.aux_info.track.title) == ("COLOR", "DEPTH")
    assert source.modality is Modality.DEPTH
    assert "calls the stream 'DEPTH'" in source.modality_reason
    assert [tuple(pair.rgb.pixels[0, 0]) for pair in pairs] == [(10 * i, 90, 40) for i in range(6)]
    for pair, picture in zip(pairs, depth(5), strict=False):
        assert pair.aux.pixels.dtype == np.uint16
        assert np.array_equal(pair.aux.pixels, picture)
        assert pair.skew_s == 0
    assert pairs[5].aux is None, "33 ms is a whole frame: the last depth frame is missing"


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, True), ({"rgb_track": parse_track("color")}, False), ({"aux_track": parse_track("depth")}, False)],
    ids=["alone", "chosen", "both"],
)
def test_streams_that_are_not_used_are_told(kinect, options, told):
    with open_pair(kinect, pairing=PairingOptions(**options)) as source:
        next(iter(source))
        said = [one for one in source.remarks if "recording.mkv holds 2 more streams: --aux-stream" in one]
    assert len(said) == told


def test_infrared_can_be_chosen(kinect):
    pairing = PairingOptions(aux_track=parse_track("ir"))
    with open_pair(kinect, kinect, pairing=pairing) as source:
        assert [int(pair.aux.pixels[0, 0]) for pair in source if pair.aux] == [300, 301, 302, 303, 304]
    assert source.modality is Modality.THERMAL


@pytest.mark.parametrize(
    ("spec", "first"),
    [("0", 0), ("1", 300), ("title:IR", 300), ("title:depth", 0), ("depth", 0), ("ir", 300)],
)
def test_a_stream_is_found_by_every_name(kinect, spec, first):
    with open_source(kinect, stream=TrackPicker(parse_track(spec))) as source:
        assert next(iter(source)).pixels[0, 0] == first


def test_the_tag_says_it_where_the_title_does_not(tmp_path):
    path = write_matroska(
        tmp_path / "x.mkv",
        [Track("", b"b16g", depth(3), tags=("K4A_DEPTH_MODE",)), Track("", b"\0\0\0\0", bgr(3))],
    )
    with open_pair(path, path) as source:
        assert source.rgb_info.channels == 3
        assert source.aux_info.bit_depth == 16


def test_streams_without_names_are_not_guessed(tmp_path):
    tracks = [Track("", b"\0\0\0\0", bgr(2)), Track("", b"b16g", depth(2)), Track("", b"b16g", depth(2))]
    path = write_matroska(tmp_path / "x.mkv", tracks)
    with pytest.raises(VideoError, match=r"holds the streams 0, 1, 2.*--aux-stream"):
        open_pair(path, path)
    with open_pair(path, path, modality=Modality.DEPTH, pairing=_aux("2")) as source:
        assert source.aux_info.track.number == 2


@pytest.mark.parametrize(("wanted", "left"), [("0", 1), ("1", 0)])
def test_what_is_wanted_as_the_second_stream_is_not_taken_as_the_first_too(tmp_path, wanted, left):
    """A recorder of two cameras may write the infrared one first, and name none."""
    path = write_matroska(
        tmp_path / "x.mkv", [Track("", b"\0\0\0\0", bgr(2)), Track("", b"\0\0\0\0", bgr(2))]
    )
    with open_pair(path, path, modality=Modality.THERMAL, pairing=_aux(wanted)) as source:
        assert (source.rgb_info.track.number, source.aux_info.track.number) == (left, int(wanted))
    both = PairingOptions(rgb_track=parse_track(wanted), aux_track=parse_track(wanted))
    with pytest.raises(VideoError, match=f"stream {wanted} is given for both; say another"):
        open_pair(path, path, modality=Modality.THERMAL, pairing=both)


def test_a_kind_is_kept_for_the_second_stream(kinect):
    with open_pair(kinect, kinect, modality=Modality.THERMAL, pairing=_aux("color")) as source:
        assert (source.rgb_info.track.title, source.aux_info.track.title) == ("DEPTH", "COLOR")


@pytest.mark.parametrize("options", [{}, {"aux_track": parse_track("0")}], ids=["unsaid", "said"])
def test_a_video_alone_is_no_pair(make_video, options):
    path = make_video("thermal.mp4", [np.zeros((H, W, 3), np.uint8)] * 3)
    with pytest.raises(VideoError, match="given for both streams and holds one; name the file of the second"):
        open_pair(path, path, pairing=PairingOptions(**options))


def test_what_is_there_is_named(kinect):
    with pytest.raises(
        VideoError, match=r"0 \(DEPTH\), 1 \(IR\), 2 \(COLOR\); there is no stream title:LEFT"
    ):
        open_pair(kinect, kinect, pairing=_aux("title:LEFT"))
    with pytest.raises(VideoError, match="there is no number 7"):
        open_pair(kinect, kinect, pairing=_aux("7"))


@pytest.mark.parametrize("spec", ["", "title:", "-1", "depth2", "1.5"])
def test_what_names_no_stream_is_refused(spec):
    with pytest.raises(ConfigError, match="names no stream"):
        parse_track(spec)


@pytest.mark.parametrize("spec", ["3", "title:LEFT", "depth"])
def test_a_choice_reads_back(spec):
    assert str(parse_track(spec)) == spec


@pytest.mark.parametrize(
    ("title", "tags", "kind"),
    [
        ("DEPTH", (), TrackKind.DEPTH),
        ("DEPTH_IR", (), TrackKind.IR),
        ("/device_0/sensor_1/Color_0/image/data", (), TrackKind.COLOR),
        ("/camera/aligned_depth_to_color/image_raw", (), TrackKind.DEPTH),
        ("", ("K4A_COLOR_MODE",), TrackKind.COLOR),
        ("IMU", (), None),
        ("", ("K4A_DEPTH_DELAY_NS",), None),
        ("Ireland", (), None),
    ],
)
def test_kinds(title, tags, kind):
    assert kind_of_track(title, tags) is kind


def test_the_first_of_a_kind_is_taken():
    tracks = [TrackInfo(0, "a"), TrackInfo(1, "DEPTH", TrackKind.DEPTH), TrackInfo(2, "b", TrackKind.DEPTH)]
    assert TrackPicker(is_aux=True).pick(tracks, Path("x")).number == 1
    assert TrackPicker().pick(tracks, Path("x")).number == 0
    assert TrackPicker(TrackChoice(number=2)).pick(tracks, Path("x")).number == 2


def test_a_recording_cut_short_keeps_its_frames(kinect):
    data = kinect.read_bytes()
    kinect.write_bytes(data[: len(data) * 2 // 3])
    with open_pair(kinect, kinect) as source:
        pairs = list(source)
    assert 2 <= len(pairs) < 6
    assert np.array_equal(pairs[1].aux.pixels, depth(2)[1])


@pytest.mark.parametrize(
    "cut", [0, 3, 40, 200], ids=["empty", "in the magic", "in the header", "in the tracks"]
)
def test_a_recording_that_is_cut_before_its_frames_is_an_error(kinect, cut):
    kinect.write_bytes(kinect.read_bytes()[:cut])
    with pytest.raises((VideoError, DecodeError), match=r"recording\.mkv"):
        open_pair(kinect, kinect)


def test_frames_shorter_than_their_header_says_are_an_error(tmp_path):
    path = write_matroska(tmp_path / "x.mkv", [Track("DEPTH", b"b16g", depth(3), size=(W * 4, H * 4))])
    with pytest.raises(DecodeError, match="no frame can be decoded"):
        open_source(path)


def test_the_wrong_byte_order_is_not_taken_for_depth(tmp_path):
    """Samples with their bytes swapped are noise with holes or not, but never the millimetres written."""
    swapped = [picture.byteswap() for picture in depth(3)]
    path = write_matroska(tmp_path / "x.mkv", [Track("DEPTH", b"b16g", swapped)])
    with open_source(path) as source:
        pixels = next(iter(source)).pixels
    assert np.array_equal(pixels.byteswap(), depth(1)[0].astype(np.uint16))


@pytest.mark.parametrize("size", [(65535, 65535), (60_000, 40_000), (2**31 - 1, 4), (11_000, 11_000)])
def test_a_header_that_lies_about_the_size_takes_no_memory(tmp_path, size):
    path = write_matroska(tmp_path / "x.mkv", [Track("DEPTH", b"b16g", depth(2), size=size)])
    script = (
        "import sys\nfrom dmtrack.errors import DmtrackError\n"
        "from dmtrack.video.stream_files import open_source\n"
        "import resource\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    open_source(sys.argv[1])\nexcept DmtrackError as error:\n    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    message, grown_kb = ran.stdout.splitlines()
    assert "x.mkv" in message
    assert int(grown_kb) < 100_000, "resident memory grew with the claimed size"


def _aux(spec: str) -> PairingOptions:
    return PairingOptions(aux_track=parse_track(spec))
