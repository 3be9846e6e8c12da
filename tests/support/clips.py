"""Writes files and small recordings where a test wants them."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np


def written(path: Path, content: str | bytes | bytearray) -> Path:
    """Write a file, with its folders where they are missing, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def archive(path: Path, members: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a ZIP archive and return its path."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def pictures_in(folder: Path, pictures: Iterable[Any], names: str = "{:04d}.png") -> Path:
    """Write pictures as OpenCV has them, called after their numbers from 0, and return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        assert cv2.imwrite(str(folder / names.format(number)), picture)
    return folder


def wait_until(happened: Callable[[], bool]) -> None:
    """Look again and again, and fail where it takes too long even on a slow machine with a browser."""
    end = time.monotonic() + 240
    while not happened():
        assert time.monotonic() < end, "this took too long"
        time.sleep(0.002)


def square_clip(
    folder: Path, streams: Iterable[str] = ("img",), frames: int = 20, *, truth: str = "groundtruth.txt"
) -> Path:
    """Write pictures of a bright square of 10 px that moves one px a frame, and where it is."""
    for stream in streams:
        (folder / stream).mkdir(parents=True)
        for frame in range(frames):
            picture = np.full((60, 80, 3), 40, np.uint8)
            picture[20:30, 5 + frame : 15 + frame] = 250
            cv2.imwrite(str(folder / stream / f"{frame:06d}.png"), picture)
    (folder / truth).write_text("".join(f"{5 + frame},20,10,10\n" for frame in range(frames)))
    return folder


def copies(recording: Any, *names: str, truth: bool = True) -> Path:
    """Copy both videos of a recording, and its ground truth, under names by which `batch` finds them."""
    folder = Path("clips").absolute()
    folder.mkdir()
    for name in names:
        shutil.copy(recording.rgb, folder / f"{name}_rgb.mp4")
        shutil.copy(recording.thermal, folder / f"{name}_thermal.mp4")
        if truth:
            shutil.copy(recording.truth, folder / f"{name}.txt")
    return folder


def sound_in_the_middle(video: Path) -> bytes:
    """Return a transport stream three times, far apart; the second time with sound.

    A video of ten seconds is long enough for sound not to be met where a file is opened.
    """
    with_sound = video.with_name(f"sound_{video.name}")
    with av.open(str(video)) as source, av.open(str(with_sound), "w", format="mpegts") as target:
        pictures = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("mp2", rate=44_100, layout="mono")
        assert isinstance(sound, av.AudioStream)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                target.mux(packet)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 44_100, 1152 * number
            target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    nothing = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 10_000
    return nothing.join((video.read_bytes(), with_sound.read_bytes(), video.read_bytes()))
