"""The choice of a video encoder: libx264, or NVENC if a GPU is asked for and works."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from dmtrack.atomic import output_error
from dmtrack.errors import OutputError
from dmtrack.threads import encoder_threads

X264: Final = "libx264"
NVENC: Final = "h264_nvenc"
MPEG4: Final = "mpeg4"
NOMINAL_RATE: Final = 30  # for the encoder's rate control only

_log = logging.getLogger(__name__)

_PIXEL_FORMAT: Final = "yuv420p"
_KEYFRAME_EVERY: Final = 60
_BT709: Final = 1
_LIMITED_RANGE: Final = 1
_TRIAL_SIDE: Final = 256
_X264: Final = {"preset": "superfast", "crf": "24"}
"""Looks about like `veryfast` at 23, in three quarters of the CPU time, which the network needs."""
_NVENC: Final = {"preset": "p3", "rc": "constqp", "qp": "23"}


@dataclass(frozen=True, slots=True)
class VideoEncoder:
    """An encoder of libav, with its settings."""

    name: str  # libav's name
    options: dict[str, str]  # options of this encoder

    def configure(
        self, context: VideoCodecContext, width: int, height: int, pixel_aspect: Fraction = Fraction(1)
    ) -> None:
        """Configure a context that is not open yet: size, keyframes, no B-frames, colours, threads."""
        context.width, context.height, context.pix_fmt = width, height, _PIXEL_FORMAT
        context.sample_aspect_ratio = pixel_aspect
        context.gop_size = _KEYFRAME_EVERY
        context.max_b_frames = 0
        context.color_range = _LIMITED_RANGE
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        if self.name == X264:
            context.thread_type = "FRAME"
            context.thread_count = encoder_threads()

    def problem(self, width: int, height: int) -> str | None:
        """Encode one black picture; return why that does not work, or None."""
        picture = np.zeros((height, width, 3), np.uint8)
        try:
            context = cast(VideoCodecContext, av.CodecContext.create(self.name, "w"))
            context.options = self.options
            context.time_base = Fraction(1, NOMINAL_RATE)
            self.configure(context, width, height)
            context.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=_PIXEL_FORMAT))
            context.encode(None)
        except UnknownCodecError:
            return "this PyAV has no such encoder"
        except (FFmpegError, OSError) as error:
            if self.name == NVENC and isinstance(error, PermissionError):
                return "there is no NVIDIA driver"  # libav's error for a missing driver library
            return str(error.strerror or error)
        return None


def choose_encoder(width: int, height: int, gpu: int | None = None) -> VideoEncoder:
    """Return the encoder for pictures of this size, in pixels, both even.

    If the CUDA device `gpu` cannot encode them, the CPU does.
    """
    if gpu is not None:
        encoder = nvenc(gpu)
        problem = encoder.problem(width, height)
        if problem is None:
            return encoder
        _log.info("cuda:%d does not encode %dx%d (%s): the processor does", gpu, width, height, problem)
    try:
        av.Codec(X264, "w")
    except UnknownCodecError:
        _log.warning("this PyAV has no libx264: the video is MPEG-4 Part 2, larger and less widely played")
        return VideoEncoder(MPEG4, {"qscale": "4"})
    return VideoEncoder(X264, _X264)


def why_no_nvenc(gpu: int = 0) -> str | None:
    """Return why a CUDA device does not encode H.264; None if it does, which is tried with one picture."""
    return nvenc(gpu).problem(_TRIAL_SIDE, _TRIAL_SIDE)


def nvenc(gpu: int) -> VideoEncoder:
    """Return NVENC on one CUDA device; its preset p3 compares to x264's `veryfast`."""
    return VideoEncoder(NVENC, {"gpu": str(gpu), **_NVENC})


def finish(container: OutputContainer, stream: VideoStream, path: Path) -> None:
    """Encode the delayed pictures and close the file `path`; `OutputError` if its end cannot be written."""
    try:
        if stream.codec_context.is_open:
            container.mux(stream.encode(None))
        container.close()
    except (FFmpegError, OSError) as error:
        with contextlib.suppress(FFmpegError, OSError):
            container.close()
        raise encoding_error(error, path) from error


def encoding_error(error: FFmpegError | OSError, path: Path) -> OutputError:
    """Return a one-line error that says why the video `path` cannot be written."""
    if isinstance(error, OSError):
        return output_error(error, path)
    return OutputError(f"the video cannot be encoded ({error.strerror})", where=path)
