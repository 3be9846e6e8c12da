"""`inspect_recording`: what files, or a data-set folder, contain, and how their streams pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dmtrack.atomic import inputs_kept
from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.datasets.image_files import is_video
from dmtrack.datasets.survey import DatasetRecording, survey
from dmtrack.drawing.draw import Mark, target_colour
from dmtrack.drawing.sheet import contact_sheet, pairs_at, spread_indices, write_sheet
from dmtrack.errors import ConfigError, DatasetError, VideoError
from dmtrack.video.container_clock import ContainerFacts, read_container
from dmtrack.video.events.event_reader import is_event_file
from dmtrack.video.frame import Modality, VideoInfo
from dmtrack.video.inspection import PairReport, inspect_pair
from dmtrack.video.pairing import open_pair
from dmtrack.video.pictures.picture_list import IMAGE_SUFFIXES
from dmtrack.video.streams import BY_TIME, PairingOptions


@dataclass(frozen=True, slots=True)
class RecordingReport:
    """Everything that `dmtrack inspect` reports."""

    # The recordings of a data-set folder; at most one if a pair was inspected
    clips: tuple[DatasetRecording, ...]
    pair: PairReport | None = None  # the streams; None if there are several recordings
    # The files of both streams; None for those that libav does not read, such as ROS bags
    containers: tuple[ContainerFacts | None, ...] = ()
    ground_truth: tuple[Path, ...] = ()  # files of boxes beside the first stream


def inspect_recording(
    rgb: Path,
    aux: Path | None = None,
    *,
    modality: Modality | None = None,
    pairing: PairingOptions = BY_TIME,
    sheet: Path | None = None,
    overwrite: bool = False,
) -> RecordingReport:
    """Inspect two streams, a recording of a data set, or a folder of many.

    `sheet` is a PNG to write: several moments of one recording, with the known boxes. `modality` None finds
    out. `InputError`: a stream or a folder cannot be read; `ConfigError`: a sheet of many recordings is asked
    for; `OutputError`: the sheet exists, or cannot be written.
    """
    clips = survey(rgb) if aux is None else ()
    if len(clips) > 1:
        if sheet is not None:
            raise ConfigError(f"--sheet shows one recording, here are {len(clips)}", where=rgb)
        return RecordingReport(clips)
    pair = _of_clip(clips[0], pairing) if clips else inspect_pair(rgb, aux, pairing)
    if modality is not None:
        warnings = tuple(line for line in pair.warnings if "--modality" not in line)
        pair = replace(pair, modality=modality, modality_reason="it was given", warnings=warnings)
    containers = tuple(_container(info) for info in (pair.rgb, pair.aux) if info is not None)
    if sheet is not None:
        _write_sheet(sheet, pair, clips, pairing, overwrite=overwrite)
    return RecordingReport(clips, pair, containers, find_ground_truth(pair.rgb.path))


def _of_clip(surveyed: DatasetRecording, pairing: PairingOptions) -> PairReport:
    clip = surveyed.clip
    try:
        pair = inspect_pair(clip.rgb, clip.second, pairing)
    except VideoError as error:
        if clip.second is None or clip.second.is_dir() or is_video(clip.second):
            raise
        alone = inspect_pair(clip.rgb, None, pairing)
        return replace(alone, warnings=(*alone.warnings, str(error)))
    if pair.aux is None:
        return pair
    warnings = tuple(line for line in pair.warnings if "--modality" not in line)
    return replace(
        pair, modality=surveyed.modality, modality_reason=surveyed.layout_reason, warnings=warnings
    )


def _container(info: VideoInfo) -> ContainerFacts | None:
    if not info.path.is_file() or info.path.suffix.lower() in IMAGE_SUFFIXES or is_event_file(info.path):
        return None  # libav would take some event files for pictures
    try:
        return read_container(info.path, stream=0 if info.track is None else info.track.number)
    except VideoError:
        return None


def _write_sheet(
    path: Path,
    pair: PairReport,
    clips: tuple[DatasetRecording, ...],
    pairing: PairingOptions,
    *,
    overwrite: bool,
) -> None:
    rgb, aux = pair.rgb, pair.aux
    if aux is not None and pair.modality is None:
        raise DatasetError("cannot tell what the second stream measures", hint="say --modality")
    shown = pairs_at(
        lambda start: open_pair(
            rgb.path, None if aux is None else aux.path, modality=pair.modality, start=start, pairing=pairing
        ),
        spread_indices(rgb.frame_count, is_folder=rgb.path.is_dir()),
    )
    marks: dict[int, list[Mark]] = {}
    for clip in clips:
        for number, sequence in enumerate(clip.sequences, start=1):
            for frame in (one.rgb.index for one in shown):
                row = frame - sequence.source_start
                if 0 <= row < len(sequence) and sequence.visible[row]:
                    mark = Mark(sequence.box(row), "", target_colour(number))
                    marks.setdefault(frame, []).append(mark)
    with inputs_kept(rgb.path, None if aux is None else aux.path):
        write_sheet(path, contact_sheet(shown, marks), overwrite=overwrite)
