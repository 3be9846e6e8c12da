"""What readers yield, `Frame` and `FramePair`, and what a container claims, `VideoInfo`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Final, Self, cast

import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError, FormatError, translated
from dmtrack.geometry.box import Box
from dmtrack.geometry.intrinsics import Intrinsics
from dmtrack.video.pictures.counts import AS_STORED, CountScale
from dmtrack.video.second.gauge import AuxMeasure, EventWindow, Gauge
from dmtrack.video.track_choice import TrackInfo

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


_PICTURES: Final = "give (H, W, 3) uint8 in RGB order, or (H, W) uint8 or uint16: depth in mm, heat in 0.01 K"


class Modality(StrEnum):
    """What the second stream measures."""

    THERMAL = "thermal"
    DEPTH = "depth"
    EVENT = "event"

    @classmethod
    def of(cls, name: str | None) -> Self:
        """Return the modality of that name; `ConfigError` if there is none."""
        if name is None or name not in [*cls]:
            raise ConfigError(f"modality {name!r} is unknown", hint=", ".join(cls))
        return cls(name)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a container or folder claims about its stream, before any frame is decoded.

    `track` is the stream of a file that may hold several; `depth_unit_mm` is the depth of one count, if the
    file states it; `decoded_on` is `cpu`, or the device that decodes it; `counts` is the conversion of
    signed or fractional numbers to counts; `pixel_aspect` is width over height of a pixel as displayed;
    `notes` are remarks for the user on the stream, a sentence each; `intrinsics` are those of its camera, if
    the file holds them; `created_s` is the start of the recording that the file states, in seconds since
    1970; `follows_s` is the usual time from one frame to the next, if time stamps were examined.
    """

    path: Path
    width: int
    height: int
    frame_rate: Fraction | None
    time_base: Fraction
    start_pts: int
    frame_count: int | None
    pixel_format: str
    codec: str
    bit_depth: int
    channels: int
    rotation_deg: int = 0
    track: TrackInfo | None = None
    depth_unit_mm: Fraction | None = None
    decoded_on: str = "cpu"
    counts: CountScale = AS_STORED
    pixel_aspect: Fraction = Fraction(1)
    notes: tuple[str, ...] = ()
    intrinsics: Intrinsics | None = None
    created_s: Fraction | None = None
    follows_s: Fraction | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def shown_shape(self) -> Fraction:
        """Width over height of the picture as displayed."""
        return self.width * self.pixel_aspect / self.height

    @property
    def start_s(self) -> Fraction:
        """Time of the first frame in seconds."""
        return self.start_pts * self.time_base

    @property
    def interval_s(self) -> Fraction | None:
        """Seconds from one frame to the next, without pauses; None if unknown."""
        mean_s = None if self.frame_rate is None else 1 / self.frame_rate
        return min(filter(None, (mean_s, self.follows_s)), default=None)

    @property
    def duration_s(self) -> Fraction | None:
        """Duration in seconds, when the rate and the number of frames are known."""
        if self.frame_rate is None or self.frame_count is None:
            return None
        return self.frame_count / self.frame_rate


@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """One decoded picture with its exact time.

    Attributes:
        index: 0-based position among the frames that decoded; in a folder, among all pictures.
        pts: Presentation time stamp, in units of `time_base`.
        time_base: Seconds per unit of `pts`.
        pixels: `(H, W, 3)` uint8 in RGB order, or `(H, W)` uint8/uint16 for one-channel sources.
        events: Those that the picture shows, if it was drawn from an event file.
    """

    index: int
    pts: int
    time_base: Fraction
    pixels: Pixels
    events: EventWindow | None = None

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"frame index {self.index} is negative")
        if self.pixels.ndim not in (2, 3) or self.pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels are {self.pixels.dtype} {self.pixels.shape}")

    @classmethod
    def of(cls, pixels: Pixels, *, index: int = 0, time_s: Fraction | float = 0) -> Frame:
        """Return a picture as a frame.

        Args:
            pixels: `(H, W, 3)` uint8 in RGB order, or `(H, W)` uint8/uint16.
            index: Its 0-based place.
            time_s: Its time in seconds.

        Raises:
            FormatError: The pixels have another shape or type, or the time is not a finite number.
        """
        with translated(FormatError, f"a {type(pixels).__name__} is no picture", hint=_PICTURES):
            pixels = cast(Pixels, np.asarray(pixels))
        channels = pixels.shape[2:]
        is_known = pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and not channels)
        if not is_known or pixels.ndim < 2 or channels not in ((), (3,)) or not pixels.size:
            raise FormatError(f"{pixels.dtype} {pixels.shape} is no picture", hint=_PICTURES)
        with translated(FormatError, f"{time_s} is no time", hint="seconds, as a number"):
            exact_s = Fraction(str(time_s))
        return cls(index, exact_s.numerator, Fraction(1, exact_s.denominator), pixels)

    def __repr__(self) -> str:
        """Return one line, without the pixels."""
        what = f"{self.width}x{self.height} {self.pixels.dtype}"
        return f"Frame(index={self.index}, time_s={float(self.time_s):g}, {what})"

    @property
    def time_s(self) -> Fraction:
        """Exact presentation time in seconds."""
        return self.pts * self.time_base

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True, slots=True, repr=False)
class FramePair:
    """An RGB frame, and the frame of the second stream nearest to it in time.

    Attributes:
        rgb: The frame that gives the pair its index and time.
        aux: The partner on the clock of `rgb`, or None when the second stream has none near enough
            (or there is no second stream).
        modality: What `aux` measures; None when there is no second stream.
        image: `(H, W, 6)` uint8 on the RGB grid: channels 0-2 RGB, 3-5 the encoded second stream
            (if `aux` is None: the picture nearest in time, or zeros, as `OnMissing` says);
            `(H, W, 3)` without a second stream, or if this frame is to be tracked without it
            (`OnMissing.RGB_ONLY`).
        gauge: What the counts of `aux` mean, and how RGB pixels map to them; None if unknown.
        start_s: Time of the first frame of the recording.
    """

    rgb: Frame
    aux: Frame | None
    modality: Modality | None
    image: npt.NDArray[np.uint8]
    gauge: Gauge | None = None
    start_s: Fraction = Fraction(0)

    @classmethod
    def of(
        cls,
        rgb: Pixels,
        aux: Pixels | None = None,
        *,
        modality: Modality | str | None = None,
        index: int = 0,
        time_s: Fraction | float = 0,
    ) -> FramePair:
        """Return one or two pictures as a pair for a tracker.

        Args:
            rgb: `(H, W, 3)` uint8 in RGB order, or one channel, `(H, W)` uint8 or uint16.
            aux: The second picture of the same scene, of any size; stretched to the size of `rgb`.
            modality: What `aux` measures.
            index: 0-based place of the pair.
            time_s: Its time in seconds.

        Raises:
            ConfigError: There is a second picture and no modality, or the modality is unknown.
            FormatError: The second picture cannot be of this modality, or one is no picture.
        """
        from dmtrack.video.second.aux_encoder import AuxEncoder  # these import this module
        from dmtrack.video.second.encoding import encode
        from dmtrack.video.second.grid import Fit, resize_to_grid, rgb_to_aux

        first = Frame.of(rgb, index=index, time_s=time_s)
        visible = encode(first.pixels, Modality.THERMAL)  # unchanged; only 16 bits are stretched to 8
        if aux is None:
            return cls(first, None, None, visible)
        kind = Modality.of(modality)
        partner = Frame.of(aux, index=index, time_s=time_s)
        encoder, size = AuxEncoder(kind), (first.width, first.height)
        second = resize_to_grid(encoder(partner.pixels), size, kind)
        pixels = np.concatenate([visible, second], axis=2)
        gauge = None
        if encoder.meaning is not None:
            aux_size = (partner.width, partner.height)
            to_aux = rgb_to_aux(None, Fit.RESIZE, aux_size, size)
            gauge = Gauge(encoder.meaning, aux_size, to_aux, bits=8 * partner.pixels.itemsize)
        return cls(first, partner, kind, pixels, gauge)

    def __repr__(self) -> str:
        """Return one line, without the pixels."""
        measured = None if self.modality is None else str(self.modality)
        return f"FramePair(rgb={self.rgb!r}, aux={self.aux!r}, modality={measured!r})"

    @property
    def elapsed_s(self) -> Fraction:
        """Seconds since the first frame of the recording, as a `Position` counts them."""
        return self.rgb.time_s - self.start_s

    @property
    def skew_s(self) -> Fraction | None:
        """`aux.time_s - rgb.time_s`, or None without a partner."""
        return None if self.aux is None else self.aux.time_s - self.rgb.time_s

    def measure(self, box: Box) -> AuxMeasure | None:
        """Return what the second stream measures of the target in `box`; None if nothing is known."""
        if self.aux is None or self.gauge is None:
            return None
        if self.aux.events is not None:
            return self.gauge.event_rate(self.aux.events, box)
        return self.gauge.measure(self.aux.pixels, box)

    @property
    def aux_image(self) -> npt.NDArray[np.uint8] | None:
        """The encoded second stream, `(H, W, 3)`, black for a frame of RGB alone; None without one."""
        if self.image.shape[2] > 3:
            return self.image[..., 3:6]
        return None if self.modality is None else np.zeros_like(self.image)
