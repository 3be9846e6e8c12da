"""Event recordings decoded to an `.npz` archive: reading them, and writing their event pictures.

The archive holds `t`, `x`, `y`, `p` (one entry an event, `p` true where the light became brighter) and
`frame_t`, the times of the picture frames on the same clock.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.image_files import ImageFiles
from dmtrack.datasets.sequence import Sequence, is_recording
from dmtrack.errors import DatasetError, FormatError, OutputError
from dmtrack.video.event_picture import event_picture, frame_slices
from dmtrack.video.frame import Modality


@dataclass(frozen=True, slots=True)
class EventArchive:
    """Events of one recording, in order of time.

    Attributes:
        t: `(N,)` int64 time stamps, on the clock of `frame_t`.
        x: `(N,)` columns in pixels, from 0.
        y: `(N,)` rows in pixels, from 0.
        positive: `(N,)` bool, True where the light became brighter.
        frame_t: `(F,)` int64 times of the picture frames.
    """

    t: npt.NDArray[np.int64]
    x: npt.NDArray[np.integer]
    y: npt.NDArray[np.integer]
    positive: npt.NDArray[np.bool_]
    frame_t: npt.NDArray[np.int64]


def read_event_archive(path: Path) -> EventArchive:
    """Read an `.npz` archive of events.

    Raises:
        FormatError: This is no such archive, an array is missing, or the lengths differ.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            t, x, y, p, frame_t = (arrays[name] for name in ("t", "x", "y", "p", "frame_t"))
    except KeyError as error:
        raise FormatError(str(error.args[0]), where=path, hint="t, x, y, p and frame_t are needed") from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise FormatError("this is no archive of events (.npz)", where=path) from error
    if not len(t) == len(x) == len(y) == len(p):
        raise FormatError(f"t, x, y, p have {len(t)}, {len(x)}, {len(y)}, {len(p)} entries", where=path)
    return EventArchive(t.astype(np.int64), x, y, p.astype(np.bool_), frame_t.astype(np.int64))


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
        OutputError: A picture cannot be written.
    """
    if sequence.modality is not Modality.EVENT or not is_recording(sequence.aux_paths):
        return sequence
    archive_path = sequence.aux_paths[0]
    if archive_path.suffix.lower() != ".npz":  # a video of event pictures is read as it is
        return sequence
    archive = read_event_archive(archive_path)
    if len(archive.frame_t) != len(sequence.rgb_paths):
        raise DatasetError(
            f"{len(archive.frame_t)} frame times, but {len(sequence.rgb_paths)} pictures", where=archive_path
        )
    _write_pictures(archive, _picture_size(sequence.rgb_paths[0]), folder)
    return replace(sequence, aux_paths=ImageFiles.of(folder))


def _write_pictures(archive: EventArchive, size: tuple[int, int], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, part in enumerate(frame_slices(archive.t, archive.frame_t)):
        picture = event_picture(archive.x[part], archive.y[part], archive.positive[part], size)
        path = folder / f"{index:05d}.png"
        if not cv2.imwrite(str(path), picture[..., ::-1]):
            raise OutputError("the event picture cannot be written", where=path)


def _picture_size(path: Path) -> tuple[int, int]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DatasetError("the picture cannot be read", where=path)
    return (int(pixels.shape[1]), int(pixels.shape[0]))
