"""Which encoder makes a video: libx264, or NVENC where a GPU is to do it and really can."""

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
"""About the picture of `veryfast` at 23, in three quarters of the processor time, which the network wants."""
_NVENC: Final = {"preset": "p3", "rc": "constqp", "qp": "23"}


@dataclass(frozen=True, slots=True)
class VideoEncoder:
    """An encoder of libav, and how it is set."""

    name: str  # libav's name of it
    options: dict[str, str]  # its own options

    def configure(
        self, context: VideoCodecContext, width: int, height: int, pixel_aspect: Fraction = Fraction(1)
    ) -> None:
        """Set a context that is not open yet: size, key frames, no B-frames, colours, threads."""
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
                return "there is no NVIDIA driver"  # libav does not find the driver's library
            return str(error.strerror or error)
        return None


def choose_encoder(width: int, height: int, gpu: int | None = None) -> VideoEncoder:
    """Return what is to encode pictures of this size.

    The size is in pixels, even. What the CUDA device `gpu` does not encode, the processor does.
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
    """Return why a CUDA device does not encode H.264; None where it does: a picture was encoded on it."""
    return nvenc(gpu).problem(_TRIAL_SIDE, _TRIAL_SIDE)


def nvenc(gpu: int) -> VideoEncoder:
    """Return NVENC on one CUDA device; its p3 is about x264's `veryfast`."""
    return VideoEncoder(NVENC, {"gpu": str(gpu), **_NVENC})


def finish(container: OutputContainer, stream: VideoStream, path: Path) -> None:
    """Encode what is held back and close the file `path`; `OutputError` where its end cannot be written."""
    try:
        if stream.codec_context.is_open:
            container.mux(stream.encode(None))
        container.close()
    except (FFmpegError, OSError) as error:
        with contextlib.suppress(FFmpegError, OSError):
            container.close()
        raise encoding_error(error, path) from error


def encoding_error(error: FFmpegError | OSError, path: Path) -> OutputError:
    """Return the one-line error that says why the video `path` cannot be written."""
    if isinstance(error, OSError):
        return output_error(error, path)
    return OutputError(f"the video cannot be encoded ({error.strerror})", where=path)
