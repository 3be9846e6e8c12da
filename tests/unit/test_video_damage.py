"""Damage that decoders do not tell of is counted: it once decoded without a word."""

from typing import ClassVar

import av
import numpy as np
import pytest

from dmtrack.video.container.damage import length_bytes, unit_type, units_of
from dmtrack.video.container.matroska import CLUSTER
from dmtrack.video.container.reader import VideoReader

H, W, COUNT = 64, 96, 12
QUIET = {"x265-params": "log-level=none:crf=4"}


def pictures(dtype=np.uint8, channels=(3,)):
    rng = np.random.default_rng(2)
    still = rng.integers(0, 200, (H, W, *channels))
    return [(still + rng.integers(0, 50, still.shape)).astype(dtype) for _ in range(COUNT)]


def read(path):
    """Return how many frames come of a file, and how many packets count as damaged."""
    with VideoReader(path, threads=1) as reader:
        return sum(1 for _ in reader), reader.damaged_packets


def packets(path):
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(video=0) if packet.size]


def harm(path, number, change):
    """Change the middle of a packet, which is stored in one piece."""
    content, packet = path.read_bytes(), packets(path)[number]
    begin, middle = content.index(packet), len(packet) // 2
    harmed = packet[:middle] + change(packet[middle : middle + 16]) + packet[middle + 16 :]
    path.write_bytes(content[:begin] + harmed + content[begin + len(packet) :])


def flipped(data):
    return bytes([data[0] ^ 0x55]) + data[1:]


def zeros(data):
    return bytes(len(data))


class TestMatroska:
    CODECS: ClassVar[tuple[tuple[str, str, dict[str, str]], ...]] = (
        ("ffv1", "gray16le", {"level": "1"}),
        ("ffv1", "gray16le", {"level": "3", "slicecrc": "0"}),
        ("ffv1", "gray16le", {"level": "3", "slicecrc": "1", "slices": "4"}),
        ("mjpeg", "yuvj420p", {}),
        ("libvpx-vp9", "yuv420p", {"lag-in-frames": "0"}),
        ("libx264", "yuv420p", {}),
        ("libx265", "yuv420p", QUIET),
    )

    @pytest.mark.parametrize(("codec", "pix_fmt", "options"), CODECS)
    def test_any_codec_is_told_by_the_sums_of_clusters(self, video_of_pictures, codec, pix_fmt, options):
        grey = pix_fmt == "gray16le"
        shown = pictures(np.uint16, ()) if grey else pictures()
        path = video_of_pictures("a.mkv", shown, codec=codec, pix_fmt=pix_fmt, options=options)
        assert read(path) == (COUNT, 0)
        harm(path, 4, flipped)
        frames, damaged = read(path)
        assert (frames >= COUNT - 1, damaged) == (True, 1)

    def clip(self, video_of_pictures, name="a.mkv", **options):
        return video_of_pictures(
            name, pictures(np.uint16, ()), codec="ffv1", pix_fmt="gray16le", options={"level": "1"}, **options
        )

    def test_each_cluster_counts_once_and_a_later_one_is_found(self, video_of_pictures):
        path = self.clip(video_of_pictures, container_options={"cluster_time_limit": "100"})
        assert path.read_bytes().count(CLUSTER) == 3
        for number in (0, 5, 11):
            harm(path, number, flipped)
        assert read(path) == (COUNT, 3)

    def test_a_cluster_that_is_not_reached_is_not_looked_at(self, video_of_pictures):
        path = self.clip(video_of_pictures, container_options={"cluster_time_limit": "100"})
        harm(path, 11, flipped)
        with VideoReader(path, threads=1) as reader:
            for _, _ in zip(range(3), reader, strict=False):
                pass
            assert reader.damaged_packets == 0

    @pytest.mark.parametrize("kind", ["live", "joined", "no sums", "cut"])
    def test_files_without_sums_are_whole(self, video_of_pictures, kind):
        options = {"live": "1"} if kind == "live" else {"write_crc32": "0"} if kind == "no sums" else {}
        path = self.clip(video_of_pictures, container_options=options)
        content = path.read_bytes()
        if kind == "joined":
            path.write_bytes(content * 2)
        if kind == "cut":
            place = content.index(packets(path)[8])
            path.write_bytes(content[:place])
        frames, damaged = read(path)
        assert frames >= 8
        assert frames + damaged == (COUNT if kind == "cut" else frames)

    def test_where_a_cluster_should_begin_and_does_not_is_damage(self, video_of_pictures):
        path = self.clip(video_of_pictures, container_options={"cluster_time_limit": "100"})
        content = path.read_bytes()
        second = content.index(CLUSTER, content.index(CLUSTER) + 1)
        path.write_bytes(content[:second] + bytes(4) + content[second + 4 :])
        frames, damaged = read(path)
        assert (COUNT // 2 <= frames < COUNT, damaged) == (True, 1)


class TestUnits:
    @pytest.mark.parametrize(
        ("codec", "options", "suffix"),
        [("libx264", {}, suffix) for suffix in ("mp4", "avi", "ts", "raw")]
        + [("libx265", QUIET, suffix) for suffix in ("mp4", "ts", "raw")],  # libav writes none into AVI
    )
    def test_lost_bytes_are_zeros(self, video_of_pictures, codec, options, suffix):
        name = f"a.{suffix}" if suffix != "raw" else f"a.{codec[4:]}"
        path = video_of_pictures(name, pictures(), codec=codec, options=options)
        assert read(path) == (COUNT, 0)
        if suffix == "ts":
            content = path.read_bytes()
            place = 188 * (len(content) // 188 // 2) + 100
            path.write_bytes(content[:place] + bytes(16) + content[place + 16 :])
        else:
            harm(path, 5, zeros)
        frames, damaged = read(path)
        assert (frames, min(damaged, 1 if suffix == "raw" else 2)) == (COUNT, 1)

    @pytest.mark.parametrize(("codec", "options"), [("libx264", {}), ("libx265", QUIET)])
    def test_zeros_between_units_are_no_damage(self, video_of_pictures, codec, options):
        path = video_of_pictures(f"a.{codec[4:]}", pictures(), codec=codec, options=options)
        path.write_bytes(path.read_bytes().replace(b"\0\0\0\1", bytes(40) + b"\0\0\0\1"))
        assert read(path) == (COUNT, 0)


@pytest.mark.parametrize(("codec", "options"), [("libx264", {}), ("libx265", QUIET)])
class TestTransportStreams:
    def test_a_lost_packet_is_counted_once(self, video_of_pictures, codec, options):
        path = video_of_pictures("a.ts", pictures(), codec=codec, options=options)
        content = path.read_bytes()
        place = 188 * (len(content) // 188 // 2)
        path.write_bytes(content[:place] + content[place + 188 :])
        assert read(path) == (COUNT, 1)

    def test_joined_recordings_have_lost_nothing(self, video_of_pictures, codec, options):
        path = video_of_pictures("a.ts", pictures(), codec=codec, options=options)
        path.write_bytes(path.read_bytes() * 2)
        assert read(path) == (2 * COUNT, 0)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize(("codec", "options", "first"), [("libx264", {}, 5), ("libx265", QUIET, 20)])
def test_units_are_those_of_either_form(video_of_pictures, codec, options, first, suffix):
    path = video_of_pictures(f"a.{suffix}", pictures(), codec=codec, options=options)
    name = {"libx264": "h264", "libx265": "hevc"}[codec]
    with av.open(str(path)) as file:
        length = length_bytes(name, file.streams.video[0].codec_context.extradata)
    assert length == (4 if suffix == "mp4" else 0)
    found = [[unit_type(name, unit) for unit in units_of(packet, length)] for packet in packets(path)]
    assert len(found) == COUNT
    assert {first, first - 1} & set(found[0])  # a picture that needs no other
    assert all(found)
    cut = packets(path)[0][:-5]
    assert [unit_type(name, unit) for unit in units_of(cut, length)] == found[0][: -1 if length else None]
