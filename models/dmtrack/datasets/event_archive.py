"""Event recordings decoded to an `.npz` archive: writing their event pictures, one a frame.

The archive holds `t`, `x`, `y`, `p` (one entry an event, `p` true where the light became brighter) and
`frame_t`, the times of the picture frames on the same clock.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2

from dmtrack.datasets.image_files import ImageFiles
from dmtrack.datasets.sequence import Sequence, is_recording
from dmtrack.errors import DatasetError, FormatError, OutputError
from dmtrack.video.events.options import EventOptions
from dmtrack.video.events.picture import visevent_picture
from dmtrack.video.events.reader import open_events
from dmtrack.video.events.schedule import frame_windows
from dmtrack.video.events.windows import WindowCutter
from dmtrack.video.frame import Modality


def with_event_pictures(sequence: Sequence, folder: Path) -> Sequence:
    """Return the sequence with its event archive replaced by event pictures, one a frame.

    The pictures (`00000.png` ...) are written to `folder`, over those of an earlier call. A sequence
    without an event archive is returned as it is.

    Args:
        sequence: A sequence whose main stream is a list of pictures.
        folder: Made when it is not there; it must hold nothing else.

    Raises:
        DatasetError: The archive has another number of frames than the main stream.
        FormatError: The archive is malformed.
        DecodeError: It is damaged.
        OutputError: A picture cannot be written.
    """
    if sequence.modality is not Modality.EVENT or not is_recording(sequence.aux_paths):
        return sequence
    archive_path = sequence.aux_paths[0]
    if archive_path.suffix.lower() != ".npz":  # a video of event pictures is read as it is
        return sequence
    size = _picture_size(sequence.rgb_paths[0])
    options = EventOptions(size=size)
    with open_events(archive_path, options) as events:
        frame_times = events.frame_times
        if frame_times is None:
            raise FormatError("the array frame_t is missing", where=archive_path)
        if len(frame_times) != len(sequence.rgb_paths):
            raise DatasetError(
                f"{len(frame_times)} frame times, but {len(sequence.rgb_paths)} pictures", where=archive_path
            )
        folder.mkdir(parents=True, exist_ok=True)
        cutter = WindowCutter(events, options)
        for index, window in enumerate(frame_windows(frame_times)):
            picture = visevent_picture(cutter.cut(window), size)
            path = folder / f"{index:05d}.png"
            if not cv2.imwrite(str(path), picture[..., ::-1]):
                raise OutputError("the event picture cannot be written", where=path)
    return replace(sequence, aux_paths=ImageFiles.of(folder))


def _picture_size(path: Path) -> tuple[int, int]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DatasetError("the picture cannot be read", where=path)
    return (int(pixels.shape[1]), int(pixels.shape[0]))
