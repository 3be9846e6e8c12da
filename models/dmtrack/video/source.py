"""`open_source`: a path becomes a stream of frames, whatever lies there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from dmtrack.errors import VideoError
from dmtrack.video.bag import BAG_SUFFIXES, BagReader
from dmtrack.video.events.formats import is_event_file
from dmtrack.video.events.source import EventOptions, EventSource, FrameClock
from dmtrack.video.folder import DEFAULT_FRAME_RATE, IMAGE_SUFFIXES, FolderReader
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.position import Position
from dmtrack.video.reader import VideoReader
from dmtrack.video.tracks import TrackPicker


class FrameSource(Protocol):
    """One stream of frames: what `VideoReader`, `FolderReader` and later sources have in common.

    Stamps increase strictly from frame to frame; `read` works once.
    """

    @property
    def info(self) -> VideoInfo:
        """What the container or folder claims."""

    @property
    def damaged_packets(self) -> int:
        """Packets or pictures lost so far."""

    def read(self, start: Position | None = None, end: Position | None = None) -> Iterator[Frame]:
        """Yield the frames from `start` up to and without `end`."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame."""

    def close(self) -> None:
        """Release the files."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class KnowsStamps(Protocol):
    """A source whose frames have stamps in their container, as a video has and a folder has not."""

    def frame_stamps(self) -> Sequence[int] | None:
        """Return the stamps of all frames, sorted, without decoding; None if some have none.

        Raises:
            DecodeError: The file cannot be read to its end.
        """


def open_source(
    path: Path | str,
    *,
    stream: int | TrackPicker = 0,
    threads: int | None = None,
    gpu: int | None = None,
    folder_rate: Fraction = DEFAULT_FRAME_RATE,
    folder_start_s: Fraction = Fraction(0),
    events: EventOptions | None = None,
    like: FrameClock | None = None,
) -> FrameSource:
    """Open a video file, a ROS bag, an event file or an image folder.

    Args:
        path: The file or folder.
        stream: Which video stream of a file, from 0, or how to pick it.
        threads: Decoder threads for a file; None: as many as pay.
        gpu: Number of the CUDA device that decodes a file which suits it.
        folder_rate: Pictures a second to assume for a folder, which has no clock of its own.
        folder_start_s: Time of a folder's first picture in seconds.
        events: How an event file becomes pictures.
        like: The frames that pictures of events go with; None draws `folder_rate` pictures a second.

    Raises:
        VideoError: There is nothing there, or it is not a video or folder of pictures.
        FormatError: It is an event file of a kind that is not known.
        DecodeError: No frame of it can be decoded.
        ConfigError: It is an event file that needs a library which is not installed.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return FolderReader(path, frame_rate=folder_rate, start_s=folder_start_s)
        _require_video_file(path)
        if is_event_file(path):
            return EventSource(path, events, like=like, frame_rate=folder_rate)
    except PermissionError as error:
        raise VideoError("no permission to read it", where=path) from error
    if path.suffix.lower() in BAG_SUFFIXES:
        return BagReader(path, stream=stream)
    return VideoReader(path, stream=stream, threads=threads, gpu=gpu)


def _require_video_file(path: Path) -> None:
    if not path.exists():
        raise VideoError("no such file or folder", where=path, hint="check the path")
    if not path.is_file():
        raise VideoError("this is neither a file nor a folder", where=path)
    if path.stat().st_size == 0:
        raise VideoError("the file is empty", where=path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise VideoError(
            "this is a single picture", where=path, hint="name a video, or the folder that holds the pictures"
        )
