"""Writes small videos for the tests of reading and pairing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of videos: one picture a stamp, H.264 near lossless if nothing is said."""

    def write(
        name: str,
        pictures: Iterable[np.ndarray],
        *,
        rate: int = 30,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        pts: Iterable[int] | None = None,
        time_base: Fraction | None = None,
        rotation: int = 0,
        options: dict[str, Any] | None = None,
        container_options: dict[str, Any] | None = None,
    ) -> Path:
        path = tmp_path / name
        pictures = list(pictures)
        height, width = pictures[0].shape[:2]
        with av.open(str(path), "w", options=container_options or {}) as container:
            quality = {"crf": "4"} if codec == "libx264" else {}
            stream = container.add_stream(codec, rate=rate, options={**quality, **(options or {})})
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            if time_base is not None:
                stream.codec_context.time_base = time_base
            if rotation:
                stream.set_display_rotation(rotation)
            stamps = range(len(pictures)) if pts is None else pts
            for stamp, picture in zip(stamps, pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format=_source_format(picture, pix_fmt))
                frame.pts = stamp
                frame.time_base = time_base or Fraction(1, rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


def _source_format(picture: np.ndarray, pix_fmt: str) -> str:
    if picture.dtype == np.uint16:
        return pix_fmt
    return "gray" if picture.ndim == 2 else "rgb24"
