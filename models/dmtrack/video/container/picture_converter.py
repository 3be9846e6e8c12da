"""`PictureConverter`: converts decoded frames to arrays of pixels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from av.video.reformatter import VideoReformatter

from dmtrack.errors import DecodeError
from dmtrack.video.frame import Pixels

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_MATRICES: Final = {8: "YCgCo", 10: "BT.2020 of constant luminance", 14: "ICtCp", 15: "IPT"}
"""Matrix coefficients that libav does not convert to RGB, by their numbers in ITU-T H.273."""
_UNSAID: Final = 2  # matrix unspecified, as in files that store counts; cameras and film editors state one
COUNT_BITS: Final = 16  # most bits of exact counts
_GREY_FORMAT: Final = re.compile(r"(?:gray|(ya))(\d*)(le|be)?")
_APART: Final = re.compile(r"(yuva?4\d\d|gbra?)p(9|1\d)[lb]e")  # deep colour, channel by channel
_SHOWS: Final = 16
"""A picture whose counts span less than this is blank, and does not show whether the video is grey."""


class PictureConverter:
    """Converts decoded frames to arrays of the size and type of the first frame.

    `said_bits` is the number of bits of the counts, where the decoder shifts them up to the format's.
    """

    def __init__(self, first: VideoFrame, said_bits: int | None = None) -> None:
        self.coded_size = (first.width, first.height)
        self._grey, self._samples = _grey_kind(first.format.name)
        self._format_name = first.format.name
        self._turns, self._is_mirrored = round(first.rotation / 90) % 4, _is_mirrored(first)
        self._reformatter = VideoReformatter()
        self.pixel_format = first.format.name
        format_bits = max(component.bits for component in first.format.components)
        self.bit_depth = min(format_bits, max(said_bits or format_bits, 8))
        self._moved_up = format_bits - self.bit_depth
        if not first.format.is_rgb and (coding := _MATRICES.get(int(first.colorspace))):
            raise DecodeError(f"its colours are {coding}, which is not read", hint="convert them to BT.709")
        is_filmed = not first.format.is_rgb and first.colorspace != _UNSAID
        self._may_be_grey = self._grey is None and 8 < self.bit_depth <= COUNT_BITS and not is_filmed
        self._is_deep_grey = False
        self.channels = 1 if self._grey is not None or self._deep_grey(first) is not None else 3
        self.rotation_deg = self._turns * 90
        flipped = self._turns % 2 == 1
        self.width, self.height = self.coded_size[::-1] if flipped else self.coded_size

    def __call__(self, frame: VideoFrame) -> Pixels:
        """Return `(H, W, 3)` uint8 RGB, or `(H, W)` uint8 or uint16 for grey streams and deep grey."""
        width, height = self.coded_size
        if self._grey is None:
            if (grey := self._deep_grey(frame)) is not None:
                return self._upright(grey)
            rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
            return self._upright(_plane(rgb, np.dtype(np.uint8), channels=3))
        if (frame.width, frame.height) != self.coded_size or frame.format.name != self._format_name:
            frame = self._reformatter.reformat(frame, width=width, height=height, format=self._format_name)
        samples = _plane(frame, self._grey, self._samples)
        if self._moved_up:
            np.right_shift(samples, self._moved_up, out=samples)
        return self._upright(samples if samples.ndim == 2 else samples[..., 0])

    def _deep_grey(self, frame: VideoFrame) -> Pixels | None:
        """Return the single channel that deep colour stores as three; None from the first coloured frame on.

        None also while frames are blank: colour may fade in from black.
        """
        if not self._may_be_grey:
            return None
        name, (width, height) = frame.format.name, self.coded_size
        is_apart = name == self._format_name and _APART.fullmatch(name) is not None
        if not is_apart or (frame.width, frame.height) != self.coded_size:
            wide = "gbrp16le" if frame.format.is_rgb else "yuv444p16le"
            frame = self._reformatter.reformat(frame, width=width, height=height, format=wide)
        bits = frame.format.components[0].bits
        dtype = np.dtype(">u2" if frame.format.name.endswith("be") else "<u2")
        grey, *others = (_plane(frame, dtype, 1, number) for number in range(3))
        if frame.format.is_rgb:
            self._may_be_grey = all(np.array_equal(grey, other) for other in others)
        else:
            none, off = 1 << (bits - 1), 1 << (bits - 9)  # half a level of 8 bits
            ends = ((int(one.min()), int(one.max())) for one in others)
            self._may_be_grey = all(none - off <= low and high <= none + off for low, high in ends)
        counts = cast(Pixels, grey >> (bits - self.bit_depth))
        self._is_deep_grey = self._may_be_grey and (self._is_deep_grey or int(np.ptp(counts)) >= _SHOWS)
        return counts if self._is_deep_grey else None

    def _upright(self, pixels: Pixels) -> Pixels:
        if self._is_mirrored:
            pixels = pixels[::-1]
        return cast(Pixels, np.ascontiguousarray(np.rot90(pixels, self._turns)))


def _is_mirrored(frame: VideoFrame) -> bool:
    """Return whether the display matrix flips pictures upside down before it rotates them."""
    try:
        stored = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # other side data has no name in PyAV, such as EXIF
        stored = None
    if stored is None:
        return False
    a, b, _, c, d = np.frombuffer(cast(bytes, stored), np.int32)[:5].tolist()
    return bool(a * d < b * c)


def _grey_kind(format_name: str) -> tuple[np.dtype[np.uint8] | np.dtype[np.uint16] | None, int]:
    """Return the sample type of a grey format and its samples per pixel; None and 0 for other formats."""
    match = _GREY_FORMAT.fullmatch(format_name)
    if match is None:
        return None, 0
    samples = 2 if match[1] else 1  # the other one is alpha
    if match[2] in ("", "8"):
        return np.dtype(np.uint8), samples
    return np.dtype(">u2" if match[3] == "be" else "<u2"), samples


def _plane(
    frame: VideoFrame, dtype: np.dtype[np.uint8] | np.dtype[np.uint16], channels: int, number: int = 0
) -> Pixels:
    """Copy plane `number` of a frame without line padding, `(H, W)` or `(H, W, channels)`."""
    plane = frame.planes[number]
    rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    samples = rows[:, : plane.width * channels]
    shape = (plane.height, plane.width, channels) if channels > 1 else (plane.height, plane.width)
    return cast(Pixels, samples.astype(dtype.newbyteorder("=")).reshape(shape))
