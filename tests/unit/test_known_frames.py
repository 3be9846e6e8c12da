"""Seeking is exact: from each frame on, a reader that seeks gives what decoding from the front gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dmtrack.video import known_frames as module
from dmtrack.video.frame import Frame
from dmtrack.video.position import Position
from dmtrack.video.reader import VideoReader

FRAMES, RATE, SIZE = 240, 25, (64, 48)
B_FRAMES = {"g": "20", "bf": "3", "sc_threshold": "0"}
KINDS = {
    "mp4-b-frames": ("a.mp4", "libx264", B_FRAMES),
    "mp4-open-gop": ("a.mp4", "libx264", {"x264-params": "open-gop=1:keyint=20:bframes=3:scenecut=0"}),
    "mp4-intra-refresh": ("a.mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=20:scenecut=0"}),
    "mp4-one-key-frame": ("a.mp4", "libx264", {"g": "1000", "sc_threshold": "0"}),
    "mkv-b-frames": ("a.mkv", "libx264", B_FRAMES),
    "ts-b-frames": ("a.ts", "libx264", B_FRAMES),
    "avi-mpeg4": ("a.avi", "mpeg4", {"g": "20"}),
    "avi-b-frames": ("a.avi", "libx264", B_FRAMES),
    "webm-vp9": ("a.webm", "libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8"}),
    "mov-mjpeg": ("a.mov", "mjpeg", {}),
}
SEEKS = set(KINDS) - {"avi-b-frames", "mp4-one-key-frame"}
"""Where seeking must be used; elsewhere it must not do harm."""


def picture(number: int) -> np.ndarray:
    """Noise that goes on moving, so that no two frames are alike and each needs the one before."""
    width, height = SIZE
    noise = np.random.default_rng(number // 40).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return np.roll(noise, 2 * number, axis=1)


@pytest.fixture(scope="module", params=list(KINDS))
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    name, codec, options = KINDS[request.param]
    path = tmp_path_factory.mktemp("seek") / name
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return request.param, path


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    module._known.cache_clear()
    yield
    module._known.cache_clear()


def read(
    path: Path, start: Position | None = None, count: int | None = None
) -> tuple[list[Frame], int, VideoReader]:
    """The frames, the packets that were read for them, and the reader."""
    reader = VideoReader(path)
    end = None if count is None or start is None or start.index is None else Position(start.index + count)
    frames = list(reader.read(start, end))
    packets = reader._decoder.reading.packets
    reader.close()
    return frames, packets, reader


def same(some: Sequence[Frame], others: Sequence[Frame]) -> bool:
    return len(some) == len(others) and all(
        (one.index, one.pts) == (other.index, other.pts) and np.array_equal(one.pixels, other.pixels)
        for one, other in zip(some, others, strict=True)
    )


def test_from_every_frame_on_it_is_what_decoding_from_the_front_gives(video: tuple[str, Path]) -> None:
    kind, path = video
    whole, all_packets, _ = read(path)
    sought = 0
    for index in range(0, len(whole), 7):
        frames, packets, reader = read(path, Position(index), 3)
        assert same(frames, whole[index : index + 3]), f"{kind}: frame {index}"
        assert reader.damaged_packets == 0
        sought += packets < index - 40
    if kind in SEEKS:
        assert sought >= 15, "else nothing was gained"
    else:
        assert sought == 0
    assert all_packets == FRAMES


def test_to_the_end_nothing_is_missing(video: tuple[str, Path]) -> None:
    """The count of frames that are missing at the end takes those that were not read into account."""
    _, path = video
    whole, _, _ = read(path)
    frames, _, reader = read(path, Position(200))
    assert same(frames, whole[200:])
    assert reader.damaged_packets == 0


def test_times_are_sought_too(video: tuple[str, Path]) -> None:
    _, path = video
    whole, _, _ = read(path)
    for time_s in (Fraction(4), Fraction(5, 2), Fraction(801, 100)):
        frames, _, _ = read(path, Position(time_s=time_s))
        first_s = whole[0].time_s
        assert same(frames, [one for one in whole if one.time_s - first_s >= time_s])


def test_what_is_not_known_yet_is_read_on_from_what_is(video: tuple[str, Path]) -> None:
    kind, path = video
    module._known.cache_clear()
    read(path, Position(0), 130)
    frames, packets, _ = read(path, Position(200), 3)
    if kind in SEEKS:
        assert packets < 150
    module._known.cache_clear()
    assert same(frames, read(path, Position(200), 3)[0])


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_a_damaged_file_gives_the_same_frames(video: tuple[str, Path], at: float, tmp_path: Path) -> None:
    _, source = video
    data = bytearray(source.read_bytes())
    place = int(len(data) * at)
    data[place : place + 400] = bytes(value ^ 0x5A for value in data[place : place + 400])
    path = tmp_path / source.name
    path.write_bytes(data)
    try:
        whole, _, _ = read(path)
    except Exception:  # noqa: BLE001 - what cannot be read at all is another test's
        pytest.skip("too much was damaged")
    for index in (60, 100, 180):
        assert same(read(path, Position(index), 3)[0], whole[index : index + 3]) or whole[-1].index < index


def test_a_file_that_has_changed_is_another_one(video: tuple[str, Path], tmp_path: Path) -> None:
    _, source = video
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes())
    before = module.known_frames(path, 0)
    with path.open("ab") as file:
        file.write(b"0")
    assert module.known_frames(path, 0) is not before
