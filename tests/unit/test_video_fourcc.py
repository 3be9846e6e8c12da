"""Raw counts of 16 bits, as UVC cameras such as FLIR Boson and Lepton give them, were an unknown codec."""

import av
import numpy as np
import pytest

from dmtrack.errors import VideoError
from dmtrack.video.container.reader import VideoReader
from dmtrack.video.container.video_file import packet_stamps
from dmtrack.video.container_clock import read_container
from dmtrack.video.position import Position

H, W, COUNT = 48, 64, 9
COUNTS = [
    (np.arange(H * W) * 19 + 27_000 + 300 * number).astype(np.uint16).reshape(H, W) for number in range(COUNT)
]


@pytest.fixture
def recording(tmp_path):
    """Return a writer of counts under a FourCC: what libav stores of YUY2 has as many bytes."""

    def write(name, fourcc):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("rawvideo", rate=9)
            stream.width, stream.height, stream.pix_fmt = W, H, "yuyv422"
            for counts in COUNTS:
                bytes_of_it = np.ascontiguousarray(counts.astype("<u2")).view(np.uint8).reshape(H, W, 2)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(bytes_of_it, format="yuyv422")))
            container.mux(stream.encode())
        content = path.read_bytes()
        assert b"YUY2" in content
        path.write_bytes(content.replace(b"YUY2", fourcc))
        return path

    return write


@pytest.mark.parametrize("fourcc", [b"Y16 ", b"Y10 ", b"Y12 ", b"Y14 ", b"Z16 "])
@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_counts_are_exact(recording, name, fourcc):
    with VideoReader(recording(name, fourcc)) as reader:
        frames = list(reader)
        assert (reader.damaged_packets, reader.info.bit_depth, reader.info.channels) == (0, 16, 1)
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert all(np.array_equal(frame.pixels, counts) for frame, counts in zip(frames, COUNTS, strict=True))
    assert [float(frame.time_s) for frame in frames] == pytest.approx(np.arange(COUNT) / 9, abs=1e-3)


def test_a_later_frame_and_the_container_are_read_as_well(recording):
    path = recording("a.avi", b"Y16 ")
    with VideoReader(path) as reader:
        (first, *_) = reader.read(Position(index=6))
    assert (first.index, np.array_equal(first.pixels, COUNTS[6])) == (6, True)
    assert packet_stamps(path, 0) == list(range(COUNT))
    assert read_container(path).streams[0].size == (W, H)


def test_another_unknown_name_is_an_error(recording):
    with pytest.raises(VideoError, match="codec is unknown"):
        VideoReader(recording("a.avi", b"QQ16"))


def test_the_other_order_of_bytes_is_that(recording):
    with VideoReader(recording("a.avi", b"b16g")) as reader:
        frames = list(reader)
    assert np.array_equal(frames[3].pixels, COUNTS[3].byteswap())
