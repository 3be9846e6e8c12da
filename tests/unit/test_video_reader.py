import logging
import re
import struct
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from clips import sound_in_the_middle
from flir_files import RAMP_OF_12_BITS, TWELVE_BITS

from dmtrack.errors import DecodeError, VideoError
from dmtrack.video.container.decoder import PacketDecoder
from dmtrack.video.container.picture_converter import PictureConverter
from dmtrack.video.container.reader import VideoReader
from dmtrack.video.container.stamps import RisingStamps, presented
from dmtrack.video.container.video_file import packet_stamps
from dmtrack.video.container_clock import read_container
from dmtrack.video.frame import Frame
from dmtrack.video.position import Position
from dmtrack.video.stream_files import open_stream, open_streams
from dmtrack.video.streams import PairingOptions, Sync, clock_remarks

H, W = 64, 96
MS = Fraction(1, 1000)
_KINDS = ("ts", "mp4", "mkv", "mov", "avi", "mjpeg", "flv")


def flat(count):
    """Pictures whose red says which one it is."""
    return [np.full((H, W, 3), (10 + 8 * i, 120, 60), np.uint8) for i in range(count)]


def noisy(count):
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (H, W, 3)).astype(np.uint8) for _ in range(count)]


def counts16(count):
    ramp = np.arange(H * W, dtype=np.uint16).reshape(H, W)
    return [(ramp * 7 + 1000 * i).astype(np.uint16) for i in range(count)]


def which(frame):
    return round((int(frame.pixels[H // 2, W // 2, 0]) - 10) / 8)


def read_all(path, **options):
    with VideoReader(path, **options) as reader:
        return list(reader), reader


def test_h264_gives_rgb_pictures_with_exact_times(make_video):
    frames, reader = read_all(make_video("a.mp4", flat(12), rate=25))
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(12)]
    assert [which(frame) for frame in frames] == list(range(12))
    assert frames[5].pixels.shape == (H, W, 3)
    assert np.abs(frames[5].pixels[30, 40].astype(int) - (50, 120, 60)).max() <= 4  # red, green, blue
    info = reader.info
    assert (info.width, info.height, info.codec, info.channels) == (W, H, "h264", 3)
    assert (info.frame_rate, info.frame_count, info.duration_s) == (25, 12, Fraction(12, 25))
    assert reader.damaged_packets == 0


@pytest.mark.parametrize("pix_fmt", ["gray16le", "gray12le", "gray10le"])
def test_deep_grey_is_exact(make_video, pix_fmt):
    written = [picture & ((1 << int(pix_fmt[4:6])) - 1) for picture in counts16(4)]
    path = make_video("deep.mkv", written, codec="ffv1", pix_fmt=pix_fmt, rate=9)
    frames, reader = read_all(path)
    assert reader.info.bit_depth == int(pix_fmt[4:6])
    for frame, picture in zip(frames, written, strict=True):
        assert frame.pixels.dtype == np.uint16
        assert np.array_equal(frame.pixels, picture)


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
@pytest.mark.parametrize(
    ("name", "pix_fmt"), [("a.mov", "gray16le"), ("a.mkv", "gray16le"), ("a.mov", "rgb48le")]
)
def test_counts_of_jpeg_2000_are_those_that_were_stored(make_video, name, pix_fmt, bits):
    """The encoder here knows 16 bits: the file is told fewer, which moves the middle of the numbers."""
    written = [picture & ((1 << bits) - 1) for picture in counts16(2)]
    moved = [picture + np.uint16((1 << 15) - (1 << bits - 1)) for picture in written]
    moved = [np.dstack([one] * 3) if pix_fmt == "rgb48le" else one for one in moved]
    path = make_video(name, moved, codec="jpeg2000", pix_fmt=pix_fmt, options={"pred": "dwt53"})
    head = re.compile(rb"(?s)\xff\x4f\xff\x51.{38}(?:\x0f\x01\x01){1,3}")
    path.write_bytes(
        head.sub(lambda one: one[0][:42] + one[0][42:].replace(b"\x0f", bytes([bits - 1])), path.read_bytes())
    )
    frames, reader = read_all(path)
    assert (reader.info.bit_depth, reader.info.channels) == (bits, 1)
    assert all(np.array_equal(frame.pixels, one) for frame, one in zip(frames, written, strict=True))


@pytest.mark.parametrize("kind", TWELVE_BITS)
def test_counts_of_deep_jpeg_are_those_that_were_stored(tmp_path, kind):
    path = tmp_path / "a.mjpeg"
    path.write_bytes(TWELVE_BITS[kind] * 3)
    frames, reader = read_all(path)
    assert reader.info.bit_depth == 12
    for frame in frames:
        assert np.abs(frame.pixels.astype(int) - RAMP_OF_12_BITS).max() <= (kind == "sof1")


@pytest.mark.parametrize(("name", "codec"), [("a.mov", "tiff"), ("a.mov", "mjpeg"), ("a.avi", "png")])
def test_what_else_lies_beside_a_picture_is_no_fault(make_video, name, codec):
    """EXIF, for which PyAV has no name."""
    grey = codec != "mjpeg"
    written = [picture[..., 0] if grey else picture for picture in noisy(2)]
    frames, _ = read_all(make_video(name, written, codec=codec, pix_fmt="gray" if grey else "yuvj420p"))
    assert len(frames) == 2
    assert not grey or np.array_equal(frames[1].pixels, written[1])


@pytest.mark.parametrize("name", ["a.avi", "a.mov"])
def test_counts_in_a_file_that_says_colours_are_told(make_video, name):
    """What libav writes of 16-bit grey where the container has no name for it."""
    _, reader = read_all(make_video(name, counts16(2), codec="rawvideo", pix_fmt="gray16le"))
    assert "if it holds 16-bit counts" in reader.info.notes[0]


def test_big_endian_grey_is_exact():
    (written,) = counts16(1)
    frame = av.VideoFrame.from_ndarray(written, format="gray16le").reformat(format="gray16be")
    pixels = PictureConverter(frame)(frame)
    assert np.array_equal(pixels, written)
    assert pixels.dtype.isnative


def test_8_bit_grey_stays_one_channel(make_video):
    written = [picture[..., 0] for picture in noisy(3)]
    frames, reader = read_all(make_video("g.mkv", written, codec="ffv1", pix_fmt="gray"))
    assert (reader.info.channels, reader.info.bit_depth) == (1, 8)
    assert np.array_equal(frames[2].pixels, written[2])


def test_10_bit_colour_becomes_8_bit(make_video):
    frames, reader = read_all(make_video("ten.mkv", flat(3), codec="ffv1", pix_fmt="yuv420p10le"))
    assert (frames[0].pixels.dtype, frames[0].pixels.shape) == (np.uint8, (H, W, 3))
    assert reader.info.bit_depth == 10
    assert [which(frame) for frame in frames] == [0, 1, 2]


def test_odd_width_has_no_line_padding(make_video):
    rng = np.random.default_rng(0)
    written = [rng.integers(0, 65536, (33, 37)).astype(np.uint16) for _ in range(2)]
    frames, _ = read_all(make_video("odd.mkv", written, codec="ffv1", pix_fmt="gray16le"))
    assert np.array_equal(frames[1].pixels, written[1])


def test_non_zero_start_and_another_rate(make_video):
    frames, reader = read_all(
        make_video("late.mkv", counts16(9), codec="ffv1", pix_fmt="gray16le", rate=9, pts=range(5, 14))
    )
    assert frames[0].index == 0
    assert abs(float(frames[0].time_s) - 5 / 9) < 0.001  # Matroska rounds to milliseconds
    assert reader.info.frame_count == 9
    assert reader.damaged_packets == 0


def test_variable_frame_rate_keeps_every_stamp(make_video):
    stamps = [0, 33, 100, 110, 200, 500]
    path = make_video("vfr.mkv", flat(6), pts=stamps, time_base=Fraction(1, 1000))
    frames, reader = read_all(path)
    assert [frame.time_s * 1000 for frame in frames] == stamps
    assert reader.damaged_packets == 0


def test_b_frames_come_in_order_of_presentation(make_video):
    path = make_video("b.mp4", flat(20), options={"bf": "3", "b-adapt": "0"})
    frames, _ = read_all(path)
    assert [which(frame) for frame in frames] == list(range(20))
    assert [frame.time_s for frame in frames] == [Fraction(i, 30) for i in range(20)]


def test_stream_without_stamps_counts_by_its_rate(make_video):
    frames, _ = read_all(make_video("raw.h264", flat(8), rate=25))
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(8)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0, 10, 10, 5, None, 100], [0, 10, 20, 30, 40, 100]),
        ([0, 10, 9000, 30, 40], [0, 10, 20, 30, 40]),
        ([0, 10, 9000, 9010, 40, 50], [0, 10, 20, 30, 40, 50]),
        ([9000, 10, 20, 30], [0, 10, 20, 30]),
        ([0, 10, 20, 900, 910, 920], [0, 10, 20, 900, 910, 920]),
        ([0, 10, 20, 0, 10, 20, 30], [0, 10, 20, 30, 40, 50, 60]),
        (
            [50, 60, *range(900, 990, 10), *range(0, 90, 10), 500, 510],
            [50, 60, *range(900, 1080, 10), 1490, 1500],
        ),
        ([0, 10, 0, 30, 40], [0, 10, 20, 30, 40]),
        ([7, 7, 7, 7], [7, 17, 27, 37]),
        ([None, None, None], [0, 10, 20]),
        ([0, 10, 12, 14, 16, 18], [0, 10, 12, 14, 16, 18]),
        ([5], [5]),
    ],
    ids=[
        "twice and none",
        "one far ahead",
        "two far ahead",
        "the first far ahead",
        "a pause",
        "a clock that begins anew",
        "pauses before and after that",
        "one far behind",
        "always the same",
        "none at all",
        "another rate",
        "a single one",
    ],
)
def test_stamps_rise_and_one_bad_one_moves_no_other(given, expected):
    assert [stamp for stamp, _ in RisingStamps(((one, None) for one in given), 10)] == expected


@pytest.mark.parametrize("seed", range(8))
def test_packets_out_of_order_have_the_stamps_of_their_frames(seed):
    """B-frames, an outlier, a clock that begins anew and a pause: sorted by packets as by frames."""
    rng = np.random.default_rng(seed)
    runs = [[start + 40 * i for i in range(60)] for start in (0, 10_000, 0)]
    packets: list[int] = []
    for run in runs:
        for place in range(0, 60, 4):
            packets += [run[place + 3], *(run[place + k] for k in rng.permutation(3))]
    expected = list(RisingStamps(((one, None) for run in runs for one in run), 40))
    assert presented(packets) == [stamp for stamp, _ in expected]
    packets[77] = 10**7
    found = presented(packets)
    assert len(found) == 180
    assert max(found) == expected[-1][0]
    assert all(later > earlier for earlier, later in pairwise(found))


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (-90, 3), (180, 2)])
def test_rotation_is_applied(make_video, rotation, turns):
    picture = np.zeros((H, W, 3), np.uint8)
    picture[: H // 2, : W // 2] = 255  # white in the top left quarter
    frames, reader = read_all(make_video("rot.mp4", [picture] * 2, rotation=rotation))
    upright = np.rot90(picture, turns)
    assert frames[0].pixels.shape == upright.shape
    assert (reader.info.height, reader.info.width) == upright.shape[:2]
    assert reader.info.rotation_deg == rotation % 360
    assert np.abs(frames[0].pixels.astype(int) - upright).mean() < 4


@pytest.mark.parametrize("size", [(H // 2, W // 2), (W, H), (H, W)])
def test_pictures_that_change_their_size_are_scaled_and_said(make_video, size, caplog):
    first = make_video("a.h264", flat(5))
    later = [np.full((*size, 3), (10 + 8 * i, 120, 60), np.uint8) for i in range(5, 10)]
    first.write_bytes(first.read_bytes() + make_video("b.h264", later).read_bytes())
    frames, _ = read_all(first)
    assert [which(frame) for frame in frames] == list(range(10))
    assert {frame.pixels.shape for frame in frames} == {(H, W, 3)}
    said = f"{size[1]}x{size[0]} from frame 5 on"
    assert caplog.text.count("unlike the first") == caplog.text.count(said) == (size != (H, W))


@pytest.mark.parametrize("turns", range(4))
def test_mirroring_is_applied_before_turning(make_video, turns):
    """As the front cameras of phones store it."""
    picture = np.zeros((H, W, 3), np.uint8)
    picture[: H // 2, : W // 2] = 255  # white in the top left quarter
    path = make_video("mirrored.mp4", [picture] * 2)
    plain = struct.pack(">5i", 1 << 16, 0, 0, 0, 1 << 16)
    (a, b), (c, d) = [(1, 0), (0, -1), (-1, 0), (0, 1)][turns], [(0, -1), (-1, 0), (0, 1), (1, 0)][turns]
    data = path.read_bytes()
    head, tail = data[: data.find(b"tkhd")], data[data.find(b"tkhd") :]
    path.write_bytes(head + tail.replace(plain, struct.pack(">5i", a << 16, b << 16, 0, c << 16, d << 16), 1))
    frames, _ = read_all(path)
    expected = np.rot90(picture[::-1], turns)
    assert frames[0].pixels.shape == expected.shape
    assert np.abs(frames[0].pixels.astype(int) - expected).mean() < 4


class TestRange:
    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (None, None, list(range(20))),
            (Position(index=5), Position(index=8), [5, 6, 7]),
            (Position(time_s=Fraction(1, 5)), None, list(range(5, 20))),
            (None, Position(time_s=Fraction(1, 10)), [0, 1, 2]),
            (Position(index=18), Position(index=99), [18, 19]),
            (Position(index=50), None, []),
        ],
    )
    def test_indices_count_from_the_first_frame(self, make_video, start, end, expected):
        with VideoReader(make_video("a.mp4", flat(20), rate=25)) as reader:
            frames = list(reader.read(start, end))
            assert reader.damaged_packets == 0
        assert [frame.index for frame in frames] == expected
        assert [which(frame) for frame in frames] == expected

    def test_time_counts_from_the_first_frame_also_if_the_file_starts_late(self, make_video):
        path = make_video("late.mkv", flat(10), rate=10, pts=range(70, 80))
        with VideoReader(path) as reader:
            (frame,) = reader.read(Position(time_s=Fraction(3, 10)), Position(time_s=Fraction(4, 10)))
        assert (frame.index, frame.time_s) == (3, Fraction(73, 10))

    def test_is_read_once(self, make_video):
        with VideoReader(make_video("a.mp4", flat(3))) as reader:
            list(reader)
            with pytest.raises(RuntimeError, match="again"):
                list(reader)


class TestDamage:
    @pytest.fixture
    def whole(self, make_video):
        """Thirty frames that stand alone, the index in front."""
        return make_video(
            "whole.mp4",
            noisy(30),
            options={"g": "1", "bf": "0", "crf": "30"},
            container_options={"movflags": "faststart"},
        )

    def test_truncated_data_gives_the_frames_before_it_and_counts_the_rest(self, whole, caplog):
        content = whole.read_bytes()
        whole.write_bytes(content[: len(content) // 2])
        with caplog.at_level(logging.WARNING):
            frames, reader = read_all(whole)
        assert 10 <= len(frames) <= 20
        assert reader.info.frame_count == pytest.approx(len(frames), abs=1)
        assert len(frames) + reader.damaged_packets == pytest.approx(30, abs=1)
        assert "claims" in caplog.text

    def test_truncated_matroska_is_counted_too(self, make_video):
        path = make_video("cut.mkv", counts16(12), codec="ffv1", pix_fmt="gray16le", rate=9)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        frames, reader = read_all(path)
        assert 3 <= len(frames) <= 8
        assert len(frames) + reader.damaged_packets == pytest.approx(12, abs=1)

    def test_damaged_packets_are_skipped_and_counted(self, whole):
        self.damage(whole, 0.45, 0.55)
        frames, reader = read_all(whole)
        assert reader.damaged_packets >= 2
        assert 24 <= len(frames) <= 30
        assert frames[-1].time_s == Fraction(29, 30)  # what follows keeps its time

    @pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.mjpeg"])
    @pytest.mark.parametrize("damaged", [0, 3], ids=["the first", "a later one"])
    def test_a_jpeg_that_lacks_data_is_used_and_counted(self, make_video, name, damaged):
        written = [picture // 3 + 90 for picture in noisy(6)]
        path = make_video(name, written, codec="mjpeg", pix_fmt="yuvj420p", rate=25)
        whole, _ = read_all(path)
        content = path.read_bytes()
        begins = [match.start() for match in re.finditer(rb"\xff\xda", content)]
        place = begins[damaged] + 400
        path.write_bytes(content[:place] + b"\xff" * 98 + b"\0" + content[place + 99 :])  # no marker
        frames, reader = read_all(path)
        assert [frame.time_s for frame in frames] == [frame.time_s for frame in whole]
        unlike = [not np.array_equal(one.pixels, two.pixels) for one, two in zip(frames, whole, strict=True)]
        assert unlike == [number == damaged for number in range(6)]
        assert reader.damaged_packets == 1

    @pytest.mark.parametrize("has_sums", [True, False])
    @pytest.mark.parametrize("is_damaged", [False, True])
    def test_damaged_slices_of_ffv1_are_counted_by_their_sums(self, make_video, has_sums, is_damaged):
        options = {"level": "3", "slices": "4", "g": "1", "slicecrc": str(int(has_sums))}
        path = make_video("a.avi", counts16(6), codec="ffv1", pix_fmt="gray16le", options=options)
        with av.open(str(path)) as file:
            packet = [packet for packet in file.demux(video=0) if packet.size][3]
            content, data = path.read_bytes(), bytes(packet)
        place = content.index(data) + len(data) // 2
        if is_damaged:
            path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        frames, reader = read_all(path)
        assert [frame.index for frame in frames] == list(range(6))
        assert reader.damaged_packets == is_damaged * has_sums

    def test_damage_without_end_is_bounded_and_keeps_what_came_before(self, whole, monkeypatch):
        monkeypatch.setattr("dmtrack.video.container.decoder.MAX_CONSECUTIVE_DAMAGED", 3)
        self.damage(whole, 0.4, 1.0)
        frames: list[Frame] = []
        with VideoReader(whole) as reader, pytest.raises(DecodeError) as caught:
            frames.extend(reader)
        assert len(frames) >= 8
        assert str(whole) in str(caught.value)
        assert "after frame" in str(caught.value)

    @staticmethod
    def damage(path, begin, end):
        """Overwrite a share of the pictures' bytes with ones, sizes and index left whole."""
        content = bytearray(path.read_bytes())
        data = content.find(b"mdat") + 4
        size = len(content) - data
        for place in range(data + int(begin * size), data + int(end * size)):
            content[place] = 0xFF
        path.write_bytes(content)

    def test_no_frame_at_all_is_an_error_at_once(self, whole):
        self.damage(whole, 0.0, 1.0)
        with pytest.raises(DecodeError, match="no frame can be decoded"):
            VideoReader(whole)


def test_sound_that_comes_later_changes_nothing(make_video):
    path = make_video("a.ts", flat(20), rate=2)
    path.write_bytes(sound_in_the_middle(path))
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"], "it is not met before"
    frames, reader = read_all(path)
    assert len(frames) == 60
    assert reader.damaged_packets == 0
    assert reader.measured().frame_count == 60


def test_second_stream_can_be_chosen(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("ffv1", rate=10) for _ in range(2)]
        for stream, size in zip(streams, (32, 48), strict=True):
            stream.width = stream.height = size
            stream.pix_fmt = "gray"
        for stream, size in zip(streams, (32, 48), strict=True):
            frame = av.VideoFrame.from_ndarray(np.full((size, size), size, np.uint8), format="gray")
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    assert VideoReader(path).info.width == 32
    assert VideoReader(path, stream=1).info.width == 48
    with pytest.raises(VideoError, match="2 video stream"):
        VideoReader(path, stream=2)


def test_memory_holds_one_picture_at_a_time(make_video):
    """The reader hands out pictures and forgets them."""
    with VideoReader(make_video("a.mp4", flat(30)), threads=1) as reader:
        decoder = reader._decoder
        assert isinstance(decoder, PacketDecoder)
        waiting = [len(decoder._ready) for _ in reader]
    assert max(waiting[:-16]) <= 2  # before the decoder is drained at the end


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_nothing(make_video, threads):
    frames, _ = read_all(make_video("a.mp4", flat(10)), threads=threads)
    assert [which(frame) for frame in frames] == list(range(10))


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_a_title_that_is_not_utf_8_is_no_fault(name, tmp_path):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Cafe4"
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for pts in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), format="yuv420p")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"Cafe4" in data
    path.write_bytes(data.replace(b"Cafe4", b"Caf\xe9 "))
    with VideoReader(path) as reader:
        assert len(list(reader)) == 3
    assert read_container(path).tags["title"].startswith("Caf")


@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_an_avi_of_milliseconds_lists_more_than_it_holds(make_video, codec, is_cut, caplog):
    """A tick without a picture has an entry in its index, and a pause of 3 s three thousand of them."""
    path = make_video(
        "a.avi",
        flat(40),
        codec=codec,
        pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p",
        pts=[33 * i + 3000 * (i > 20) for i in range(40)],
        time_base=MS,
        rate=1000,
    )
    if is_cut:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    frames, reader = read_all(path)
    assert (len(frames) < 40) == is_cut
    assert (reader.damaged_packets > 0) == ("though it claims" in caplog.text) == is_cut


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mkv", "libx264"),
        ("a.mkv", "mjpeg"),
        ("a.avi", "mjpeg"),
        ("a.avi", "libx264"),
        ("a.flv", "libx264"),
    ],
)
def test_an_old_length_in_the_header_is_neither_believed_nor_missed(make_video, name, codec):
    """A file of ten minutes that was cut without writing its header anew: 30 frames, none is damaged."""
    path = make_video(name, flat(30), codec=codec, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p")
    content = bytearray(path.read_bytes())
    for place, packed in _claims(content, seconds=600):
        content[place : place + len(packed)] = packed
    path.write_bytes(content)
    frames, reader = read_all(path)
    assert (len(frames), reader.info.frame_count, reader.damaged_packets) == (30, 30, 0)
    assert reader.measured().duration_s == pytest.approx(1.0, abs=0.01)


def _claims(content: bytearray, seconds: int) -> list[tuple[int, bytes]]:
    """Return where a header says how long the video is, and what is to stand there instead."""
    if content.startswith(b"RIFF"):
        frames = struct.pack("<I", seconds * 30)
        return [(content.find(b"avih") + 24, frames), (content.find(b"strh") + 40, frames)]
    if content.startswith(b"FLV"):
        return [(content.find(b"duration") + 9, struct.pack(">d", seconds))]
    text = content.find(b"00:00:01.000")
    return [(content.find(b"\x44\x89\x88") + 3, struct.pack(">d", seconds * 1000)), (text, b"00:10:00.000")]


@pytest.mark.parametrize("zeros", [100, 1 << 20])
@pytest.mark.parametrize(("name", "place"), [("a.ts", 0.5), *((f"a.{end}", 1.0) for end in _KINDS)])
def test_zeros_in_a_file_end_nothing(make_video, name, place, zeros):
    """A recorder that lost its power leaves zeros; a transport stream goes on behind them."""
    codec, pix_fmt = ("mjpeg", "yuvj420p") if name == "a.mjpeg" else ("libx264", "yuv420p")
    path = make_video(name, flat(30), codec=codec, pix_fmt=pix_fmt, options={"g": "5", "bf": "0"})
    content = path.read_bytes()
    cut = int(len(content) * place) // 188 * 188 if place < 1 else len(content)
    path.write_bytes(content[:cut] + bytes(zeros) + content[cut:])
    frames, reader = read_all(path)
    assert len(frames) + reader.damaged_packets >= 30
    assert 29 <= len(frames) <= 30
    assert which(frames[-1]) == 29
    stamps = reader.frame_stamps()
    assert stamps is None or len(stamps) == 30


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
@pytest.mark.parametrize(("frames", "pyramid"), [(1, "none"), (2, "normal"), (3, "strict")])
def test_pictures_of_an_avi_come_evenly_whatever_their_order_in_the_file(make_video, codec, frames, pyramid):
    """AVI stores no time of presentation, only an order."""
    options = {"bf": str(frames), "g": "12"}
    if codec == "libx264":
        options["x264-params"] = f"b-pyramid={pyramid}"
    found, reader = read_all(make_video("a.avi", flat(30), codec=codec, rate=25, options=options))
    assert [frame.time_s for frame in found] == [Fraction(i, 25) for i in range(30)]
    assert [which(frame) for frame in found] == pytest.approx(list(range(30)), abs=1)
    assert reader.frame_stamps() == [frame.pts for frame in found]


@pytest.mark.parametrize("fragment", [10, 20])
def test_a_header_that_knows_the_first_fragment_only_is_not_believed(make_video, fragment):
    """Claims may inform: where two of them disagree, packets are counted."""
    path = make_video(
        "f.mp4",
        [np.full((32, 32, 3), i, np.uint8) for i in range(40)],
        options={"g": str(fragment)},
        container_options={"movflags": "frag_keyframe"},
    )
    with VideoReader(path) as reader:
        assert reader.info.frame_count == 40
        assert [frame.index for frame in reader.read(Position(index=35))] == list(range(35, 40))


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(16, 15), Fraction(1)])
def test_the_shape_of_pixels_is_told(aspect, tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for picture in flat(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert reader.info.pixel_aspect == aspect
        assert reader.info.shown_shape == aspect * W / H
        assert bool(reader.info.notes) is (aspect != 1)


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG"), (1, None)])
def test_a_high_dynamic_range_is_told(curve, name, tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p10le"
        stream.codec_context.color_trc = curve
        container.mux(stream.encode(av.VideoFrame.from_ndarray(flat(1)[0], format="rgb24")))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert (name or "HDR") in " ".join(reader.info.notes) if name else reader.info.notes == ()


@pytest.mark.parametrize("is_near", [False, True], ids=["neutral", "a lossy codec's chroma"])
@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        *(("ffv1", f"gbrp{bits}le") for bits in (9, 10, 12, 14, 16)),
        *(("ffv1", f"yuv{name}le") for name in ("420p9", "422p10", "444p12", "420p16")),
        *(
            ("ffv1", "yuva420p10le"),
            ("libx264", "yuv420p10le"),
            ("libx265", "yuv420p12le"),
            ("png", "ya16be"),
        ),
    ],
)
def test_one_channel_in_a_deep_format_keeps_its_counts(tmp_path, codec, pix_fmt, is_near):
    """Until the first colour: then it is colour, in eight bits, as ever. H.264 has no grey of 10 bits."""
    options = {"libx264": {"qp": "0"}, "libx265": {"x265-params": "lossless=1:log-level=none"}}
    bits = int(re.findall(r"[a-z](\d+)[lb]e", pix_fmt)[0])
    written = [picture & ((1 << bits) - 1) for picture in counts16(2)]
    half_level = 1 << bits >> 9  # of 8 bits
    path = tmp_path / "a.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = W, H, pix_fmt
        for picture in written:
            container.mux(stream.encode(_deep(picture, pix_fmt, is_near * half_level)))
        if "ya" not in pix_fmt:
            container.mux(stream.encode(_deep(written[0], pix_fmt, 9 * half_level)))
        container.mux(stream.encode(None))
    frames, reader = read_all(path)
    is_grey = not (is_near and pix_fmt.startswith("gbr"))  # which is lossless: there any colour is meant
    assert (reader.info.channels, reader.info.bit_depth) == (1 if is_grey else 3, bits)
    assert np.array_equal([frame.pixels for frame in frames[:2]], written) == is_grey
    assert "ya" in pix_fmt or frames[2].pixels.shape == (H, W, 3)


@pytest.mark.parametrize(
    ("planar", "stored"),
    [
        *(("yuv420p10le", name) for name in ("p010le", "yuv420p10be")),
        ("yuv422p10le", "y210le"),
        ("gbrp10le", "x2rgb10le"),
        ("gbrp12le", "gbrp12be"),
        *(("gbrp16le", name) for name in ("rgb48be", "rgba64le")),
    ],
)
def test_counts_are_kept_however_a_frame_is_laid_out(planar, stored):
    """Channel by channel or pixel by pixel, in either order of bytes; as the first frame goes the next."""
    frame = _deep(counts16(1)[0] >> (16 - int(re.findall(r"\d+", planar)[-1])), planar, 0)
    converted = frame.reformat(format=stored)
    converter = PictureConverter(converted)
    assert np.array_equal(converter(converted), np.frombuffer(frame.planes[0], "<u2").reshape(H, -1)[:, :W])
    assert converter(converted.reformat(width=2 * W, height=2 * H)).shape[:2] == (H, W)


_NO_MATRIX = 2


@pytest.mark.parametrize(
    ("codec", "luma", "matrix"),
    [
        *(("ffv1", np.full((H, W), luma), _NO_MATRIX) for luma in (0, 64, 300)),
        *(("libx265", counts16(1)[0] & 1023, matrix) for matrix in (1, 5, 6, 9)),
    ],
)
def test_colour_that_fades_in_is_colour_from_the_first_frame_on(tmp_path, codec, luma, matrix):
    """As telephones and cameras with 10 bits begin, and what is edited.

    What is filmed at night, or begins with a title, looks like counts, but says how its colours are coded.
    """
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p10le"
        stream.codec_context.colorspace = matrix
        for chroma in (0, 0, 90):
            container.mux(stream.encode(_deep(luma, "yuv420p10le", chroma)))
        container.mux(stream.encode(None))
    frames, reader = read_all(path)
    assert reader.info.channels == 3
    assert {frame.pixels.shape for frame in frames} == {(H, W, 3)}


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p16le", "gbrp12le"])
def test_counts_that_begin_with_a_closed_shutter_are_counts(tmp_path, pix_fmt):
    """Also where a scene differs by less than one level of 8 bits."""
    flat, scene = np.full((H, W), 500), 500 + counts16(1)[0] % 17
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = W, H, pix_fmt
        for picture in (flat, scene, flat):
            container.mux(stream.encode(_deep(picture, pix_fmt, 0)))
        container.mux(stream.encode(None))
    shut, *frames = read_all(path)[0]
    assert len(np.unique(shut.pixels)) == 1
    assert np.array_equal([frame.pixels for frame in frames], [scene, flat])


@pytest.mark.parametrize(("shown", "is_told"), [((W, H), False), ((W - 16, H), True), ((W, H - 8), True)])
def test_a_part_that_is_shown_of_mp4_is_told(make_video, shown, is_told):
    """In the place of the bit rate, which nobody asks for."""
    path = make_video("a.mp4", flat(3))
    data = path.read_bytes()
    clap = struct.pack(">I4s8i", 40, b"clap", shown[0] * 3, 3, shown[1], 1, 0, 1, 0, 1)
    begin = data.find(b"btrt") - 4
    whole = bytearray(data[:begin] + clap + data[begin + 20 :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1\0"):
        place = whole.find(kind) - 4
        struct.pack_into(">I", whole, place, struct.unpack_from(">I", whole, place)[0] + len(clap) - 20)
    path.write_bytes(whole)
    frames, reader = read_all(path)
    assert len(frames) == 3
    assert ("a part of its pictures" in " ".join(reader.info.notes)) == is_told


@pytest.mark.parametrize("number", [0xAA, 0xBB, 0xCC, 0xDD])
@pytest.mark.parametrize("pixels", [0, 8])
def test_a_part_that_is_shown_of_matroska_is_told(make_video, number, pixels):
    """What is cut off at one side, in the place of the unit in which it is shown."""
    path = make_video("a.mkv", flat(3))
    unit, crop = b"\x54\xb2\x81\x04", bytes([0x54, number, 0x81, pixels])
    assert path.read_bytes().count(unit) == 1
    path.write_bytes(path.read_bytes().replace(unit, crop))
    _, reader = read_all(path)
    assert ("a part of its pictures" in " ".join(reader.info.notes)) == (pixels > 0)


@pytest.mark.parametrize(
    ("matrix", "red", "blue"),
    [(1, 0.2126, 0.0722), (5, 0.299, 0.114), (6, 0.299, 0.114), (9, 0.2627, 0.0593)],
)
@pytest.mark.parametrize("is_full", [False, True])
def test_how_colours_are_coded_is_obeyed(tmp_path, matrix, red, blue, is_full):
    """The matrix by its number in ITU-T H.273, and the range."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if is_full else 1
        frame = av.VideoFrame(W, H, "yuv444p")
        for plane, level in zip(frame.planes, (120, 90, 200), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames, _ = read_all(path)
    luma, chroma = (120, 255) if is_full else ((120 - 16) * 255 / 219, 255 * 255 / 224)
    cb, cr = (90 - 128) * chroma / 255, (200 - 128) * chroma / 255
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    assert frames[0].pixels[8, 8].tolist() == pytest.approx(np.clip((r, g, b), 0, 255), abs=2)


@pytest.mark.parametrize(("matrix", "name"), [(8, "YCgCo"), (10, "constant luminance"), (14, "ICtCp")])
@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le"])
def test_colours_that_cannot_be_turned_into_rgb_are_refused_at_once(tmp_path, matrix, name, pix_fmt):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = W, H, pix_fmt
        stream.codec_context.colorspace = matrix
        container.mux(stream.encode(av.VideoFrame(W, H, pix_fmt)))
        container.mux(stream.encode(None))
    with pytest.raises(DecodeError, match=f"{name}.* is not read"):
        VideoReader(path)


def test_a_video_of_fractions_is_told(make_video):
    path = make_video("a.mov", [picture[..., 0] for picture in noisy(1)], codec="exr", pix_fmt="grayf32le")
    assert "holds fractions" in " ".join(read_all(path)[1].info.notes)


def _deep(counts, pix_fmt, chroma):
    """Return a frame that has counts in its luma or in every colour, the last of which is so far off."""
    frame = av.VideoFrame(W, H, pix_fmt)
    neutral, is_rgb = 1 << (frame.format.components[0].bits - 1), frame.format.is_rgb
    for number, plane in enumerate(frame.planes):
        samples = np.full((plane.height, plane.line_size // 2), neutral, "<u2")
        if number == 0 or is_rgb:
            step = 2 if pix_fmt.startswith("ya") else 1
            samples[:, : step * W : step] = counts
        if number == 2:
            samples ^= np.uint16(chroma)
        plane.update((samples.byteswap() if pix_fmt.endswith("be") else samples).tobytes())
    return frame


def test_a_small_video_of_huge_pictures_is_refused(monkeypatch, make_video):
    path = make_video("a.mp4", flat(3))
    monkeypatch.setattr("dmtrack.video.container.video_file.SMALL_PIXELS", 100)
    monkeypatch.setattr("dmtrack.video.container.video_file._PIXELS_PER_BYTE", 1)
    with pytest.raises(VideoError, match="more than so small a file can hold"):
        VideoReader(path)


@pytest.mark.parametrize(
    ("name", "codec", "said"),
    [
        ("a.mjpeg", "mjpeg", None),
        ("a.h264", "libx264", 10),
        ("a.m1v", "mpeg1video", 25),
    ],
)
@pytest.mark.parametrize("given", [None, 12])
def test_what_stores_no_times_is_counted_and_said(make_video, name, codec, said, given):
    """libav makes up 25 a second, and leaves a gap where pictures are stored out of order."""
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    quality = {} if codec == "libx264" else {"qscale": "2"}
    path = make_video(name, flat(12), codec=codec, pix_fmt=pix_fmt, rate=said or 10, options=quality)
    rate = given or said or 25
    pairing = PairingOptions(folder_rate=None if given is None else Fraction(given))
    with open_stream(path, pairing) as reader:
        assert not reader.has_clock
        assert reader.stamps() == list(range(12))
        frames = list(reader)
        assert f"{name} stores no times: its times assume {rate} pictures a second." in clock_remarks(reader)
    assert [frame.time_s for frame in frames] == [Fraction(number, rate) for number in range(12)]
    assert [which(frame) for frame in frames] == list(range(12))
    assert reader.damaged_packets == 0
    assert read_container(path).clock is None


@pytest.mark.parametrize("thermal", [12, 9])
def test_a_video_without_times_goes_by_place_with_as_many_pictures(make_video, thermal):
    rgb = make_video("rgb.mjpeg", flat(12), codec="mjpeg", pix_fmt="yuvj420p", rate=10)
    aux = make_video("thermal.mkv", counts16(thermal), codec="ffv1", pix_fmt="gray16le", rate=10)
    with open_streams(rgb, aux, PairingOptions()) as pair:
        assert pair.pairing.sync is (Sync.INDEX if thermal == 12 else Sync.PTS)


@pytest.mark.parametrize("rate", [1500, 2000, 3000])
def test_frames_that_lie_within_one_tick_are_parted(make_video, rate, caplog):
    """Matroska counts milliseconds: pictures that follow faster had the times of a camera half as fast."""
    path = make_video("fast.mkv", flat(24), rate=rate, codec="mjpeg", pix_fmt="yuvj420p")
    frames, reader = read_all(path)
    assert max(abs(frame.time_s - Fraction(number, rate)) for number, frame in enumerate(frames)) < 0.001
    assert [frame.pts for frame in frames] == reader.stamps()
    assert all(earlier.pts < later.pts for earlier, later in pairwise(frames))
    assert "of 24 frames have the time of another one" in caplog.text


def rewritten(source, target, stamps_ms=None, skipped=0):
    """Write the packets of a video into another file, without the first ones or with other times."""
    with av.open(str(source)) as file, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(file.streams.video[0])
        for number, packet in enumerate([one for one in file.demux(video=0) if one.size][skipped:]):
            packet.stream = stream
            if stamps_ms is not None:
                packet.time_base = Fraction(1, 1000)
                packet.pts = packet.dts = stamps_ms[number]
            copy.mux(packet)
    return target


@pytest.mark.parametrize(
    ("stamps", "said"),
    [
        ([0, 40, 80, 80, 160, 200], "1 of 6 frames have the time of another one"),
        ([0, 0, 0, 0, 0, 0], "5 of 6 frames have the time of another one"),
        ([0, 40, 80, 500, 540, 580], ""),
    ],
    ids=["one twice", "all the same", "a pause"],
)
def test_times_that_are_made_up_are_said(make_video, stamps, said, caplog):
    source = make_video("b.mkv", flat(6), codec="mjpeg", pix_fmt="yuvj420p", rate=25)
    frames, _ = read_all(rewritten(source, source.with_name("a.mkv"), stamps))
    assert len({frame.pts for frame in frames}) == 6
    assert said in caplog.text
    assert bool(said) is bool(caplog.text)


@pytest.mark.parametrize(("parts", "often"), [(2, "1 time"), (3, "2 times")])
def test_a_clock_that_begins_anew_is_said(parts, often, make_video, caplog):
    path = make_video("a.ts", flat(40), rate=25, options={"bf": "0", "g": "5"})
    path.write_bytes(path.read_bytes() * parts)
    frames, _ = read_all(path)
    assert {later.pts - earlier.pts for earlier, later in pairwise(frames)} == {3600}
    assert caplog.messages == [f"{path}: its clock restarts {often}: the times continue"]


def test_times_go_on_where_a_clock_begins_anew():
    rising = RisingStamps(iter([(stamp, None) for stamp in (0, 40, 80, 0, 40, 80, 120, 160)]), 40)
    assert [stamp for stamp, _ in rising] == list(range(0, 320, 40))
    assert (rising.restarts, rising.moved) == (1, 0)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4", "a.flv"])
@pytest.mark.parametrize("interval_ms", [100, 200, 1000])
def test_a_rate_that_is_not_kept_is_not_believed(make_video, name, interval_ms):
    """Phones claim 25 and take 10 in the dark; by what is claimed no picture had a partner near enough."""
    stamps = range(0, 30 * interval_ms, interval_ms)
    options = {"bf": "0", "g": "5"}
    path = make_video(name, flat(30), pts=stamps, rate=25, time_base=Fraction(1, 1000), options=options)
    with VideoReader(path) as reader:
        assert float(reader.info.frame_rate) == pytest.approx(1000 / interval_ms, rel=0.05)
        assert reader.info.frame_count == 30


@pytest.mark.parametrize(("every", "rate"), [(1, 25), (2, Fraction(25, 2)), (3, Fraction(25, 3))])
def test_an_avi_that_repeats_pictures_has_the_rate_of_those_it_holds(make_video, every, rate):
    """A tick of its clock is a whole picture: twice as far apart was taken for rounding."""
    stamps = range(0, 40 * every, every)
    path = make_video("a.avi", flat(30) + flat(10), codec="mjpeg", pix_fmt="yuvj420p", rate=25, pts=stamps)
    frames, reader = read_all(path)
    assert reader.measured().frame_rate == pytest.approx(rate, rel=0.05)
    assert [frame.time_s * 25 for frame in frames] == list(stamps)


@pytest.mark.parametrize("name", ["cut.ts", "cut.mkv", "cut.mp4"])
@pytest.mark.parametrize("skipped", [0, 3])
def test_frames_before_the_first_whole_one_are_said(make_video, tmp_path, name, skipped):
    whole = make_video(
        f"whole{name[3:]}", flat(12), rate=25, options={"g": "6", "bf": "0", "sc_threshold": "0"}
    )
    frames, reader = read_all(rewritten(whole, tmp_path / name, skipped=skipped))
    assert [which(frame) for frame in frames] == list(range(6 if skipped else 0, 12))
    said = f"{name} begins in the middle: 3 frames before a whole one are left out."
    assert (said in reader.info.notes) is bool(skipped)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tags": {"com.android.capture.fps": "240.0"}}, "a.mp4 plays 8 times as long as what it shows took"),
        ({"tags": {"com.android.capture.fps": "1.0"}}, "a.mp4 plays 0.0333 times as long"),
        ({"tags": {"com.android.capture.fps": "29.97"}}, ""),
        ({"tags": {"com.android.capture.fps": "fast"}}, ""),
        ({"rotation": 10}, "a.mp4 says to turn its pictures by"),
        ({"codec": "mpeg2video", "options": {"flags": "+ildct+ilme"}}, "a.mp4 says that it is interlaced"),
        ({"codec": "mpeg2video"}, ""),
        ({"rotation": 90}, ""),
    ],
    ids=["slow motion", "time lapse", "as it was", "damaged", "a little", "fields", "whole", "a quarter"],
)
def test_what_is_shown_otherwise_than_it_was_is_said(make_video, options, said):
    _, reader = read_all(
        make_video("a.mp4", flat(6), container_options={"movflags": "use_metadata_tags"}, **options)
    )
    notes = " ".join(reader.info.notes)
    assert notes.startswith(said)
    assert bool(notes) is bool(said)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("flags", ["write_colr", "faststart", "frag_keyframe+empty_moov"])
def test_recordings_that_were_joined_byte_by_byte_are_told(make_video, name, flags, tmp_path):
    """The first of them was all that was read, and nothing was damaged."""
    whole = make_video(name, flat(6), container_options={"movflags": flags})
    joined = tmp_path / f"joined_{name}"
    joined.write_bytes(whole.read_bytes() * 3)
    said = "is 3 recordings joined byte by byte, of which the first is read"
    for path, is_told in ((whole, False), (joined, True)):
        frames, reader = read_all(path)
        assert len(frames) == 6
        assert any(said in note for note in reader.info.notes) is is_told


@pytest.mark.parametrize("apart", [50, 600])
def test_pauses_among_b_frames_move_no_stamp(make_video, apart):
    """What is stored before the last frame before a pause, and shown after it, was put before the pause."""
    pts = [apart * (i // 5) + i for i in range(40)]
    frames, reader = read_all(make_video("a.mp4", flat(40), pts=pts, options={"bf": "3", "b-adapt": "0"}))
    stamps = packet_stamps(reader.info.path, 0)
    assert stamps == [frame.pts for frame in frames]
    assert [stamp - stamps[0] for stamp in stamps] == [one * (stamps[1] - stamps[0]) for one in pts]
