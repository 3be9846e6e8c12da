"""Seeking is exact: from each frame on, a reader that seeks gives what decoding from the front gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from dmtrack.video.container import known_frames as module
from dmtrack.video.container.reader import VideoReader
from dmtrack.video.frame import Frame
from dmtrack.video.position import Position

FRAMES, RATE, SIZE = 240, 25, (64, 48)
B_FRAMES = {"g": "20", "bf": "3", "sc_threshold": "0"}
VP9 = {"g": "20", "deadline": "realtime", "cpu-used": "8"}
HEVC = {"preset": "ultrafast", "x265-params": "keyint=20:min-keyint=20:bframes=3:scenecut=0:log-level=none"}


class Kind(NamedTuple):
    """A way to write a video, and whether frames of it are sought: once decoded, and by its packets alone."""

    name: str
    codec: str
    options: dict[str, str]
    sought: bool = True
    listed: bool = True
    muxer: Mapping[str, str] = MappingProxyType({})
    stamp: Callable[[int], int] = lambda number: number
    changed: Callable[[bytes], bytes] = lambda data: data


def without(name: bytes) -> Callable[[bytes], bytes]:
    """Take an index away: its name becomes that of nothing."""
    return lambda data: data.replace(name, b"free")


def uneven(number: int) -> int:
    """Pauses, and frames that come too early."""
    return 4 * number + number // 7 * 3 + number // 50 * 40 + (number % 5 == 3)


KINDS = {
    "mp4-b-frames": Kind("a.mp4", "libx264", B_FRAMES),
    "mp4-open-gop": Kind(
        "a.mp4", "libx264", {"x264-params": "open-gop=1:keyint=20:bframes=3:scenecut=0"}, listed=False
    ),
    "mp4-intra-refresh": Kind(
        "a.mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=20:scenecut=0"}, listed=False
    ),
    "mp4-one-key-frame": Kind("a.mp4", "libx264", {"g": "1000", "sc_threshold": "0"}, False, False),
    "mp4-uneven": Kind("a.mp4", "libx264", B_FRAMES, stamp=uneven),
    "mp4-edit-list": Kind("a.mp4", "libx264", B_FRAMES, stamp=lambda number: number - 30),
    "mp4-fragments": Kind("a.mp4", "libx264", B_FRAMES, muxer={"movflags": "frag_keyframe+empty_moov"}),
    "mp4-all-keys": Kind("a.mp4", "libx264", B_FRAMES, changed=without(b"stss")),
    "mp4-hevc": Kind("a.mp4", "libx265", HEVC),
    "mkv-hevc-open-gop": Kind(
        "a.mkv", "libx265", HEVC | {"x265-params": HEVC["x265-params"] + ":open-gop=1"}
    ),
    "mkv-b-frames": Kind("a.mkv", "libx264", B_FRAMES),
    "mkv-no-index": Kind("a.mkv", "libx264", B_FRAMES, changed=without(b"\x1c\x53\xbb\x6b")),
    "mkv-ffv1": Kind("a.mkv", "ffv1", {"g": "10"}),
    "ts-b-frames": Kind("a.ts", "libx264", B_FRAMES),
    "avi-mpeg4": Kind("a.avi", "mpeg4", {"g": "20"}, listed=False),
    "avi-b-frames": Kind("a.avi", "libx264", B_FRAMES, False, False),
    "avi-no-index": Kind("a.avi", "mjpeg", {}, False, changed=lambda data: data[: data.index(b"idx1")]),
    "webm-vp8": Kind("a.webm", "libvpx", VP9 | {"auto-alt-ref": "1", "lag-in-frames": "9"}, listed=False),
    "webm-vp9": Kind("a.webm", "libvpx-vp9", VP9),
    "webm-vp9-hidden": Kind(
        "a.webm", "libvpx-vp9", VP9 | {"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "9"}
    ),
    "mp4-av1": Kind("a.mp4", "libsvtav1", {"g": "20", "preset": "12"}),
    "mov-mjpeg": Kind("a.mov", "mjpeg", {}),
}


def picture(number: int) -> np.ndarray:
    """Noise that goes on moving, so that no two frames are alike and each needs the one before."""
    width, height = SIZE
    noise = np.random.default_rng(number // 40).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return np.roll(noise, 2 * number, axis=1)


def written(kind: Kind, folder: Path) -> Path:
    path = folder / kind.name
    with av.open(str(path), "w", container_options=dict(kind.muxer)) as container:
        stream: Any = container.add_stream(kind.codec, rate=RATE, options=kind.options)
        stream.width, stream.height = SIZE
        stream.codec_context.time_base = Fraction(1, 4 * RATE if kind.stamp is uneven else RATE)
        stream.pix_fmt = "yuvj420p" if kind.codec == "mjpeg" else "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = kind.stamp(number)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(kind.changed(path.read_bytes()))
    return path


#: Of containers and codecs that work alike, one is enough while one works on something else.
SELDOM = {
    "mp4-uneven", "mp4-all-keys", "mp4-hevc", "mkv-b-frames", "mkv-no-index", "avi-mpeg4", "webm-vp9",
    "webm-vp9-hidden", "mp4-av1", "mov-mjpeg",
}  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=[pytest.mark.slow] * (kind in SELDOM)) for kind in KINDS],
)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, written(KINDS[request.param], tmp_path_factory.mktemp("seek"))


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    module._known.cache_clear()
    yield
    module._known.cache_clear()


def read(
    path: Path, start: Position | None = None, count: int | None = None, *, trusts: bool = False
) -> tuple[list[Frame], int, VideoReader]:
    """The frames, the packets that were read for them, and the reader."""
    reader = VideoReader(path, trusts_packets=trusts)
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
    for index in range(0, len(whole), 13):
        frames, packets, reader = read(path, Position(index), 3)
        assert same(frames, whole[index : index + 3]), f"{kind}: frame {index}"
        assert reader.damaged_packets == 0
        sought += packets < index - 40
    if KINDS[kind].sought:
        assert sought >= 8, "else nothing was gained"
    else:
        assert sought == 0
    assert all_packets >= len(whole)


def test_what_was_never_decoded_is_sought_by_its_packets(video: tuple[str, Path]) -> None:
    kind, path = video
    whole, _, _ = read(path)
    sought = 0
    places = range(50, len(whole), 17)
    for index in places:
        module._known.cache_clear()
        frames, packets, reader = read(path, Position(index), 3, trusts=True)
        assert same(frames, whole[index : index + 3]), f"{kind}: frame {index}"
        assert reader.damaged_packets == 0
        sought += packets < 50
    assert sought == (len(places) if KINDS[kind].listed else 0)


def test_to_the_end_nothing_is_missing(video: tuple[str, Path]) -> None:
    """The count of frames that are missing at the end takes those that were not read into account."""
    _, path = video
    whole, _, _ = read(path)
    for trusts in (False, True):
        frames, _, reader = read(path, Position(200), trusts=trusts)
        assert same(frames, whole[200:])
        assert reader.damaged_packets == 0
        module._known.cache_clear()


def test_times_are_sought_too(video: tuple[str, Path]) -> None:
    _, path = video
    whole, _, _ = read(path)
    first_s = whole[0].time_s
    for number, time_s in enumerate((Fraction(4), Fraction(5, 2), Fraction(801, 100)) * 2):
        frames, _, _ = read(path, Position(time_s=time_s), trusts=number > 2)
        assert same(frames, [one for one in whole if one.time_s - first_s >= time_s])
        if number > 1:
            module._known.cache_clear()


def test_what_is_not_known_yet_is_read_on_from_what_is(video: tuple[str, Path]) -> None:
    kind, path = video
    module._known.cache_clear()
    read(path, Position(0), 130)
    frames, packets, _ = read(path, Position(200), 3)
    if KINDS[kind].sought:
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
        for trusts in (False, True):  # what was damaged when all was decoded is not forgotten
            frames, _, reader = read(path, Position(index), 3, trusts=trusts)
            there = whole[index : index + 3]
            assert [one.pts for one in frames] == [one.pts for one in there] or not there
            assert same(frames, there) or not there or reader.damaged_packets, "whose picture is made up"


@pytest.mark.parametrize("kind", ["mp4-b-frames", "mkv-b-frames"])
def test_lost_bytes_are_seen_before_packets_are_trusted(kind: str, tmp_path: Path) -> None:
    """Wherever they begin: in the head of a packet, in its middle, or in what the container says of it."""
    path = written(KINDS[kind], tmp_path)
    data = path.read_bytes()
    lost = 0
    for at in range(len(data) // 4, len(data) // 2, 997):
        path.write_bytes(data[:at] + bytes(3000) + data[at + 3000 :])
        whole, _, _ = read(path)
        module._known.cache_clear()
        frames, packets, _ = read(path, Position(180), 3, trusts=True)
        assert same(frames, whole[180:183]), f"from byte {at}"
        assert packets > 180 or kind.startswith("mkv"), "whose lost packets are those of no reading"
        lost += len(whole) < FRAMES
    assert lost > 10


def test_a_file_that_has_changed_is_another_one(video: tuple[str, Path], tmp_path: Path) -> None:
    _, source = video
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes())
    before = module.known_frames(path, 0)
    with path.open("ab") as file:
        file.write(b"0")
    assert module.known_frames(path, 0) is not before
